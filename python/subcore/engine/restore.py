"""The account of a restore: what was lost, when each stream was asked for again, and on what evidence it came back.

One restore lasts from the loss of a link until everything lost with it is OPEN, REFUSED, or wanted no more; a further
loss meanwhile belongs to it. Costs O(streams) at the loss, and O(what happens) after it.
"""

from __future__ import annotations

import numpy as np

from subcore import _states
from subcore.engine.actions import Restored
from subcore.engine.clock import SECOND
from subcore.engine.context import Context
from subcore.engine.restored import Restore
from subcore.types import Int32Array, Priority, StatusKind, StreamState

__all__ = ["Restores"]


class Restores:
    """The restore under way, if there is one."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._count = 0
        self._row = np.full(64, -1, np.int32)  # of each stream in the present restore
        self.present: Restore | None = None

    def begin(self, streams: Int32Array, reason: str, now: int) -> None:
        """A link was lost with these wanted streams."""
        if not len(streams):
            return
        if self.present is None:
            self._count += 1
            self.present = Restore(self._count, reason, now)
        restore = self.present
        self._reserve(streams)
        known, fresh = _states.places(self._row, streams), streams
        if len(known):
            restore.asked[known] = restore.ended[known] = 0  # lost once more before the rest was back
            fresh = streams[self._row[streams] < 0]
        self._row[fresh] = np.arange(len(fresh), dtype=np.int32) + len(restore.streams)
        restore.add(fresh, self._ctx.table.columns_to_write(fresh).priorities)

    def _reserve(self, streams: Int32Array) -> None:
        need = int(streams.max()) + 1
        if need > len(self._row):
            grown = np.full(max(need, 2 * len(self._row)), -1, np.int32)
            grown[: len(self._row)] = self._row
            self._row = grown

    def asked(self, streams: Int32Array, now: int) -> None:
        """A request named these."""
        if self.present is not None:
            _states.stamp(self.present.asked, self._row, streams, now)

    def ended(self, streams: Int32Array, now: int) -> None:
        """These are proven, refused, or wanted no more; call it after their state has changed."""
        restore = self.present
        if restore is None or not len(streams) or not len(rows := _states.places(self._row, streams)):
            return
        columns = self._ctx.streams
        gone = rows[columns.state[restore.streams[rows]] == StreamState.CLOSED]
        restore.states[gone] = StreamState.CLOSED  # of some that were back already
        self._row[restore.streams[gone]] = -1  # the id may be another stream's soon
        rows = _states.unset(restore.ended, rows)
        ids = restore.streams[rows]
        restore.ended[rows] = now
        restore.states[rows] = columns.state[ids]
        legs = 2 * ids.astype(np.int64)
        restore.evidence[rows] = columns.legs.evidence[legs] | columns.legs.evidence[legs + 1]
        if not restore.pending:
            self._finish(restore, now)

    def _finish(self, restore: Restore, now: int) -> None:
        self._row[restore.streams[restore.states != StreamState.CLOSED]] = -1
        self.present = None
        back = restore.streams[restore.states == StreamState.OPEN]
        refused = int(np.count_nonzero(restore.states == StreamState.REFUSED))
        took = (now - restore.began) / SECOND
        text = (
            f"restored {len(back)} of {len(restore.streams)} streams in {took:.3f} s after {restore.reason}"
        )
        if refused:
            text += f"; {refused} were refused"
        self._ctx.notify(StatusKind.RECOVERED, back, f"proven again {took:.3f} s after {restore.reason}")
        self._ctx.info(text, restore=restore.number, seconds=took, **self._classes(restore))
        self._ctx.out.append(Restored(restore))

    @staticmethod
    def _classes(restore: Restore) -> dict[str, float]:
        """Seconds until the last of each class was back."""
        last = {}
        for priority in Priority:
            mine = (restore.classes == priority) & (restore.states == StreamState.OPEN)
            if mine.any():
                last[f"{priority.name.lower()}_seconds"] = (
                    int(restore.ended[mine].max()) - restore.began
                ) / SECOND
        return last

    @property
    def nbytes(self) -> int:
        """Bytes of the columns."""
        return self._row.nbytes
