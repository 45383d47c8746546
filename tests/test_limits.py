"""Rate caps in the router: spacing, the newest in the end, counts; beside a plain model in virtual time."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from compiled import compiled
from examples import examples
from routing import ticker
from subcore._delivery import WakeBatch
from subcore._events import Event
from subcore._ledger import Ledger
from subcore._queue import EventQueue
from subcore._route import Router
from subcore._timing import CalledClock


class Rig:
    """Components with handlers or queues; each event's price is its number."""

    def __init__(self) -> None:
        self.now = 0
        self.number = 0
        self.due: list[int] = []
        self.ledger = Ledger()
        self.router = Router(self.ledger, gone=deque(), clock=CalledClock(lambda: self.now))
        self.router.on_limit_due(self.due.append)
        self.topics = self.ledger.topics(0, [0, 1])
        self.got: dict[int, list[tuple[int, int, int]]] = {}  # component: [(when, symbol, number)]

    def add(self, target: Callable[[int], Any] | None = None) -> tuple[int, int]:
        component = self.ledger.open_component()
        got = self.got[component] = []

        def handle(event: Event) -> None:
            got.append((self.now, int(event.open), int(event.price)))

        sink = self.router.new_sink(component, handle if target is None else target(component))
        self.router.add(sink, self.topics)
        return component, sink

    def send(self, symbol: int = 0) -> int:
        self.number += 1
        event = ticker(self.number)
        event = type(event)(venue="v", channel="ticker", symbol="S", price=self.number, open=symbol)
        self.router.send(self.ledger.get_stream(0, symbol), event)
        return self.number

    def flush_all(self) -> None:
        """As a timer would, which is never late."""
        while due := self.router.flush_limits(self.now):
            self.now = max(self.now, due)


NONE_GOES = 2**63 - 1


def due_of(cell: dict[str, int | None]) -> int:
    """When the next may go: an interval after the last one, and the first one at once."""
    interval, last = cell["interval"], cell["last"]
    assert interval is not None
    if interval == NONE_GOES:
        return NONE_GOES
    return 0 if last is None or not interval else last + interval


class LimitMachine(RuleBasedStateMachine):
    """Three components, two streams; limits that come, change and go, timers that are on time or late."""

    @initialize()
    def start(self) -> None:
        self.rig = Rig()
        self.members = [self.rig.add() for _ in range(3)]
        self.cells: dict[tuple[int, int], dict[str, int | None]] = {}  # of limits; interval, due, pending
        self.held = {(component, symbol) for component, _ in self.members for symbol in (0, 1)}
        self.due: dict[int, list[tuple[int, int, int]]] = {component: [] for component, _ in self.members}
        self.conflated: dict[tuple[int, int], int] = {}

    @rule(gap=st.integers(0, 30))
    def wait(self, gap: int) -> None:
        self.rig.now += gap

    @rule(symbol=st.integers(0, 1))
    def send(self, symbol: int) -> None:
        number = self.rig.send(symbol)
        for component, _ in self.members:
            at = component, symbol
            if at not in self.held:
                continue
            cell = self.cells.get(at)
            if cell is None:
                self.due[component].append((self.rig.now, symbol, number))
                continue
            if cell["pending"] is not None:
                self.conflated[at] = self.conflated.get(at, 0) + 1
            if self.rig.now >= due_of(cell):
                self.due[component].append((self.rig.now, symbol, number))
                cell.update(last=self.rig.now, pending=None)
            else:
                cell["pending"] = number
        self.tidy()

    def tidy(self) -> None:
        """A limit that was lifted is gone with what it held back."""
        for at in [
            at for at, cell in self.cells.items() if cell["interval"] == 0 and cell["pending"] is None
        ]:
            del self.cells[at]

    @rule()
    def flush(self) -> None:
        following = self.rig.router.flush_limits(self.rig.now)
        for (component, symbol), cell in sorted(self.cells.items(), key=lambda item: due_of(item[1])):
            if cell["pending"] is not None and due_of(cell) <= self.rig.now:
                self.due[component].append((self.rig.now, symbol, cell["pending"]))
                cell.update(last=self.rig.now, pending=None)
        self.tidy()
        waiting = [due_of(cell) for cell in self.cells.values() if cell["pending"] is not None]
        waiting = [due for due in waiting if due < NONE_GOES]
        assert following == min(waiting, default=0)

    @rule(
        who=st.integers(0, 2),
        symbols=st.sets(st.integers(0, 1), min_size=1),
        interval=st.integers(0, 20) | st.just(NONE_GOES),
    )
    def limit(self, who: int, symbols: set[int], interval: int) -> None:
        component, sink = self.members[who]
        self.rig.router.limit(component, [self.rig.topics[s] for s in sorted(symbols)], interval, [sink])
        for symbol in symbols:
            at = component, symbol
            cell = self.cells.get(at)
            if cell is None:
                if interval:
                    self.cells[at] = {"interval": interval, "last": None, "pending": None}
            else:
                cell["interval"] = interval
        self.tidy()

    @rule(who=st.integers(0, 2), symbol=st.integers(0, 1))
    def leave(self, who: int, symbol: int) -> None:
        component, _ = self.members[who]
        self.rig.router.remove(component, [self.rig.topics[symbol]])
        self.held.discard((component, symbol))
        self.cells.pop((component, symbol), None)

    @rule(who=st.integers(0, 2), symbol=st.integers(0, 1))
    def join(self, who: int, symbol: int) -> None:
        component, sink = self.members[who]
        self.rig.router.add(sink, [self.rig.topics[symbol]], image=False)
        self.held.add((component, symbol))

    @invariant()
    def agree(self) -> None:
        if hasattr(self, "rig"):
            for component, _ in self.members:
                assert sorted(self.rig.got[component]) == sorted(self.due[component])
                assert self.rig.router.limits.conflated(component) == {
                    self.rig.topics[s]: n for (c, s), n in self.conflated.items() if c == component
                }
            assert len(self.rig.router.limits) == len(self.cells)


TestLimitMachine = LimitMachine.TestCase
TestLimitMachine.settings = examples(120, stateful_step_count=40)


def test_a_burst_is_evenly_spaced_and_ends_with_its_newest() -> None:
    rig = Rig()
    component, sink = rig.add()
    rig.router.limit(component, rig.topics[:1], 100, [sink])
    for rig.now in range(0, 1000, 7):
        rig.router.flush_limits(rig.now)
        last = rig.send()
    rig.flush_all()
    got = rig.got[component]
    assert got[0][2] == 1
    assert got[-1][2] == last
    gaps = [b[0] - a[0] for a, b in itertools.pairwise(got)]
    assert all(100 <= gap < 107 for gap in gaps)
    assert rig.router.limits.conflated(component) == {rig.topics[0]: last - len(got)}


def test_the_timer_is_asked_for_once_for_each_event_held_back_first() -> None:
    rig = Rig()
    component, sink = rig.add()
    rig.router.limit(component, rig.topics, 100, [sink])
    for _ in range(5):
        rig.send(0)
    assert rig.due == [100]
    rig.now = 30
    rig.send(1)
    rig.send(1)
    assert rig.due == [100], "what is due later is told by the flush"
    assert rig.router.flush_limits(100) == 130


def test_who_has_no_limit_gets_everything_and_another_handler_keeps_it() -> None:
    rig = Rig()
    limited, sink = rig.add()
    free, _ = rig.add()
    rig.router.limit(limited, rig.topics[:1], 100, [sink])
    other = rig.router.new_sink(
        limited, lambda event: rig.got[limited].append((rig.now, 0, int(event.price)))
    )
    rig.router.connect(other, rig.topics)
    for _ in range(3):
        rig.send()
    assert [number for _, _, number in rig.got[free]] == [1, 2, 3]
    assert [number for _, _, number in rig.got[limited]] == [1]
    rig.flush_all()
    assert [number for _, _, number in rig.got[limited]] == [1, 3]


def test_queues_and_strategies_have_limits_too() -> None:
    rig = Rig()
    queue = EventQueue(wakes=WakeBatch(lambda call: None))
    told = compiled("strategies").Told()
    for target in (queue, told):
        component, sink = rig.add(lambda _, target=target: target)
        rig.router.limit(component, rig.topics, 100, [sink])
    for _ in range(4):
        rig.send()
    rig.flush_all()
    assert [event.price for event in queue.drain()] == [1, 4]
    assert told.calls == [("ticker", 1.0), ("ticker", 4.0)]


@pytest.mark.parametrize("end", ["close", "release", "mute"])
def test_what_was_held_back_goes_nowhere_after_the_end(end: str) -> None:
    rig = Rig()
    component, sink = rig.add()
    rig.router.limit(component, rig.topics, 100, [sink])
    rig.send()
    rig.send()
    if end == "close":
        rig.router.release_sink(sink)
        rig.router.close_component(component)
        assert len(rig.router.limits) == 0
        assert rig.router.limits.conflated(component) == {}
    elif end == "release":
        rig.router.release_sink(sink)
    else:
        rig.router.mute_sink(sink)
    rig.flush_all()
    assert [number for _, _, number in rig.got[component]] == [1]


def test_a_handler_may_leave_while_it_is_given_what_was_held_back() -> None:
    rig = Rig()
    seen: list[float] = []

    def handle(event: Event) -> None:
        seen.append(event.price)
        if len(seen) == 2:
            rig.router.remove(component, rig.topics)

    component, sink = rig.add(lambda _: handle)
    rig.router.limit(component, rig.topics, 100, [sink])
    for _ in range(2):
        rig.send(0)
        rig.send(1)
    rig.flush_all()
    assert seen == [1, 2], "the second topic's went with the interest"
    assert len(rig.router.limits) == 0
