"""How often something happened of late, by id: counts of the last span, in parts of it that are let go one by one."""

from __future__ import annotations

import numpy as np

from subcore.types import Int64Array

__all__ = ["Tally"]

PARTS = 12
FIRST_ROOM = 64


class Tally:
    """Counts over the last `span_ns`, and up to a twelfth of it more. 104 bytes an id, whatever happens."""

    def __init__(self, span_ns: int) -> None:
        self._part = span_ns // PARTS
        self._rows: Int64Array = np.zeros((PARTS + 1, FIRST_ROOM), np.int64)
        self._number = 0  # of the part at hand, since time 0
        self._last: int | None = None  # the last part in which anything happened; None = long ago

    def add(self, now: int, ids: Int64Array, counts: Int64Array) -> None:
        """So many more of these distinct ids, at `now` (monotonic nanoseconds). O(ids)."""
        self._turn(now)
        if not len(ids):
            return
        while int(ids.max()) >= self._rows.shape[1]:
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)], axis=1)
        self._rows[self._number % len(self._rows), ids] += counts
        self._last = self._number

    def forget(self, id: int) -> None:
        """It is another's from now on."""
        if id < self._rows.shape[1]:
            self._rows[:, id] = 0

    def counts(self, now: int) -> tuple[Int64Array, Int64Array]:
        """(ids, counts) of those that anything happened to. O(1) where nothing did, else O(greatest id)."""
        self._turn(now)
        if self._last is None:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        sums = self._rows.sum(axis=0)
        ids = np.flatnonzero(sums)
        return ids, sums[ids]

    def _turn(self, now: int) -> None:
        """Let go of the parts that are too old."""
        number = now // self._part
        for part in range(max(self._number + 1, number - PARTS), number + 1):
            self._rows[part % len(self._rows)] = 0
        self._number = max(self._number, number)
        if self._last is not None and self._last < self._number - PARTS:
            self._last = None
