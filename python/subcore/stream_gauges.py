"""For how long streams that somebody wants are lost, overdue, or not asked for: a reading for each channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import _columns
from .engine.alerts import Reading
from .engine.clock import SECOND, nanoseconds
from .engine.doubts import Doubts
from .types import ALL, Int32Array

if TYPE_CHECKING:
    from .hub import Hub

__all__ = ["StreamGauges"]


class StreamGauges:
    """`least` seconds of being bad are none."""

    def __init__(self, hub: Hub, least: float) -> None:
        self._hub = hub
        self._least = nanoseconds(least)
        self._doubts = Doubts()

    def look(self, now: int, run: int) -> list[Reading]:
        """`run`: the present in runnable time. Some 10 ns a stream."""
        columns = self._hub.engine.streams
        self._doubts.look(columns.state, columns.data, run)
        old = self._doubts.older(self._least, run)
        return self._readings(old, now, run) if len(old) else []

    def unwanted(self, streams: Int32Array) -> None:
        """Nobody wants these any more."""
        self._doubts.forget(streams)

    def _readings(self, streams: Int32Array, now: int, run: int) -> list[Reading]:
        channels = _columns.stream_columns(self._hub.ledger, streams)[0]
        found = []
        for channel in np.unique(channels).tolist():
            mine = streams[channels == channel]
            ages = self._doubts.ages(mine, run)
            worst, seconds = int(mine[np.argmax(ages)]), int(ages.max()) / SECOND
            found.append(self._reading(channel, mine, worst, seconds, now))
        return found

    def _reading(self, channel: int, mine: Int32Array, worst: int, seconds: float, now: int) -> Reading:
        hub = self._hub
        name = hub.venue.channels[channel].name
        symbol = hub.intent.columns(np.array([worst], np.int32)).symbols[0]
        topic = f"{name}:{symbol or ALL}"
        said = f"{topic} is not to be trusted for {seconds:.0f} s: {hub.engine.explain(worst, now)}."
        if len(mine) == 1:
            return Reading(str(channel), "topic", topic, seconds, said)
        said = f"{len(mine)} streams of {name} are lost, overdue or not asked for; for longest, {said}"
        return Reading(str(channel), "channel", name, seconds, said)
