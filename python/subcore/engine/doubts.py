"""For how long each stream that somebody wants has been lost, overdue, or not asked for. Pure, in columns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from subcore.types import DataState, Int32Array, Int64Array, StreamState

__all__ = ["Doubts"]

# By state and data: refused ones were told so and stay; one that was asked for and never spoke may have nothing to say.
_WANTED = (StreamState.WAITING, StreamState.SENT, StreamState.OPEN, StreamState.RECOVERING)
BAD = np.array(
    [
        [
            state in (StreamState.WAITING, StreamState.RECOVERING)
            or (state in _WANTED and data is DataState.SUSPECT)
            for data in DataState
        ]
        for state in StreamState
    ]
)


class Doubts:
    """Keeps since when each stream is bad, in the time it is given: runnable time, so that no sleep accuses one."""

    def __init__(self) -> None:
        self._since: Int64Array = np.zeros(0, np.int64)  # -1 = it is well
        self._any = False

    def look(self, state: npt.NDArray[np.uint8], data: npt.NDArray[np.uint8], run: int) -> None:
        """How all stand, by id. Some 10 ns a stream."""
        bad = BAD[state, data]
        if not (self._any or bad.any()):
            return
        if len(self._since) != len(bad):
            grown = np.full(len(bad), -1, np.int64)
            grown[: len(self._since)] = self._since
            self._since = grown
        self._since[~bad] = -1
        self._since[bad & (self._since < 0)] = run
        self._any = bool(bad.any())

    def forget(self, streams: Int32Array) -> None:
        """Nobody wants these any more: should one be wanted again, or its id be another's, what was counts no more."""
        if self._any:
            self._since[streams[streams < len(self._since)]] = -1

    def older(self, least_ns: int, run: int) -> Int32Array:
        """Those that were bad for so long when all were looked at last."""
        if not self._any:
            return np.empty(0, np.int32)
        return np.flatnonzero((self._since >= 0) & (run - self._since >= least_ns)).astype(np.int32)

    def ages(self, streams: Int32Array, run: int) -> Int64Array:
        """For how long these of `older` have been."""
        return run - self._since[streams]
