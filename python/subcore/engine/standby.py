"""Hot standby: streams that two links carry, so that the loss of one of them takes nothing.

What is proven gets its second carrier; what was never proven gets none, since it could take the standby link down. So
could one that the venue serves and refuses to be asked for again: whoever was in a request that failed waits, longer
each time, and is then tried by itself, so that all others have their standby meanwhile.
"""

from __future__ import annotations

import numpy as np

from subcore.engine.clock import SECOND
from subcore.engine.context import NO_STREAMS, Context
from subcore.engine.events import StandBy
from subcore.engine.link import HOMES, Link, Role
from subcore.engine.links import Lifecycle
from subcore.engine.moves import Moves
from subcore.engine.placement import Placement
from subcore.types import Int32Array, StreamState

__all__ = ["Standbys"]

DOUBLED_FROM = (*HOMES, Role.STANDBY)  # links whose streams may get another carrier
TRIED_GAP = 5 * SECOND  # between two that failed before: until then the first has failed or come


class Standbys:
    """Costs O(streams that shall have a standby) a tick; nothing while there are none."""

    def __init__(self, ctx: Context, lifecycle: Lifecycle, moves: Moves, placement: Placement) -> None:
        self._ctx = ctx
        self._lifecycle = lifecycle
        self._moves = moves
        self._placement = placement
        self._doubled: Int32Array = NO_STREAMS
        self._next_tried = 0

    def ask(self, event: StandBy, now: int) -> None:
        """Two carriers for these from now on, or one again."""
        columns = self._ctx.streams
        columns.ensure(event.streams)
        columns.standby[event.streams] = event.on
        if event.on:
            self._doubled = np.union1d(self._doubled, event.streams).astype(np.int32)
            return
        self._doubled = np.setdiff1d(self._doubled, event.streams).astype(np.int32)
        for link, part in self._lifecycle.carriers(event.streams):
            if link.role is Role.STANDBY:
                self._let_go(link, part, now)

    def tick(self, now: int) -> None:
        """Double what has one carrier, and let go of what need not have two any more."""
        for link in list(self._lifecycle.links.values()):
            if link.role is Role.STANDBY and link.wire.len_target:
                self._let_go(link, link.wire.target(), now)
        if len(self._doubled):
            self._double(now)

    def _let_go(self, link: Link, streams: Int32Array, now: int) -> None:
        """What nobody wants to stand by leaves this link, once another one holds it: its home may be down just now.
        What is here alone goes home."""
        columns = self._ctx.streams
        idle = streams[~columns.standby[streams]]
        if not len(idle):
            return
        twice = columns.legs.has_other(idle)
        self._placement.leave_held(link, idle[twice], now)
        if now >= link.doubled_from:
            self._bring_home(link, columns.in_state(idle[~twice], StreamState.OPEN), now)

    def _bring_home(self, link: Link, alone: Int32Array, now: int) -> None:
        """These shall have no standby, and a standby link is all that carries them."""
        alone = alone[self._ctx.streams.alone_until[alone] <= now]
        for role, part in self._placement.by_role(alone):
            kind = role if self._placement.may_have(link.route.name, role) else Role.SETTLED
            for home, share in self._placement.spread(link.route.name, kind, part):
                if home.trial is None:
                    self._moves.start(link, home, share, now)

    def _double(self, now: int) -> None:
        """Proven streams that shall have two carriers and have one get the other. One whose second carrier failed
        waits: asked for each time it is calm, it would keep a settled link from ever being so, and all who wait for
        that from coming home."""
        columns = self._ctx.streams
        self._doubled = self._doubled[columns.standby[self._doubled]]
        open_ones = columns.in_state(self._doubled, StreamState.OPEN)
        twice = self._lifecycle.twice(open_ones)
        self._forgive(open_ones[twice])
        alone = open_ones[~twice & (columns.alone_until[open_ones] <= now)]
        for link, mine in self._lifecycle.homes(alone):
            if now < link.doubled_from or link.role not in DOUBLED_FROM:
                continue
            for role, part in self._placement.by_role(self._in_turn(mine, now)):
                beside = role if link.role is Role.STANDBY else Role.STANDBY
                if self._placement.may_have(link.route.name, beside):
                    for other, share in self._placement.spread(link.route.name, beside, part):
                        if other.trial is None:
                            self._moves.double(other, share, now)

    def _forgive(self, doubled: Int32Array) -> None:
        """What both carriers have shown to bring failed by chance, or for another's sake."""
        columns = self._ctx.streams
        tried = doubled[columns.alone_tries[doubled] > 0]
        if len(tried):
            evidence = columns.legs.evidence[2 * tried] & columns.legs.evidence[2 * tried + 1]
            columns.alone_tries[tried[self._lifecycle.has_shown(tried, evidence)]] = 0

    def _in_turn(self, alone: Int32Array, now: int) -> Int32Array:
        """Those that never failed, and of the others one at a time."""
        tried = np.flatnonzero(self._ctx.streams.alone_tries[alone])
        if len(tried) and now >= self._next_tried:
            self._next_tried = now + TRIED_GAP
            tried = tried[1:]
        return np.delete(alone, tried)
