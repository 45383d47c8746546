"""What a client owes a connection, whatever came over it: an end once it is dead, patience where it keeps dying, and a
question about what was asked for and does not come. Judged from what passes between the client and the venue alone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grammar import Key
from judge import Books, Broken, Wire

from subcore.engine import actions, events
from subcore.engine.clock import SECOND

if TYPE_CHECKING:
    from world import JudgedDriver

DEAD_NS = 10 * SECOND  # nothing comes, not even an answer to a ping
DEAD_BUSY_NS = 5 * SECOND  # ... and it carried a frame a second
MANY, MANY_NS = 50, 10 * SECOND  # frames in a time that are a frame a second however one counts
MUTE_NS = 6 * SECOND  # no data at all where snapshots are due, 5 s by docs/health.md and a way there and back
MUTE_SYMBOLS = 3  # that have spoken before: a market may be halted
SPOKE_NS = 3 * SECOND  # between two frames of a stream of which one at least was no late one
SNAPSHOTS = ("ticker", "orderbook")  # are sent of whatever market is asked for
# 12 s until a list goes ahead of changes, 10 s between two, and a window of a minute that is full.
UNASKED_NS = 60 * SECOND
HEALTHY_NS = 30 * SECOND  # who lived so long begins anew
STORM_NS = 20 * SECOND
# Tries of one link in that time. The waits before them are drawn from 0 to 0.25, 0.5, 1, ... 30 s: that more fit
# has a chance of less than 1 in 10^11. Without patience they are 33 and more.
STORM = 20
AFTER_STALL_NS = SECOND  # until the loop has caught up


@dataclass(slots=True)
class Life:
    """One open connection: when something came, and of data the latest times."""

    opened: int
    heard: int
    data: deque[int] = field(default_factory=lambda: deque(maxlen=MANY))


@dataclass(slots=True)
class Tries:
    """One link's connects since it was healthy, each after an end that was none of the client's doing."""

    generation: int = -1
    opened: int | None = None
    again: bool = False
    times: deque[int] = field(default_factory=deque)


class Alive:
    """Looks on at every connection of a run."""

    def __init__(self) -> None:
        self._lives: dict[Wire, Life] = {}
        self._tries: dict[int, Tries] = {}
        self._first: dict[Key, int] = {}  # data of what is wanted since: in time, by the judge's books
        self._spoke: set[Key] = set()
        self._stalls: list[tuple[int, int]] = []
        self.died_at = 0  # when a connection ended, or could not be opened, the last time

    # -- what passes --

    def stalls(self, now: int, until: int) -> None:
        """The loop is stuck."""
        self._stalls.append((now, until))

    def knocks(self, one: Wire, now: int) -> None:
        """A connect reaches the venue."""
        link, generation = one
        tries = self._tries.setdefault(link, Tries())
        tries.generation, tries.opened = generation, None
        if not tries.again:
            return
        times, tries.again = tries.times, False
        times.append(now)
        while times[0] <= now - STORM_NS:
            times.popleft()
        if len(times) > STORM:
            raise Broken(f"no backoff: {len(times)} connects of link {link} in {STORM_NS / SECOND:g} s")

    def opens(self, wire: Wire, now: int) -> None:
        """It is open for the client."""
        self._lives[wire] = Life(now, now)
        tries = self._tries[wire[0]]
        if tries.generation == wire[1]:
            tries.opened = now

    def hears(self, wire: Wire, now: int) -> None:
        """Something came: data, an answer, a ping."""
        life = self._lives.get(wire)
        if life is not None:
            life.heard = now

    def brings(self, wire: Wire, now: int, keys: list[Key], books: Books | None) -> None:
        """Data came; `books`: what is known of that connection."""
        life = self._lives.get(wire)
        if life is not None:
            life.data.append(now)
        for key in keys if books is not None else ():
            if key in self._spoke or key not in books.proven or key not in books.sent:
                continue
            if now - self._first.setdefault(key, now) >= SPOKE_NS:
                self._spoke.add(key)

    def blames(self, wire: Wire) -> None:
        """The venue says what it ends the connection for: the next one asks for less, and need not wait."""
        self._begin_anew(wire)

    def dies(self, event: events.LinkDown, now: int) -> None:
        """It is over, or could not be opened."""
        self.died_at = now
        self._lives.pop((event.link, event.generation), None)
        tries = self._tries.setdefault(event.link, Tries())
        if tries.generation != event.generation:
            return
        if tries.opened is not None and now - tries.opened >= HEALTHY_NS:
            tries.times.clear()
        tries.again = True

    def gives_up(self, action: actions.Disconnect, driver: JudgedDriver) -> None:
        """The client ends it."""
        wire = (action.link, action.generation)
        self._look(wire, driver)
        self._lives.pop(wire, None)
        self._begin_anew(wire)

    def _begin_anew(self, wire: Wire) -> None:
        tries = self._tries.get(wire[0])
        if tries is not None and tries.generation == wire[1]:
            tries.times.clear()
            tries.generation, tries.again = -1, False

    # -- each step --

    def check(self, driver: JudgedDriver) -> None:
        """All that is open."""
        wanted = driver.wishes.classes().keys()
        self._spoke &= wanted
        for key in self._first.keys() - wanted:
            del self._first[key]
        for wire in list(self._lives):
            self._look(wire, driver)
        for wire, books in driver.judge.wires.items():
            self._asks_about(wire, books, driver)

    def _look(self, wire: Wire, driver: JudgedDriver) -> None:
        life, now = self._lives.get(wire), driver.now
        if life is None:
            return
        driver.judge.checks["looks at connections"] += 1
        limit = DEAD_NS
        if len(life.data) == MANY and life.data[-1] - life.data[0] <= MANY_NS:
            limit = DEAD_BUSY_NS
        if self._runnable(life.heard, now) > limit:
            raise Broken(
                f"connection {wire} is dead for {(now - life.heard) / SECOND:.1f} s, and nobody ends it"
            )
        if not life.data and (mute := self._mute(wire, driver)):
            raise Broken(
                f"connection {wire}, open for {(now - life.opened) / SECOND:.1f} s, brings no data of {mute},"
                " and nobody ends it"
            )

    def _mute(self, wire: Wire, driver: JudgedDriver) -> list[Key]:
        """What a connection that never brought anything owes for long, if that is enough to tell."""
        books = driver.judge.wires.get(wire)
        if books is None or not driver.world.grammar.restates:
            return []
        owed = [
            key
            for key, at in books.arrived.items()
            if key in self._spoke and key in books.sent and key[0] in SNAPSHOTS
            if key not in books.unlisted  # else the venue itself says that it does not carry it there
            if self._runnable(at, driver.now) > MUTE_NS
        ]
        return owed if len({symbol for _, symbol, _ in owed}) >= MUTE_SYMBOLS else []

    def _asks_about(self, wire: Wire, books: Books, driver: JudgedDriver) -> None:
        """What was asked for and did not come is asked about, or for again, while everything else flows."""
        here = books.sent.keys() - books.proven - books.unlisted
        waits = [(at, key) for key, at in books.arrived.items() if key in here]
        if not waits:
            return
        since, key = min(waits)
        if self._runnable(max(since, books.asked_about), driver.now) > UNASKED_NS:
            raise Broken(
                f"property 6: {key} was asked for on {wire}, never came for"
                f" {(driver.now - since) / SECOND:.0f} s, and nobody asks the venue about it"
            )

    def _runnable(self, since: int, now: int) -> int:
        """Time that the loop had."""
        stuck = sum(
            min(now, until + AFTER_STALL_NS) - max(since, begun)
            for begun, until in self._stalls
            if until + AFTER_STALL_NS > since and begun < now
        )
        return now - since - stuck
