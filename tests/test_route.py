"""Fan-out: one event for all, and every kind of target."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable

import pytest

from routing import World, orderbook, ticker
from subcore._delivery import WakeBatch
from subcore._events import Event, Orderbook
from subcore._queue import EventQueue


@pytest.fixture
def world() -> World:
    return World()


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
