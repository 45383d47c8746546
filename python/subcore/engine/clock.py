"""Loop-runnable time: what the process could have used, so that a stall or a sleep accuses nobody."""

from __future__ import annotations

__all__ = ["SECOND", "RunnableClock", "nanoseconds"]

SECOND = 1_000_000_000


def nanoseconds(seconds: float) -> int:
    """Seconds as whole nanoseconds."""
    return round(seconds * SECOND)


class RunnableClock:
    """Adds, at each reading, the time since the last one, but at most two ticks' worth.

    While the loop is blocked, the process stopped (SIGSTOP) or the machine asleep, frames wait unread
    and pongs unseen; that time counts as two ticks, however long it was. Obligations, staleness and
    answers are judged by it; pacing is not: the venue's windows go on.
    """

    __slots__ = ("_last", "runnable", "tick_ns")

    def __init__(self, tick_ns: int) -> None:
        self.tick_ns = tick_ns
        self.runnable = 0
        self._last: int | None = None

    def read(self, now: int) -> int:
        """The loop runs, at `now`; the runnable time so far."""
        if self._last is not None:
            self.runnable += min(max(now - self._last, 0), 2 * self.tick_ns)
        self._last = now
        return self.runnable
