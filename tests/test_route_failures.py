"""Fan-out: handlers that raise harm nobody else."""

from __future__ import annotations

import sys
import weakref

import pytest

from routing import World
from subcore._events import Event


@pytest.fixture
def world() -> World:
    return World()


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
