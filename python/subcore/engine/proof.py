"""What proves a stream, what speaks against it, and who is to blame when a request fails.

A stream is proven by its first data after the request that asked for it (a quiet error window comes with it:
data
of a request ends its window), or by the venue's own listing. Answers carry the generation that asked; the
engine drops
older ones before they come here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from subcore import _states
from subcore.engine.actions import AwaitEvidence, Send
from subcore.engine.context import NO_STREAMS, Context
from subcore.engine.legs import PROVEN
from subcore.engine.link import Link, Request
from subcore.engine.links import Lifecycle
from subcore.engine.planner import Planner
from subcore.engine.restore import Restores
from subcore.engine.topics import TopicEvent
from subcore.types import DataState, Evidence, Int32Array, Listing, StatusKind, StreamState, Topic
from subcore.venue import Counted, Model

__all__ = ["Proof"]

WANTED: Final = tuple(state for state in StreamState if state is not StreamState.CLOSED)


class Proof:
    """Judges streams by what comes, and by what does not."""

    def __init__(self, ctx: Context, lifecycle: Lifecycle, planner: Planner, restores: Restores) -> None:
        self._ctx = ctx
        self._restores = restores
        self._lifecycle = lifecycle
        self._planner = planner
        planner.on_list = self.list_now
        self._replaces = ctx.venue.model is Model.REPLACE
        self._turn_of = -1  # the link at which the last tick left off
        self._told = (0, "", NO_STREAMS)  # the last loss: when, why, and what was told of it
        self.on_left_out: Callable[[Int32Array, int], None] = _nobody
        self.on_overdue: Callable[[Int32Array, int], None] = _nobody

    def data(self, link: Link, streams: Int32Array, now: int, at: int) -> None:
        """First data since it was awaited came for these; it was received `at`, 0 = just now."""
        at = min(at or now, now)
        columns, came = self._ctx.streams, len(streams)
        streams, asked = columns.legs.heard(link.id, streams, link.carries_all, Evidence.DATA)
        self._ctx.stats.late_events += came - len(streams)
        for number in asked:
            if not self._is_of_an_older(link, number, streams, at):
                self._answer(link, number, now)
        # One that nobody wants now keeps its evidence: it is proven should it be wanted again before it
        # leaves.
        self._prove(link, TopicEvent.PROVEN_DATA, columns.in_state(streams, *WANTED), now)

    def _is_of_an_older(self, link: Link, number: int, streams: Int32Array, at: int) -> bool:
        """Whether the data came too soon after that request to be its answer: a snapshot of what it only restates may
        be one that the request before asked for. A round trip may be as short as half of the one that was measured."""
        request = next((r for r in link.in_flight if r.number == number), None)
        if request is None or at >= request.sent_ns + link.rtt_ns // 2:
            return False
        legs = self._ctx.streams.legs
        _, rows = legs.on(link.id, streams)
        return not np.any(legs.request[rows] == number)

    def _answer(self, link: Link, number: int, now: int) -> None:
        if link.in_flight:
            for request in [r for r in link.in_flight if r.number == number]:
                self._planner.answered(link, request, now)

    def _prove(self, link: Link, event: TopicEvent, streams: Int32Array, now: int) -> None:
        columns = self._ctx.streams
        moved = columns.apply(event, streams, now)
        if len(moved.state):
            _states.fill(columns.proven, moved.state, True)
            columns.start_over(moved.state)
            columns.explain(moved.state, "")
        if len(link.suspects):
            link.suspects = np.setdiff1d(link.suspects, streams)
        if not len(link.suspects):
            link.deaths = 0
        self._ctx.notify(StatusKind.OPEN, moved.state, "")
        if len(moved.recovered):  # what is open again is good again
            again = _states.without(streams, moved.recovered, moved.state)
            self._ctx.notify(StatusKind.GOOD, again, "data again")
        self._restores.ended(moved.state, now)

    def listed(self, link: Link, listing: Listing, now: int) -> None:
        """The venue said what the link carries: proves what was asked for before it was asked, or shows it
        lost."""
        if link.listing_sent is None or listing.request_id not in (None, link.listing_sent[1]):
            self._ctx.stats.late_events += 1
            return
        asked_before = link.listing_sent[2]
        link.listing_sent = (link.listing_sent[0], None, 0)
        legs = self._ctx.streams.legs
        pending = self._unproven(link, link.unproven)
        asked = np.maximum(legs.request[legs.rows(link.id, pending)], link.carries_all)
        pending, asked = pending[asked <= asked_before], asked[asked <= asked_before]
        named = self.find(listing.topics)
        there = np.isin(pending, named) | self._within_whole(pending, listing.topics)
        left_out, understood = self._left_out(link, named, listing.topics, asked_before)
        proven = pending[there]
        legs.evidence[legs.rows(link.id, proven)] |= np.uint8(Evidence.LISTED)
        self._prove(link, TopicEvent.PROVEN_LISTED, proven, now)
        if understood:
            answered = ~np.isin(asked, [request.number for request in link.in_flight])
            gone = pending[~there & answered]  # but who was asked for anew meanwhile: it waits for its turn
            gone = self._ctx.streams.in_state(gone, StreamState.SENT, StreamState.OPEN, StreamState.REFUSED)
            self.left_out(link, gone, now)
        if len(left_out):
            self.on_left_out(left_out, now)

    def _left_out(
        self, link: Link, named: Int32Array, topics: tuple[Topic, ...], asked_before: int
    ) -> tuple[Int32Array, bool]:
        """Proven on this link, asked for before the list was, and not in it. A list that names none of what the link
        holds is not understood, and says nothing: of what is not proven there neither (the second value)."""
        columns, legs = self._ctx.streams, self._ctx.streams.legs
        streams, rows = legs.on(link.id, link.wire.wire())
        held = (legs.width[rows] >= 0) & ((legs.evidence[rows] & PROVEN) != 0)
        held &= np.maximum(legs.request[rows], link.carries_all) <= asked_before
        held &= (columns.state[streams] == StreamState.OPEN) & ~legs.has_other(streams)
        streams = streams[held]
        there = np.isin(streams, named) | self._within_whole(streams, topics)
        return (streams[~there], True) if there.any() else (NO_STREAMS, not len(streams))

    def _unproven(self, link: Link, streams: Int32Array) -> Int32Array:
        """Those of these that were asked for on this link and are not proven there."""
        pending = self._ctx.streams.legs.pending(link.id, streams, int(PROVEN))
        return self._ctx.streams.in_state(pending, *WANTED)

    def _unproven_now(self, link: Link) -> Int32Array:
        """A part of them, in its turn; those of it that are proven meanwhile are looked at no more."""
        all_of_them, size = link.unproven, self._ctx.settings.awaited
        if len(all_of_them) <= size:
            link.unproven = self._unproven(link, all_of_them)
            return link.unproven
        start = link.unproven_from if link.unproven_from < len(all_of_them) else 0
        some = self._unproven(link, all_of_them[start : start + size])
        link.unproven = np.concatenate([all_of_them[:start], some, all_of_them[start + size :]])
        link.unproven_from = start + len(some)
        return some

    def find(self, topics: tuple[Topic, ...]) -> Int32Array:
        """Streams behind a venue's topics; those nobody holds are left out."""
        indexes = {channel.wire_name: i for i, channel in enumerate(self._ctx.venue.channels)}
        found = [
            self._ctx.table.find_stream(indexes[t.channel], t.symbol, t.grouping or 0.0)
            for t in topics
            if t.channel in indexes
        ]
        return np.array(sorted({s for s in found if s >= 0}), np.int32)

    def _within_whole(self, streams: Int32Array, topics: tuple[Topic, ...]) -> npt.NDArray[np.bool_]:
        """Streams of one symbol whose channel the venue lists for all symbols."""
        wholes = {t.channel for t in topics if not t.symbol}
        if not wholes:
            return np.zeros(len(streams), np.bool_)
        channels = self._ctx.table.columns(streams).channels
        return np.array(
            [self._ctx.venue.channels[c].wire_name in wholes for c in channels.tolist()], np.bool_
        )

    def fail(self, link: Link, streams: Int32Array, reason: str, now: int) -> None:
        """These were asked for and are not in force, and nobody is to blame: they are asked for again, later, and as
        often as it takes. What the venue cannot do now it can do another time."""
        failed = self.failed(link, streams, reason, now)
        self._planner.postpone(link, failed, now)

    def left_out(self, link: Link, streams: Int32Array, now: int) -> None:
        """The venue's list leaves these out, which were asked for: they are asked for again, and refused where that
        goes on."""
        reason, most = "the venue does not list it", len(self._ctx.settings.retry_seconds)
        for other, _, held in self._lifecycle.held_elsewhere(link, streams):
            other.refused_moves += len(held) > 0
        failed, count = self.failed(link, streams, reason, now), self._ctx.streams.left_out
        spent = count[failed] >= most
        count[failed[~spent]] += 1
        self._planner.postpone(link, failed[~spent], now)
        if spent.any():
            self.refuse(failed[spent], f"asked for {most + 1} times: {reason}", now)

    def failed(self, link: Link, streams: Int32Array, reason: str, now: int) -> Int32Array:
        """These are not in force on this link after all. Returns those that no other link carries or was asked for."""
        columns = self._ctx.streams
        asked, held = self._elsewhere(link, streams)
        others = np.concatenate([asked, held])
        self.unwire(link, streams)
        link.wire.set_target(others, False)  # only this carrier failed
        columns.rest_alone(others, now, self._ctx.settings.minute)
        streams = np.setdiff1d(streams, held).astype(np.int32)
        ever = columns.proven[streams]
        first = columns.apply(TopicEvent.FAILED, streams[~ever], now).state
        again = columns.apply(TopicEvent.FAILED_PROVEN, streams[ever], now).state
        columns.apply(TopicEvent.ASKED, asked, now)
        failed: Int32Array = np.setdiff1d(np.concatenate([first, again]), asked).astype(np.int32)
        columns.explain(failed, reason)
        self._ctx.notify(StatusKind.WAITING, failed, reason)
        return failed

    def unwire(self, link: Link, streams: Int32Array) -> None:
        """The wire does not carry these after all, or shall be asked as if it did not."""
        if len(streams):
            link.has_other_set()
        link.wire.set_wire(streams, False)
        self._ctx.streams.legs.put_off(link.id, streams)

    def lost(self, link: Link, reason: str, now: int) -> Iterator[None]:
        """The link is gone, and with it all it carried; what another link holds as well is not lost.

        A slice at each step; whoever holds some of it is told once, at the end.
        """
        columns, gone, size = self._ctx.streams, link.wire.wire(), self._ctx.settings.slice
        waiting, recovering = [NO_STREAMS], [NO_STREAMS]
        told = self._told_just_now(columns.in_state(gone, StreamState.SENT), reason, now)
        accounted = 0  # so many of the waiting parts: where nothing was proven, there is nothing to restore
        for start in range(0, len(gone), size):
            if start:
                yield
            never, ever, asked = self._lose(link, gone[start : start + size], reason, now)
            waiting.append(never)
            recovering.append(ever)
            if len(ever) or accounted:
                self._restores.begin(np.concatenate([ever, *waiting[accounted:]]), reason, now)
                self._restores.asked(asked, now)
                accounted = len(waiting)
        for kind, lost in ((StatusKind.WAITING, waiting), (StatusKind.SUSPECT, recovering)):
            news = np.concatenate(lost)
            news = np.setdiff1d(news, told).astype(np.int32) if len(told) else news
            self._ctx.notify(kind, news, reason)
            self._told = (*self._told[:2], np.concatenate([self._told[2], news]))
        parts = [part for due in link.snapshots_due for part in due.doubted]
        if parts:  # looked at in parts, and not told yet; what was lost with the link is told by now
            doubted = columns.in_state(np.unique(np.concatenate(parts)), StreamState.OPEN)
            self._tell_overdue(doubted)

    def _told_just_now(self, asked: Int32Array, reason: str, now: int) -> Int32Array:
        """Of these, which were asked for on the link that is lost: those that were lost with another one in the same
        moment, for the same reason. Their holders know."""
        at, said, told = self._told
        if said == reason and now - at <= self._ctx.settings.tick:
            just_now: Int32Array = asked[np.isin(asked, told)]
            return just_now
        self._told = (now, reason, NO_STREAMS)
        return NO_STREAMS

    def _lose(
        self, link: Link, gone: Int32Array, reason: str, now: int
    ) -> tuple[Int32Array, Int32Array, Int32Array]:
        """Those of them that wait now, never proven; those that recover; and of both those asked for elsewhere."""
        columns = self._ctx.streams
        link.wire.set_wire(gone, False)
        # What the other carrier of a stream has still to bring, this one may have brought: copies for a while yet.
        columns.legs.put_left(link.id, columns.legs.doubled(gone), now)
        columns.legs.put_off(link.id, gone)
        wanted = columns.in_state(gone, StreamState.SENT, StreamState.OPEN)
        asked, held = self._elsewhere(link, wanted)
        if len(held):
            wanted = np.setdiff1d(wanted, held, assume_unique=True).astype(np.int32)
        ever, never = _states.split(columns.proven, wanted)
        waiting = columns.apply(TopicEvent.LOST, never, now)
        recovering = columns.apply(TopicEvent.LOST_PROVEN, ever, now)
        for moved in (waiting, recovering):
            columns.explain(moved.state, reason)
        columns.apply(TopicEvent.ASKED, asked, now)
        return waiting.state, recovering.state, asked

    def _elsewhere(self, link: Link, streams: Int32Array) -> tuple[Int32Array, Int32Array]:
        """Those that another link was asked for, and those that it holds; that link is their home from now on.

        What it only lists is to be shown there anew, by data or by another list: now it is all there is.
        """
        asked, held, legs = [NO_STREAMS], [NO_STREAMS], self._ctx.streams.legs
        for other, waits, holds in self._lifecycle.held_elsewhere(link, streams):
            asked.append(waits)
            held.append(holds)
            if len(waits):
                legs.evidence[legs.rows(other.id, waits)] &= ~np.uint8(Evidence.LISTED)
                other.expect(waits)
            doubted = holds[self._ctx.streams.data[holds] == DataState.SUSPECT]
            if len(doubted):  # what was to show them good is awaited on a link that will not bring it
                self._ctx.out.append(AwaitEvidence(other.id, other.generation, doubted))
            legs.settle_on(other.id, np.concatenate([waits, holds]))
        return np.concatenate(asked), np.concatenate(held)

    def refuse(self, streams: Int32Array, reason: str, now: int) -> None:
        """These are to blame: they stay off every wire until somebody asks anew."""
        moved = self._ctx.streams.apply(TopicEvent.REFUSED, streams, now)
        self._ctx.streams.explain(moved.state, reason)
        self._restores.ended(moved.state, now)
        for link, part in self._lifecycle.carriers(moved.state):
            self._planner.unwant(link, part, now)
        self._ctx.notify(StatusKind.REFUSED, moved.state, reason)

    def accepted(self, link: Link, request: Request, streams: Int32Array, now: int) -> None:
        """The venue acknowledged these of a request. Whether that proves them is the venue's to say. What is open may
        be so on another link: it is acknowledged on this one all the same."""
        columns = self._ctx.streams
        streams = columns.in_state(streams, StreamState.SENT, StreamState.OPEN)
        legs = columns.legs
        streams, rows = legs.on(link.id, streams)
        legs.evidence[rows] |= np.uint8(Evidence.ACKNOWLEDGED)
        self._answer(link, request.number, now)
        if self._ctx.venue.ack_is_proof:
            legs.evidence[rows] |= np.uint8(Evidence.LISTED)
            self._prove(link, TopicEvent.PROVEN_LISTED, streams, now)

    def tick(self, links: list[Link], now: int) -> None:
        """Look for what did not come on these links. A tick looks at so many streams as `awaited` says, and the next
        one goes on there: where many links are new, nothing on them is proven yet."""
        for link in links:
            self._overdue(link, now)
        left, last = self._ctx.settings.awaited, self._turn_of
        if sum([len(link.unproven) for link in links]) > left:
            links = sorted(links, key=lambda link: (link.id <= last, link.id))
        for link in links:
            left -= len(link.unproven)
            self._ask_listing(link, now)
            if left <= 0:
                self._turn_of = link.id
                break

    def _overdue(self, link: Link, now: int) -> None:
        """New snapshots that a request owed and that did not come: looked for in parts, and told at the last one."""
        columns, size = self._ctx.streams, self._ctx.settings.awaited
        while link.snapshots_due and link.snapshots_due[0].at <= self._ctx.clock.runnable:
            due = link.snapshots_due[0]
            some = due.request.whole[due.seen : due.seen + size]
            silent = self._unanswered(link, due.request, some)
            due.doubted.append(columns.apply(TopicEvent.OVERDUE, silent, now).doubted)
            due.seen += len(some)
            if due.seen < len(due.request.whole):
                return
            link.snapshots_due.pop(0)
            doubted = self._tell_overdue(np.concatenate(due.doubted))
            self.on_overdue(doubted, now)

    def _tell_overdue(self, doubted: Int32Array) -> Int32Array:
        """Those of these that did not come meanwhile, whose holders are told."""
        silent: Int32Array = doubted[self._ctx.streams.data[doubted] == DataState.SUSPECT]
        self._ctx.notify(StatusKind.SUSPECT, silent, "its new snapshot is overdue")
        return silent

    def _unanswered(self, link: Link, request: Request, some: Int32Array) -> Int32Array:
        columns = self._ctx.streams
        mute = columns.in_state(columns.legs.mute(link.id, some, request.number), StreamState.OPEN)
        overdue: Int32Array = mute[columns.data[mute] == DataState.GOOD]
        return overdue

    def _ask_listing(self, link: Link, now: int) -> None:
        """Ask what the link carries, for streams that stay silent; ahead of waiting changes only once such have kept it
        from going for long: where changes never end, nothing silent would ever be proven else."""
        link.list_first = False
        if not (len(link.unproven) or link.doubted):
            return  # as mostly
        ctx, settings, some = self._ctx, self._ctx.settings, self._unproven_now(link)
        if ctx.venue.encode_listing is None or not (len(some) or link.doubted):
            return
        since = int(ctx.streams.since[some].min(initial=now))
        silent = since <= now - settings.listing_silence
        gap = settings.listing_gap if silent else settings.doubt_gap
        last = link.listing_sent[0] if link.listing_sent else None
        if not (silent or link.doubted) or (last is not None and now - last < gap):
            return
        link.list_first = since <= now - settings.listing_silence - settings.starvation
        if link.list_first or not (link.in_flight or self._planner.is_waiting(link)):
            self.list_now(link, now)

    def list_now(self, link: Link, now: int) -> None:
        """The listing that is due, if a message may go. Where requests replace, not while one is under way: the list
        may be of the set before it."""
        ctx = self._ctx
        if ctx.venue.encode_listing is None or (link.in_flight and self._replaces):
            return
        if not link.pacer.try_spend(Counted.MESSAGE, now):
            return
        link.doubted = link.list_first = False
        link.requests += 1
        out = ctx.venue.encode_listing(link.requests)
        link.listing_sent = (now, out.request_id, link.requests)
        ctx.stats.listings += 1
        ctx.stats.messages += 1
        ctx.out.append(Send(link.id, link.generation, out.payload, out.opcode))

    def proven(self, streams: Int32Array) -> Int32Array:
        """Those of these streams on a wire that some link carries on evidence."""
        held: Int32Array = streams[(self._ctx.streams.legs.in_force(streams) & PROVEN) != 0]
        return held


def _nobody(streams: Int32Array, now: int) -> None:
    """No one takes care of what a list leaves out."""
