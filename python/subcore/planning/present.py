"""What a live manager holds, as a plan, with the rates at which its streams speak now."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from subcore._delivery import Latest, Ring
from subcore.planning.plans import RTT_MS, Plan, PlannedComponent, PlannedInterests, Rate
from subcore.types import Priority

if TYPE_CHECKING:
    from subcore.hub import Hub
    from subcore.members import Member

__all__ = ["plan_of"]


def plan_of(hub: Hub) -> Plan:
    """Its components with what they hold, rates of the last minute, bytes of a frame, and the links' round trip."""
    rates, size = _measured(hub)
    trips = [link.rtt_ns for link in hub.engine.links.values() if link.rtt_ns]
    return Plan(
        hub.venue,
        tuple(_component(hub, member) for member in hub.members.values() if not member.closed),
        rates | size,
        min(trips, default=RTT_MS * 1e6) / 1e6,
    )


def _measured(hub: Hub) -> tuple[dict[str, Rate], dict[str, Rate]]:
    """By topic; and by channel, with the bytes of a frame and the median rate."""
    rows = hub.measuring.topics()
    rates = {
        f"{channel}:{symbol}": Rate(float(rate))
        for channel, symbol, rate in zip(rows["channel"], rows["symbol"], rows["rate_60s"], strict=True)
    }
    by_channel = {}
    for channel in set(rows["channel"].tolist()):
        mine = rows[rows["channel"] == channel]
        frames = int(mine["frames"].sum())
        size = float(mine["bytes"].sum()) / frames if frames else None
        by_channel[channel] = Rate(float(np.median(mine["rate_60s"])), size)
    return rates, by_channel


def _component(hub: Hub, member: Member) -> PlannedComponent:
    grouped: defaultdict[tuple[Any, ...], list[str]] = defaultdict(list)
    for policy, sink in _policies(member):
        topics = hub.router.topics_of_sink(sink)
        classes = [hub.ledger.class_held(member.id, topic) for topic in topics.tolist()]
        for topic, cls in zip(hub.intent.topics_of(topics), classes, strict=True):
            grouped[topic.channel, topic.depth, policy, cls].append(topic.symbol)
    interests = tuple(
        PlannedInterests(channel, tuple(symbols), depth, policy, Priority(cls))
        for (channel, depth, policy, cls), symbols in grouped.items()
    )
    return PlannedComponent(
        member.name, interests, member.priority, 1, (hub.router.call_times(member.id).mean_ns or 0) / 1e3
    )


def _policies(member: Member) -> list[tuple[str, int]]:
    """How each of its sinks takes events."""
    by_task = {sink for pump in member.pumps for sink in pump.sinks}
    found = []
    for (kind, policy, *_), sink in member._sinks.items():
        name = "async" if sink in by_task else "callback"
        if kind == "box":
            name = "latest" if isinstance(policy, Latest) else "queue"
        elif kind == "ring" or isinstance(policy, Ring):
            name = "ring"
        found.append((name, sink))
    return found
