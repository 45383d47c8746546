"""Which additions a message carries while there are more than it takes, against a plain model of what waits."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace

import pytest

from delta_venue import COUNTS, DELTA, TOPICS_A_MESSAGE
from engine_script import Script
from subcore.engine import actions, events
from subcore.engine.clock import SECOND
from subcore.types import Accepted, Priority, StreamState, Topic
from subcore.venue import Limit, Packing, Scope, Window

GUARD = 10 * SECOND
REMOVALS_WAIT = 2 * SECOND
ONE_A_SECOND = (Window(1, 1.0, 1.1),)
SLOW = replace(DELTA, limits=(Limit("m", Scope.LINK, COUNTS, ONE_A_SECOND),))
SHARED = replace(DELTA, limits=(Limit("m", Scope.IP, COUNTS, ONE_A_SECOND),))


@dataclass
class Waiting:
    """A wish that no message has carried yet."""

    priority: int
    since: int

    def starves(self, now: int) -> bool:
        return now - self.since >= GUARD


class Judged(Script):
    """A script whose every message is judged at once; answers come with the next event."""

    def __init__(self) -> None:
        super().__init__(SLOW)
        self.waiting: dict[str, Waiting] = {}
        self.on_wire: set[str] = set()
        self.leaving: dict[str, int] = {}
        self.gone_this_turn: dict[str, Waiting] = {}  # wanted again before its end, nothing has happened
        self.unanswered: list[str] = []
        self.jumped_the_queue = 0

    def wish(self, symbol: str, priority: Priority) -> None:
        self.ledger.subscribe("a", Topic("trade", symbol), priority)
        self.leaving.pop(symbol, None)
        if symbol in self.waiting:
            self.waiting[symbol].priority = priority
        elif symbol not in self.on_wire:
            before = self.gone_this_turn.pop(symbol, None)
            self.waiting[symbol] = Waiting(priority, before.since if before else self.now)

    def let_go(self, symbol: str) -> None:
        self.ledger.unsubscribe("a", Topic("trade", symbol))
        if symbol in self.waiting:
            self.gone_this_turn[symbol] = self.waiting.pop(symbol)
        if symbol in self.on_wire:
            self.leaving.setdefault(symbol, self.now)

    def tell(self, event: events.Event) -> list[actions.Action]:
        out = super().tell(event)
        self.gone_this_turn.clear()
        for action in out:
            if isinstance(action, actions.Send):
                self._judge(json.loads(action.payload))
        return out

    def _judge(self, said: dict[str, list[str]]) -> None:
        self.unanswered.append(str(said["id"]))
        if said["op"] == "SUB":
            self._judge_addition(said["args"])
        else:
            oldest = min(self.leaving.values())
            assert not self.waiting or self.now - oldest >= REMOVALS_WAIT + GUARD
            gone = [self.leaving.pop(symbol) for symbol in said["args"]]
            assert not self.leaving or (
                len(gone) == TOPICS_A_MESSAGE and max(gone) <= min(self.leaving.values())
            )
            for symbol in said["args"]:
                self.on_wire.remove(symbol)

    def _judge_addition(self, symbols: list[str]) -> None:
        goes = [self.waiting.pop(symbol) for symbol in symbols]
        self.on_wire.update(symbols)
        stays = list(self.waiting.values())
        assert not stays or len(goes) == TOPICS_A_MESSAGE, "a message that could take more"
        for sent in goes:
            for left in stays:
                if sent.starves(self.now):
                    assert not left.starves(self.now) or sent.since <= left.since
                    self.jumped_the_queue += sent.priority < left.priority
                else:
                    assert not left.starves(self.now)
                    assert (-sent.priority, sent.since) <= (-left.priority, left.since)

    def answer(self) -> None:
        while self.unanswered:
            self.say(Accepted(self.unanswered.pop(0)))


@pytest.mark.parametrize("seed", range(8), ids=lambda s: f"seed_{s}")
def test_each_message_carries_the_most_important_that_waits(seed: int) -> None:
    rng = random.Random(f"classes {seed}")
    s = Judged()
    s.want("trade", "ANCHOR", tell=False)
    s.waiting["ANCHOR"] = Waiting(Priority.NORMAL, 0)
    s.turn()
    s.up()
    s.waiting = {symbol: replace(w, since=s.now) for symbol, w in s.waiting.items()}
    names, changes = [f"S{i}" for i in range(60)], (4, 12)[seed % 2]
    for _ in range(80):
        for _ in range(rng.randint(0, changes)):
            if rng.random() < 0.75:
                s.wish(rng.choice(names), rng.choice(list(Priority)))
            else:
                s.let_go(rng.choice(names))
        s.turn()
        s.answer()
        s.wait(rng.choice((0.05, 0.3, 1.0)), frames=1)
        s.answer()
    assert s.jumped_the_queue or changes < 12, "the guard was never put to the test"
    for _ in range(60):
        s.wait(1, frames=1)
        s.answer()
    assert not s.waiting, "something starved"
    assert not s.leaving


def first_sent(s: Script, priority: Priority) -> float:
    """Seconds until one of this class is sent, while ever more of CRITICAL come than messages can take."""
    start = s.now
    (stream,) = s.want("trade", "PATIENT", priority=priority).tolist()
    for turn in range(60):
        s.want("trade", *(f"C{turn}-{i}" for i in range(4)), priority=Priority.CRITICAL)
        for message in range(9):
            s.say(Accepted(str(9 * turn + message)))
        if s.state(stream) is not StreamState.WAITING:
            return (s.now - start) / SECOND
        s.wait(0.5, frames=1)
    raise AssertionError("it starved")


@pytest.mark.parametrize("priority", [Priority.LOW, Priority.HIGH])
def test_what_waited_past_the_guard_goes_first(priority: Priority) -> None:
    s = Script(SLOW)
    s.want("trade", "ANCHOR")
    s.up()
    assert 10.0 <= first_sent(s, priority) <= 11.6


def test_a_removal_is_guarded_too() -> None:
    s = Script(SLOW)
    s.want("trade", "A", "B", "C")
    s.up()
    s.say(Accepted())
    s.unwant("trade", "A")
    gone_at = None
    for turn in range(40):
        s.want("trade", *(f"N{turn}-{i}" for i in range(4)))
        for action in s.wait(0.5, frames=1):
            if isinstance(action, actions.Send) and b"UNSUB" in action.payload:
                gone_at = gone_at or s.now / SECOND
    assert gone_at is not None
    assert 12.0 <= gone_at <= 14.0


def test_a_reaped_components_removal_is_the_next_message() -> None:
    s = Script(SLOW)
    s.want("trade", "A", "B")
    s.up()
    s.say(Accepted())
    s.want("trade", *(f"N{i}" for i in range(9)))
    s.unwant("trade", "A", urgent=True)
    (send,) = (a for a in s.wait(1.2, frames=1) if isinstance(a, actions.Send))
    assert json.loads(send.payload)["op"] == "UNSUB"


def test_room_is_made_first_where_the_venue_wants_that() -> None:
    s = Script(replace(SLOW, packing=Packing(max_in_flight=4, removes_first=True)))
    s.want("trade", "A", "B")
    s.up()
    s.say(Accepted())
    s.unwant("trade", "A")
    s.wait(1.95, frames=1)
    s.want("trade", "C")
    s.want("trade", "D")
    sent: list[list[str]] = []
    for _ in range(40):
        new = [names for _, names in sent_by_link(s, 0.1)]
        if new:
            s.say(Accepted())
        sent += new
    assert sent == [["A"], ["D"]]


def sent_by_link(s: Script, seconds: float) -> list[tuple[int, list[str]]]:
    sends = [a for a in s.wait(seconds, frames=1) if isinstance(a, actions.Send)]
    return [(a.link, json.loads(a.payload)["args"]) for a in sends]


def two_links() -> Script:
    """Both up, with a stream each, under one limit that has room."""
    s = Script(SHARED)
    s.want("trade", "A", tell=False)
    s.want("book", "A", tell=False)
    s.turn()
    s.up(link=0)
    s.up(link=1)
    s.wait(3, frames=1)
    return s


def test_links_that_share_a_limit_take_turns_by_class() -> None:
    s = two_links()
    public, deep = (s.engine.row(stream).link for stream in (0, 1))
    s.want("trade", *(f"L{i}" for i in range(3)), priority=Priority.LOW, tell=False)
    s.want("trade", *(f"H{i}" for i in range(3)), priority=Priority.HIGH, tell=False)
    s.want("book", *(f"N{i}" for i in range(3)), tell=False)
    s.want("book", *(f"C{i}" for i in range(3)), priority=Priority.CRITICAL, tell=False)
    s.turn()
    first = [(a.link, json.loads(a.payload)["args"]) for a in s.of(actions.Send)]
    assert first + sent_by_link(s, 5) == [
        (deep, ["C0", "C1", "C2"]),
        (public, ["H0", "H1", "H2"]),
        (deep, ["N0", "N1", "N2"]),
        (public, ["L0", "L1", "L2"]),
    ]


def test_no_link_starves_another_of_a_shared_limit() -> None:
    s = two_links()
    start = s.now
    (low,) = s.want("book", "PATIENT", priority=Priority.LOW).tolist()
    sent_at = None
    for turn in range(40):
        s.want("trade", *(f"C{turn}-{i}" for i in range(4)), priority=Priority.CRITICAL)
        s.wait(0.5, frames=1)
        if sent_at is None and s.state(low) is StreamState.SENT:
            sent_at = s.now
    assert sent_at is not None
    assert sent_at - start <= GUARD + 2 * SECOND


def test_what_another_link_carries_already_comes_after_every_class() -> None:
    """A move doubles a stream that is served: whoever is not served at all goes first."""
    s = Script(SLOW)
    s.want("trade", *"ABC", priority=Priority.CRITICAL)
    s.up()
    s.say(Accepted())
    s.tell(events.Rotate())
    s.want("trade", "L0", "L1", "L2", priority=Priority.LOW)
    s.up(link=1)
    (first,) = s.of(actions.Send)
    assert json.loads(first.payload)["args"] == ["L0", "L1", "L2"]
    assert [names for _, names in sent_by_link(s, 2)] == [["A", "B", "C"]]
