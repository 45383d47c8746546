"""Fan-out: handlers that change everything while they run."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest

from routing import World, orderbook, ticker
from subcore._events import Event


@pytest.fixture
def world() -> World:
    return World()


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


def test_confirming_in_a_handler_what_is_held_without_a_route_gives_it_one() -> None:
    """What a snapshot brought back is held, and delivered nowhere until `subscribe` confirms it."""
    world = World()
    running, waiting = world.topic(0), world.topic(1)
    component = world.ledger.open_component()
    first: list[Event] = []
    second: list[Event] = []
    again = world.router.new_sink(component, second.append)

    def confirm(event: Event) -> None:
        world.router.add(sink, [waiting], keep=True)
        world.router.add(again, [waiting], keep=True)  # it has a place by now, and keeps it
        first.append(event)

    sink = world.router.new_sink(component, confirm)
    world.router.add(sink, [running])
    world.ledger.add(component, [waiting])
    world.send(running)
    world.router.set_handler(sink, first.append)
    world.send(waiting)
    assert (len(first), len(second)) == (2, 0)
    assert world.router.is_idle(again)


class Cycle:
    """In a cycle: the collector runs what it was given, at some allocation."""

    def __init__(self, last: Callable[[], object]) -> None:
        self.me, self.last = self, last

    def __del__(self) -> None:
        self.last()


def collect_at_the_next_allocation(last: Callable[[], object], act: Callable[[], object]) -> None:
    threshold = gc.get_threshold()
    gc.collect()
    gc.disable()
    Cycle(last)
    free = [{} for _ in range(300)]  # no dict is left over to be used again
    gc.set_threshold(1, 1, 1)
    try:
        gc.enable()
        act()
    finally:
        gc.set_threshold(*threshold)
        free.clear()


def test_a_destructor_may_make_sinks_while_events_are_made() -> None:
    """Their table moves: whoever is served next is looked up anew."""
    world, got = World(), []
    topics = [world.topic(cut=cut) for cut in range(20)]
    for cut, topic in enumerate(topics):
        world.component(lambda event, cut=cut: got.append(cut), [topic])
    made: list[int] = []

    def make() -> None:
        component = world.ledger.open_component()
        made.extend(world.router.new_sink(component, print) for _ in range(5000))

    collect_at_the_next_allocation(make, lambda: world.send(topics[0], orderbook(30)))
    assert got == list(range(20))
    assert len(made) == 5000


def test_a_destructor_may_make_topics_while_images_are_noted() -> None:
    world, got = World(), []
    topics = [world.topic(symbol) for symbol in range(3000)]
    world.component(print, topics)
    for topic in topics:
        world.router.send(world.stream(topic), ticker())
    component = world.ledger.open_component()
    sink = world.router.new_sink(component, got.append)

    def make() -> None:
        for symbol in range(10_000, 60_000):
            world.topic(symbol)

    collect_at_the_next_allocation(make, lambda: world.router.add(sink, topics, image=True))
    world.router.give_images()
    assert len(got) == 3000
    assert all(event.is_image for event in got)


def test_a_destructor_may_release_the_sink_that_gets_a_new_handler() -> None:
    """It was free and had a handler: two components got it."""
    world = World()
    component = world.ledger.open_component()
    sink = world.router.new_sink(component, print)
    handle = Script(world, [world.topic()]).handle
    collect_at_the_next_allocation(
        lambda: world.router.release_sink(sink), lambda: world.router.set_handler(sink, handle)
    )
    with pytest.raises(KeyError):
        world.router.handler_of(sink)
    with pytest.raises(KeyError):
        world.router.release_sink(sink + (1 << 26))  # the id of the next one there
    assert world.router.sink_count == 1
    assert world.router.new_sink(component, print) != world.router.new_sink(component, print)
