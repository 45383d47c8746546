"""Streams that nobody wants but interests which load has suspended: off the wire until it is over.

A component of nothing else is paused as a whole (see Adapting). Where it has interests of a higher class as well, the
ledger goes on counting all of them; so the engine is told here that such a stream is closed, and later opened again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import _columns
from .engine import events
from .types import Int32Array, StreamState

if TYPE_CHECKING:
    from .hub import Hub

__all__ = ["Withheld"]

NOTHING: Int32Array = np.empty(0, np.int32)


class Withheld:
    """Those of one manager. Belongs to the loop's thread; costs nothing where there are none."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._classes: list[int] = []
        self._streams: Int32Array = NOTHING  # sorted
        self.reason = ""  # for which interests are suspended, "" while none are

    def why(self, stream: int) -> str:
        """Why this stream is off the wire though it is wanted, and "" where it is not."""
        return self.reason if np.isin(stream, self._streams) else ""

    def set(self, classes: list[int], reason: str) -> None:
        """Streams whose holders are of these classes at most are off the wire from now on, and no others. O(streams).

        Never inside a public call. It holds whatever else opened or closed them meanwhile.
        """
        self._classes, self.reason, before = classes, reason, self._streams
        if not classes and not len(before):
            return
        hub = self._hub
        streams = np.sort(_columns.live_streams(hub.ledger))
        held = _columns.wanted_columns(hub.ledger, streams)[3]
        self._streams = streams[np.isin(held, classes)]
        back = np.intersect1d(before, streams[(held >= 0) & ~np.isin(held, classes)]).astype(np.int32)
        known = self._streams[hub.engine.knows(self._streams)]
        close = known[hub.engine.streams.state[known] != StreamState.CLOSED]
        hub.granting.standby.leave_out(self._streams)
        hub.granting.own_link.leave_out(self._streams)
        if len(back) or len(close):
            hub.granting.own_link.tell(hub.runtime.handle)  # before what is new is placed
            hub.runtime.handle(events.Changed(opened=back, closed=close))
            hub.runtime.changed()  # standbys are told at the end of a turn

    def let_on(self, opened: Int32Array, closed: Int32Array) -> tuple[Int32Array, Int32Array]:
        """Of streams that somebody wants from now on, those that may go to the wire; of those that nobody wants any
        more, those that are not off it already. O(1) while none are off."""
        if len(self._streams) and len(closed):
            off = np.isin(closed, self._streams)
            self._streams = np.setdiff1d(self._streams, closed[off]).astype(np.int32)
            closed = closed[~off]
        if not self._classes or not len(opened):
            return opened, closed
        off = np.isin(_columns.wanted_columns(self._hub.ledger, opened)[3], self._classes)
        self._streams = np.union1d(self._streams, opened[off]).astype(np.int32)
        return opened[~off], closed
