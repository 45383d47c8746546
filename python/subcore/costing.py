"""What each component and topic costs, and what it would save to remove it.

A stream's bytes are shared out evenly among the components that want it, so shares add up to the whole. What removing
one would save is less: only the streams that nobody else wants leave the wire.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import _columns
from .calltime import mean_call_ns
from .memory import A_COMPONENT, AN_EVENT
from .topic_figures import topic_rows
from .types import Float64Array, Int32Array

if TYPE_CHECKING:
    from .hub import Hub
    from .members import Member

__all__ = ["TOPIC_COSTS", "ComponentCost", "Costs", "costs_of"]

TOPIC_COSTS = np.dtype(
    [
        ("channel", object),
        ("symbol", object),
        ("depth", np.int32),
        ("grouping", np.float64),
        ("holders", np.int32),
        ("events", np.uint64),  # frames of its stream, times its holders
        ("bytes", np.uint64),
        ("wire_share", np.float64),
        ("bytes_per_second", np.float64),
        ("saves_bytes_per_second", np.float64),
    ]
)


@dataclass(frozen=True, slots=True)
class ComponentCost:
    """One component. `events` were given to it, its callbacks had `callback_ns`.

    `streams` it wants; of their `bytes` so far, and `bytes_per_second` over the last minute, those shared with others
    count in equal parts; `wire_share` of all that is wanted, 0 to 1. `memory`: its boxes, exact, and what is kept of it
    and for it in Python, by estimate; it goes if the component is closed. `saves_...`: what else goes then: streams
    that nobody else wants, and what they bring a second.
    """

    name: str
    topics: int
    streams: int
    events: int
    callback_ns: int
    loop_share: float
    bytes: int
    bytes_per_second: float
    wire_share: float
    memory: int
    saves_streams: int
    saves_bytes_per_second: float


@dataclass(frozen=True, slots=True)
class Costs:
    """Components by name; topics as a structured array (TOPIC_COSTS), for `pandas.DataFrame` or `as_json`."""

    components: dict[str, ComponentCost]
    topics: npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class _Wire:
    """By stream id: how many components want it, bytes so far, bytes a second over the last minute."""

    holders: npt.NDArray[np.int64]
    bytes: Float64Array
    rate: Float64Array

    def share(self, column: Float64Array, streams: Int32Array) -> float:
        return float((column[streams] / self.holders[streams]).sum()) if len(streams) else 0.0


def costs_of(hub: Hub) -> Costs:
    """See SubscriptionManager.costs. The caller holds `hub.intent.whole`."""
    held = {member: _streams_of(hub, member) for member in list(hub.members.values()) if not member.closed}
    wire = _wire(hub, list(held.values()))
    total = float(wire.bytes[wire.holders > 0].sum())
    components = {member.name: _of(hub, member, streams, wire, total) for member, streams in held.items()}
    return Costs(components, _topics(hub, wire, total))


def _streams_of(hub: Hub, member: Member) -> Int32Array:
    streams: Int32Array = np.unique(
        _columns.topic_columns(hub.ledger, hub.ledger.interests(member.id))[0]
    ).astype(np.int32)
    return streams


def _wire(hub: Hub, held: list[Int32Array]) -> _Wire:
    every = np.concatenate(held) if held else np.empty(0, np.int32)
    holders = np.bincount(every, minlength=1)
    size, rate = np.zeros(len(holders)), np.zeros(len(holders))
    rows = hub.meter.streams()[: len(holders)]
    size[: len(rows)] = rows["bytes"]
    frames = hub.monitoring.streams(np.arange(len(rows), dtype=np.int32))[2]
    rate[: len(rows)] = frames * size[: len(rows)] / np.maximum(rows["frames"], 1)
    return _Wire(holders, size, rate)


def _of(hub: Hub, member: Member, streams: Int32Array, wire: _Wire, total: float) -> ComponentCost:
    figures = hub.measuring.component(member)
    own = streams[wire.holders[streams] == 1]
    size = wire.share(wire.bytes, streams)
    return ComponentCost(
        name=member.name,
        topics=figures.interests,
        streams=len(streams),
        events=figures.delivered,
        callback_ns=round(mean_call_ns(hub.router, member) * figures.calls),
        loop_share=figures.loop_share,
        bytes=round(size),
        bytes_per_second=wire.share(wire.rate, streams),
        wire_share=size / total if total else 0.0,
        memory=member.boxes.nbytes + A_COMPONENT + AN_EVENT * figures.queued,
        saves_streams=len(own),
        saves_bytes_per_second=float(wire.rate[own].sum()),
    )


def _topics(hub: Hub, wire: _Wire, total: float) -> npt.NDArray[Any]:
    topics, holders = hub.measuring.held()
    figures = topic_rows(hub, topics, holders)
    streams = _columns.topic_columns(hub.ledger, topics)[0]
    rows = np.zeros(len(topics), TOPIC_COSTS)
    for name in ("channel", "symbol", "depth", "grouping", "holders", "bytes"):
        rows[name] = figures[name]
    rows["events"] = figures["frames"] * holders.astype(np.uint64)
    rows["bytes_per_second"] = wire.rate[streams]
    of_stream = np.bincount(streams, minlength=1)[streams]  # topics that the stream is wanted for
    rows["wire_share"] = wire.bytes[streams] / of_stream / total if total else 0.0
    rows["saves_bytes_per_second"] = np.where(of_stream == 1, wire.rate[streams], 0.0)
    return rows
