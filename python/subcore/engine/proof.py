"""What proves a stream, what speaks against it, and who is to blame when a request fails.

A stream is proven by its first data after the request that asked for it (a quiet error window comes with it:
data
of a request ends its window), or by the venue's own listing. Answers carry the generation that asked; the
engine drops
older ones before they come here.
"""

from __future__ import annotations

import numpy as np

from subcore.engine.actions import Send
from subcore.engine.context import NO_STREAMS, Context
from subcore.engine.links import Link, Request
from subcore.engine.planner import Planner
from subcore.engine.topics import TopicEvent
from subcore.types import DataState, Evidence, Int32Array, Listing, StatusKind, StreamState, Topic
from subcore.venue import Counted

__all__ = ["Proof"]

PROVEN = np.uint8(Evidence.DATA | Evidence.LISTED)
DEATHS_TO_REFUSE = 2


class Proof:
    """Judges streams by what comes, and by what does not."""

    def __init__(self, ctx: Context, planner: Planner) -> None:
        self._ctx = ctx
        self._planner = planner

    def data(self, link: Link, streams: Int32Array, now: int) -> None:
        """First data since it was awaited came for these."""
        columns = self._ctx.streams
        on_wire = columns.width[streams] >= 0
        self._ctx.stats.late_events += len(streams) - int(np.count_nonzero(on_wire))
        streams = streams[on_wire]
        columns.answered[streams] = columns.request[streams]
        columns.evidence[streams] |= np.uint8(Evidence.DATA)
        for number in np.unique(columns.request[streams]).tolist():
            self._answer(link, number, now)
        # One that nobody wants now keeps its evidence: it is proven should it be wanted again before it
        # leaves.
        wanted = streams[columns.state[streams] != StreamState.CLOSED]
        self._prove(link, TopicEvent.PROVEN_DATA, wanted, now)

    def _answer(self, link: Link, number: int, now: int) -> None:
        for request in [r for r in link.in_flight if r.number == number]:
            self._planner.answered(link, request, now)

    def _prove(self, link: Link, event: TopicEvent, streams: Int32Array, now: int) -> None:
        columns = self._ctx.streams
        moved = columns.apply(event, streams, now)
        columns.proven[moved.state] = True
        columns.retries[moved.state] = 0
        columns.explain(moved.state, "")
        link.suspects = np.setdiff1d(link.suspects, streams)
        if not len(link.suspects):
            link.deaths = 0
        self._ctx.notify(StatusKind.OPEN, moved.state, "")
        self._ctx.notify(StatusKind.GOOD, np.setdiff1d(moved.recovered, moved.state), "data again")

    def listed(self, link: Link, listing: Listing, now: int) -> None:
        """The venue said what the link carries: proves what was asked for before it was asked, or shows it
        lost."""
        if link.listing_sent is None or listing.request_id not in (None, link.listing_sent[1]):
            self._ctx.stats.late_events += 1
            return
        asked_before = link.listing_sent[2]
        link.listing_sent = (link.listing_sent[0], None, 0)
        columns = self._ctx.streams
        pending = columns.in_state(link.unproven, StreamState.SENT)
        pending = pending[columns.request[pending] <= asked_before]
        there = np.isin(pending, self.find(listing.topics))
        proven = pending[there]
        columns.evidence[proven] |= np.uint8(Evidence.LISTED)
        self._prove(link, TopicEvent.PROVEN_LISTED, proven, now)
        self.fail(link, pending[~there], "the venue does not list it", now)

    def find(self, topics: tuple[Topic, ...]) -> Int32Array:
        """Streams behind a venue's topics; those nobody holds are left out."""
        indexes = {channel.wire_name: i for i, channel in enumerate(self._ctx.venue.channels)}
        found = [
            self._ctx.table.find_stream(indexes[t.channel], t.symbol, t.grouping or 0.0)
            for t in topics
            if t.channel in indexes
        ]
        return np.array(sorted({s for s in found if s >= 0}), np.int32)

    def fail(self, link: Link, streams: Int32Array, reason: str, now: int) -> None:
        """These were asked for and are not in force, and nobody is to blame: they are asked for again,
        later."""
        columns = self._ctx.streams
        ever = columns.proven[streams]
        first = columns.apply(TopicEvent.FAILED, streams[~ever], now).state
        again = columns.apply(TopicEvent.FAILED_PROVEN, streams[ever], now).state
        self.unwire(link, streams)
        failed = np.concatenate([first, again])
        given_up = self._planner.postpone(link, failed, now)
        again = np.setdiff1d(failed, given_up)
        columns.explain(again, reason)
        self._ctx.notify(StatusKind.WAITING, again, reason)
        if len(given_up):
            times = len(self._ctx.settings.retry_seconds) + 1
            self.refuse(link, given_up, f"asked for {times} times: {reason}", now)

    def unwire(self, link: Link, streams: Int32Array) -> None:
        """The wire does not carry these after all, or shall be asked as if it did not."""
        link.wire.set_wire(streams, False)
        self._ctx.streams.width[streams] = -1
        self._ctx.streams.evidence[streams] = Evidence.NONE

    def lost(self, link: Link, reason: str, now: int) -> Int32Array:
        """The link is gone, and with it all it carried. Returns what was on its wire."""
        columns = self._ctx.streams
        gone = link.wire.wire()
        link.wire.clear_wire()
        columns.width[gone] = -1
        columns.evidence[gone] = Evidence.NONE
        wanted = gone[(columns.state[gone] == StreamState.SENT) | (columns.state[gone] == StreamState.OPEN)]
        ever = columns.proven[wanted]
        waiting = columns.apply(TopicEvent.LOST, wanted[~ever], now)
        recovering = columns.apply(TopicEvent.LOST_PROVEN, wanted[ever], now)
        for moved in (waiting, recovering):
            columns.explain(moved.state, reason)
        self._ctx.notify(StatusKind.WAITING, waiting.state, reason)
        self._ctx.notify(StatusKind.SUSPECT, recovering.state, reason)
        return gone

    def blame(self, link: Link, now: int, error: str | None) -> None:
        """The connection ended, with or without an error frame. Did it die of its last request?

        Suspects are the streams of that request which were never proven. They come again with everything else
        in
        one message; if the link dies of them once more, they are refused, so that the proven ones come back
        without
        them. A link that just closes, and carried nothing proven, says nothing about its streams: those wait.
        """
        request = link.last_request
        open_still = request is not None and request in link.in_flight
        if (
            request is None
            or not open_still
            or (error is None and now - request.sent_ns > self._ctx.settings.blame)
        ):
            return
        self._ctx.stats.failed_requests += 1
        columns = self._ctx.streams
        suspects = request.adds[~columns.proven[request.adds]]
        suspects = columns.in_state(suspects, StreamState.SENT)
        others = np.setdiff1d(link.wire.wire(), request.adds)
        if error is None and len(suspects) == len(request.adds) and not len(others):
            return
        again = len(np.intersect1d(suspects, link.suspects)) > 0
        link.deaths = link.deaths + 1 if again else 1
        link.suspects = suspects
        columns.retries[suspects] += 1
        if link.deaths >= DEATHS_TO_REFUSE and len(suspects):
            told = f"the venue said {error}" if error else "the link closed"
            self.refuse(link, suspects, f"{told} twice when it was asked for", now)
            link.suspects, link.deaths = NO_STREAMS, 0

    def refuse(self, link: Link | None, streams: Int32Array, reason: str, now: int) -> None:
        """These are to blame: they stay off the wire until somebody asks anew."""
        moved = self._ctx.streams.apply(TopicEvent.REFUSED, streams, now)
        self._ctx.streams.explain(moved.state, reason)
        if link is not None:
            self._planner.unwant(link, moved.state, now)
        self._ctx.notify(StatusKind.REFUSED, moved.state, reason)

    def accepted(self, link: Link, request: Request, streams: Int32Array, now: int) -> None:
        """The venue acknowledged these of a request. Whether that proves them is the venue's to say."""
        columns = self._ctx.streams
        streams = columns.in_state(streams, StreamState.SENT)
        columns.evidence[streams] |= np.uint8(Evidence.ACKNOWLEDGED)
        self._answer(link, request.number, now)
        if self._ctx.venue.ack_is_proof:
            columns.evidence[streams] |= np.uint8(Evidence.LISTED)
            self._prove(link, TopicEvent.PROVEN_LISTED, streams, now)

    def tick(self, link: Link, now: int) -> None:
        """Look for what did not come."""
        self._overdue(link, now)
        self._ask_listing(link, now)

    def _overdue(self, link: Link, now: int) -> None:
        columns, runnable = self._ctx.streams, self._ctx.clock.runnable
        while link.snapshots_due and link.snapshots_due[0][0] <= runnable:
            request = link.snapshots_due.pop(0)[1]
            moved = columns.apply(TopicEvent.OVERDUE, self._unanswered(request), now)
            self._ctx.notify(StatusKind.SUSPECT, moved.doubted, "its new snapshot is overdue")

    def _unanswered(self, request: Request) -> Int32Array:
        columns, carried = self._ctx.streams, request.carried
        mute = (columns.answered[carried] < request.number) & (columns.state[carried] == StreamState.OPEN)
        overdue: Int32Array = carried[mute & (columns.data[carried] == DataState.GOOD)]
        return overdue

    def _ask_listing(self, link: Link, now: int) -> None:
        """Ask what the link carries, for streams that stay silent; never ahead of waiting changes."""
        ctx, settings = self._ctx, self._ctx.settings
        link.unproven = ctx.streams.in_state(link.unproven, StreamState.SENT)
        if ctx.venue.encode_listing is None or not len(link.unproven) or link.in_flight:
            return
        silent = ctx.streams.since[link.unproven] <= now - settings.listing_silence
        last = link.listing_sent[0] if link.listing_sent else None
        if not np.any(silent) or (last is not None and now - last < settings.listing_gap):
            return
        if self._planner.is_waiting(link) or not link.pacer.try_spend(Counted.MESSAGE, now):
            return
        link.requests += 1
        out = ctx.venue.encode_listing(link.requests)
        link.listing_sent = (now, out.request_id, link.requests)
        ctx.stats.listings += 1
        ctx.stats.messages += 1
        ctx.out.append(Send(link.id, link.generation, out.payload, out.opcode))

    def proven(self, streams: Int32Array) -> Int32Array:
        """Those of these streams on a wire that it carries on evidence."""
        held: Int32Array = streams[(self._ctx.streams.evidence[streams] & PROVEN) != 0]
        return held
