"""What of memory the process takes more and more, and when there is none left."""

from __future__ import annotations

import os
from collections.abc import Callable

from .engine.clock import SECOND
from .engine.trends import Course, Trend

__all__ = ["MIB", "Growth", "memory_limit"]

HOUR = 3600.0
MIB = 1024 * 1024
LONG_NS = 3600 * SECOND  # a leak shows over this, and in each part of it ...
PARTS, STEADY = 3, 0.5  # the slowest grows by at least so much of the whole
KNOWN_S = 0.9 * HOUR  # ... but not sooner: what warms up grows, too
SHORT_NS = 120 * SECOND  # growth over this counts where there would be nothing left ...
SOON_S = 900.0  # ... within this
CGROUP_LIMIT = "/sys/fs/cgroup/memory.max"


def memory_limit() -> int | None:
    """Bytes that the process may have: the machine's memory or its control group's, whichever is less; None where the
    system does not tell."""
    try:
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not on Windows
        return None
    try:
        with open(CGROUP_LIMIT) as file:
            return min(whole, int(file.read()))
    except (OSError, ValueError):  # there is none, or it says "max"
        return whole


class Growth:
    """Judges one figure, given from time to time: bytes the process has in memory."""

    def __init__(self, resident: Callable[[], int | None], limit: int | None) -> None:
        self.resident = resident
        self.limit = limit
        self.bytes = 0
        self._long, self._short = Course(LONG_NS), Course(SHORT_NS)
        self._slow = self._fast = 0.0  # bytes a second

    def look(self, now: int) -> float:
        """MiB an hour by which it grows now; 0.0 while that is not known. 0.1 ms, to be called each few seconds."""
        size = self.resident()
        if size is None:
            return 0.0
        self.bytes = size
        if self._long.add(now, size):
            self._slow = self._steadily(now)
        if self._short.add(now, size):
            self._fast = self._to_the_end(now)
        return max(self._slow, self._fast) * HOUR / MIB

    def trend(self, now: int) -> Trend | None:
        """Of the bytes, by which it grows."""
        return (self._short if self._fast > self._slow else self._long).trend(now)

    def _steadily(self, now: int) -> float:
        """Over all and over each part, whichever is least: what grew once or twice is no leak, nor what warms up and
        does so ever more slowly."""
        times, _ = self._long.points(now)
        if times[-1] - times[0] < KNOWN_S:
            return 0.0
        whole = _rise(self._long.trend(now))
        least = min(_rise(self._long.trend(now, part=(number, PARTS))) for number in range(PARTS))
        return min(whole, least) if least >= whole * STEADY else 0.0

    def _to_the_end(self, now: int) -> float:
        """Where there would be nothing left soon."""
        trend = self._short.trend(now)
        if trend is None or self.limit is None:
            return 0.0
        left = trend.seconds_to(self.limit)
        return _rise(trend) if left is not None and left <= SOON_S else 0.0


def _rise(trend: Trend | None) -> float:
    return 0.0 if trend is None else max(0.0, trend.per_second)
