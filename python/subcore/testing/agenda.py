"""What is to happen at which time, and a loop that may be stuck meanwhile."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from subcore.engine.clock import nanoseconds
from subcore.testing.clock import VirtualClock

__all__ = ["Agenda"]

Call = Callable[[], None]


class Agenda:
    """Calls by their time in nanoseconds; those of one time in the order in which they were asked for."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self._agenda: list[tuple[int, int, Call]] = []
        self._order = 0
        self._blocked_until = 0

    @property
    def now(self) -> int:
        """The present, in nanoseconds."""
        return self.clock.now

    def at(self, when: int, call: Call) -> None:
        """Call something at a time."""
        self._order += 1
        heapq.heappush(self._agenda, (max(when, self.now), self._order, call))

    def after(self, seconds: float, call: Call) -> None:
        """Call something so much later."""
        self.at(self.now + nanoseconds(seconds), call)

    def when_free(self, call: Call) -> None:
        """Call something at once, or when the loop is no longer stuck."""
        if self.now < self._blocked_until:
            self.at(self._blocked_until, call)
        else:
            call()

    def stall(self, seconds: float) -> None:
        """The loop is stuck for so long: nothing reaches the engine, the world goes on."""
        self._blocked_until = self.now + nanoseconds(seconds)

    def next_call(self) -> int | None:
        """When there is something to call."""
        return self._agenda[0][0] if self._agenda else None

    def call_due(self) -> None:
        """Call what is due, and what that asks for at once."""
        while self._agenda and self._agenda[0][0] <= self.now:
            heapq.heappop(self._agenda)[2]()
