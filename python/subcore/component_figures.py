"""Figures of components, one record each: of one that is asked for, or of all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from . import _columns
from ._delays import NOTHING_MEASURED
from .counts import add_up, oldest_of
from .figures import ComponentStats, Delays, Rates
from .former import named
from .unfrozen import unfrozen

if TYPE_CHECKING:
    from ._delays import DelayTimes
    from .hub import Hub
    from .members import Member

__all__ = ["AT_ONCE", "record_of", "records_of"]

AT_ONCE = 32  # components that are read with no change between: another thread keeps the loop from changes for so long
NO_DELAYS = Delays()
_Made, _MadeDelays = unfrozen(ComponentStats), unfrozen(Delays)


class Columns(NamedTuple):
    """Of one component, what is counted by component in the core: events that went through the sinks it has now, and
    topics it holds."""

    delivered: int
    calls: int
    withheld: int
    interests: int


def record_of(hub: Hub, member: Member) -> ComponentStats:
    """Of one component, also of one that is closed. O(its interests)."""
    with hub.intent.whole:
        infos = [hub.router.sink_info(sink) for sink in member.sinks]
        columns = Columns(
            sum(info.delivered for info in infos),
            sum(info.calls for info in infos),
            sum(info.withheld for info in infos),
            0 if member.closed else len(hub.ledger.interests(member.id)),
        )
        return _record(
            hub, member, columns, Rates() if member.closed else hub.monitoring.component(member.id)
        )


def records_of(hub: Hub, members: Sequence[Member]) -> Iterator[list[ComponentStats]]:
    """Of all of these, some at a time, which costs some 0.5 ms: what is counted in columns is read of those at once."""
    for first in range(0, len(members), AT_ONCE):
        yield _some(hub, members[first : first + AT_ONCE])


def _some(hub: Hub, given: Sequence[Member]) -> list[ComponentStats]:
    with hub.intent.whole:
        members = [
            member for member in given if not member.closed
        ]  # since they were listed: an id may be another's
        if not members:
            return []
        ids = np.array([member.id for member in members], np.int32)
        counts = [column[ids].tolist() for column in hub.router.counts(int(ids.max()) + 1)[:3]]
        counts.append(_columns.interest_counts(hub.ledger, ids).tolist())
        return [
            _record(hub, member, Columns(*columns), rate)
            for member, rate, *columns in zip(members, hub.monitoring.components(ids), *counts, strict=True)
        ]


def _record(hub: Hub, member: Member, columns: Columns, rate: Rates) -> ComponentStats:
    id, router, table = member.id, hub.router, hub.duties.delays
    if member.last is not None:
        times, delay, recent = member.last
    elif table is None:
        times, delay, recent = router.call_times(id), NOTHING_MEASURED, NOTHING_MEASURED
    else:
        times, delay, recent = router.call_times(id), table.figures(id), table.recent(id)
    inbox, pumps = member.inbox, member.pumps
    capped = member.last_conflations if member.closed else router.limits.conflated(id)
    queued, oldest, lost, conflated = inbox.figures()
    if pumps.is_used:
        queued, lost = queued + pumps.waiting, lost + pumps.lost
        oldest = oldest_of([*pumps], oldest)
    if capped:
        conflated += sum(capped.values())
    made = _Made(
        name=member.name,
        priority=member.priority,
        paused=member.paused,
        interests=columns.interests,
        delivered=columns.delivered + member.delivered_before,
        queued=queued,
        lost=lost,
        losses=named(hub.intent, member, add_up(inbox.losses, pumps.losses)) if lost else {},
        conflated=conflated,
        conflations=named(hub.intent, member, add_up(inbox.conflations, capped)) if conflated else {},
        overrun=member.boxes.overrun,
        handler_errors=member.handler_errors,
        last_error=member.last_error,
        calls=columns.calls + member.calls_before + pumps.calls,
        withheld=columns.withheld + member.withheld_before,
        mean_ns=times.mean_ns,
        p50_ns=times.p50_ns,
        p99_ns=times.p99_ns,
        worst_ns=times.worst_ns,
        loop_share=times.loop_share,
        over_budget=times.over_budget,
        queue_age_ns=None if oldest < 0 else max(0, hub.clock.time_ns() - oldest),
        health=hub.obligations.health(member),
        rate=rate,
        delay=_delays(delay),
        recent_delay=_delays(recent),
    )
    made.__class__ = ComponentStats
    return made


def _delays(times: DelayTimes) -> Delays:
    if not times.events:
        return NO_DELAYS
    made = _MadeDelays(*times)
    made.__class__ = Delays
    return made
