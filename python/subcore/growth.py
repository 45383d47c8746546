"""What of memory the process takes more and more, and when there is none left."""

from __future__ import annotations

import os
from collections.abc import Callable

from .engine.clock import SECOND
from .engine.trends import Course, Trend

__all__ = ["MIB", "Growth", "memory_limit"]

HOUR = 3600.0
MIB = 1024 * 1024
LONG_NS = 1800 * SECOND  # a leak shows over this ...
KNOWN_NS = LONG_NS * 4 // 5  # ... but not sooner: what warms up grows, too
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
        self.long, self.short = Course(LONG_NS), Course(SHORT_NS)
        self.bytes = 0
        self._began: int | None = None
        self._per_second = 0.0
        self.trend: Trend | None = None  # of the bytes

    def look(self, now: int) -> float:
        """MiB an hour by which it grows now; 0.0 while that is not known. 0.3 ms, to be called each few seconds."""
        size = self.resident()
        if size is None:
            return 0.0
        self.bytes = size
        if self._began is None:
            self._began = now
        fresh = self.long.add(now, size)
        if self.short.add(now, size) or fresh:
            slowly, fast = self._slowly(now), self._fast(now)
            self._per_second = max(slowly, fast)
            self.trend = (self.short if fast > slowly else self.long).trend(now)
        return self._per_second * HOUR / MIB

    def _slowly(self, now: int) -> float:
        """Over the whole and over the newer half, whichever is less: what grew once is no leak."""
        if self._began is None or now - self._began < KNOWN_NS:
            return 0.0
        return min(_rise(self.long.trend(now)), _rise(self.long.trend(now, newest=0.5)))

    def _fast(self, now: int) -> float:
        """Where there would be nothing left soon."""
        trend = self.short.trend(now)
        if trend is None or self.limit is None:
            return 0.0
        left = trend.seconds_to(self.limit)
        return _rise(trend) if left is not None and left <= SOON_S else 0.0


def _rise(trend: Trend | None) -> float:
    return 0.0 if trend is None else max(0.0, trend.per_second)
