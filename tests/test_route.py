"""Routes and fan-out: against a plain model, with handlers that change everything while they run."""

from __future__ import annotations

import functools
import gc
import sys
import tracemalloc
import weakref
from collections import deque
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from subcore._delivery import EventQueue, WakeBatch
from subcore._events import Event, Orderbook, Ticker
from subcore._ledger import Ledger
from subcore._route import Router


def ticker(price: float = 1.0) -> Ticker:
    return Ticker(venue="venue", channel="ticker", symbol="KRW-BTC", price=price)


def orderbook(levels: int) -> Orderbook:
    side = [(100.0 + n, 1.0) for n in range(levels)]
    return Orderbook(venue="venue", channel="orderbook", symbol="KRW-BTC", bids=side, asks=side[:-1])


class World:
    """A ledger and a router used as a manager would use them."""

    def __init__(self, on_error: Callable | None = None) -> None:
        self.ledger = Ledger()
        self.gone: deque[int] = deque()
        self.router = Router(self.ledger, gone=self.gone, on_error=on_error)

    def topic(self, symbol: int = 0, cut: int = 0, channel: int = 0) -> int:
        return self.ledger.topic(self.ledger.stream(channel, symbol), cut)

    def stream(self, topic: int) -> int:
        return self.ledger.topic_key(topic)[0]

    def component(self, target: object, topics: list[int], *, raw: bool = False) -> tuple[int, int]:
        component = self.ledger.open_component()
        sink = self.router.new_sink(component, target, raw=raw)
        self.subscribe(component, sink, topics)
        return component, sink

    def subscribe(self, component: int, sink: int, topics: list[int]) -> None:
        self.router.add(sink, topics)

    def unsubscribe(self, component: int, topics: list[int]) -> None:
        self.router.disconnect(component, topics)
        self.ledger.remove(component, topics)

    def close(self, component: int, sink: int) -> None:
        self.router.release_sink(sink)
        self.router.disconnect(component, self.ledger.interests(component))
        self.ledger.close_component(component)

    def send(self, topic: int, event: Event | None = None) -> None:
        self.router.send(self.stream(topic), event or ticker())


@pytest.fixture
def world() -> World:
    return World()


# --- one event, every kind of target


def test_one_event_object_for_all_in_route_order(world: World) -> None:
    seen: list[tuple[int, Event]] = []
    topic = world.topic()
    for number in range(5):
        world.component(lambda event, number=number: seen.append((number, event)), [topic])
    world.send(topic, ticker(3.5))
    assert [number for number, _ in seen] == [0, 1, 2, 3, 4]
    assert len({id(event) for _, event in seen}) == 1
    assert seen[0][1] == ticker(3.5)


def test_streams_do_not_mix(world: World) -> None:
    first, second = world.topic(0), world.topic(1)
    seen: list[str] = []
    world.component(lambda event: seen.append("first"), [first])
    world.component(lambda event: seen.append("second"), [second])
    world.component(lambda event: seen.append("both"), [first, second])
    world.send(second)
    assert seen == ["second", "both"]
    world.router.send(10_000, ticker())
    world.router.send(-1, ticker())
    assert seen == ["second", "both"]


def test_one_book_for_each_distinct_depth(world: World) -> None:
    seen: list[Orderbook] = []
    topics = [world.topic(cut=cut) for cut in (5, 0, 1, 5, 15, 1, 10, 30)]
    for topic in topics:
        world.component(seen.append, [topic])
    world.send(topics[0], orderbook(10))
    assert [len(book.bids) for book in seen] == [5, 10, 1, 5, 10, 1, 10, 10]
    assert [len(book.asks) for book in seen] == [5, 9, 1, 5, 9, 1, 9, 9]
    assert len({id(book) for book in seen}) == 3, "cuts that cut nothing share the whole book"
    seen.clear()
    world.router.send(world.stream(topics[0]), ticker())
    assert len({id(event) for event in seen}) == 1, "a depth means nothing outside books"


def test_raw_is_told_apart(world: World) -> None:
    seen: list[Event] = []
    topic = world.topic()
    for raw in (True, False, True):
        world.component(seen.append, [topic], raw=raw)
    world.send(topic)
    assert seen[0] is seen[2]
    assert seen[1] is not seen[0]


@pytest.mark.parametrize("wrap", [lambda f: f, functools.partial, lambda f: lambda event: f(event)])
def test_functions_are_held_strongly(world: World, wrap: Callable) -> None:
    seen: list[Event] = []

    def handler(event: Event) -> None:
        seen.append(event)

    topic = world.topic()
    world.component(wrap(handler), [topic])
    del handler
    gc.collect()
    world.send(topic)
    assert len(seen) == 1


def test_a_bound_method_is_held_through_its_object(world: World) -> None:
    seen: list[Event] = []

    class Chart:
        def on_event(self, event: Event) -> None:
            seen.append(event)

    topic = world.topic()
    chart = Chart()
    _, sink = world.component(chart.on_event, [topic])
    world.send(topic)
    assert len(seen) == 1
    assert not world.gone
    del chart
    assert list(world.gone) == [sink]
    world.send(topic)
    assert len(seen) == 1
    assert world.router.sink_info(sink).delivered == 1


def test_an_object_without_weak_references_keeps_its_method_alive(world: World) -> None:
    seen: list[Event] = []

    class Slotted:
        __slots__ = ()

        def on_event(self, event: Event) -> None:
            seen.append(event)

    topic = world.topic()
    world.component(Slotted().on_event, [topic])
    world.send(topic)
    assert len(seen) == 1


def test_releasing_first_leaves_no_note_of_the_object(world: World) -> None:
    class Chart:
        def on_event(self, event: Event) -> None: ...

    chart = Chart()
    component, sink = world.component(chart.on_event, [world.topic()])
    world.close(component, sink)
    del chart
    assert not world.gone


def test_queues_get_the_event_and_its_topic(world: World) -> None:
    queue = EventQueue(1, wakes=WakeBatch(lambda call: None))
    first, second = world.topic(0), world.topic(1)
    world.component(queue, [first, second])
    world.send(first, ticker(1))
    world.send(second, ticker(2))
    assert queue.losses == {first: 1}
    assert queue.drain() == [ticker(2)]


@pytest.mark.parametrize("target", [3, "name", object()])
def test_what_is_no_handler_is_refused(world: World, target: object) -> None:
    with pytest.raises(TypeError, match="callable with one event"):
        world.router.new_sink(0, target)
    assert world.router.sink_count == 0


# --- failures


def test_a_handler_that_raises_harms_nobody_else() -> None:
    told: list[tuple] = []
    world = World(on_error=lambda component, sink, error: told.append((component, sink, repr(error))))
    seen: list[Event] = []

    def fail(event: Event) -> None:
        raise LookupError("no such thing")

    topic = world.topic()
    bad, bad_sink = world.component(fail, [topic])
    world.component(seen.append, [topic])
    world.send(topic)
    world.send(topic)
    assert len(seen) == 2
    assert told == [(bad, bad_sink, "LookupError('no such thing')")] * 2
    info = world.router.sink_info(bad_sink)
    assert (info.errors, info.delivered) == (2, 2)
    assert info.last_error is not None
    assert info.last_error[:2] == ("LookupError", "no such thing")
    assert info.last_error.where.startswith(__file__)
    assert world.router.failures == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_request_to_stop_is_raised_after_everyone_was_served(
    world: World, error: type[BaseException]
) -> None:
    seen: list[Event] = []

    def stop(event: Event) -> None:
        raise error

    topic = world.topic()
    world.component(stop, [topic])
    world.component(seen.append, [topic])
    with pytest.raises(error):
        world.send(topic)
    assert len(seen) == 1


@pytest.mark.parametrize("error", [GeneratorExit, BaseException, StopIteration])
def test_other_base_exceptions_stay_inside(world: World, error: type[BaseException]) -> None:
    def fail(event: Event) -> None:
        raise error

    topic = world.topic()
    _, sink = world.component(fail, [topic])
    world.send(topic)
    assert world.router.sink_info(sink).errors == 1


def test_an_exception_whose_text_cannot_be_made(world: World) -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise ValueError

    def fail(event: Event) -> None:
        raise Odd

    topic = world.topic()
    _, sink = world.component(fail, [topic])
    world.send(topic)
    assert "could not be made" in world.router.sink_info(sink).last_error.text  # type: ignore[union-attr]


def test_a_failure_keeps_no_frame_of_the_handler_alive(world: World) -> None:
    class Chart:
        def on_event(self, event: Event) -> None:
            raise ValueError("bad")

    topic = world.topic()
    chart = Chart()
    world.component(chart.on_event, [topic])
    world.send(topic)
    watch = weakref.ref(chart)
    del chart
    assert watch() is None


def test_an_error_hook_that_raises_is_unraisable(monkeypatch: pytest.MonkeyPatch) -> None:
    unraisable: list = []
    monkeypatch.setattr(sys, "unraisablehook", lambda info: unraisable.append(info.exc_type))

    def hook(*_: object) -> None:
        raise OSError("disk full")

    def fail(event: Event) -> None:
        raise ValueError

    world = World(on_error=hook)
    seen: list[Event] = []
    topic = world.topic()
    world.component(fail, [topic])
    world.component(seen.append, [topic])
    world.send(topic)
    assert unraisable == [OSError]
    assert len(seen) == 1


# --- changes from inside a fan-out


class Script:
    """A component whose handler does, once, what the test says."""

    def __init__(self, world: World, topics: list[int]) -> None:
        self.world = world
        self.seen = 0
        self.action: Callable[[], object] | None = None
        self.id, self.sink = world.component(self.handle, topics)

    def handle(self, event: Event) -> None:
        self.seen += 1
        action, self.action = self.action, None
        if action is not None:
            action()

    def close(self) -> None:
        self.world.close(self.id, self.sink)


@pytest.fixture
def three(world: World) -> tuple[World, int, list[Script]]:
    topic = world.topic()
    return world, topic, [Script(world, [topic]) for _ in range(3)]


def seen(scripts: list[Script]) -> list[int]:
    return [script.seen for script in scripts]


@pytest.mark.parametrize(
    ("actor", "closed", "expected"),
    [
        (0, 0, [1, 2, 2]),
        (0, 1, [2, 0, 2]),
        (0, 2, [2, 2, 0]),
        (1, 0, [1, 2, 2]),
        (1, 1, [2, 1, 2]),
        (2, 0, [1, 2, 2]),
        (2, 2, [2, 2, 1]),
    ],
)
def test_close_takes_effect_at_once(three, actor: int, closed: int, expected: list[int]) -> None:
    world, topic, scripts = three
    scripts[actor].action = scripts[closed].close
    world.send(topic)
    world.send(topic)
    assert seen(scripts) == expected
    assert len(world.router.route(world.stream(topic))) == 2
    assert world.router.sink_count == 2


@pytest.mark.parametrize("actor", [0, 1, 2])
@pytest.mark.parametrize("target", [0, 1, 2])
def test_unsubscribe_takes_effect_after_the_frame(three, actor: int, target: int) -> None:
    world, topic, scripts = three
    scripts[actor].action = lambda: world.unsubscribe(scripts[target].id, [topic])
    world.send(topic)
    assert seen(scripts) == [1, 1, 1]
    assert not world.ledger.holds(scripts[target].id, topic)
    world.send(topic)
    assert seen(scripts) == [1 if n == target else 2 for n in range(3)]


def test_subscribe_takes_effect_after_the_frame(three) -> None:
    world, topic, scripts = three
    late: list[Event] = []
    scripts[1].action = lambda: world.component(late.append, [topic])
    world.send(topic)
    assert late == []
    world.send(topic)
    assert len(late) == 1


def test_subscribe_and_unsubscribe_in_one_handler_cancel(three) -> None:
    world, topic, scripts = three
    other = world.topic(7)

    def both() -> None:
        world.subscribe(scripts[0].id, scripts[0].sink, [other])
        world.unsubscribe(scripts[0].id, [other])

    scripts[0].action = both
    world.send(topic)
    assert world.router.route(world.stream(other)) == []
    assert world.router.interest_count == 3


def test_unsubscribe_and_subscribe_in_one_handler_keep_the_route(three) -> None:
    world, topic, scripts = three

    def both() -> None:
        world.unsubscribe(scripts[0].id, [topic])
        world.subscribe(scripts[0].id, scripts[0].sink, [topic])

    scripts[0].action = both
    world.send(topic)
    world.send(topic)
    assert seen(scripts) == [2, 2, 2]


def test_a_component_made_and_closed_in_one_handler_leaves_nothing(three) -> None:
    world, topic, scripts = three
    late: list[Event] = []
    scripts[2].action = lambda: world.close(*world.component(late.append, [topic]))
    world.send(topic)
    world.send(topic)
    assert late == []
    assert world.router.sink_count == 3
    assert world.router.interest_count == 3


def test_an_id_reused_within_a_fan_out_is_not_confused(three) -> None:
    world, topic, scripts = three
    late: list[Event] = []

    def replace() -> None:
        old = scripts[0].id
        scripts[0].close()
        component, _ = world.component(late.append, [topic])
        assert component == old, "the ledger gives the id again"

    scripts[1].action = replace
    world.send(topic)
    assert late == []
    world.send(topic)
    assert len(late) == 1
    assert seen(scripts) == [1, 2, 2]


def test_all_close_each_other(three) -> None:
    world, topic, scripts = three
    scripts[0].action = lambda: [script.close() for script in scripts]
    world.send(topic)
    assert seen(scripts) == [1, 0, 0]
    assert world.router.interest_count == 0
    assert world.router.sink_count == 0
    assert world.router.route(world.stream(topic)) == []


def test_many_sinks_made_inside_a_handler_move_the_table(three) -> None:
    world, topic, scripts = three
    late: list[Event] = []
    scripts[0].action = lambda: [world.component(late.append, [topic]) for _ in range(500)]
    world.send(topic)
    assert seen(scripts) == [1, 1, 1]
    world.send(topic)
    assert len(late) == 500


def test_a_new_handler_works_at_once_and_the_running_one_survives(world: World) -> None:
    seen: list[str] = []
    topic = world.topic()

    def install() -> None:
        text = "old"

        def handler(event: Event) -> None:
            world.router.set_handler(sink, lambda event: seen.append("new"))
            gc.collect()
            seen.append(text)

        world.router.set_handler(sink, handler)

    _, sink = world.component(print, [topic])
    install()
    world.send(topic)
    world.send(topic)
    assert seen == ["old", "new"]


def test_an_object_dropped_by_its_own_handler(world: World) -> None:
    class Chart:
        def on_event(self, event: Event) -> None:
            charts.clear()
            gc.collect()

    topic = world.topic()
    charts = [Chart()]
    _, sink = world.component(charts[0].on_event, [topic])
    world.send(topic)
    assert list(world.gone) == [sink]


def test_a_fan_out_inside_a_fan_out_is_refused(three) -> None:
    world, topic, scripts = three
    scripts[0].action = lambda: world.send(topic)
    world.send(topic)
    assert seen(scripts) == [1, 1, 1]
    info = world.router.sink_info(scripts[0].sink)
    assert info.errors == 1
    assert "must not feed frames" in info.last_error.text


def test_a_destructor_may_close_another_component(three) -> None:
    world, topic, scripts = three

    class Handler:
        def __call__(self, event: Event) -> None:
            world.router.set_handler(sink, seen_by_new.append)

        def __del__(self) -> None:
            scripts[1].close()

    seen_by_new: list[Event] = []
    _, sink = world.component(Handler(), [topic])
    world.send(topic)
    world.send(topic)
    assert seen(scripts) == [2, 1, 2]
    assert len(seen_by_new) == 1


# --- changes


def test_subscribing_again_moves_to_the_new_sink(world: World) -> None:
    old: list[Event] = []
    new: list[Event] = []
    topic = world.topic()
    component, first = world.component(old.append, [topic])
    second = world.router.new_sink(component, new.append)
    world.router.connect(second, [topic])
    world.router.release_sink(first)
    world.send(topic)
    assert (len(old), len(new)) == (0, 1)
    assert world.router.interest_count == 1
    assert world.router.sink_count == 1


def test_a_refused_connect_changes_nothing(world: World) -> None:
    held, not_held = world.topic(0), world.topic(1)
    component = world.ledger.open_component()
    sink = world.router.new_sink(component, print)
    world.ledger.add(component, [held])
    with pytest.raises(KeyError, match="holds no interest"):
        world.router.connect(sink, [held, not_held])
    assert world.router.interest_count == 0
    world.router.release_sink(sink)
    with pytest.raises(KeyError, match="has been released"):
        world.router.connect(sink, [held])
    with pytest.raises(KeyError, match="has been released"):
        world.router.set_handler(sink, print)
    with pytest.raises(KeyError, match="no topic has id"):
        world.router.disconnect(component, [99])


def test_an_id_kept_too_long_is_refused(world: World) -> None:
    first = world.router.new_sink(0, print)
    world.router.release_sink(first)
    second = world.router.new_sink(0, print)
    assert first & 0x3FFFFFF == second & 0x3FFFFFF, "the place is used again"
    with pytest.raises(KeyError):
        world.router.sink_info(first)
    for foreign in (-1, 1 << 40, 12):
        with pytest.raises(KeyError):
            world.router.sink_info(foreign)


def test_disconnecting_after_the_ledger_forgot_works_by_search(world: World) -> None:
    topic = world.topic()
    ids = [world.component(lambda event: None, [topic])[0] for _ in range(10)]
    world.ledger.remove(ids[3], [topic])
    world.router.disconnect(ids[3], [topic])
    assert world.router.searches == 1
    assert [row[0] for row in world.router.route(world.stream(topic))] == [*ids[:3], ids[9], *ids[4:9]]


def test_leaving_a_crowd_is_never_a_search(world: World) -> None:
    topics = [world.topic(symbol) for symbol in range(20)]
    members = [world.component(lambda event: None, topics) for _ in range(200)]
    for member in members[::3] + members[1::3]:
        world.close(*member)
    assert world.router.searches == 0
    assert {row[0] for row in world.router.route(world.stream(topics[0]))} == {m[0] for m in members[2::3]}


# --- memory


def test_bytes_are_exact_and_an_interest_is_small(world: World) -> None:
    symbols, components = 500, 40
    topics = world.ledger.topics(0, list(range(symbols)))
    ids = [world.ledger.open_component() for _ in range(components)]
    streams_alone = world.ledger.nbytes
    for component in ids:
        world.ledger.add(component, topics)
    held = world.ledger.nbytes - streams_alone
    sinks = [world.router.new_sink(component, print) for component in ids]
    before = world.router.nbytes
    tracemalloc.start()
    try:
        start = tracemalloc.get_traced_memory()[0]
        for sink in sinks:
            world.router.connect(sink, topics)
        traced = tracemalloc.get_traced_memory()[0] - start
        grown = world.router.nbytes - before
        for component, sink in zip(ids, sinks, strict=True):
            world.router.release_sink(sink)
            world.router.disconnect(component, topics)
        left = tracemalloc.get_traced_memory()[0] - start
    finally:
        tracemalloc.stop()
    interests = symbols * components
    assert abs(traced - grown) < 1500, "what Python objects of the loop take"
    assert (held + grown) / interests <= 24
    assert grown / interests <= 10.5
    assert world.router.nbytes - before <= symbols * 16 * 2
    assert abs(left - (world.router.nbytes - before)) < 1500


def test_churn_never_grows(world: World) -> None:
    topic = world.topic()
    world.component(print, [world.topic(1)])
    world.close(*world.component(lambda event: None, [topic]))
    before = world.router.nbytes
    for _ in range(5000):
        world.close(*world.component(lambda event: None, [topic]))
    assert world.router.nbytes == before


def test_a_forgotten_router_is_collected_with_its_handlers() -> None:
    class Owner: ...

    world = World()
    owner = Owner()
    owner.world = world  # type: ignore[attr-defined]
    topic = world.topic()
    world.component(lambda event, owner=owner: None, [topic])
    watch = weakref.ref(owner)
    del owner, world
    gc.collect()
    assert watch() is None


# --- against a model


class RouteMachine(RuleBasedStateMachine):
    """Components come, go, subscribe, raise and change each other, from outside and from inside handlers."""

    SYMBOLS = 3
    CUTS = (0, 1, 5)

    @initialize()
    def start(self) -> None:
        self.world = World()
        self.members: dict[int, int] = {}  # number -> ledger component
        self.sinks: dict[int, int] = {}
        self.held: dict[int, set[int]] = {}
        self.got: dict[int, int] = {}
        self.expected: dict[int, int] = {}
        self.plans: dict[int, list[tuple]] = {}
        self.number = 0
        self.topics = [self.world.topic(s, cut) for s in range(self.SYMBOLS) for cut in self.CUTS]

    def handler(self, number: int) -> Callable[[Event], None]:
        def handle(event: Event) -> None:
            assert number in self.members, "delivered after close"
            self.got[number] += 1
            for action in self.plans.pop(number, []):
                self.act(*action)

        return handle

    def act(self, kind: str, who: int, topics: list[int]) -> None:
        live = sorted(self.members)
        if kind == "open":
            return self.open_one(topics)
        if not live:
            return None
        number = live[who % len(live)]
        if kind == "subscribe":
            self.world.subscribe(self.members[number], self.sinks[number], topics)
            self.held[number] |= set(topics)
        elif kind == "unsubscribe":
            self.world.unsubscribe(self.members[number], topics)
            self.held[number] -= set(topics)
        elif kind == "close":
            self.world.close(self.members.pop(number), self.sinks.pop(number))
            del self.held[number]
        elif kind == "handler":
            self.world.router.set_handler(self.sinks[number], self.handler(number))
        elif kind == "sink":
            sink = self.world.router.new_sink(self.members[number], self.handler(number))
            self.world.router.connect(sink, sorted(self.held[number]))
            if not self.world.router.running:
                self.world.router.release_sink(self.sinks[number])
                self.sinks[number] = sink
            else:
                self.world.router.connect(self.sinks[number], sorted(self.held[number]))
                self.world.router.release_sink(sink)
        elif kind == "raise":
            raise ValueError("as planned")
        return None

    def open_one(self, topics: list[int]) -> None:
        number = self.number
        self.number += 1
        self.got[number] = 0
        self.members[number], self.sinks[number] = self.world.component(self.handler(number), topics)
        self.held[number] = set(topics)

    kinds = st.sampled_from(["open", "subscribe", "unsubscribe", "close", "handler", "sink"])
    planned = kinds | st.just("raise")
    picks = st.lists(st.integers(0, 8), max_size=5, unique=True)

    def named(self, picks: list[int]) -> list[int]:
        return [self.topics[pick] for pick in picks]

    @rule(kind=kinds, who=st.integers(0, 9), picks=picks)
    def now(self, kind: str, who: int, picks: list[int]) -> None:
        self.act(kind, who, self.named(picks))

    @rule(who=st.integers(0, 9), actions=st.lists(st.tuples(planned, st.integers(0, 9), picks), max_size=3))
    def plan(self, who: int, actions: list[tuple]) -> None:
        live = sorted(self.members)
        if live:
            self.plans[live[who % len(live)]] = [(kind, other, self.named(p)) for kind, other, p in actions]

    @rule(symbol=st.integers(0, 2))
    def send(self, symbol: int) -> None:
        stream = self.world.stream(self.topics[symbol * len(self.CUTS)])
        mine = set(self.topics[symbol * len(self.CUTS) : (symbol + 1) * len(self.CUTS)])
        due = {number: len(self.held[number] & mine) for number in self.members}
        before = dict(self.got)
        self.world.router.send(stream, orderbook(7))
        for number, count in due.items():
            delivered = self.got[number] - before[number]
            if number in self.members:
                assert delivered == count, "everyone still there gets the frame once for each topic"
            else:
                assert delivered <= count
        assert all(self.got[number] == 0 for number in self.got if number not in before)

    @invariant()
    def agree(self) -> None:
        if not hasattr(self, "world"):
            return
        router = self.world.router
        for symbol in range(self.SYMBOLS):
            mine = self.topics[symbol * len(self.CUTS) : (symbol + 1) * len(self.CUTS)]
            rows = router.route(self.world.stream(mine[0]))
            assert sorted(rows) == sorted(
                (self.members[number], topic, self.world.ledger.topic_key(topic)[1], self.sinks[number])
                for number, held in self.held.items()
                for topic in held & set(mine)
            )
            for place, (component, topic, _, _) in enumerate(rows):
                assert self.world.ledger.payload(component, topic) == place
        assert router.interest_count == sum(map(len, self.held.values()))
        assert router.sink_count == len(self.members)
        assert not router.running


TestRouteMachine = RouteMachine.TestCase
TestRouteMachine.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
