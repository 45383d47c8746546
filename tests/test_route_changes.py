"""Routes: how interests enter and leave them, and what they hold of memory."""

from __future__ import annotations

import gc
import tracemalloc
import weakref

import pytest

from routing import World
from subcore._events import Event
from traced import traced_bytes


@pytest.fixture
def world() -> World:
    return World()


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
        start = traced_bytes()
        for sink in sinks:
            world.router.connect(sink, topics)
        traced = traced_bytes() - start
        grown = world.router.nbytes - before
        for component, sink in zip(ids, sinks, strict=True):
            world.router.release_sink(sink)
            world.router.disconnect(component, topics)
        left = traced_bytes() - start
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
