"""How long a component's calls took, and how long its events waited until they were handed over."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ._delays import NOTHING_MEASURED, DelayTimes

if TYPE_CHECKING:
    from ._duties import DutyTable
    from ._route import Router
    from ._timing import CallTimes

__all__ = ["Handed", "handed"]


class Handed(NamedTuple):
    """Since the component was made; `recent` of the last one to two minutes."""

    calls: CallTimes
    delay: DelayTimes
    recent: DelayTimes


def handed(router: Router, duties: DutyTable, component: int) -> Handed:
    """Of a component that was not closed: then its id is another's."""
    table, calls = duties.delays, router.call_times(component)
    if table is None:
        return Handed(calls, NOTHING_MEASURED, NOTHING_MEASURED)
    return Handed(calls, table.figures(component), table.recent(component))
