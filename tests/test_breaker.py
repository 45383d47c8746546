"""Sinks that fail in a row, and those kept from events but for one call; who is being called."""

from __future__ import annotations

import functools

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from examples import examples
from routing import World, ticker
from subcore._delivery import WakeBatch
from subcore._events import Event
from subcore._queue import EventQueue


@pytest.fixture
def world() -> World:
    return World()


class Handler:
    """Raises while it is told to."""

    def __init__(self) -> None:
        self.seen = 0
        self.raises = False

    def __call__(self, event: Event) -> None:
        self.seen += 1
        if self.raises:
            raise ValueError


class BreakerMachine(RuleBasedStateMachine):
    """Three sinks of one stream that raise, are blocked, tried, muted and released, beside plain counts."""

    @initialize()
    def start(self) -> None:
        self.world = World()
        self.topic = self.world.topic()
        self.handlers: dict[int, Handler] = {}
        self.model: dict[int, dict[str, int]] = {}
        self.owners: dict[int, int] = {}
        for _ in range(3):
            self.open()

    @rule()
    def open(self) -> None:
        if len(self.handlers) < 5:
            handler = Handler()
            component, sink = self.world.component(handler, [self.topic])
            self.handlers[sink], self.owners[sink] = handler, component
            self.model[sink] = dict.fromkeys(("row", "seen", "withheld", "blocked", "trying", "muted"), 0)

    def pick(self, who: int) -> int:
        return sorted(self.handlers)[who % len(self.handlers)]

    @rule(who=st.integers(0, 9), raises=st.booleans())
    def behave(self, who: int, raises: bool) -> None:
        self.handlers[self.pick(who)].raises = raises

    @rule(who=st.integers(0, 9), on=st.booleans())
    def block(self, who: int, on: bool) -> None:
        sink = self.pick(who)
        self.world.router.block_sink(sink, on)
        self.model[sink].update(blocked=int(on), trying=0)

    @rule(who=st.integers(0, 9))
    def attempt(self, who: int) -> None:
        sink = self.pick(who)
        self.world.router.try_sink(sink)
        self.model[sink]["trying"] = self.model[sink]["blocked"]

    @rule(who=st.integers(0, 9), on=st.booleans())
    def mute(self, who: int, on: bool) -> None:
        sink = self.pick(who)
        self.world.router.mute_sink(sink, on)
        self.model[sink]["muted"] = int(on)

    @rule(who=st.integers(0, 9))
    def close(self, who: int) -> None:
        if len(self.handlers) > 1:
            sink = self.pick(who)
            self.world.close(self.owners.pop(sink), sink)
            del self.handlers[sink], self.model[sink]

    @rule()
    def send(self) -> None:
        for sink, known in self.model.items():
            if known["muted"]:
                continue
            if known["blocked"] and not known["trying"]:
                known["withheld"] += 1
                continue
            known["trying"] = 0
            known["seen"] += 1
            known["row"] = known["row"] + 1 if self.handlers[sink].raises else 0
        self.world.send(self.topic)

    @invariant()
    def agree(self) -> None:
        if not hasattr(self, "world"):
            return
        router = self.world.router
        for sink, known in self.model.items():
            info = router.sink_info(sink)
            assert (info.errors_in_row, info.withheld) == (known["row"], known["withheld"])
            assert (info.blocked, info.trying) == (bool(known["blocked"]), bool(known["trying"]))
            assert self.handlers[sink].seen == info.delivered == info.calls == known["seen"]
        for limit in (1, 3):
            expected = [
                (self.owners[sink], sink, known["row"])
                for sink, known in self.model.items()
                if known["row"] >= limit
            ]
            assert sorted(map(tuple, router.failing_sinks(limit))) == sorted(expected)


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = examples(100, stateful_step_count=40)


def test_a_handler_closed_in_its_own_failing_call_is_no_longer_failing(world: World) -> None:
    def close_and_fail(event: Event) -> None:
        world.close(component, sink)
        raise ValueError

    topic = world.topic()
    component, sink = world.component(close_and_fail, [topic])
    world.send(topic)
    assert world.router.failing_sinks() == []
    assert world.router.sink_count == 0
    world.component(lambda event: None, [topic])  # takes the same row
    assert world.router.failing_sinks() == []


def test_another_handler_begins_without_errors(world: World) -> None:
    def fail(event: Event) -> None:
        raise ValueError

    topic = world.topic()
    _, sink = world.component(fail, [topic])
    world.send(topic)
    assert [f.errors_in_row for f in world.router.failing_sinks()] == [1]
    world.router.set_handler(sink, print)
    assert world.router.failing_sinks() == []


def test_a_blocked_queue_gets_nothing_and_its_puts_are_no_calls(world: World) -> None:
    queue = EventQueue(wakes=WakeBatch(lambda call: None))
    topic = world.topic()
    _, sink = world.component(queue, [topic])
    world.send(topic, ticker(1))
    world.router.block_sink(sink)
    world.send(topic, ticker(2))
    world.router.try_sink(sink)
    world.send(topic, ticker(3))
    world.send(topic, ticker(4))
    world.router.block_sink(sink, False)
    world.send(topic, ticker(5))
    assert queue.drain() == [ticker(1), ticker(3), ticker(5)]
    info = world.router.sink_info(sink)
    assert (info.delivered, info.calls, info.withheld) == (3, 0, 2)


def test_who_is_being_called_is_known_inside_the_call_and_not_outside(world: World) -> None:
    found: list[tuple[int, int]] = []
    topic = world.topic()
    members = [world.component(lambda event: found.append(world.router.calling), [topic]) for _ in range(3)]
    assert world.router.calling == (-1, -1)
    world.send(topic)
    assert found == members
    assert world.router.calling == (-1, -1)


def test_who_is_behind_a_sink(world: World) -> None:
    class Chart:
        def on_event(self, event: Event) -> None: ...

    chart, topic = Chart(), world.topic()
    _, method = world.component(chart.on_event, [topic])
    assert world.router.handler_of(method).__qualname__.endswith("Chart.on_event")
    wrapped = functools.partial(print)
    _, partial = world.component(wrapped, [topic])
    assert world.router.handler_of(partial) is wrapped
    world.router.release_sink(partial)
    with pytest.raises(KeyError):
        world.router.handler_of(partial)
