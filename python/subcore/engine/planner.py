"""What the wire of a link should carry, and when the next message about it goes out.

Edges of a loop turn meet here after they cancelled each other in the link's sets. Then: an addition (or a wider
parameter) wants to go at once, a removal (or a narrower one) rides along or waits; one request is in flight at a time
where the venue's requests replace each other; where they add and remove, each message carries what is most important
then; pacing has the last word; and what is in force already is never sent.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from itertools import count
from typing import Final

import numpy as np

from subcore.engine.actions import Arbitrate, AwaitEvidence, Send
from subcore.engine.clock import SECOND, nanoseconds
from subcore.engine.context import NO_STREAMS, Context
from subcore.engine.link import Link, Request, Role, SnapshotsDue
from subcore.engine.links import Lifecycle
from subcore.engine.queueing import Queueing
from subcore.engine.removals import Removals
from subcore.engine.restore import Restores
from subcore.engine.topics import TopicEvent
from subcore.types import Evidence, Int32Array, StreamColumns, StreamState
from subcore.venue import Counted, EmptyTarget, GroupBy, Model, Out

__all__ = ["Planner"]

MESSAGE: Final = Counted.MESSAGE
ASKED: Final = TopicEvent.ASKED
NEVER: Final = (1 << 63) - 1
NOTHING: Final = StreamColumns(NO_STREAMS, NO_STREAMS, (), NO_STREAMS, np.empty(0), NO_STREAMS)
NOT_OPEN: Final = tuple(state for state in StreamState if state is not StreamState.OPEN)
RETRIES_MOST: Final = 60_000  # are counted
WINDOW_RTTS: Final = 3  # an error window lasts at least this many round trips


def _nothing(link: Link, now: int) -> None:
    """Nobody asks what a link carries."""


class Planner:
    """Turns targets into messages, one link at a time."""

    def __init__(self, ctx: Context, lifecycle: Lifecycle, restores: Restores) -> None:
        self._ctx = ctx
        self._restores = restores
        self._lifecycle = lifecycle
        self.queueing, self.removals = Queueing(ctx), Removals(ctx)
        self.on_list: Callable[[Link, int], None] = _nothing
        self._postponed: list[tuple[int, int, Link, Int32Array]] = []
        self._order = count()
        self._replaces = ctx.venue.model is Model.REPLACE
        self._closes_empty = ctx.venue.empty_target is EmptyTarget.CLOSE
        self._most_in_flight = ctx.venue.packing.max_in_flight
        self._error_window = nanoseconds(ctx.venue.error_window)
        self._widest = np.array([max(channel.depths, default=0) for channel in ctx.venue.channels], np.int32)

    def want(self, link: Link, streams: Int32Array, now: int) -> None:
        """The link should carry these."""
        if not len(streams):
            return
        legs = self._ctx.streams.legs
        others = legs.enter(link.id, streams, now)
        if len(others) and link.wire.len_removed:
            self._ask_anew(link, others)
        link.wire.set_target(streams)
        if len(others):
            legs.attach(link.id, others, self._ctx.clock.before(self._ctx.settings.late_frames))
            legs.turn(link.id, others, now)
            twice = legs.doubled(others)
            if len(twice):  # another wire has not let go of these yet, and may bring them still
                self._ctx.out.append(Arbitrate(twice, True))
        self._lifecycle.want(link, now)

    def _ask_anew(self, link: Link, streams: Int32Array) -> None:
        """The wire carries some of these still, and was to let go of them. Those that are in force nowhere, since they
        failed or were refused, are asked for all the same: no other message would name them."""
        legs = self._ctx.streams.legs
        leaving = streams[~link.wire.aims_at(streams)]
        leaving = self._ctx.streams.in_state(leaving, StreamState.WAITING, StreamState.RECOVERING)
        leaving, rows = legs.on(link.id, leaving)
        leaving = leaving[legs.width[rows] >= 0]
        if len(leaving):
            link.has_other_set()
            link.wire.set_wire(leaving, False)
            legs.put_off(link.id, leaving)

    def unwant(self, link: Link, streams: Int32Array, now: int, *, urgent: bool = False) -> None:
        """The link need not carry these any more. `urgent`: the removal waits for nothing, as one that has starved."""
        if not len(streams):
            return
        link.wire.set_target(streams, False)
        settings = self._ctx.settings
        since = now - settings.remove_wait - settings.starvation if urgent else now
        if self._ctx.streams.legs.turn(link.id, streams, since):  # the wire carries some of them
            link.remove_before(since + settings.remove_wait)

    def postpone(self, link: Link, streams: Int32Array, now: int) -> None:
        """These failed: out of the target, and back into it after a while that grows with each failure. Those that
        another link is to carry are asked for there."""
        waits, retries = self._ctx.settings.retry_seconds, self._ctx.streams.retries
        link.wire.set_target(streams, False)
        streams = self._lifecycle.untargeted(streams)
        tried = np.minimum(retries[streams], len(waits) - 1)
        for tries in np.unique(tried).tolist():
            due = now + nanoseconds(waits[tries])
            heapq.heappush(self._postponed, (due, next(self._order), link, streams[tried == tries]))
        retries[streams] = np.minimum(retries[streams], RETRIES_MOST) + 1

    def forget(self, streams: Int32Array) -> None:
        """These ids are given back: what is postponed under them is nobody's."""
        if any(np.isin(part, streams).any() for _, _, _, part in self._postponed):
            self._postponed = [
                (due, order, link, np.setdiff1d(part, streams).astype(np.int32))
                for due, order, link, part in self._postponed
            ]

    def why_postponed(self, stream: int, now: int) -> str | None:
        """When it is asked for again, if it failed and waits for that. O(what is postponed)."""
        for due, _, _, streams in self._postponed:
            if stream in streams:
                tries = int(self._ctx.streams.retries[stream])
                return f"it is asked for again in {max(due - now, 0) / SECOND:.1f} s (failed {tries} times so far)"
        return None

    def deadline(self) -> int | None:
        """When the next postponed streams are due."""
        return self._postponed[0][0] if self._postponed else None

    def resume(self, now: int) -> Iterator[tuple[Link, Int32Array]]:
        """What was postponed until now and is still wanted, with the link on which it failed."""
        while self._postponed and self._postponed[0][0] <= now:
            _, _, link, streams = heapq.heappop(self._postponed)
            still = self._ctx.streams.in_state(streams, StreamState.WAITING, StreamState.RECOVERING)
            still = self._lifecycle.unclaimed(still)  # a wish may have put them there meanwhile
            carried = np.isin(still, link.wire.wire())  # their removal waits for a message
            if carried.any():
                due = now + nanoseconds(self._ctx.settings.retry_seconds[0])
                heapq.heappush(self._postponed, (due, next(self._order), link, still[carried]))
            if not carried.all():
                yield link, still[~carried]

    def resize(self, link: Link, columns: StreamColumns, now: int, *, patient: bool = False) -> None:
        """Widths of wanted streams may have changed. `patient`: no message is sent for one that is narrower now."""
        legs = self._ctx.streams.legs
        in_force = legs.width[legs.rows(link.id, columns.streams)]
        if not link.resized and np.array_equal(in_force, columns.widths):
            return
        differ = (in_force >= 0) & (self._levels(columns, in_force) != self._levels(columns, columns.widths))
        link.resized.difference_update(columns.streams.tolist())
        link.resized.update(columns.streams[differ].tolist())
        if np.any(differ) and not patient:
            link.remove_before(now + self._ctx.settings.remove_wait)

    def is_waiting(self, link: Link) -> bool:
        """Whether additions wait for this link."""
        return link.wire.len_added > 0

    def service(self, link: Link, now: int) -> int | None:
        """Send what is due on an open link, one message at most; when to look again, `now` = at once."""
        if link.in_flight:
            self._end_windows(link, now)
        if not link.wire.len_target and (self._closes_empty or link.role is not Role.SETTLED):
            return self._empty(link, now)
        link.linger_by = None
        if link.ping_first:
            self._lifecycle.ping_now(link, now)
        if link.list_first:
            self.on_list(link, now)
        due = self._due(link, now)
        if due is None:
            link.remove_by = None
        elif due <= now and self._has_room(link):
            due = self._send(link, now)
        if not link.in_flight:
            return due
        ends = min([request.window_ends for request in link.in_flight])
        if due is None or (due <= now and not self._has_room(link)):
            return ends
        return min(due, ends)

    def _has_room(self, link: Link) -> bool:
        return len(link.in_flight) < self._most_in_flight

    def _empty(self, link: Link, now: int) -> int | None:
        if link.linger_by is None:
            # Where no further connection is allowed, another link may wait for this one to end.
            link.linger_by = now + self._ctx.settings.linger * self._lifecycle.may_open()
        if (
            now < link.linger_by and not link.ping_first
        ):  # else there is no room to find out whether it is alive
            return link.linger_by
        self._leave(link, link.wire.wire(), now)
        link.wire.clear_wire()
        self._lifecycle.finish(link, now, "nothing is wanted any more")
        return None

    def _due(self, link: Link, now: int) -> int | None:
        """When the wire should change, whatever the limits say; None = it is as wanted."""
        if link.wire.len_added or self._widened(link):
            return now
        if not link.wire.len_removed and not link.resized:
            return None
        if link.remove_by is not None and link.remove_by <= now and not link.resized:
            # Whoever was the first to go may be wanted again: it is the others' turn when they have waited.
            link.remove_by = self._first_to_leave(link, link.wire.removed()) + self._ctx.settings.remove_wait
        return link.remove_by

    def _first_to_leave(self, link: Link, removes: Int32Array) -> int:
        return self._ctx.streams.legs.first_turned(link.id, removes, NEVER)

    def _widened(self, link: Link) -> bool:
        if not link.resized:
            return False
        columns = self._ctx.table.columns(self._resized(link))
        streams, legs = columns.streams, self._ctx.streams.legs
        in_force = legs.width[legs.rows(link.id, streams)]
        wanted, present = self._levels(columns, columns.widths), self._levels(columns, in_force)
        differ = (in_force >= 0) & (present != wanted)
        link.resized = set(streams[differ].tolist())
        return bool(np.any(differ & (wanted > present)))

    def _resized(self, link: Link) -> Int32Array:
        """Those of `link.resized` that are wanted and that its wire carries: others were given up since, and the id of
        one may be given back by now."""
        streams = np.array(sorted(link.resized), np.int32)
        streams = streams[self._ctx.streams.state[streams] != StreamState.CLOSED]
        streams, rows = self._ctx.streams.legs.on(link.id, streams)
        return streams[self._ctx.streams.legs.width[rows] >= 0]

    def _levels(self, columns: StreamColumns, widths: Int32Array) -> Int32Array:
        """Widths so that wider is greater: 0 stands for the channel's widest, which may also be asked for by name."""
        return np.where(widths == 0, self._widest[columns.channels], widths).astype(np.int32)

    def _send(self, link: Link, now: int) -> int | None:
        """Write one message, if the limits let it out; when the next one is due, None = all is as wanted."""
        repair = link.repairs or link.requests < link.first_request
        when = link.pacer.next_allowed(MESSAGE, now, repair=repair)
        if when > now:
            return when
        if self._replaces:
            return self._replace(link, now, repair)
        return self._add_or_remove(link, now, repair)

    def _replace(self, link: Link, now: int, repair: bool) -> int | None:
        """All that the link should carry, in one message. Only writing it costs in proportion to that."""
        ctx, read = self._ctx, self._ctx.table.columns_to_write
        add, remove = read(link.wire.added()), read(link.wire.removed()) if link.wire.len_removed else NOTHING
        whole = link.wire.target()
        for out in ctx.venue.encode(add, remove, read(whole), link.requests + 1):
            if not link.pacer.try_spend(MESSAGE, now, repair=repair):  # another thread's manager was faster
                return link.pacer.next_allowed(MESSAGE, now, repair=repair)
            link.carries_all = link.requests + 1
            self._in_force(link, add)  # before what leaves is taken out again
            if ctx.table.is_ahead:  # depths are written that the engine was not told of
                self._in_force(link, read(whole))
            elif link.resized:
                self._in_force(link, read(self._resized(link)))
            self._write(link, out, whole, now)
        self._rest(link)
        return None

    def _in_force(self, link: Link, columns: StreamColumns) -> None:
        """The wire carries these as they are wanted now."""
        self._ctx.streams.legs.put_in_force(link.id, columns.streams, columns.widths)

    def _add_or_remove(self, link: Link, now: int, repair: bool) -> int | None:
        """The most important of what is to be added, or what is to be removed, as much as a message takes."""
        ctx = self._ctx
        adds, removes = self._next(link, now)
        read = ctx.table.columns_to_write
        add = read(adds) if len(adds) else NOTHING
        remove = read(removes) if len(removes) else NOTHING
        outs = ctx.venue.encode(add, remove, NOTHING, link.requests + 1)[:1]
        for out in outs:
            if not link.pacer.try_spend(MESSAGE, now, repair=repair):  # another thread's manager was faster
                return link.pacer.next_allowed(MESSAGE, now, repair=repair)
            self._write(link, out, NO_STREAMS, now)
            if len(out.adds):
                self._in_force(link, add if len(out.adds) == len(adds) else read(out.adds))
        link.resized.clear()
        if not link.wire.len_added and not link.wire.len_removed:
            self._rest(link)
            return None
        return self._due(link, now) if outs else link.remove_by

    def _next(self, link: Link, now: int) -> tuple[Int32Array, Int32Array]:
        """What the next message adds, or else removes. A removal has a message of its own, so it gains nothing by
        riding along: additions go first, unless it has starved, or the venue wants room made for them, or has none."""
        packing, adds, removes = self._ctx.venue.packing, link.wire.added(), link.wire.removed()
        if len(removes):
            waited = now - self._first_to_leave(link, removes) - self._ctx.settings.remove_wait
            first = waited >= self._ctx.settings.starvation or packing.removes_first
            room, patience = self._ctx.link_capacity, self._ctx.settings.remove_wait
            full = room is not None and link.wire.len_wire + len(adds) > room and waited + patience >= 0
            if full or (waited >= 0 and (first or not len(adds))):
                left = self._ctx.streams.legs.turned_since(link.id, removes, 0)
                return NO_STREAMS, removes[np.argsort(left, kind="stable")][: packing.max_topics]
        ordered = self.queueing.order(link, adds, now)
        return ordered if packing.group_by is not GroupBy.NONE else ordered[: packing.max_topics], NO_STREAMS

    @staticmethod
    def _rest(link: Link) -> None:
        """The wire is as wanted."""
        link.resized.clear()
        link.remove_by = None
        link.repairs = False

    def _write(self, link: Link, out: Out, whole: Int32Array, now: int) -> None:
        """`whole`: all that the message states, where that is what the link carries from now on."""
        ctx, streams, stats, adds, removes = (
            self._ctx,
            self._ctx.streams,
            self._ctx.stats,
            out.adds,
            out.removes,
        )
        number = link.requests = link.requests + 1
        window = max(self._error_window, WINDOW_RTTS * link.rtt_ns)
        acquits_at = ctx.clock.runnable + max(window, ctx.settings.blame)
        request = Request(number, out.request_id, adds, removes, whole, now, now + window, acquits_at)
        link.in_flight.append(request)
        link.sent_at = now
        if len(removes) or not len(adds):  # or it narrows what it carries
            link.has_other_set()
        else:
            link.has_more()
        if link.unanswered is None:
            link.unanswered = now
        rewrites = len(whole) > len(adds)
        if rewrites:
            link.rewrites.append(now)
            if len(link.rewrites) > ctx.settings.hurts:
                link.rewrites.popleft()
        link.last_request = request
        stats.restores += link.lost
        link.lost = False
        self._await(link, request)
        ctx.out.append(Send(link.id, link.generation, out.payload, out.opcode, number))
        streams.legs.put_asked(link.id, adds, number)
        streams.move(ASKED, streams.in_state(adds, *NOT_OPEN), now)
        self._restores.asked(adds, now)
        self._leave(link, removes, now)
        link.wire.set_wire(removes, False)
        link.wire.set_wire(adds)
        link.expect(adds)
        if rewrites and ctx.venue.resnapshots:
            link.snapshots_due.append(SnapshotsDue(ctx.clock.runnable + ctx.settings.snapshot_due, request))
        stats.plans += 1
        stats.messages += 1
        stats.additions += len(adds)
        stats.removals += len(removes)

    def _await(self, link: Link, request: Request) -> None:
        """Ask for evidence. "Late frames of a dropped code can still arrive after a resend": a realtime frame
        of
        a stream that was in the link's earlier sets proves nothing before the error window is over."""
        ctx = self._ctx
        since = max(ctx.clock.before(ctx.settings.late_frames), link.up_since)
        old, new = ctx.streams.legs.late(link.id, request.adds, since)
        if ctx.venue.resnapshots and len(request.whole) > len(request.adds):
            old = request.whole  # what is new in it as well: that is awaited anew, at once
        if len(old):
            ctx.out.append(AwaitEvidence(link.id, link.generation, old, request.window_ends))
        if len(new):
            ctx.out.append(AwaitEvidence(link.id, link.generation, new))

    def _leave(self, link: Link, removed: Int32Array, now: int) -> None:
        self._ctx.streams.legs.put_left(link.id, removed, now)

    def _end_windows(self, link: Link, now: int) -> None:
        for request in [r for r in link.in_flight if r.window_ends <= now]:
            self._end_window(link, request)
            self.removals.unanswered(link, request, now)

    def answered(self, link: Link, request: Request, now: int) -> None:
        """The request's error window is over, quietly, by its first data: so it has arrived, and all before it."""
        self._end_window(link, request)
        link.pacer.settle(request.sent_ns, now)

    def _end_window(self, link: Link, request: Request) -> None:
        link.in_flight.remove(request)
        link.answered.append(request)
        legs = self._ctx.streams.legs
        _, rows = legs.on(link.id, request.adds)
        legs.evidence[rows[legs.request[rows] >= request.number]] |= np.uint8(Evidence.QUIET)
