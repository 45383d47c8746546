"""What the venue says beside data, acted on by what kind of thing it says. Knows no venue."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from subcore.engine.actions import Send
from subcore.engine.context import NO_STREAMS, Context
from subcore.engine.link import Link, Request
from subcore.engine.links import Lifecycle
from subcore.engine.planner import Planner
from subcore.engine.proof import Proof
from subcore.engine.topics import TopicEvent
from subcore.types import (
    Accepted,
    Alive,
    Control,
    Dropped,
    Fault,
    GoingAway,
    Int32Array,
    Listing,
    MustAnswer,
    Ready,
    ReasonClass,
    Refused,
    StatusKind,
    StreamState,
    Took,
    Unknown,
)
from subcore.venue import Blast

__all__ = ["Accused", "Controls", "Verdict"]

OFF = tuple(state for state in StreamState if state not in (StreamState.SENT, StreamState.OPEN))


class Verdict(NamedTuple):
    """The link cannot go on: why, and the venue's error if the last request is to blame for it."""

    reason: str
    error: str | None


class Accused(NamedTuple):
    """The venue refused a whole request and the link goes on: one of the streams it named, or several, are to blame.

    `streams`: those of them that it may be about and that are wanted still, of `named` in all.
    """

    streams: Int32Array
    error: str
    named: int


class Controls:
    """Reads control frames into consequences."""

    def __init__(self, ctx: Context, lifecycle: Lifecycle, planner: Planner, proof: Proof) -> None:
        self._ctx = ctx
        self._lifecycle = lifecycle
        self._planner = planner
        self._proof = proof

    def handle(self, link: Link, control: Control, now: int) -> Verdict | Accused | None:
        """Act on one. A verdict ends the link; the accused are to be judged one by one."""
        match control:
            case Refused():
                return self._refused(link, control, now)
            case Listing():
                self._proof.listed(link, control, now)
            case Accepted():
                self._accepted(link, control, now)
            case Took():
                self._took(link, control, now)
            case Dropped():
                self._dropped(link, control, now)
            case Fault():
                self._fault(link, control, now)
            case Alive():
                self._lifecycle.alive(link)
            case Ready():
                pass  # no built-in venue has a welcome to wait for
            case MustAnswer():
                self._answer(link, control)
            case GoingAway():
                self._ctx.info("the venue will close the link", link=link.id, seconds=control.seconds)
            case Unknown():
                self._ctx.stats.unknown_control += control.count
        return None

    def slow_down(self, now: int) -> None:
        """The venue found us too fast: it may count over the address what it documents per connection."""
        self._ctx.registry.narrow(self._ctx.venue.host, now + self._ctx.settings.narrow)

    def _refused(self, link: Link, refused: Refused, now: int) -> Verdict | Accused | None:
        ctx = self._ctx
        ctx.stats.failed_requests += refused.reason is ReasonClass.RATE
        said = f"the venue said {refused.name}"
        ctx.warn(said, link=link.id, name=refused.name, message=refused.message[:200])
        if refused.reason is ReasonClass.RATE:
            self.slow_down(now)
        if refused.reason is ReasonClass.AUTH:
            self._lifecycle.denied(link, said)
        if ctx.venue.blast is Blast.CONNECTION:
            return Verdict(said, refused.name if refused.reason is ReasonClass.PERMANENT else None)
        request = self._request_of(link, refused.request_id)
        streams = self._concerned(link, request, refused.topics)
        if request is not None and refused.topics is None:
            if request in link.in_flight:
                link.in_flight.remove(request)
                link.pacer.settle(request.sent_ns, now)
            if refused.reason is not ReasonClass.DUPLICATE:
                self._planner.removals.kept(link, request.removes, now)
                self._unask(link, request)
        if refused.reason is ReasonClass.DUPLICATE and request is not None:
            self._proof.accepted(link, request, streams, now)
        elif refused.reason is not ReasonClass.PERMANENT:
            carried = len(np.setdiff1d(link.wire.wire(), streams))
            if refused.reason is ReasonClass.CAPACITY and len(streams):
                # Another link may carry them, or a part of them goes here.
                took = carried or max(1, len(streams) // 2)
                link.narrow(took, ctx.clock.runnable, ctx.settings.minute)
            self._proof.fail(link, self._on_wire(streams), said, now)
        elif refused.topics is None:
            named = 0 if request is None else len(request.whole) or len(request.adds)
            # A removal, a listing or a stranger that is refused accuses nobody of what the link carries.
            return Accused(self._on_wire(streams), refused.name, named) if named else None
        else:
            # Named by the venue, and for good: the topic itself is bad, on whichever link it was asked for. Another one
            # that brings it still, of which this may be the standby, would be refused it at its next loss; its holders
            # had better know now. Where nobody is named, what another link holds stays there.
            self._proof.unwire(link, streams)
            self._proof.refuse(streams, said, now)
        return None

    def _unask(self, link: Link, request: Request) -> None:
        """Nothing of it is in force; what is not wanted any more, or was refused meanwhile, need not be taken back."""
        streams, legs = self._ctx.streams.in_state(request.adds, *OFF), self._ctx.streams.legs
        streams, rows = legs.on(link.id, streams)
        self._proof.unwire(link, streams[legs.request[rows] == request.number])

    def _request(self, link: Link, request_id: str | None) -> Request | None:
        """The open request an answer is about: the one it names, else the oldest."""
        for request in link.in_flight:
            if request_id is None or request.id == request_id:
                return request
        return None

    def _request_of(self, link: Link, request_id: str | None) -> Request | None:
        """The same; an answer that names its request counts even after the request's window."""
        late = None if request_id is None else next((r for r in link.answered if r.id == request_id), None)
        return self._request(link, request_id) or late

    def _concerned(self, link: Link, request: Request | None, topics: object) -> Int32Array:
        """What the answer is about: of a request, what no later one asked for again."""
        if isinstance(topics, tuple):
            return self._proof.find(topics)
        if request is None:
            return NO_STREAMS
        legs = self._ctx.streams.legs
        streams, rows = legs.on(link.id, request.adds)
        latest: Int32Array = streams[legs.request[rows] == request.number]
        return latest

    def _on_wire(self, streams: Int32Array) -> Int32Array:
        return self._ctx.streams.in_state(streams, StreamState.SENT, StreamState.OPEN)

    def _accepted(self, link: Link, accepted: Accepted, now: int) -> None:
        request = self._request_of(link, accepted.request_id)
        if request is not None and len(request.removes):
            late = self._planner.removals.done(link, request, now)
            if len(late):
                self._proof.unwire(link, late)
                self._proof.failed(link, self._on_wire(late), "taken off by an earlier request", now)
        if request not in link.in_flight:
            self._ctx.stats.late_events += 1
            return
        self._proof.accepted(link, request, self._concerned(link, request, accepted.topics), now)

    def _took(self, link: Link, took: Took, now: int) -> None:
        request = self._request(link, took.request_id)
        if request is None:
            self._ctx.stats.late_events += 1
            return
        taken = self._proof.find(took.topics)
        refused = np.setdiff1d(request.adds, taken).astype(np.int32)
        self._proof.accepted(link, request, np.intersect1d(request.adds, taken).astype(np.int32), now)
        self._proof.unwire(link, refused)
        self._proof.refuse(refused, "the venue did not take it", now)

    def _dropped(self, link: Link, dropped: Dropped, now: int) -> None:
        streams = self._on_wire(self._proof.find(dropped.topics))
        said = f"the venue ended it ({dropped.name})"
        if dropped.reason is ReasonClass.PERMANENT:
            self._proof.unwire(link, streams)
            self._proof.refuse(streams, said, now)
        else:
            self._proof.fail(link, streams, said, now)

    def _fault(self, link: Link, fault: Fault, now: int) -> None:
        streams = link.wire.wire() if fault.topics is None else self._proof.find(fault.topics)
        open_ones = self._ctx.streams.in_state(streams, StreamState.OPEN)
        moved = self._ctx.streams.apply(TopicEvent.OVERDUE, open_ones, now)
        self._ctx.notify(StatusKind.SUSPECT, moved.doubted, f"the venue reports lost data ({fault.name})")

    def _answer(self, link: Link, asked: MustAnswer) -> None:
        make, payload, opcode = self._ctx.venue.answer, asked.payload, asked.opcode
        if make is not None:
            link.requests += 1
            out = make(asked.payload, link.requests)
            payload, opcode = out.payload, out.opcode
        self._ctx.out.append(Send(link.id, link.generation, payload, opcode))
