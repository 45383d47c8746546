"""What is known of each component that owes something: one row each, in columns that grow by doubling."""

from __future__ import annotations

from typing import Any

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

_EMPTY = {
    "alive": (np.bool_, 0, ()), "paused": (np.bool_, 0, ()), "excuses": (np.int32, 0, ()), "beaten": (np.bool_, 0, ()),
    "owes": (np.bool_, 0, ()), "taken": (np.int64, 0, ()), "stuck": (np.int64, 0, ()), "mark": (np.int64, 0, ()),
    "mark_age": (np.int64, 0, ()), "late_ago": (np.int64, NEVER, ()), "beat_age": (np.int64, 0, ()),
    "interval": (np.int64, 0, ()), "beat_limit": (np.int64, NEVER, ()), "shown": (np.int8, 0, ()),
    "cause": (np.int8, 0, ()), "levels": (np.int8, 0, (LADDER,)), "reap_at": (np.int64, NEVER, (LADDER,)),
}  # fmt: skip


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
    excuses: npt.NDArray[np.int32]
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
        for name, (kind, _, shape) in _EMPTY.items():
            setattr(self, name, np.empty((*shape, 0), kind))
        self._grow(FIRST_ROOM)

    def add(self, component: int, heartbeat_ns: int, beats_missed: int) -> None:
        """A row for a component that is there from now on."""
        while component >= self.room:
            self._grow(2 * self.room)
        self.clear(component)
        self.used = max(self.used, component + 1)
        self.alive[component] = self.beaten[component] = True
        if heartbeat_ns:
            self.interval[component] = heartbeat_ns
            self.beat_limit[component] = beats_missed * heartbeat_ns

    def clear(self, component: int) -> None:
        """As if it had never been there."""
        for name, (_, empty, _) in _EMPTY.items():
            getattr(self, name)[..., component] = empty

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
        for name, (kind, empty, shape) in _EMPTY.items():
            column: npt.NDArray[Any] = np.full((*shape, room), empty, kind)
            column[..., : self.room] = getattr(self, name)
            setattr(self, name, column)
        self.room = room
