"""Make before break: streams that change their link are carried by both for a while.

One mechanism serves the nursery's streams on their way home, a link that is replaced by a successor, and hot standby,
where two carriers are the rule. While a stream has two, one arbiter at the receiver decides which copies are new; it is
told here when that begins, and when it is over.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import count

import numpy as np

from subcore.engine.actions import Arbitrate
from subcore.engine.context import Context
from subcore.engine.links import Lifecycle, Link
from subcore.engine.planner import Planner
from subcore.engine.proof import PROVEN
from subcore.types import Int32Array, StreamState

__all__ = ["Moves"]


@dataclass(slots=True, eq=False)
class _Move:
    """Streams under way from one link to another; `until`: given up then."""

    source: Link
    to: Link
    streams: Int32Array
    until: int


class Moves:
    """All moves under way."""

    def __init__(self, ctx: Context, lifecycle: Lifecycle, planner: Planner) -> None:
        self._ctx = ctx
        self._lifecycle = lifecycle
        self._planner = planner
        self._under_way: list[_Move] = []
        self._ending: list[tuple[int, int, int, Int32Array]] = []  # when, order, the link left, its streams
        self._order = count()

    def start(self, source: Link, to: Link, streams: Int32Array, now: int) -> None:
        """Move these from `source`, their home, to another link. Each must have one leg."""
        if not len(streams):
            return
        self._ctx.streams.legs.add(to.id, streams)
        self._ctx.out.append(Arbitrate(streams, True))
        to.wire.set_target(streams)
        self._lifecycle.want(to, now)
        until = self._ctx.clock.runnable + self._ctx.settings.move_timeout
        self._under_way.append(_Move(source, to, streams, until))

    def is_moving(self, link: Link) -> bool:
        """Whether streams leave this link."""
        return any(move.source is link for move in self._under_way)

    def run(self, now: int) -> None:
        """Finish what is proven on the new link, give up what did not come, end arbitration that is over."""
        for move in self._under_way:
            self._advance(move, now)
        self._under_way = [move for move in self._under_way if len(move.streams)]
        while self._ending and self._ending[0][0] <= now:
            _, _, link, streams = heapq.heappop(self._ending)
            self._end(link, streams, now)

    def _advance(self, move: _Move, now: int) -> None:
        columns, legs = self._ctx.streams, self._ctx.streams.legs
        streams, rows = legs.on(move.to.id, move.streams)
        streams, rows = streams[legs.has_other(streams)], rows[legs.has_other(streams)]
        wanted = columns.state[streams] != StreamState.CLOSED
        there = (legs.evidence[rows] & PROVEN) != 0
        arrived = streams[wanted & there]
        if len(arrived):
            legs.settle_on(move.to.id, arrived)
            self.leave(move.source, arrived, now)
        gone = streams[~wanted]
        self._drop(move.to, gone, now)
        still = streams[wanted & ~there]
        if len(still) and self._ctx.clock.runnable >= move.until:
            self._drop(move.to, still, now)
            still = still[:0]
        move.streams = still

    def leave(self, link: Link, streams: Int32Array, now: int) -> None:
        """These have another home: off this link's wire, and arbitration ends when its last late frame has come."""
        self._planner.unwant(link, streams, now)
        self._end_later(link, streams, now)

    def _drop(self, link: Link, streams: Int32Array, now: int) -> None:
        if len(streams):
            self.leave(link, streams, now)

    def _end_later(self, link: Link, streams: Int32Array, now: int) -> None:
        due = now + self._ctx.settings.late_frames
        heapq.heappush(self._ending, (due, next(self._order), link.id, streams))

    def _end(self, link: int, streams: Int32Array, now: int) -> None:
        """Take away the leg that carries nothing any more, if it still does; the others have more time."""
        legs = self._ctx.streams.legs
        streams, rows = legs.on(link, streams)
        wanted_there = np.isin(streams, self._lifecycle.links[link].wire.target(), assume_unique=True)
        on_wire = legs.width[rows] >= 0
        recent = legs.left[rows] > now - self._ctx.settings.late_frames
        stay = ~wanted_there & (on_wire | recent)
        over = streams[~stay & ~wanted_there]
        both = over[legs.has_other(over)]
        legs.detach(link, both)
        if len(both):
            self._ctx.out.append(Arbitrate(both, False))
        if stay.any():
            self._end_later(self._lifecycle.links[link], streams[stay], now)

    def lost(self, link: Link, now: int) -> None:
        """A link is gone. What its other carrier holds need not come back to this one."""
        legs = self._ctx.streams.legs
        target = link.wire.target()
        twice = target[legs.has_other(target)]
        others = legs.other_link(link.id, twice)
        for ident in np.unique(others).tolist():
            part = twice[others == ident]
            rows = legs.rows(ident, part)
            held = part[(legs.width[rows] >= 0) & ((legs.evidence[rows] & PROVEN) != 0)]
            link.wire.set_target(held, False)
            self._end_later(link, held, now)

    def deadline(self) -> int | None:
        """When to look again."""
        return self._ending[0][0] if self._ending else None
