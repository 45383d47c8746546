"""What the meter would know of each stream, in plain Python."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from subcore.engine.events import StreamsHeard
from subcore.testing.frames import FrameKey
from subcore.types import Int32Array

__all__ = ["Hearing"]

FRAMES_TO_SETTLE = 64


@dataclass(slots=True)
class _Heard:
    frames: int = 0
    snapshots: int = 0
    received: int = 0
    exchange: int = 0
    median: float = 0.0
    was_live: bool = False


class Hearing:
    """Counts data frames by stream."""

    def __init__(self) -> None:
        self._rows: dict[int, _Heard] = {}

    def count(self, stream: int, key: FrameKey, now: int) -> None:
        """A data frame came; `stream` -1 = nobody wants it."""
        if stream < 0:
            return
        row = self._rows.setdefault(stream, _Heard())
        row.frames += 1
        row.snapshots += key.is_snapshot
        if row.was_live and not key.is_snapshot:
            gap = float(now - row.received)
            step = 1.25 if row.frames < FRAMES_TO_SETTLE else 1.0625
            row.median = max(
                row.median * (step if gap > row.median else 1 / step) if row.median else gap, 1e3
            )
        row.was_live = not key.is_snapshot
        row.received = now
        row.exchange = key.time_ns or row.exchange

    def forget(self, streams: Int32Array) -> None:
        """Their ids were given back."""
        for stream in streams.tolist():
            self._rows.pop(stream, None)

    def tell(self, streams: Int32Array) -> StreamsHeard:
        """The engine's event about these."""
        rows = [self._rows.get(stream) or _Heard() for stream in streams.tolist()]
        return StreamsHeard(
            streams,
            np.array([row.frames for row in rows], np.int64),
            np.array([row.snapshots for row in rows], np.int64),
            np.array([row.received for row in rows], np.int64),
            np.array([row.exchange for row in rows], np.int64),
        )

    def median_of(self, stream: int) -> float:
        """Of the gaps between its live frames, in nanoseconds."""
        return self._rows[stream].median

    def live_of(self, stream: int) -> int:
        """Its live frames so far."""
        return self._rows[stream].frames - self._rows[stream].snapshots
