"""What must hold, kept in plain dicts beside a run and checked after every event.

The judge is told of everything that passes between users, engine and wire. It knows the venue by `grammar` alone and
the engine only by what it does and says. What it looks at after each event is what that event changed.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from grammar import Grammar, Key, Said

from subcore.engine import actions, events
from subcore.engine.clock import SECOND
from subcore.types import StreamState

if TYPE_CHECKING:
    from world import JudgedDriver

Wire = tuple[int, int]  # link and generation
TAKEN_OFF_MOST = 12  # times: a removal goes again, later each time, and wishes of others take it along


class Broken(AssertionError):
    """A promise does not hold."""


@dataclass(slots=True)
class Leaving:
    """Taken off by requests that were not answered yet: so many; and whether it had been proven."""

    proven: bool
    times: int = 0


@dataclass(slots=True)
class Books:
    """One open connection, from the client's side."""

    sent: dict[Key, int] = field(default_factory=dict)  # what it should carry, with depth
    last: dict[Key, int] | None = None  # the last whole set as it was written
    arrived: dict[Key, int] = field(default_factory=dict)  # since when the venue knows of it
    proven: set[Key] = field(default_factory=set)
    asked: dict[str, list[Key]] = field(default_factory=dict)  # what each request by its id added
    removed: dict[str, list[Key]] = field(
        default_factory=dict
    )  # what each request by its id took off, not answered
    leaving: dict[Key, Leaving] = field(
        default_factory=dict
    )  # of these: nobody knows whether they are carried
    unlisted: set[Key] = field(default_factory=set)  # left out of a listing: perhaps not in force after all
    ended: set[Key] = field(default_factory=set)  # the same, and it had been proven: the venue let go of it
    asked_about: int = 0  # when the venue was asked last what it carries


class Windows:
    """Arrivals of one source against the venue's rolling windows: any interval (t - seconds, t]."""

    def __init__(self, windows: tuple[tuple[int, float], ...]) -> None:
        self._logs = [(amount, round(seconds * SECOND), deque[int]()) for amount, seconds in windows]

    def arrive(self, now: int, who: str) -> None:
        """One more. Broken where it is one too many."""
        for amount, length, log in self._logs:
            log.append(now)
            while log[0] <= now - length:
                log.popleft()
            if len(log) > amount:
                raise Broken(
                    f"property 2: {len(log)} arrivals of {who} within {length / SECOND:g} s, {amount} allowed"
                )


class Judge:
    """Holds a run to the promises 1 to 6, 11 and 12."""

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar
        self._connects = Windows((grammar.connects,))
        self._messages: dict[Wire, Windows] = {}
        self.wires: dict[Wire, Books] = {}
        self.checks: Counter[str] = Counter()
        self._states = np.zeros(0, np.uint8)
        self._keys: dict[int, Key] = {}
        self._wires_changed = False

    # -- what passes --

    def opens(self, wire: Wire) -> None:
        """A connection is open for the client."""
        self.wires[wire] = Books()

    def connects(self, now: int) -> None:
        """A connect reaches the venue."""
        self.checks["connects"] += 1
        self._connects.arrive(now, "one address's connects")

    def arrives(self, wire: Wire, payload: bytes, now: int, *, is_message: bool) -> None:
        """A message, ping or pong reaches the venue."""
        if is_message or self._grammar.counts_pings:
            self.checks["arrivals"] += 1
            self._messages.setdefault(wire, Windows(self._grammar.windows)).arrive(now, f"connection {wire}")
        books = self.wires.get(wire)
        if books is None or not is_message:
            return
        said = self._grammar.said(payload)
        if said.listing:
            books.asked_about = now
        if said.whole is not None:
            books.arrived = {key: books.arrived.get(key, now) for key in said.whole}
        for key in said.removes:
            books.arrived.pop(key, None)
        for key in said.adds:
            books.arrived[key] = now

    def sends(self, wire: Wire, payload: bytes, driver: JudgedDriver) -> None:
        """The engine writes a message."""
        self.checks["messages"] += 1
        books = self.wires[wire]
        said = self._grammar.said(payload)
        if said.listing:
            return
        self.checks["requests"] += 1
        self._wires_changed = True
        if said.whole is not None:
            self._replaces(books, said, driver)
        else:
            self._changes(books, said, driver)

    def _replaces(self, books: Books, said: Said, driver: JudgedDriver) -> None:
        assert said.whole is not None
        if said.whole == books.last and books.last.keys() <= books.proven:
            raise Broken(f"property 3: sent again what is in force: {sorted(said.whole)}")
        classes = driver.wishes.classes()
        ranks = [max(classes.get(key, 0) for key in entry) for entry in said.entries]
        if ranks != sorted(ranks, reverse=True):
            raise Broken(f"property 4: entries stand in the order of classes {ranks}")
        books.proven &= said.whole.keys()
        books.sent, books.last = dict(said.whole), said.whole
        books.unlisted.clear()
        books.ended.clear()

    def _changes(self, books: Books, said: Said, driver: JudgedDriver) -> None:
        if said.ident is not None:
            books.asked[said.ident] = said.adds
        for key in said.adds:
            if key in books.sent and key in books.proven and key not in books.ended:
                raise Broken(f"property 3: asked again for {key}, which is in force")
            books.sent[key] = 0
            books.leaving.pop(key, None)
            books.unlisted.discard(key)
            books.ended.discard(key)
        if said.removes:
            self._takes_off(books, said.ident or "", said.removes)

    def _takes_off(self, books: Books, ident: str, removes: list[Key]) -> None:
        """Once, or again as long as nothing was said to it."""
        books.removed[ident] = removes
        for key in removes:
            if books.sent.pop(key, None) is None and key not in books.leaving:
                raise Broken(f"property 3: {key} is taken from a wire that does not carry it")
            leaving = books.leaving.setdefault(key, Leaving(key in books.proven))
            leaving.times += 1
            if leaving.times > TAKEN_OFF_MOST:
                raise Broken(
                    f"property 3: {key} is taken off {leaving.times} times, and nothing is ever said"
                )
            books.proven.discard(key)

    def _answers(self, books: Books, payload: bytes) -> None:
        """What a request asked for is not in force, or what it took off is or is not carried."""
        refused, accepted = self._grammar.refuses(payload), self._grammar.accepts(payload)
        for key in books.asked.pop(refused or "", ()):
            books.sent.pop(key, None)
            books.proven.discard(key)
        for key in books.removed.pop(refused or accepted or "", ()):
            leaving = books.leaving.pop(key, None)
            if leaving is not None and accepted is None:
                books.sent[key] = 0
                if leaving.proven:
                    books.proven.add(key)
            elif leaving is not None:
                books.proven.discard(key)

    def receives(self, wire: Wire, payload: bytes, left_at: int) -> None:
        """A frame reaches the client; it left the venue at `left_at`. Frames of before a request prove nothing."""
        self.checks["frames"] += 1
        books = self.wires.get(wire)
        if books is None:
            return
        self._answers(books, payload)
        listed = self._grammar.listed(payload)
        for key in self._grammar.about(payload) if listed is None else listed:
            in_time = books.arrived.get(key, left_at + 1) <= left_at or self._grammar.is_snapshot(payload)
            if (key in books.sent or key in books.leaving) and in_time:
                books.proven.add(key)
                books.unlisted.discard(key)
                books.ended.discard(key)
        if (
            listed is not None
        ):  # what it leaves out although it was asked for in time is not on the wire after all
            known = {key for key, since in books.arrived.items() if since <= left_at}
            books.unlisted |= known - listed - books.proven
            books.ended = known - listed

    def ends(self, wire: Wire) -> None:
        """The connection is over for the client."""
        self._wires_changed |= self.wires.pop(wire, None) is not None
        self._messages.pop(wire, None)

    # -- after each event --

    def after(self, event: events.Event, did: list[actions.Action], driver: JudgedDriver) -> None:
        """The engine was told something and did something about it."""
        self.checks["engine events"] += 1
        states = driver.engine.streams.state
        if len(states) != len(self._states):
            self._states = np.concatenate([self._states, np.zeros(len(states) - len(self._states), np.uint8)])
        for stream in np.flatnonzero(states != self._states).tolist():
            self._moved(
                stream, StreamState(int(self._states[stream])), StreamState(int(states[stream])), driver
            )
        self._states = states.copy()
        if self._wires_changed or any(isinstance(action, actions.Arbitrate) for action in did):
            self._wires_changed = False
            self._carried(driver)

    def _moved(self, stream: int, old: StreamState, new: StreamState, driver: JudgedDriver) -> None:
        self.checks["state changes"] += 1
        if old is StreamState.CLOSED:
            self._keys[stream] = driver.key_of(stream)
        key = self._keys[stream]
        if new is StreamState.OPEN and not any(key in books.proven for books in self.wires.values()):
            raise Broken(f"property 6: {key} is called OPEN and nothing proves it")
        if new is StreamState.REFUSED and not driver.engine.row(stream).reason:
            raise Broken(f"property 6: {key} is REFUSED without a reason")
        if new is StreamState.REFUSED and driver.now > driver.guilty.get(key[1], 0.0):
            raise Broken(f"property 6: {key} is REFUSED, and nothing has been wrong with it for long")

    def _carried(self, driver: JudgedDriver) -> None:
        """Wires changed: what is OPEN has one, and none has two but in a move or on standby."""
        count = Counter(
            key for books in self.wires.values() for key in books.sent if key not in books.unlisted
        )
        ended = Counter(
            key for books in self.wires.values() for key in (books.sent.keys() & books.ended) - books.unlisted
        )
        doubled = {self._keys[stream] for stream in driver.arbitrated if stream in self._keys}
        twice = {key for key, wires in count.items() if wires - ended[key] > 1} - doubled
        if twice:
            raise Broken(f"property 1: on two links, and nobody told the arbiter: {sorted(twice)}")
        open_ones = np.flatnonzero(self._states == StreamState.OPEN).tolist()
        perhaps = {key for books in self.wires.values() for key in books.leaving}
        open_keys = (self._keys[stream] for stream in open_ones)
        bare = [key for key in open_keys if key not in count and key not in perhaps]
        if bare:
            raise Broken(f"property 1: called OPEN, and no link carries it: {bare}")
        self.checks["wires compared"] += 1

    # -- at the end of a restore --

    def restored(self, action: actions.Restored) -> None:
        """Property 6: an account that is over has a state for every stream, and evidence where that is OPEN."""
        self.checks["restores"] += 1
        restore = action.restore
        if restore.pending:
            raise Broken("property 6: a restore is told as over while streams are missing")
        for stream, state, ended, evidence in zip(
            restore.streams.tolist(),
            restore.states.tolist(),
            restore.ended.tolist(),
            restore.evidence.tolist(),
            strict=True,
        ):
            if not ended or StreamState(state) not in (
                StreamState.OPEN,
                StreamState.REFUSED,
                StreamState.CLOSED,
            ):
                raise Broken(f"property 6: stream {stream} ends a restore as {StreamState(state).name}")
            if StreamState(state) is StreamState.OPEN and not evidence:
                raise Broken(f"property 6: stream {stream} came back on no evidence")
