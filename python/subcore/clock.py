"""The two clocks a manager reads, as one object that tests can replace."""

from __future__ import annotations

import time
from typing import Protocol

from ._delays import DelayTable
from ._timing import CallClock, CalledClock


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


def call_clock(clock: Clock) -> CallClock:
    """The clock that calls of handlers are timed by: the machine's own, read without Python, or a test's."""
    return CallClock() if isinstance(clock, SystemClock) else CalledClock(clock.monotonic_ns)


def delay_table(clock: Clock) -> DelayTable:
    """What measures how long events waited, by that clock."""
    return DelayTable() if isinstance(clock, SystemClock) else DelayTable(clock.time_ns)
