"""Delays of late, out of histograms that only grow."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ._histogram import Histogram
from .figures import Delays

__all__ = ["Recent"]

Counts = npt.NDArray[np.uint64]


class Recent:
    """Of a histogram that only grows, what came in the last one to two turns. Its own one, or another's."""

    def __init__(self) -> None:
        self._own = Histogram()
        self._older: Counts | int = 0
        self._newer: Counts | int = 0

    def add(self, ns: int) -> None:
        """One value, into its own."""
        self._own.add(ns)

    def turn(self, histogram: Histogram | None) -> None:
        """What came before the last turn is old from now on. 5 us."""
        self._older, self._newer = self._newer, (histogram or self._own).to_numpy()[1]

    def figures(self, histogram: Histogram | None) -> Delays:
        """Of what is not old. 30 us."""
        edges, counts = (histogram or self._own).to_numpy()
        counts -= np.asarray(self._older, np.uint64)
        count = int(counts.sum())
        if not count:
            return Delays()
        middles = (edges[:-1] + edges[1:]) // 2
        reached = np.cumsum(counts)
        p50, p90, p99, worst = (
            int(middles[np.searchsorted(reached, max(1, int(np.ceil(count * share))))])
            for share in (0.5, 0.9, 0.99, 1.0)
        )
        return Delays(count, round(float(middles @ counts) / count), p50, p90, p99, worst)
