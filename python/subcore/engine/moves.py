"""Make before break: streams that change their link are carried by both for a while.

One mechanism serves the nursery's streams on their way home, a link that is replaced by a successor, and hot standby,
where two carriers are the rule. While a stream has two, one arbiter at the receiver decides which copies are new; it is
told here when that begins, and when it is over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from subcore import _transit
from subcore.engine.actions import Arbitrate
from subcore.engine.context import Context
from subcore.engine.legs import PROVEN
from subcore.engine.link import Link, Role
from subcore.engine.links import Lifecycle
from subcore.engine.planner import Planner
from subcore.types import Int32Array, StreamState

__all__ = ["Moves"]

Flags = npt.NDArray[np.bool_]


@dataclass(slots=True, eq=False)
class _Move:
    """Streams under way from one link to another; `until`: given up then."""

    source: Link
    to: Link
    streams: Int32Array
    until: int


class Moves:
    """All moves under way. A tick looks at so many streams as the setting `looks` says, and the next one goes on there:
    where links are replaced that carry many, all of them are under way."""

    def __init__(self, ctx: Context, lifecycle: Lifecycle, planner: Planner) -> None:
        self._ctx = ctx
        self._lifecycle = lifecycle
        self._planner = planner
        self._under_way: list[_Move] = []
        self._sweep_from = 0  # the stream at which the next sweep goes on

    def start(self, source: Link, to: Link, streams: Int32Array, now: int) -> None:
        """Move these from `source`, their home, to another link. Each must have one carrier."""
        streams = self.double(to, streams, now)
        if not len(streams):
            return
        until = self._ctx.clock.runnable + self._ctx.settings.move_timeout
        self._under_way.append(_Move(source, to, streams, until))

    def double(self, to: Link, streams: Int32Array, now: int) -> Int32Array:
        """A second carrier that stays, for these but for those that left that very link just now: what it brought
        before would count as brought anew."""
        legs = self._ctx.streams.legs
        here, _ = legs.on(to.id, streams)
        if len(here):
            streams = np.setdiff1d(streams, here).astype(np.int32)
        if len(streams):
            legs.add(to.id, streams)
            legs.turned[legs.rows(to.id, streams)] = now
            self._ctx.out.append(Arbitrate(streams, True))
            to.wire.set_target(streams)
            self._lifecycle.want(to, now)
        return streams

    def tick(self, now: int) -> None:
        """Finish what is proven on the new link, give up what did not come, end arbitration that is over."""
        looked, left = 0, self._ctx.settings.looks
        while looked < len(self._under_way) and left > 0:
            move = self._under_way[looked]
            part, later = move.streams[:left], move.streams[left:]
            left -= len(part)
            still = self._advance(move, part, now)
            move.streams = np.concatenate([later, still]) if len(later) else still
            looked += 1
        # Whoever was not looked at is the first the next time; so is what is left of the last one after the others.
        self._under_way = [
            move for move in (*self._under_way[looked:], *self._under_way[:looked]) if len(move.streams)
        ]
        self._sweep(now)

    def _advance(self, move: _Move, streams: Int32Array, now: int) -> Int32Array:
        """Look at some of a move; those that are under way still."""
        columns, legs = self._ctx.streams, self._ctx.streams.legs
        if self._ctx.clock.runnable < move.until:
            waiting, rest = _transit.undecided(
                legs, move.to.id, move.to.wire, streams, columns.state, StreamState.CLOSED, int(PROVEN)
            )
            if not len(rest):
                return streams  # nothing has come of it yet, as mostly
            still = self._decide(move, rest, now)
            under_way: Int32Array = np.concatenate([waiting, still]) if len(still) else waiting
            return under_way
        return self._decide(move, streams, now)

    def _decide(self, move: _Move, streams: Int32Array, now: int) -> Int32Array:
        """What becomes of these; those that are under way still."""
        columns, legs = self._ctx.streams, self._ctx.streams.legs
        streams = streams[move.to.wire.aims_at(streams)]  # else the other link was given up meanwhile
        streams, rows = legs.on(move.to.id, streams[legs.has_other(streams)])
        wanted = columns.state[streams] != StreamState.CLOSED
        there = self._has_arrived(move, streams, legs.evidence[rows])
        arrived = streams[wanted & there]
        if len(arrived):
            legs.settle_on(move.to.id, arrived)
            move.source.refused_moves = 0
            self.leave(move.source, arrived, now)
        gone = streams[~wanted]
        self._drop(move.to, gone, now)
        still: Int32Array = streams[wanted & ~there]
        if len(still) and self._ctx.clock.runnable >= move.until:
            # Where the source was lost, nobody else may have them; and the new link alone carries them, if it does.
            here = still[move.source.wire.aims_at(still)]
            lost = legs.width[legs.rows(move.source.id, here)] < 0
            lost &= legs.width[legs.rows(move.to.id, here)] >= 0
            self._drop(move.to, here[~lost], now)
            still = here[lost]
        return still

    def _has_arrived(self, move: _Move, streams: Int32Array, evidence: npt.NDArray[np.uint8]) -> Flags:
        """Those that the new link has shown to bring; when the time is up, those that it lists, if it speaks at all."""
        if move.to.life.frames and self._ctx.clock.runnable >= move.until:
            listed: Flags = (evidence & PROVEN) != 0
            return listed
        return self._lifecycle.has_shown(streams, evidence)

    def leave(self, link: Link, streams: Int32Array, now: int) -> None:
        """These have another carrier: off this link's wire. Arbitration ends when its last late frame has come."""
        self._planner.unwant(link, streams, now)

    def _drop(self, link: Link, streams: Int32Array, now: int) -> None:
        if len(streams):
            self.leave(link, streams, now)

    def _sweep(self, now: int) -> None:
        """Take away legs that nobody wants, that no wire carries, and of which no frame can be late any more."""
        legs = self._ctx.streams.legs
        wires = self._lifecycle.wires()
        late = self._ctx.clock.before(self._ctx.settings.late_frames)
        found, self._sweep_from = _transit.ended(
            legs, wires, self._sweep_from, self._ctx.settings.looks, late
        )
        if not found:
            return
        rows = np.array(found, np.int64)
        streams, idents = (rows >> 1).astype(np.int32), legs.link[rows]
        for ident in sorted(set(idents.tolist())):
            link, part = self._lifecycle.links[ident], streams[idents == ident]
            if link.trial is not None:  # it shall be asked for here, once its turn has come
                part = part[~link.trial.holds(part)]
            ended = legs.doubled(part)
            if len(ended):
                legs.detach(link.id, ended)
                shared = self._ctx.shared(ended)  # may be brought by who carries all, or by those of markets
                alone = np.setdiff1d(ended, shared).astype(np.int32) if len(shared) else ended
                if len(alone):
                    self._ctx.out.append(Arbitrate(alone, False))

    def failed(self, link: Link, streams: Int32Array, now: int) -> None:
        """A request on this link failed for what was in it. Those of these that others hold stay with them alone, for a
        while."""
        sources = [move.source for move in self._under_way if move.to is link]
        twice = self._ctx.streams.legs.doubled(streams)
        for other, _, held in list(self._lifecycle.held_elsewhere(link, twice)):
            self._ctx.streams.legs.settle_on(other.id, held)
            self._drop(link, held, now)
            other.doubled_from = now + self._ctx.settings.calm
            other.refused_moves += other in sources
            self._rest(link, held, now)

    def _rest(self, link: Link, held: Int32Array, now: int) -> None:
        """Those that the failed request named are doubled no more for a while, which grows: one of them may be such
        that the venue serves it and refuses to be asked for it, and each try costs a connection."""
        asked = link.last_request
        if asked is not None:
            tried = np.intersect1d(held, asked.adds)
            self._ctx.streams.rest_alone(tried, now, self._ctx.settings.minute)

    def take_back(self, link: Link, now: int) -> None:
        """This link is about to be lost. What was to leave another wire, for the sake of this one, stays there, and
        moves on from there if that is no place for it. Not what a nursery holds: it may be frozen on the wire that it
        leaves."""
        if link.role is Role.NURSERY:
            return
        columns, legs = self._ctx.streams, self._ctx.streams.legs
        twice = columns.in_state(legs.doubled(link.wire.wire()), StreamState.SENT, StreamState.OPEN)
        others = legs.other_link(link.id, twice)
        for ident in set(others.tolist()):
            other, part = self._lifecycle.links[ident], twice[others == ident]
            carried = part[legs.width[legs.rows(ident, part)] >= 0]
            if other.is_up and other.role is not Role.STANDBY and len(carried):
                legs.turn(ident, carried, now)
                other.wire.set_target(carried)

    def lost(self, link: Link, now: int) -> None:
        """A link is gone. What its other carrier holds need not come back to this one."""
        target = link.wire.target()
        twice = target[self._ctx.streams.legs.has_other(target)]
        for _, _, held in list(self._lifecycle.held_elsewhere(link, twice)):
            held = held[~self._ctx.streams.standby[held]]  # a standby comes back beside it
            link.wire.set_target(held, False)
