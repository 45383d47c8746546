"""What a live manager holds, as a plan, with the rates at which its streams speak now."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from subcore._delivery import Latest, Ring
from subcore.calltime import mean_call_ns
from subcore.caps import USER
from subcore.intent import NO_TOPICS
from subcore.planning.plans import (
    RTT_MS,
    Plan,
    PlannedComponent,
    PlannedInterests,
    Rate,
    needing_login,
)
from subcore.types import Priority

if TYPE_CHECKING:
    from subcore.hub import Hub
    from subcore.members import Member
    from subcore.types import Int32Array

__all__ = ["plan_of"]


def plan_of(hub: Hub) -> Plan:
    """Its components with what they hold, rates of the last minute, bytes of a frame, and the links' round trip.

    What needs a login is left out, since no exchange is embedded that frames of it could be taken from. Who is paused
    holds nothing; what nobody has claimed yet of a snapshot counts as if it went to callbacks.
    """
    rates, size = _measured(hub)
    trips = [link.rtt_ns for link in hub.engine.links.values() if link.rtt_ns]
    return Plan(
        hub.venue,
        tuple(_component(hub, member) for member in _present(hub)),
        rates | size,
        min(trips, default=RTT_MS * 1e6) / 1e6,
    )


def _present(hub: Hub) -> list[Member]:
    """Members that want something of the wire now; who is suspended, will again."""
    suspends = hub.granting.adapting.suspends
    return [
        member
        for member in hub.members.values()
        if not (member.closed or member.paused)
        and (suspends(member) or not hub.ledger.is_paused(member.id))  # its name came back so
    ]


def _measured(hub: Hub) -> tuple[dict[str, Rate], dict[str, Rate]]:
    """By topic; and by channel, with the bytes of a frame and the median rate."""
    rows = hub.measuring.topics()
    # Books of several price steps, or depths, are one to a plan: the busiest comes last, and stays.
    rows = rows[np.argsort(rows["rate_60s"], kind="stable")]
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
    granting = hub.granting
    caps = granting.caps.by(USER, member)
    private = needing_login(hub.venue)
    twice, apart = (set(asked.asked.get(member.id, ())) for asked in (granting.standby, granting.own_link))
    for policy, topics in _by_policy(hub, member):
        for id, topic in zip(topics.tolist(), hub.intent.topics_of(topics), strict=True):
            if topic.channel in private:
                continue
            cls, max_rate = Priority(hub.ledger.class_held(member.id, id)), caps.get(id, (None,))[0]
            how = policy, cls, max_rate, id in twice, id in apart
            grouped[topic.channel, topic.depth, *how].append(topic.symbol)
    interests = tuple(
        PlannedInterests(channel, tuple(symbols), depth, *how)
        for (channel, depth, *how), symbols in grouped.items()
    )
    return PlannedComponent(
        member.name, interests, member.priority, 1, mean_call_ns(hub.router, member) / 1e3
    )


def _by_policy(hub: Hub, member: Member) -> list[tuple[str, Int32Array]]:
    found = [(policy, hub.router.topics_of_sink(sink)) for policy, sink in _policies(member)]
    served = np.concatenate([NO_TOPICS, *(topics for _, topics in found)])
    return [*found, ("callback", np.setdiff1d(hub.ledger.interests(member.id), served).astype(np.int32))]


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
