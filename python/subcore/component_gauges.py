"""What components lost of late, and how long what waits for them is waiting: by columns, and of those it concerns."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .engine.alerts import AlertRule, Reading
from .engine.clock import SECOND, nanoseconds
from .engine.tally import Tally
from .types import Int64Array

if TYPE_CHECKING:
    from .hub import Hub
    from .members import Member

__all__ = ["Ages", "Losses", "Owed", "owed"]

LOSS_NS = 60 * SECOND
MARKS = 4  # of what was due, over the time for which it may wait
AT_MOST = 64  # components that are named to a rule at a look; more are counted
AGED_AT_MOST = 1024  # late ones of which the age is read at a look
NOBODY = -1


class Owed(NamedTuple):
    """What all had to take, and took or lost so far: by component what is read, and by an id of its own each async
    handler, with the component it is of."""

    due: Int64Array
    done: Int64Array
    lost: Int64Array
    owners: Int64Array
    handlers_due: Int64Array
    handlers_done: Int64Array
    handlers_lost: Int64Array


def owed(hub: Hub) -> Owed:
    """As it stands. 1 us, and 1 us a thousand."""
    due, done, lost = (column.view(np.int64) for column in hub.duties.columns())
    owners, handlers_due, handlers_done, handlers_lost = hub.pumping.duties.counts()
    return Owed(due, done, lost, owners, handlers_due, handlers_done, handlers_lost)


class Losses:
    """Events of each component that were lost in the last minute, and up to 5 s more."""

    def __init__(self, hub: Hub, rule: AlertRule | None) -> None:
        self._hub = hub
        self._above = 0.0 if rule is None else rule.above
        self.more = 0  # that lost more than `above`, and were not named at the last look
        self._tally = Tally(LOSS_NS)
        self._queues: Int64Array = np.zeros(0, np.int64)
        self._handlers: Int64Array = np.zeros(0, np.int64)
        self._overrun: dict[int, int] = {}

    def left(self, component: int) -> None:
        """Its id is another's soon: nothing that it lost is to be found under it, nor what its handlers just did."""
        self._count_ended(self._hub.clock.monotonic_ns())
        self._tally.forget(component)
        self._queues[component : component + 1] = 0
        self._overrun.pop(component, None)

    def look(self, owed: Owed, now: int, slowly: bool) -> list[Reading]:
        """0.1 us a component; rings, which only their readers know of, are looked at `slowly`."""
        self._count(owed, now, slowly)
        ids, counts = self._tally.counts(now)
        order = np.argsort(-counts)
        worst = order[:AT_MOST]
        self.more = int(np.count_nonzero(counts[order[AT_MOST:]] > self._above))
        found = []
        for id, count in zip(ids[worst].tolist(), counts[worst].tolist(), strict=True):
            member = self._hub.members.get(id)
            if member is not None:
                said = f"{count:,} events that it was due were dropped in the last minute{_where(member)}."
                found.append(Reading(member.name, "component", member.name, count, said))
        return found

    def _count(self, owed: Owed, now: int, slowly: bool) -> None:
        self._add(now, np.arange(len(owed.lost)), _grown(owed.lost, self._queues))
        self._queues = owed.lost
        self._count_ended(now)
        self._add(now, owed.owners, _grown(owed.handlers_lost, self._handlers))
        self._handlers = owed.handlers_lost
        if slowly:
            self._count_rings(now)

    def _count_ended(self, now: int) -> None:
        for id, owner, count in self._hub.pumping.duties.take_ended():
            before = int(self._handlers[id]) if id < len(self._handlers) else 0
            self._add(now, np.array([owner]), np.array([max(0, count - before)]))
            self._handlers[id : id + 1] = 0

    def _add(self, now: int, owners: Int64Array, counts: Int64Array) -> None:
        if not counts.any():
            return
        for place in np.flatnonzero(counts).tolist():  # one owner may have several
            if owners[place] != NOBODY:
                self._tally.add(now, owners[place : place + 1], counts[place : place + 1])

    def _count_rings(self, now: int) -> None:
        for member in list(self._hub.members.values()):
            if member.boxes.has_rings:
                overrun = member.boxes.overrun
                grown = overrun - self._overrun.get(member.id, 0)
                self._overrun[member.id] = overrun
                if grown > 0:
                    self._tally.add(now, np.array([member.id]), np.array([grown]))


def _grown(counts: Int64Array, before: Int64Array) -> Int64Array:
    """Since before; what is less began anew."""
    grown = counts.copy()
    shared = min(len(counts), len(before))
    went_on = counts[:shared] >= before[:shared]
    grown[:shared] -= np.where(went_on, before[:shared], 0)
    return grown


def _where(member: Member) -> str:
    if member.boxes.overrun:
        return f" ({member.boxes.overrun:,} rows of rings in all)"
    return ""


class Ages:
    """For how long the oldest event of a component waits, of those for which it is longer than `below` seconds."""

    def __init__(self, hub: Hub, rule: AlertRule | None) -> None:
        self._hub = hub
        self._least, self._above = (
            (0, 0) if rule is None else (nanoseconds(rule.below), nanoseconds(rule.above))
        )
        self.more = 0  # for which it is longer than `above`, and which were not named at the last look
        self._marks: deque[tuple[int, Int64Array, Int64Array]] = deque()  # when, and what was due by then

    def look(self, owed: Owed, now: int) -> list[Reading]:
        """Where less is done than was due so long ago, something is older. 0.1 us a component, 5 us for each that is
        late (of 1,024, those that most waits for), and 10 us for each of the 64 worst, which are named."""
        _, due_then, handlers_due_then = self._mark(now, owed.due, owed.handlers_due)
        late: Counter[int] = Counter(_behind(due_then, owed.done))
        for handler, count in _behind(handlers_due_then, owed.handlers_done).items():
            late[int(owed.owners[handler])] += count
        found = [(self._hub.measuring.queue_age(member) or 0, member) for member in self._judged(late)]
        found = [each for each in found if each[0] >= self._least and each[0]]
        found.sort(key=lambda each: -each[0])
        self.more = sum(age > self._above for age, _ in found[AT_MOST:])
        return [_age_of(member, age) for age, member in found[:AT_MOST]]

    def _judged(self, late: Counter[int]) -> Iterator[Member]:
        """Those of the late ones that it is held against."""
        members = (self._hub.members.get(id) for id, _ in late.most_common())
        return islice((m for m in members if m is not None and self._must_read(m)), AGED_AT_MOST)

    def _must_read(self, member: Member) -> bool:
        return not (member.paused or self._hub.obligations.excuses(member))

    def _mark(self, now: int, due: Int64Array, handlers: Int64Array) -> tuple[int, Int64Array, Int64Array]:
        """The youngest mark that is old enough; an empty one while there is none."""
        marks = self._marks
        if not marks or now - marks[-1][0] >= self._least // MARKS:
            marks.append((now, due, handlers))
        while len(marks) > 1 and now - marks[1][0] >= self._least:
            marks.popleft()
        return marks[0] if now - marks[0][0] >= self._least else (now, _NONE, _NONE)


def _age_of(member: Member, age: int) -> Reading:
    waiting = len(member.inbox) + member.pumps.waiting
    said = f"{waiting:,} events wait for it, the oldest for {age / SECOND:.1f} s{_stuck_in(member)}."
    return Reading(member.name, "component", member.name, age / SECOND, said)


def _stuck_in(member: Member) -> str:
    """Where the oldest event waits for an async handler, its name."""
    waits = [(pump.oldest_ns(), pump.name) for pump in member.pumps]
    when, name = min((wait for wait in waits if wait[0] >= 0), default=(-1, ""))
    read = member.boxes.oldest_ns()
    return f", for its handler {name}" if name and (read < 0 or when <= read) else ""


_NONE: Int64Array = np.zeros(0, np.int64)


def _behind(due: Int64Array, done: Int64Array) -> dict[int, int]:
    """By id, how many of what was due are not done, of those that are behind."""
    shared = min(len(due), len(done))
    missing = due[:shared] - done[:shared]
    ids = np.flatnonzero(missing > 0)
    return dict(zip(ids.tolist(), missing[ids].tolist(), strict=True))
