"""What is known of each component that owes something: one row each, in columns that grow by doubling."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from subcore.engine.obligations import Cause
from subcore.types import Int64Array

__all__ = ["NEVER", "Owing"]

NEVER = 1 << 62
FIRST_ROOM = 64
LADDER = 3  # causes that lead up step by step: UNREAD, BEATS, RAISES

Flags = npt.NDArray[np.bool_]
Levels = npt.NDArray[np.int8]

# Columns in two blocks, so that a row is emptied by two stores; what an empty one holds.
_LONGS = {
    "taken": 0, "stuck": 0, "mark": 0, "mark_age": 0, "late_ago": NEVER, "beat_age": 0, "interval": 0,
    "beat_limit": NEVER, "excuses": 0, "reap_at": NEVER,
}  # fmt: skip
_FLAGS = ("alive", "paused", "beaten", "owes")
_BYTES = ("shown", "cause", "levels")
_LONG_ROWS, _BYTE_ROWS = len(_LONGS) - 1 + LADDER, len(_FLAGS) + len(_BYTES) - 1 + LADDER
_EMPTY_LONGS = np.array([*list(_LONGS.values())[:-1], *[NEVER] * LADDER], np.int64)


class Owing:
    """Columns by component id; what is said about many is about the first `used` rows. Times are runnable nanoseconds.

    They are kept as ages: to add to a column and to multiply it by 0 or 1 costs the same whatever is in it, and a
    masked copy costs ten times as much where the mask is mixed. `stuck`: so long nothing that is owed was taken.
    `mark`: what was due `mark_age` ago, so that while less is done than that, something waits that is older.
    `late_ago`: since that last was too old. `levels`, `reap_at`: for each cause, how far up the ladder, and when it
    ends there. `shown`: the level carried out, `cause` for what.
    """

    alive: Flags
    paused: Flags
    excuses: Int64Array
    beaten: Flags
    owes: Flags
    taken: Int64Array
    stuck: Int64Array
    mark: Int64Array
    mark_age: Int64Array
    late_ago: Int64Array
    beat_age: Int64Array
    interval: Int64Array
    beat_limit: Int64Array
    shown: Levels
    cause: Levels
    levels: Levels
    reap_at: Int64Array

    def __init__(self) -> None:
        self.used = 0
        self.room = 0
        self._longs = np.empty((_LONG_ROWS, 0), np.int64)
        self._bytes = np.empty((_BYTE_ROWS, 0), np.int8)
        self._grow(FIRST_ROOM)

    def add(self, component: int, heartbeat_ns: int = 0, beat_limit: int = NEVER) -> None:
        """A row for a component that is there from now on, and beats at least each so many nanoseconds."""
        while component >= self.room:
            self._grow(2 * self.room)
        self.clear(component)
        if component >= self.used:
            self.used = component + 1
        self.alive[component] = True
        if heartbeat_ns:
            self.beaten[component] = True  # the first interval begins at the next tick
            self.interval[component] = heartbeat_ns
            self.beat_limit[component] = beat_limit

    def clear(self, component: int) -> None:
        """As if it had never been there."""
        self._longs[:, component] = _EMPTY_LONGS
        self._bytes[:, component] = 0

    def begin_to_read(self, component: int) -> None:
        """It could not, or need not, until now: what waits is as if it had just come."""
        self.owes[component] = False
        self.mark_age[component] = 0

    def restart(self, component: int, cause: Cause, *, whole: bool) -> None:
        """It has its time again: from the first step, or from where it stands."""
        if cause is Cause.BEATS:
            self.beat_age[component] = 0
        elif cause is Cause.UNREAD:
            self.stuck[component] = 0
            if whole:
                self.mark_age[component], self.late_ago[component] = 0, NEVER

    def _grow(self, room: int) -> None:
        longs = np.empty((_LONG_ROWS, room), np.int64)
        longs[:] = _EMPTY_LONGS[:, np.newaxis]
        bytes_ = np.zeros((_BYTE_ROWS, room), np.int8)
        longs[:, : self.room], bytes_[:, : self.room] = self._longs, self._bytes
        self._longs, self._bytes, self.room = longs, bytes_, room
        self.blocks = longs, bytes_
        for place, name in enumerate(_LONGS):
            setattr(self, name, longs[place])
        for place, name in enumerate((*_FLAGS, *_BYTES)):
            setattr(self, name, bytes_[place].view(np.bool_) if name in _FLAGS else bytes_[place])
        self.reap_at, self.levels = longs[-LADDER:], bytes_[-LADDER:]  # a row for each cause
