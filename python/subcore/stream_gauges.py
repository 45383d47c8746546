"""For how long streams that somebody wants are lost, overdue, or not asked for: a reading for each channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import _columns
from .engine.alerts import Reading
from .engine.clock import SECOND, nanoseconds
from .types import DataState, Int32Array, Int64Array, StreamState

if TYPE_CHECKING:
    from .hub import Hub

__all__ = ["StreamGauges"]

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


class StreamGauges:
    """Keeps since when each stream is bad, in runnable time. `least` seconds are none."""

    def __init__(self, hub: Hub, least: float) -> None:
        self._hub = hub
        self._least = nanoseconds(least)
        self._since: Int64Array = np.zeros(0, np.int64)  # -1 = it is well
        self._any = False

    def look(self, now: int, run: int) -> list[Reading]:
        """Some 10 ns a stream."""
        columns = self._hub.engine.streams
        state, data = columns.state, columns.data
        bad = BAD[state, data]
        if not (self._any or bad.any()):
            return []
        if len(self._since) != len(bad):
            grown = np.full(len(bad), -1, np.int64)
            grown[: len(self._since)] = self._since
            self._since = grown
        self._since[~bad] = -1
        self._since[bad & (self._since < 0)] = run
        self._any = bool(bad.any())
        old = np.flatnonzero(bad & (run - self._since >= self._least)).astype(np.int32)
        return self._readings(old, now, run) if len(old) else []

    def _readings(self, streams: Int32Array, now: int, run: int) -> list[Reading]:
        channels = _columns.stream_columns(self._hub.ledger, streams)[0]
        found = []
        for channel in np.unique(channels).tolist():
            mine = streams[channels == channel]
            worst = int(mine[np.argmin(self._since[mine])])
            seconds = (run - int(self._since[worst])) / SECOND
            found.append(self._reading(channel, mine, worst, seconds, now))
        return found

    def _reading(self, channel: int, mine: Int32Array, worst: int, seconds: float, now: int) -> Reading:
        hub = self._hub
        name = hub.venue.channels[channel].name
        symbol = hub.intent.columns(np.array([worst], np.int32)).symbols[0]
        topic = f"{name}:{symbol}"
        said = f"{topic} is not to be trusted for {seconds:.0f} s: {hub.engine.explain(worst, now)}."
        if len(mine) == 1:
            return Reading(str(channel), "topic", topic, seconds, said)
        said = f"{len(mine)} streams of {name} are lost, overdue or not asked for; for longest, {said}"
        return Reading(str(channel), "channel", name, seconds, said)
