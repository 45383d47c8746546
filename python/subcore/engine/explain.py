"""Why a stream is as it is, in one sentence for people. Reads only; O(links), and O(n log n) in what waits."""

from __future__ import annotations

import numpy as np

from subcore.engine.clock import SECOND
from subcore.engine.context import Context
from subcore.engine.legs import NO_LINK
from subcore.engine.link import Link, Phase, Role
from subcore.engine.links import Lifecycle
from subcore.engine.planner import Planner
from subcore.engine.topics import TopicRow
from subcore.engine.wants import Wants
from subcore.types import DataState, Evidence, StreamState
from subcore.venue import Counted

__all__ = ["Explainer"]

ROLES = {
    Role.OWN: " (its own, shared only with others that asked for one)",
    Role.SETTLED: "",
    Role.NURSERY: " (the nursery, where what is new disturbs nobody)",
    Role.STANDBY: " (the standby)",
    Role.RETIRED: " (which a successor replaces)",
}


class Explainer:
    """Puts what the engine knows of a stream into words."""

    def __init__(self, ctx: Context, lifecycle: Lifecycle, planner: Planner, wants: Wants) -> None:
        self._ctx = ctx
        self._lifecycle = lifecycle
        self._planner = planner
        self._wants = wants

    def explain(self, stream: int, now: int) -> str:
        """The sentence."""
        row = self._ctx.streams.row(stream)
        match row.state:
            case StreamState.CLOSED:
                return "nobody wants it"
            case StreamState.REFUSED:
                said = f"refused {_ago(now, row.since_ns)}: {row.reason}"
                return f"{said}; it stays off the wire until it is asked for anew"
            case StreamState.OPEN:
                return self._open(stream, row, now)
            case StreamState.SENT:
                return self._sent(stream, row, now)
            case StreamState.RECOVERING:
                return f"its link was lost {_ago(now, row.since_ns)} ({row.reason}): {self._waiting(stream, row, now)}"
        return self._waiting(stream, row, now)

    def _open(self, stream: int, row: TopicRow, now: int) -> str:
        link = self._lifecycle.links[row.link]
        said = f"open {_for(now, row.since_ns)}, {_proof(row.evidence)}, on link {row.link}{ROLES[link.role]}"
        if row.other_link != NO_LINK:
            said += self._second(stream, self._lifecycle.links[row.other_link], now)
        elif self._ctx.streams.standby[stream]:
            said += ", and a standby is to carry it too" + self._once_free(Role.STANDBY, link)
        if self._ctx.streams.own_link[stream] and link.role is Role.SETTLED:
            said += ", and is to have a link of its own" + self._once_free(Role.OWN, link)
        if row.data is DataState.SUSPECT:
            return said + "; its data is suspect: what is due does not come"
        return said if row.data is DataState.GOOD else said + "; no data yet"

    def _second(self, stream: int, other: Link, now: int) -> str:
        """Where it is carried twice, or what that waits for."""
        doubled, place = bool(self._ctx.streams.standby[stream]), f"on link {other.id}{ROLES[other.role]}"
        if self._ctx.streams.legs.is_carried_twice(stream):
            return f" and, {'standing by' if doubled else 'for a move'}, {place}"
        shall = "a standby is to carry it too" if doubled else "it is to move"
        if (
            stream not in other.wire.target()
        ):  # nothing is waited for there but that no frame of it can come late
            left = f"link {other.id}{ROLES[other.role]} has let go of it"
            return f", and {shall}: {left}" if doubled else f", and {left}"
        return f", and {shall}, {place}: {self._on_link(other, stream, now)}"

    def _once_free(self, role: Role, beside: Link) -> str:
        """Why that has not happened, where no connection is left for it."""
        links = self._lifecycle
        if links.may_open() or any(k.role is role and k.route is beside.route for k in links.links.values()):
            return ""
        return f" once one of the {links.allowed} connections that {self._ctx.venue.name} allows is free"

    def _sent(self, stream: int, row: TopicRow, now: int) -> str:
        link = self._lifecycle.links[row.link]
        said = f"sent {_ago(now, row.since_ns)} on link {row.link}{ROLES[link.role]}"
        if row.evidence & Evidence.ACKNOWLEDGED:
            said += ", acknowledged"
        if row.evidence & Evidence.LISTED:
            said += ", listed"
        elif row.evidence & Evidence.QUIET:
            said += ", nothing said against it"
        return said + ", no data yet"

    def _waiting(self, stream: int, row: TopicRow, now: int) -> str:
        why = self._wants.why_held(stream, now) or self._planner.why_postponed(stream, now)
        if why is not None:
            return f"{row.reason}; {why}" if row.reason and row.state is not StreamState.RECOVERING else why
        link = self._lifecycle.links.get(row.link)
        if link is None:
            return "it has no link yet"
        trial = link.trial
        if trial is not None and any(stream in group.streams for group in trial.waiting):
            groups = next(i for i, group in enumerate(trial.waiting) if stream in group.streams) + 1
            reason = row.reason or "asked for apart from what is proven"
            return f"{reason}; {_count(groups, 'group')} on trial before it"
        return self._on_link(link, stream, now)

    def _on_link(self, link: Link, stream: int, now: int) -> str:
        if link.phase is Phase.CONNECTING:
            return f"link {link.id} is being opened, at most {_seconds(link.connect_by - now)} more"
        if not link.is_up:
            block = self._ctx.registry.blocked_until(self._ctx.venue.host) or now
            when = max(link.connect_at, block, link.pacer.next_allowed(Counted.CONNECT, now))
            failed = f" after {_count(link.attempts, 'failure')}" if link.attempts else ""
            why = f" ({link.ended_by})" if link.ended_by else ""
            return f"link {link.id} is down{why}, the next attempt{failed} is in {_seconds(when - now)}"
        if len(link.in_flight) >= self._ctx.venue.packing.max_in_flight:
            until = min(request.window_ends for request in link.in_flight)
            until = max(until, link.pacer.next_allowed(Counted.MESSAGE, now, repair=link.repairs))
            return f"waiting for the answer to the request before it, at most {_seconds(until - now)}"
        when = link.pacer.next_allowed(Counted.MESSAGE, now, repair=link.repairs)
        adds, takes = link.wire.added(), self._ctx.venue.packing.max_topics
        place = np.flatnonzero(self._planner.queueing.order(link, adds, now) == stream)
        if takes is not None and len(place) and (before := int(place[0]) // takes):
            line = f"{_ordinal(before + 1)} message in line"
            return f"waiting for message budget, {line}; the first goes in about {_seconds(when - now)}"
        beside = f", with {_count(len(adds) - 1, 'other')}" if len(adds) > 1 else ""
        return f"waiting for message budget{beside}, about {_seconds(when - now)}"


def _proof(evidence: Evidence) -> str:
    if evidence & Evidence.DATA:
        return "proven by data"
    return "proven by the venue's own list" if evidence & Evidence.LISTED else "acknowledged"


def _seconds(ns: int) -> str:
    return f"{max(ns, 0) / SECOND:.1f} s"


def _ago(now: int, then: int) -> str:
    return f"{_seconds(now - then)} ago"


def _for(now: int, then: int) -> str:
    return f"for {_seconds(now - then)}"


def _ordinal(number: int) -> str:
    words = ("first", "second", "third", "fourth", "fifth")
    return words[number - 1] if number <= len(words) else f"number {number}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
