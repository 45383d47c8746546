"""Giving stream ids back: not before their last late frame can have come."""

from __future__ import annotations

from collections import deque

import numpy as np

from subcore import _states
from subcore.engine.actions import ReleaseStreams
from subcore.engine.context import Context
from subcore.types import Int32Array, StreamState

__all__ = ["Departures"]


class Departures:
    """Closed streams on their way out. One that was never on a wire goes at once; the others once no wire carries
    them and, since a re-add under a new id would forget it, no frame of theirs can be late any more."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._queue: deque[tuple[int, Int32Array]] = deque()  # by when to look, which never goes back
        self._gone: list[Int32Array] = []

    def add(self, streams: Int32Array, now: int) -> None:
        """These were closed."""
        columns = self._ctx.streams
        fresh = _states.mark(columns.leaving, streams)
        later, never = columns.legs.were_carried(fresh)
        if len(never):
            self._forget(never)
        if len(later):
            self._queue.append((now + self._ctx.settings.late_frames, later))

    def deadline(self) -> int | None:
        """When to look again. Each tick, since runnable time is known only if somebody looks, and no link may be up."""
        return min(self._queue[0][0], self._ctx.clock.next_tick) if self._queue else None

    def run(self, now: int) -> list[Int32Array]:
        """Give back what may go; the ids given back since the last run."""
        columns = self._ctx.streams
        while self._queue and self._queue[0][0] <= now:
            _, streams = self._queue.popleft()
            columns.leaving[streams] = False
            closed = columns.in_state(streams, StreamState.CLOSED)
            recent = columns.legs.last_left(closed) > self._ctx.clock.before(self._ctx.settings.late_frames)
            stay = columns.legs.on_wire(closed) | recent
            if not stay.all():
                self._forget(closed[~stay])
            self.add(closed[stay], now)
        gone, self._gone = self._gone, []
        return gone

    def _forget(self, streams: Int32Array) -> None:
        self._ctx.streams.forget(streams)
        self._gone.append(np.array(streams))
        self._ctx.out.append(ReleaseStreams(streams))
