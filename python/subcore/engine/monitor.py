"""Rates over the last 1, 10 and 60 s, from counters sampled about once a second.

Columns in, columns out: counters of any number of things at once, by id. What is kept is bounded: samples of the last
ten seconds each, older ones five seconds apart, so thirty for each thing at most, of four or eight bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from subcore.engine.clock import SECOND
from subcore.types import Float64Array, Int32Array

__all__ = ["WINDOWS_NS", "Monitor"]

WINDOWS_NS = (SECOND, 10 * SECOND, 60 * SECOND)
LEAST_GAP_NS = SECOND * 3 // 4  # samples that come sooner are passed over
FINE_NS = 10 * SECOND  # so far back every sample is kept, ...
COARSE_GAP_NS = 5 * SECOND  # ... and beyond it one in so long
FIRST_ROOM = 64

Counters = npt.NDArray[Any]


class Monitor:
    """Rates of counters that only grow. `kind`: of what is kept of them; they may wrap around in it.

    A rate is the growth since the youngest sample that is as old as the window, or the oldest one while none is, over
    the time that has passed. An id that is given to another must be given to `forget` when its counter begins anew.
    """

    def __init__(self, kind: type[np.unsignedinteger[Any]] = np.uint64) -> None:
        self._kind = np.dtype(kind)
        self._times: list[int] = []  # oldest first
        self._samples: list[Counters] = []
        self._rates: npt.NDArray[np.float32] = np.zeros((len(WINDOWS_NS), 0), np.float32)

    def sample(self, now: int, counters: Counters) -> bool:
        """What the counters say at `now` (monotonic nanoseconds), by id. False where it came too soon: passed over.

        O(len(counters)). New ids had counted nothing before; where fewer are given than before, the others rest.
        """
        if self._times and now - self._times[-1] < LEAST_GAP_NS:
            return False
        self._times.append(now)
        self._samples.append(counters.astype(self._kind))
        self._thin(now)
        self._rates = np.stack([self._rate(now, window) for window in WINDOWS_NS]).astype(np.float32)
        return True

    def _rate(self, now: int, window: int) -> Float64Array:
        old = [index for index, when in enumerate(self._times) if now - when >= window]
        index = old[-1] if old else 0
        newest, before, seconds = self._samples[-1], self._samples[index], (now - self._times[index]) / SECOND
        if seconds <= 0:
            return np.zeros(len(newest))
        grown = newest.copy()
        shared = min(len(newest), len(before))
        grown[:shared] -= before[:shared]
        return grown / seconds

    def _thin(self, now: int) -> None:
        """Let go of what no window needs."""
        keep = []
        last = None
        for index, when in enumerate(self._times):
            following = self._times[index + 1] if index + 1 < len(self._times) else now
            if now - following >= WINDOWS_NS[-1]:
                continue  # a younger one is old enough
            if now - following < FINE_NS or last is None or following - last > COARSE_GAP_NS:
                keep.append(index)
                last = when
        self._times = [self._times[index] for index in keep]
        self._samples = [self._samples[index] for index in keep]

    def forget(self, ids: Int32Array) -> None:
        """These ids are to be given to others: their counters begin anew at zero."""
        for sample in self._samples:
            sample[ids[ids < len(sample)]] = 0
        self._rates[:, ids[ids < self._rates.shape[1]]] = 0.0

    def rates(self, ids: Int32Array | None = None) -> npt.NDArray[np.float32]:
        """(3, n): a second over 1, 10 and 60 s, as of the last sample; of these ids, or of all. Unknown ones: zeros."""
        if ids is None:
            return self._rates.copy()
        found = np.zeros((len(WINDOWS_NS), len(ids)), np.float32)
        known = ids < self._rates.shape[1]
        found[:, known] = self._rates[:, ids[known]]
        return found

    def of(self, id: int) -> tuple[float, float, float]:
        """The same of one id."""
        if not 0 <= id < self._rates.shape[1]:
            return 0.0, 0.0, 0.0
        over_1s, over_10s, over_60s = self._rates[:, id].tolist()
        return over_1s, over_10s, over_60s

    @property
    def nbytes(self) -> int:
        """Bytes of the samples and rates kept."""
        return self._rates.nbytes + sum(sample.nbytes for sample in self._samples)
