"""Components and topics as JSON columns: one list a figure, which costs a tenth of a record each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..component_figures import records_of
from ..topic_figures import TOPIC_STATS
from .answers import JSON, Answer, json_bytes

if TYPE_CHECKING:
    from ..figures import ComponentStats
    from ..hub import Hub
    from .sharing import Turns

__all__ = ["COMPONENT_COLUMNS", "component_columns", "component_records", "joined", "topic_columns"]

COMPONENT_COLUMNS = (
    "name",
    "priority",
    "health",
    "paused",
    "caps",
    "interests",
    "rate",
    "delivered",
    "queued",
    "queue_age_ns",
    "lost",
    "handler_errors",
    "call_p99_ns",
    "loop_share",
    "delay_p99_ns",
)


async def component_records(hub: Hub, turns: Turns) -> AsyncIterator[list[ComponentStats]]:
    """The figures of all, as `stats()` gives them, some at a time: the loop goes on between."""
    for part in records_of(hub, list(hub.members.values())):
        yield part
        await turns.breathe()


async def component_columns(hub: Hub, turns: Turns) -> dict[str, list[Any]]:
    """{column: values}. `rate` is over 10 s, `caps` the interests capped by each who asked, the delay is the recent."""
    found: dict[str, list[Any]] = {name: [] for name in COMPONENT_COLUMNS}
    members = {member.name: member for member in hub.members.values()}
    async for part in component_records(hub, turns):
        rows = [_row(one, hub.reports.held_back(members[one.name])) for one in part if one.name in members]
        for column, values in zip(found.values(), zip(*rows, strict=True), strict=False):
            column += values
    return found


def _row(one: ComponentStats, caps: dict[str, int]) -> tuple[Any, ...]:
    return (
        one.name,
        int(one.priority),
        one.health,
        one.paused,
        caps,
        one.interests,
        round(one.rate.over_10s, 2),
        one.delivered,
        one.queued,
        one.queue_age_ns,
        one.lost + one.overrun,
        one.handler_errors,
        one.p99_ns,
        round(one.loop_share, 5),
        one.recent_delay.p99_ns,
    )


async def topic_columns(rows: npt.NDArray[Any], turns: Turns) -> dict[str, bytes]:
    """Each column of `topic_stats()` as JSON. Rates are rounded to 3 places."""
    found = {}
    for name in TOPIC_STATS.names or ():
        await turns.breathe()
        column = rows[name]
        values = np.round(column.astype(np.float64), 3) if column.dtype == np.float32 else column
        found[name] = json_bytes(values.tolist())
    return found


def joined(columns: dict[str, bytes], wanted: Sequence[str]) -> Answer:
    """{column: values} of those wanted, in that order; of all where none is named."""
    parts = (b'"%b":%b' % (name.encode(), columns[name]) for name in wanted or columns)
    return Answer(200, b"{" + b",".join(parts) + b"}", JSON)
