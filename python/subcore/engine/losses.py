"""What is done when a connection ends, so many streams at a time.

A link may carry tens of thousands of streams. Those lost with it are seen to a slice at a time: the first one when the
loss is told, the next ones at Ticks that are due at once. Till all are done the link takes part in nothing, and what
else happens finishes it first; so nobody but a Tick ever finds a loss half done.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from subcore.engine.actions import Disconnect
from subcore.engine.context import Context
from subcore.engine.efficiency import Effort
from subcore.engine.link import Link, Phase
from subcore.engine.links import Lifecycle
from subcore.engine.moves import Moves
from subcore.engine.placement import Placement
from subcore.engine.planner import Planner
from subcore.engine.proof import Proof
from subcore.types import StatusKind

__all__ = ["Losses"]


class Losses:
    """The loss under way, if there is one. A slice costs O(`Settings.slice`), whatever the link carried."""

    def __init__(
        self,
        ctx: Context,
        lifecycle: Lifecycle,
        planner: Planner,
        proof: Proof,
        moves: Moves,
        placement: Placement,
        effort: Effort,
    ) -> None:
        self._ctx = ctx
        self._lifecycle = lifecycle
        self._planner = planner
        self._proof = proof
        self._moves = moves
        self._placement = placement
        self._effort = effort
        self._steps: Iterator[None] | None = None

    @property
    def under_way(self) -> bool:
        """Whether some of what was lost is not seen to yet."""
        return self._steps is not None

    def start(
        self,
        link: Link,
        now: int,
        reason: str,
        *,
        error: str | None = None,
        blame: bool = True,
        tell_link: bool = False,
    ) -> None:
        """The connection is over, or is to be. `blame`: its last request may be the cause."""
        self.finish()
        if tell_link:
            self._ctx.out.append(Disconnect(link.id, link.generation, reason))
        self._steps = self._lose(link, now, reason, error if blame else None, blame)
        self.go_on()

    def go_on(self) -> None:
        """One slice of it."""
        if self._steps is not None:
            try:
                next(self._steps)
            except StopIteration:
                self._steps = None

    def finish(self) -> None:
        """All that is left of it."""
        while self._steps is not None:
            self.go_on()

    def _lose(self, link: Link, now: int, reason: str, error: str | None, blame: bool) -> Iterator[None]:
        ctx, case = self._ctx, None
        link.ended_by = reason
        if link.is_up:
            link.lost = link.lost or link.last_request is not None
            self._moves.take_back(link, now)
            wire = link.wire.wire()
            for _, carried, held in self._lifecycle.held_elsewhere(link, wire):
                wire = np.setdiff1d(wire, np.concatenate([carried, held]), assume_unique=True).astype(
                    np.int32
                )
            self._effort.down(link.route.name, link.id, wire, now)
            case = self._placement.bisection.accuse(link, now, error) if blame else None
            yield from self._proof.lost(link, f"link lost: {reason}", now)
            if error is not None or case is not None:
                self._moves.failed(link, link.wire.target(), now)
            self._moves.lost(link, now)
        elif link.attempts == 0:
            ctx.notify(StatusKind.WAITING, self._lifecycle.waiting(link), f"no connection: {reason}")
        blamed = case is not None and self._placement.bisection.helps(link, case)
        self._lifecycle.down(link, now, blamed=blamed)
        if case is not None:
            self._placement.bisection.split(link, case, now)
        self._placement.lost(link, now)
        self._take_turns(link, now)
        wait_ms = max(0, link.connect_at - now) // 1_000_000
        ctx.warn(f"link lost: {reason}", link=link.id, generation=link.generation, retry_in_ms=wait_ms)

    def _take_turns(self, link: Link, now: int) -> None:
        """Links that are lost together connect again in the order of what they carry: the shortest of the waits that
        chance gave them goes to the highest class. A link that failed more often keeps its own, longer wait."""
        if self._ctx.venue.life.connect_floor:
            return  # each has to wait from its own close
        same = [
            other
            for other in self._lifecycle.links.values()
            if other.phase is Phase.BACKOFF
            and other.connect_at > now
            and (other.attempts, other.denied) == (link.attempts, link.denied)
        ]
        if len(same) < 2:
            return
        waits = sorted(other.connect_at for other in same)
        same.sort(key=lambda other: (self._planner.queueing.place(other, now), other.role))
        for other, when in zip(same, waits, strict=True):
            other.connect_at = when
