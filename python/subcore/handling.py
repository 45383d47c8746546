"""What each async handler was given to do, and what it did: a row for each, by an id of its own."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from ._duties import DutyTable
from .engine.takers import NOBODY, Handlers
from .errors import CapacityError
from .types import Int64Array

if TYPE_CHECKING:
    from .pumping import Pump

LIMIT = 65_536  # of the table
FIRST_ROOM = 64
_NONE: Int64Array = np.zeros(0, np.int64)
ENDED_KEPT = 1024  # until somebody asks


class HandlerDuties:
    """Of one manager. Belongs to the loop's thread; an id is another's once its handler has ended."""

    def __init__(self) -> None:
        self.table = DutyTable()
        self._owner: Int64Array = np.full(FIRST_ROOM, NOBODY, np.int64)
        self._pumps: list[Pump | None] = []
        self._free: list[int] = []
        self._born: set[int] = set()
        self._cut_off: set[Pump] = set()
        self._ended: deque[tuple[int, int, int]] = deque(maxlen=ENDED_KEPT)

    @property
    def nbytes(self) -> int:
        """Bytes of the rows."""
        return self.table.nbytes + self._owner.nbytes

    def begin(self, component: int, pump: Pump) -> int:
        """An id for a handler of a component. CapacityError where 65,536 are in use."""
        if not self._free and len(self._pumps) == LIMIT:
            raise CapacityError(f"{LIMIT} async handlers are in use: close components that are not needed")
        if self._free:
            id = self._free.pop()
        else:
            id = len(self._pumps)
            self._pumps.append(None)
            if id == len(self._owner):
                self._owner = np.concatenate([self._owner, np.full(id, NOBODY, np.int64)])
        self._pumps[id], self._owner[id] = pump, component
        self._born.add(id)
        return id

    def end(self, id: int, pump: Pump) -> None:
        """It does nothing more; its queues are closed. Again is nothing."""
        if self._pumps[id] is pump:
            lost, owner = self.table.row(id)[2], int(self._owner[id])
            if lost:
                self._ended.append((id, owner, lost))
            self._pumps[id], self._owner[id] = None, NOBODY
            self.table.reset(id)
            self._free.append(id)
            self._cut_off.discard(pump)

    def cut_off(self, pump: Pump, flag: bool) -> None:
        """Whether it may not be called: then what waits for it is owed by nobody."""
        (self._cut_off.add if flag else self._cut_off.discard)(pump)

    def worked(self, id: int) -> int:
        """Events it was done with so far, one way or the other."""
        _, done, lost = self.table.row(id)
        return done - lost

    def counts(self) -> tuple[Int64Array, Int64Array, Int64Array, Int64Array]:
        """(component or NOBODY, due, done, lost) of each id, as copies; what is kept back counts as due."""
        used = len(self._pumps)
        if not used:
            return _NONE, _NONE, _NONE, _NONE
        due, done, lost = (column.view(np.int64)[:used] for column in self.table.columns())
        return self._owner[:used].copy(), due, done, lost

    def take_ended(self) -> list[tuple[int, int, int]]:
        """(id, component, events lost in all) of handlers that lost any and ended since the last call, the latest."""
        ended = list(self._ended)
        self._ended.clear()
        return ended

    def look(self) -> Handlers | None:
        """How all stand; None while there are none."""
        if not self._pumps:
            return None
        due, done, lost = (column.view(np.int64)[: len(self._pumps)] for column in self.table.columns())
        for pump in self._cut_off:
            due[pump.duty] -= pump.kept_back
        born, self._born = self._born, set()
        return Handlers(self._owner[: len(self._pumps)].copy(), due, done, lost, born, self._name)

    def _name(self, id: int) -> str:
        pump = self._pumps[id]
        return "(ended)" if pump is None else pump.name
