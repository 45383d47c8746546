"""The last event of a stream, for who is kept from events as he joins it: once he is let on, once."""

from __future__ import annotations

import pytest

from joiners import join, world
from routing import World, ticker
from subcore._events import Event

__all__ = ["world"]  # a fixture


@pytest.mark.parametrize("gate", ["mute_sink", "block_sink"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("first", [True, False])
def test_who_joins_while_he_is_kept_from_events_gets_the_last_one_when_he_is_let_on(
    world: World, gate: str, when: str, first: bool
) -> None:
    """Whichever that is then: he has had none before. Who was there already is given none."""
    topic, seen, other = world.topic(), [], []
    join(world, topic, lambda event: None)
    if first:
        world.send(topic, ticker(1))
    component = world.ledger.open_component()
    sinks = [world.router.new_sink(component, target) for target in (seen.append, other.append)]
    world.router.add(sinks[1], [world.topic(1)])
    if when == "after":
        world.router.add(sinks[0], [topic])
    for sink in sinks:
        getattr(world.router, gate)(sink)
    if when == "before":
        world.router.add(sinks[0], [topic])
    world.router.give_images()
    world.send(topic, ticker(2))
    world.send(world.topic(1), ticker(3))
    world.router.give_images()
    assert seen == []
    for sink in sinks:
        getattr(world.router, gate)(sink, False)
    world.router.let_on(component)
    is_due = first or when == "before"
    assert world.router.images_due == is_due
    world.router.give_images()
    assert [(event.price, event.is_image) for event in seen] == [(2, True)] * is_due
    assert other == []
    world.send(topic, ticker(4))
    world.router.let_on(component)
    world.router.give_images()
    assert [event.price for event in seen] == [2] * is_due + [4]
    assert world.router.sink_info(sinks[0]).withheld == (gate == "block_sink")


def test_who_gives_up_what_he_joined_while_he_was_muted_is_due_nothing(world: World) -> None:
    topic, seen = world.topic(), []
    join(world, topic, lambda event: None)
    world.send(topic)
    component = world.ledger.open_component()
    sink = world.router.new_sink(component, seen.append)
    world.router.mute_sink(sink)
    for image in (True, False):
        world.router.add(sink, [topic], image=image)
        world.router.mute_sink(sink, image)
        if image:
            world.router.remove(component, [topic])
    world.router.let_on(component)
    world.router.give_images()
    assert seen == []


def let_on(world: World, gate: str, component: int, sink: int) -> None:
    getattr(world.router, gate)(sink, False)
    world.router.let_on(component)


@pytest.mark.parametrize("gate", ["mute_sink", "block_sink"])
@pytest.mark.parametrize("stands_first", [True, False])
def test_who_is_let_on_inside_a_fan_out_gets_its_event_once(
    world: World, gate: str, stands_first: bool
) -> None:
    """As image where the frame had passed him by already, else as it is."""
    topic, seen = world.topic(), []
    component = world.ledger.open_component()
    sink = world.router.new_sink(component, seen.append)
    getattr(world.router, gate)(sink)

    def handle(event: Event) -> None:
        if event.price == 2:
            let_on(world, gate, component, sink)

    if stands_first:
        world.router.add(sink, [topic])
    join(world, topic, handle)
    world.router.add(sink, [topic])
    for number in (1, 2):
        world.send(topic, ticker(number))
        world.router.give_images()
    world.send(topic, ticker(3))
    assert not world.router.images_due
    world.router.give_images()
    assert [(event.price, event.is_image) for event in seen] == [(2, stands_first), (3, False)]


def test_who_lost_two_gates_inside_a_fan_out_gets_its_event_too(world: World) -> None:
    topic, seen = world.topic(), []
    component = world.ledger.open_component()
    sink = world.router.new_sink(component, seen.append)
    world.router.mute_sink(sink)
    world.router.block_sink(sink)
    world.router.add(sink, [topic])

    def handle(event: Event) -> None:
        let_on(world, "mute_sink", component, sink)
        let_on(world, "block_sink", component, sink)

    join(world, topic, handle)
    world.send(topic, ticker(1))
    world.router.give_images()
    assert [(event.price, event.is_image) for event in seen] == [(1, True)]


@pytest.mark.parametrize("gate", ["mute_sink", "block_sink"])
@pytest.mark.parametrize("muted_before", [True, False])
@pytest.mark.parametrize("in_time", [True, False])
def test_a_joiner_kept_from_a_frame_by_another_handler_gets_its_event_once(
    world: World, gate: str, muted_before: bool, in_time: bool
) -> None:
    """By one before him, he is due the image; by one after him, he had the frame. Let on in the fan-out, or later."""
    topic, seen = world.topic(), []
    component = world.ledger.open_component()
    sink = world.router.new_sink(component, seen.append)

    def keep_off(event: Event) -> None:
        if event.price == 2:
            getattr(world.router, gate)(sink)

    def allow(event: Event) -> None:
        if event.price == 2 and in_time:
            let_on(world, gate, component, sink)

    if muted_before:
        join(world, topic, keep_off)
        world.send(topic, ticker(1))
        world.router.add(sink, [topic])
    else:
        join(world, topic, lambda event: None)
        world.send(topic, ticker(1))
        world.router.add(sink, [topic])
        join(world, topic, keep_off)
    join(world, topic, allow)
    world.send(topic, ticker(2))
    let_on(world, gate, component, sink)
    world.router.give_images()
    assert [(event.price, event.is_image) for event in seen] == [(2, muted_before)]


NONE_GOES = 2**63 - 1  # the interval of who gets none


@pytest.mark.parametrize("newer", ["none", "while held", "while muted"])
@pytest.mark.parametrize("muted", [False, True])
def test_a_joiner_who_gets_none_for_now_gets_the_newest_once_that_is_lifted(
    world: World, newer: str, muted: bool
) -> None:
    topic, seen = world.topic(), []
    join(world, topic, lambda event: None)
    world.send(topic, ticker(1))
    component, sink = join(world, topic, seen.append)
    world.router.limit(component, [topic], NONE_GOES, [sink])
    world.router.give_images()
    if newer == "while held":
        world.send(topic, ticker(2))
    if muted or newer == "while muted":
        world.router.mute_sink(sink)
    if newer == "while muted":
        world.send(topic, ticker(2))
        if not muted:
            world.router.mute_sink(sink, False)
            world.router.let_on(component)
    assert seen == []
    world.router.limit(component, [topic], 0, [sink])
    world.router.flush_limits(0)
    if muted:
        assert seen == []
        world.router.mute_sink(sink, False)
        world.router.let_on(component)
        world.router.give_images()
    price, is_image = (1 if newer == "none" else 2), newer != "while held"
    expected = (
        [] if muted and newer == "while held" else [(price, is_image)]
    )  # an event, and not for who is muted
    assert [(event.price, event.is_image) for event in seen] == expected
    assert world.router.limits.conflated(component) == {}, (
        "an image in whose place an event came was none itself"
    )
    world.send(topic, ticker(3))
    assert [event.price for event in seen][len(expected) :] == [3]
