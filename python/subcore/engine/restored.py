"""One restore in columns: which streams were lost, and how each came back. Who fills them in is restore.py."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from subcore.types import Int32Array, Int64Array

__all__ = ["Restore"]


@dataclass(slots=True, eq=False)
class Restore:
    """One restore in columns over the streams lost. Times are monotonic nanoseconds, 0 = not yet."""

    number: int
    reason: str
    began: int
    route: str = ""
    streams: Int32Array = field(default_factory=lambda: np.empty(0, np.int32))
    classes: Int32Array = field(default_factory=lambda: np.empty(0, np.int32))
    asked: Int64Array = field(default_factory=lambda: np.empty(0, np.int64))
    ended: Int64Array = field(default_factory=lambda: np.empty(0, np.int64))
    states: npt.NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))  # when it ended
    evidence: npt.NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))
    away: npt.NDArray[np.bool_] = field(
        default_factory=lambda: np.empty(0, np.bool_)
    )  # else it was open all the time

    @property
    def pending(self) -> int:
        """Streams that are not back yet."""
        return len(self.ended) - int(np.count_nonzero(self.ended))

    def add(self, streams: Int32Array, classes: Int32Array) -> None:
        """More was lost."""
        none = np.zeros(len(streams), np.int64)
        self.streams = np.concatenate([self.streams, streams])
        self.classes = np.concatenate([self.classes, classes])
        self.asked = np.concatenate([self.asked, none])
        self.ended = np.concatenate([self.ended, none])
        self.states = np.concatenate([self.states, none.astype(np.uint8)])
        self.evidence = np.concatenate([self.evidence, none.astype(np.uint8)])
        self.away = np.concatenate([self.away, none == 0])
