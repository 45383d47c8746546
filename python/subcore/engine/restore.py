"""The account of a restore: what was lost, when each stream was asked for again, and on what evidence it came back.

One restore lasts from the loss of a link until everything lost with it is OPEN, REFUSED, or wanted no more; a further
loss on the same route meanwhile belongs to it. Costs O(streams) at the loss, and O(what happens) after it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from subcore import _states
from subcore.engine.actions import Restored
from subcore.engine.clock import SECOND
from subcore.engine.context import Context
from subcore.engine.restored import Restore
from subcore.types import Int32Array, Priority, StatusKind, StreamState

__all__ = ["Restores"]


class Account:
    """The restore under way on one route, if there is one, and the row of each stream in it."""

    def __init__(self) -> None:
        self.present: Restore | None = None
        self.row = np.full(64, -1, np.int32)

    def lost(self, streams: Int32Array, classes: Int32Array) -> None:
        """These were lost; some of them once more, before the rest was back."""
        restore = self.present
        assert restore is not None
        self._reserve(int(streams.max()) + 1)
        known, fresh = _states.places(self.row, streams), self.row[streams] < 0
        if len(known):
            restore.asked[known] = restore.ended[known] = 0
            restore.away[known] = True
        self.row[streams[fresh]] = np.arange(np.count_nonzero(fresh), dtype=np.int32) + len(restore.streams)
        restore.add(streams[fresh], classes[fresh])

    def _reserve(self, need: int) -> None:
        if need > len(self.row):
            grown = np.full(max(need, 2 * len(self.row)), -1, np.int32)
            grown[: len(self.row)] = self.row
            self.row = grown


class Restores:
    """The restores under way: one for each route at most. A login that is refused for hours keeps nobody waiting for
    the account of what came back without one."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._count = 0
        routes = [route.name for route in ctx.venue.routes]
        self._accounts = [Account() for _ in routes]
        self._route = np.array([routes.index(channel.route) for channel in ctx.venue.channels], np.int32)

    @property
    def present(self) -> list[Restore]:
        """Those under way, oldest first."""
        found = [account.present for account in self._accounts if account.present is not None]
        return sorted(found, key=lambda restore: restore.number)

    def begin(self, streams: Int32Array, reason: str, now: int) -> None:
        """A link was lost with these wanted streams."""
        if not len(streams):
            return
        columns = self._ctx.table.columns_to_write(streams)
        routes = self._route[columns.channels]
        for route in np.unique(routes).tolist():
            account, mine = self._accounts[route], routes == route
            if account.present is None:
                self._count += 1
                account.present = Restore(self._count, reason, now, self._ctx.venue.routes[route].name)
            account.lost(streams[mine], columns.priorities[mine])

    def resume(self, streams: Int32Array, reason: str, now: int) -> None:
        """These are wanted as before a restart, or by a snapshot. What is open already was never away, but for what the
        restore under way brought back: that stays as it is in the account."""
        columns = self._ctx.streams
        streams = streams[columns.state[streams] != StreamState.CLOSED]
        here = columns.in_state(streams, StreamState.OPEN)
        streams = streams[(columns.state[streams] != StreamState.OPEN) | ~self._has(streams)]
        self.begin(streams, reason, now)
        self.asked(columns.in_state(streams, StreamState.SENT), now)
        never_away = columns.in_state(streams, StreamState.OPEN)
        for account in self._accounts:
            if account.present is not None:
                account.present.away[_states.places(account.row, never_away)] = False
        self.ended(here, now)

    def _has(self, streams: Int32Array) -> npt.NDArray[np.bool_]:
        """Which of these are in the account of a restore that is under way."""
        known = np.zeros(len(streams), np.bool_)
        for account in self._accounts:
            if account.present is not None:
                inside = streams < len(account.row)
                known[inside] |= account.row[streams[inside]] >= 0
        return known

    def asked(self, streams: Int32Array, now: int) -> None:
        """A request named these. Who was refused before is asked for beside the account."""
        for account in self._accounts:
            restore = account.present
            if restore is None:
                continue
            pending = streams
            if restore.pending < len(restore.ended):
                over = restore.streams[(restore.ended > 0) & (restore.asked == 0)]
                pending = streams[~np.isin(streams, over)]
            _states.stamp(restore.asked, account.row, pending, now)

    def ended(self, streams: Int32Array, now: int) -> None:
        """These are proven, refused, or wanted no more; call it after their state has changed."""
        if not len(streams):
            return
        for account in self._accounts:
            if account.present is not None and len(rows := _states.places(account.row, streams)):
                self._ended(account, account.present, rows, now)

    def _ended(self, account: Account, restore: Restore, rows: Int32Array, now: int) -> None:
        columns = self._ctx.streams
        gone = rows[columns.state[restore.streams[rows]] == StreamState.CLOSED]
        restore.states[gone] = StreamState.CLOSED  # of some that were back already
        account.row[restore.streams[gone]] = -1  # the id may be another stream's soon
        rows = _states.unset(restore.ended, rows)
        ids = restore.streams[rows]
        restore.ended[rows] = now
        restore.states[rows] = columns.state[ids]
        legs = 2 * ids.astype(np.int64)
        restore.evidence[rows] = columns.legs.evidence[legs] | columns.legs.evidence[legs + 1]
        if not restore.pending:
            account.row[restore.streams[restore.states != StreamState.CLOSED]] = -1
            account.present = None
            self._finish(restore, now)

    def _finish(self, restore: Restore, now: int) -> None:
        back = restore.streams[restore.states == StreamState.OPEN]
        refused = int(np.count_nonzero(restore.states == StreamState.REFUSED))
        took = (now - restore.began) / SECOND
        text = (
            f"restored {len(back)} of {len(restore.streams)} streams in {took:.3f} s after {restore.reason}"
        )
        if refused:
            text += f"; {refused} were refused"
        again = restore.streams[(restore.states == StreamState.OPEN) & restore.away]
        self._ctx.notify(StatusKind.RECOVERED, again, f"proven again {took:.3f} s after {restore.reason}")
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
        return sum(account.row.nbytes for account in self._accounts)
