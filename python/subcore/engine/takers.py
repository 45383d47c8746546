"""Async handlers take events apart from each other and from who reads, so each is judged by itself.

A component stands where the worst of them stands. What one gets done says nothing about another: a handler that hangs
holds its streams and gives no results however busy its component looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from subcore import _obliged
from subcore.engine.obligations import Cause
from subcore.engine.owing import NEVER, Owing
from subcore.types import Int64Array

__all__ = ["NOBODY", "Handlers", "Takers"]

NOBODY = -1
UNREAD = Cause.UNREAD
QUARANTINED = 2


@dataclass(frozen=True, slots=True, eq=False)
class Handlers:
    """Async handlers at a tick, by ids of their own: the component of each (NOBODY's: unused), and what each was given,
    did and lost, as `Look` has it. `born`: ids that belong to others than at the last look. `name`: one in words."""

    owner: Int64Array
    due: Int64Array
    done: Int64Array
    lost: Int64Array
    born: Iterable[int] = ()
    name: Callable[[int], str] = str


class Takers:
    """What is known of each async handler. The rules, and the times, are those of components that do not read."""

    def __init__(self) -> None:
        self.rows = Owing()
        self._owner = np.zeros(0, np.int64)
        self._waiting = np.zeros(0, np.int64)
        self.name: Callable[[int], str] = str

    def look(self, given: Handlers, components: Owing, limits: tuple[int, ...], judges: bool) -> set[int]:
        """A tick. The components that are to be looked at; nobody unless it judges."""
        rows = self.rows
        for handler in given.born:
            rows.add(handler)
        used = min(rows.used, len(given.owner))
        self._owner, self.name = given.owner[:used], given.name
        self._waiting = given.due[:used] - given.done[:used]
        alive = rows.alive[:used] = self._owner != NOBODY
        rows.paused[:used] = components.paused[self._owner] & alive
        rows.shown[:used] = components.shown[self._owner] * alive
        found = _obliged.age(rows, given.due, given.done, given.lost, limits, judges)
        return set(self._owner[found].tolist())

    def worst(self, component: int) -> int | None:
        """That of its handlers which stands worst; None where it has none."""
        if not len(self._owner):
            return None
        rows, own = self.rows, self._of(component).tolist()
        return max(own, key=lambda h: (rows.levels[UNREAD, h], rows.stuck[h], rows.mark_age[h]), default=None)

    def level(self, handler: int) -> int:
        """How far up the ladder."""
        return int(self.rows.levels[UNREAD, handler])

    def reap_at(self, component: int) -> int:
        """When the first of those that are QUARANTINED has had all its time; NEVER where none is."""
        if not len(self._owner):
            return NEVER
        own = self._of(component)
        own = own[self.rows.levels[UNREAD, own] == QUARANTINED]
        return int(self.rows.reap_at[UNREAD, own].min(initial=NEVER))

    def waiting(self, component: int) -> int:
        """Events in the hands of its handlers, or that wait for them."""
        return int(self._waiting[self._of(component)].sum()) if len(self._owner) else 0

    def waiting_for(self, handler: int) -> int:
        """The same of one handler."""
        return int(self._waiting[handler])

    def begin_to_read(self, component: int) -> None:
        """They could not, or need not, until now."""
        for handler in self._of(component).tolist():
            self.rows.begin_to_read(handler)

    def restart(self, component: int, *, whole: bool, most: int) -> None:
        """They have their time again, and stand no higher than that."""
        for handler in self._of(component).tolist():
            self.rows.restart(handler, UNREAD, whole=whole)
            self.rows.levels[UNREAD, handler] = min(self.level(handler), most)

    def put_off(self, component: int, until: int) -> None:
        """It is not to be reaped for them before then."""
        self.rows.reap_at[UNREAD, self._of(component)] = until

    def _of(self, component: int) -> Int64Array:
        return np.flatnonzero(self._owner == component)
