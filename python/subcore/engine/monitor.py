"""Rates over the last 1, 10 and 60 s, from counters sampled about once a second.

Columns in, columns out: counters of any number of things at once, by id. What is kept is bounded: samples of the last
ten seconds each, older ones five seconds apart, so thirty for each thing at most, of four or eight bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from subcore.engine.clock import SECOND
from subcore.types import Int32Array

__all__ = ["WINDOWS_NS", "Monitor"]

WINDOWS_NS = (SECOND, 10 * SECOND, 60 * SECOND)
LEAST_GAP_NS = SECOND * 3 // 4  # samples that come sooner are passed over
FINE_NS = 10 * SECOND  # so far back every sample is kept, ...
COARSE_GAP_NS = 5 * SECOND  # ... and beyond it one in so long
FIRST_ROOM = 64

Counters = npt.NDArray[Any]
Sample = tuple[int, Counters]
Spans = tuple[Counters, tuple[tuple[Counters, float], ...]]  # the newest, and what each window begins with


class Monitor:
    """Rates of counters that only grow. `kind`: of what is kept of them; they may wrap around in it.

    A rate is the growth since the youngest sample that is as old as the window, or the oldest one while none is, over
    the time that has passed. An id that is given to another must be given to `forget` when its counter begins anew.
    Rates are made where they are asked for, of the ids asked for: a sample costs one copy of the counters.
    """

    def __init__(self, kind: type[np.unsignedinteger[Any]] = np.uint64) -> None:
        self._kind = np.dtype(kind)
        self._samples: list[
            Sample
        ] = []  # oldest first; a new list each time: rates are read in other threads, too
        self._spans: Spans | None = None

    def sample(self, now: int, counters: Counters) -> bool:
        """What the counters say at `now` (monotonic nanoseconds), by id. False where it came too soon: passed over.

        O(len(counters)). New ids had counted nothing before; where fewer are given than before, the others rest.
        """
        if self._samples and now - self._samples[-1][0] < LEAST_GAP_NS:
            return False
        self._samples = _thinned([*self._samples, (now, counters.astype(self._kind))], now)
        self._spans = self._samples[-1][1], tuple(self._span(now, window) for window in WINDOWS_NS)
        return True

    def _span(self, now: int, window: int) -> tuple[Counters, float]:
        """The sample that a window begins with, and seconds since it."""
        old = [sample for sample in self._samples if now - sample[0] >= window]
        when, counters = old[-1] if old else self._samples[0]
        return counters, (now - when) / SECOND

    def forget(self, ids: Int32Array) -> None:
        """These ids are to be given to others: their counters begin anew at zero."""
        for _, sample in self._samples:
            sample[ids[ids < len(sample)]] = 0

    def rates(self, ids: Int32Array | None = None) -> npt.NDArray[np.float32]:
        """(3, n): a second over 1, 10 and 60 s, as of the last sample; of these ids, or of all. Unknown ones: zeros."""
        spans = self._spans
        if spans is None:
            return np.zeros((len(WINDOWS_NS), 0 if ids is None else len(ids)), np.float32)
        newest, begins = spans
        ids = np.arange(len(newest), dtype=np.int32) if ids is None else ids
        found = np.zeros((len(WINDOWS_NS), len(ids)), np.float32)
        now = _at(newest, ids)
        for row, (before, seconds) in enumerate(begins):
            if seconds > 0:
                found[row] = (now - _at(before, ids)) / seconds
        return found

    def of(self, id: int) -> tuple[float, float, float]:
        """The same of one id."""
        over_1s, over_10s, over_60s = self.rates(np.array([id], np.int32))[:, 0].tolist()
        return over_1s, over_10s, over_60s

    @property
    def nbytes(self) -> int:
        """Bytes of the samples kept."""
        return sum(counters.nbytes for _, counters in self._samples)


def _at(counters: Counters, ids: Int32Array) -> Counters:
    """Those of these ids; of ids there were none of yet, zeros."""
    if not len(counters):
        return np.zeros(len(ids), counters.dtype)
    found = counters.take(ids, mode="clip")
    found[(ids >= len(counters)) | (ids < 0)] = 0
    return found


def _thinned(samples: list[Sample], now: int) -> list[Sample]:
    """Without those that no window needs."""
    keep: list[Sample] = []
    for index, sample in enumerate(samples):
        following = samples[index + 1][0] if index + 1 < len(samples) else now
        if now - following >= WINDOWS_NS[-1]:
            continue  # a younger one is old enough
        if now - following < FINE_NS or not keep or following - keep[-1][0] > COARSE_GAP_NS:
            keep.append(sample)
    return keep
