"""Loop-runnable time: what the process could have used, so that a stall or a sleep accuses nobody."""

from __future__ import annotations

from collections import deque
from typing import Final

__all__ = ["SECOND", "RunnableClock", "nanoseconds"]

SECOND: Final = 1_000_000_000
STALLS_KEPT: Final = 64


def nanoseconds(seconds: float) -> int:
    """Seconds as whole nanoseconds."""
    return round(seconds * SECOND)


class RunnableClock:
    """Adds, at each reading, the time since the last one, but at most two ticks' worth.

    While the loop is blocked, the process stopped (SIGSTOP) or the machine asleep, frames wait unread
    and pongs unseen; that time counts as two ticks, however long it was. Obligations, staleness and
    answers are judged by it; pacing is not: the venue's windows go on.
    """

    __slots__ = ("_last", "_stalls", "_stuck_since", "runnable", "stalled", "tick_ns")

    def __init__(self, tick_ns: int) -> None:
        self.tick_ns = tick_ns
        self.runnable = 0
        # How long nothing had run until the last reading; 0 = no longer than usual. Stalls in a row, with so little
        # between that no socket may have been read, are one.
        self.stalled = 0
        self._last: int | None = None
        self._stuck_since = 0
        self._stalls: deque[tuple[int, int]] = deque(
            maxlen=STALLS_KEPT
        )  # when each was over, and what did not count

    def read(self, now: int) -> int:
        """The loop runs, at `now`; the runnable time so far."""
        passed = 0 if self._last is None else now - self._last
        self.stalled = 0
        if passed > 2 * self.tick_ns:
            last = now - passed
            if not self._stalls or last - self._stalls[-1][0] > self.tick_ns:
                self._stuck_since = last
            self.stalled = now - self._stuck_since
            self._stalls.append((now, passed - 2 * self.tick_ns))
            passed = 2 * self.tick_ns
        if passed > 0:
            self.runnable += passed
        self._last = now
        return self.runnable

    @property
    def next_tick(self) -> int:
        """When to read again, so that no stall is seen where there is none."""
        return (self._last or 0) + self.tick_ns

    def before(self, span: int) -> int:
        """The (monotonic) time from which on `span` of runnable time passed until the last reading."""
        when = (self._last or 0) - span
        for over, lost in reversed(self._stalls):
            if over <= when:
                break
            when -= lost
        return when
