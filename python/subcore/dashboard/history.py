"""The last minutes, a point a second, so that a page that is opened late still shows what happened. Bounded."""

from __future__ import annotations

import itertools
import math
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _columns
from ..types import DataState, StreamState

if TYPE_CHECKING:
    from .._histogram import Histogram
    from ..hub import Hub

__all__ = ["COLUMNS", "History"]

POINTS = 600
COLUMNS = ("time_s", "frames", "delivered", "not_open", "suspect", "p50_ms", "p99_ms")


class History:
    """Columns of equal length, oldest first; None where nothing was measured. A look costs some 0.3 ms."""

    def __init__(self) -> None:
        self._rows: deque[tuple[float | None, ...]] = deque(maxlen=POINTS)
        self._counts: Any = None

    def look(self, hub: Hub) -> None:
        """Once a second. Rates are over the last second, delays of what came since the last look."""
        frames, _, delivered = hub.monitoring.total()
        rates = (round(frames.over_1s, 1), round(delivered.over_1s, 1))
        delays = self._percentiles(hub.meter.total().delays)
        self._rows.append((round(hub.clock.time_ns() / 1e9, 1), *rates, *_not_flowing(hub), *delays))

    def _percentiles(self, delays: Histogram) -> tuple[float | None, float | None]:
        """Milliseconds: the median and 99 %."""
        edges, counts = delays.to_numpy()
        before, self._counts = self._counts, counts
        new = counts.astype(np.int64) - (0 if before is None else before.astype(np.int64))
        reached = np.cumsum(new)
        if before is None or not len(reached) or reached[-1] <= 0:
            return None, None
        places = np.searchsorted(reached, np.ceil(reached[-1] * np.array([0.5, 0.99])))
        p50, p99 = ((edges[places] + edges[places + 1]) / 2e6).tolist()
        return round(p50, 3), round(p99, 3)

    def as_json(self) -> dict[str, list[float | None]]:
        """{column: values}."""
        columns = zip(*self._rows, strict=True) if self._rows else ([] for _ in COLUMNS)
        return {name: list(column) for name, column in zip(COLUMNS, columns, strict=True)}

    def newest(self, count: float) -> list[dict[str, float | None]]:
        """So many points by name, oldest first; those there are."""
        first = max(0, len(self._rows) - math.ceil(count))
        return [dict(zip(COLUMNS, row, strict=True)) for row in itertools.islice(self._rows, first, None)]


def _not_flowing(hub: Hub) -> tuple[int, int]:
    """Streams that are wanted and neither OPEN nor REFUSED; those whose data are SUSPECT."""
    with hub.intent.whole:
        streams = _columns.live_streams(hub.ledger)
    columns = hub.engine.streams
    known = streams[streams < min(len(columns.state), len(columns.data))]
    states, data = columns.state[known], columns.data[known]
    settled = np.count_nonzero((states == StreamState.OPEN) | (states == StreamState.REFUSED))
    return len(streams) - int(settled), int(np.count_nonzero(data == DataState.SUSPECT))
