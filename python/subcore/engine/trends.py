"""Robust trends: how fast a value moves, and when it will reach a threshold if it goes on like that.

The slope is Theil and Sen's, the median over all pairs of points: nearly a third of them may be wild. A trend is told
only where it is none of chance: by Kendall's count of pairs that rise less those that fall.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from subcore.engine.clock import SECOND
from subcore.types import Float64Array

__all__ = ["POINTS", "Course", "Trend", "theil_sen"]

POINTS = 64  # of a value that are kept, at most
LEAST_POINTS = 8  # before a trend is told: a ninth of the span
SURE = 3.0  # standard deviations of Kendall's count


class Trend(NamedTuple):
    """A value that is about `level` now and changes by `per_second`."""

    level: float
    per_second: float

    def seconds_to(self, threshold: float) -> float | None:
        """Until it reaches `threshold`; None where it moves away from it, or is beyond."""
        if not math.isfinite(threshold) or self.per_second == 0.0:
            return None
        seconds = (threshold - self.level) / self.per_second
        return seconds if seconds > 0 else None


@lru_cache(maxsize=4)  # a count stays for a while; of 64 points it is 32 kB
def _pairs(count: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    return np.triu_indices(count, 1)


def theil_sen(times: Float64Array, values: Float64Array) -> tuple[float, float]:
    """(slope, sureness): the median slope of all pairs whose times differ, a unit of time; and Kendall's count of
    rising pairs less falling ones in standard deviations, 0.0 where chance alone would do. O(n squared)."""
    first, second = _pairs(len(times))
    apart, grown = times[second] - times[first], values[second] - values[first]
    there = apart != 0
    if not there.any():
        return 0.0, 0.0
    slopes = grown[there] / apart[there]
    n = len(times)
    deviation = math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    return float(np.median(slopes)), float(np.sign(slopes).sum()) / deviation


class Course:
    """The course of one value over the last `span_ns`: at most `POINTS` points, 1 kB, none closer than their share."""

    __slots__ = ("_count", "_gap", "_last", "_rows", "_span")

    def __init__(self, span_ns: int) -> None:
        self._span = span_ns
        self._gap = span_ns // POINTS
        self._rows = np.zeros((2, POINTS))
        self._count = 0
        self._last = 0

    def add(self, now: int, value: float) -> bool:
        """The value at `now` (monotonic nanoseconds). False where it came too soon: passed over. O(1)."""
        if self._count and now - self._last < self._gap:
            return False
        self._rows[:, self._count % POINTS] = now / SECOND, value
        self._count, self._last = self._count + 1, now
        return True

    def points(self, now: int) -> tuple[Float64Array, Float64Array]:
        """(times in seconds, values), oldest first, of the span up to `now`."""
        if self._count <= POINTS:
            rows = self._rows[:, : self._count]
        else:
            rows = np.roll(self._rows, -(self._count % POINTS), axis=1)
        rows = rows[:, rows[0] >= (now - self._span) / SECOND]
        return rows[0], rows[1]

    def trend(self, now: int, *, part: tuple[int, int] = (0, 1)) -> Trend | None:
        """Where it goes, by all points or the part (number, of so many) of them; None where that may be chance.

        0.1 ms."""
        times, values = self.points(now)
        begin, end = (len(times) * number // part[1] for number in (part[0], part[0] + 1))
        times, values = times[begin:end], values[begin:end]
        if len(times) < LEAST_POINTS:
            return None
        slope, sure = theil_sen(times, values)
        if abs(sure) < SURE or slope * sure <= 0:
            return None
        level = float(np.median(values - slope * times)) + slope * now / SECOND
        return Trend(level, slope)
