"""The two clocks a manager reads, as one object that tests can replace."""

from __future__ import annotations

import time
from typing import Protocol

from ._delays import DelayTable
from ._timing import CallClock, CalledClock

APART_NS = (
    1_000_000_000  # more than this process waits between two reads, on a machine that is not lost anyway
)


class Clock(Protocol):
    """Monotonic time for deadlines and pacing, wall time for what people and venues read. Nanoseconds."""

    def monotonic_ns(self) -> int: ...
    def time_ns(self) -> int: ...


class SystemClock:
    """The machine's clocks."""

    __slots__ = ()

    def monotonic_ns(self) -> int:
        """Nanoseconds that never go back."""
        return time.monotonic_ns()

    def time_ns(self) -> int:
        """Nanoseconds since 1970 UTC."""
        return time.time_ns()


class WallOffset:
    """From monotonic time to 1970: one number until the clocks are apart by more than that, as after one was set.

    Read anew each time it would differ by what passes between the two, and one moment would be told as many.
    """

    __slots__ = ("_clock", "_offset")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = clock.time_ns() - clock.monotonic_ns()

    def ns(self) -> int:
        """Nanoseconds to add."""
        offset = self._clock.time_ns() - self._clock.monotonic_ns()
        if abs(offset - self._offset) > APART_NS:
            self._offset = offset
        return self._offset


def call_clock(clock: Clock) -> CallClock:
    """The clock that calls of handlers are timed by: the machine's own, read without Python, or a test's."""
    return CallClock() if isinstance(clock, SystemClock) else CalledClock(clock.monotonic_ns)


def delay_table(clock: Clock) -> DelayTable:
    """What measures how long events waited, by that clock."""
    return DelayTable() if isinstance(clock, SystemClock) else DelayTable(clock.time_ns)
