"""Steps of async handlers, and hooks: marked while they run, steps timed, and a call as if the handler was awaited."""

from __future__ import annotations

import asyncio
import contextlib
import random
import types
import weakref
from collections import deque
from collections.abc import Callable, Generator
from typing import Any

import pytest

from subcore._delivery import WakeBatch
from subcore._ledger import Ledger
from subcore._queue import EventQueue
from subcore._route import Router
from subcore._steps import CallSteps, Hook
from subcore._timing import CalledClock

MS = 1_000_000
NAMES = ("desk", "Desk.on_trade")


class Rig:
    """A component with a queue that one async handler empties, in time that the test sets."""

    def __init__(self) -> None:
        self.now = 1_000
        ledger = Ledger()
        self.router = Router(ledger, gone=deque(), clock=CalledClock(lambda: self.now))
        self.component = ledger.open_component()
        self.sink = self.router.new_sink(self.component, EventQueue(wakes=WakeBatch(lambda flush: None)))
        self.steps = CallSteps(self.router, self.component, NAMES)
        self.steps.use_sink(self.sink)

    def drive(self, handler: Callable[[Any], Any], gap: int = 0) -> int:
        """One call to its end; how often it waited."""
        waits, calls = 0, self.call(handler)
        while True:
            try:
                calls.send(None)
            except StopIteration:
                return waits
            waits += 1
            self.now += gap

    def call(self, handler: Callable[[Any], Any]) -> Generator[Any]:
        return self.steps.call(handler, "event").__await__()


@types.coroutine
def wait() -> Generator[str, Any, Any]:
    return (yield "waits")


def test_time_on_the_loop_is_counted_and_no_time_that_is_waited() -> None:
    """Against lists of steps; each step is one time of its own, as each call of a plain handler is."""
    rig, chance = Rig(), random.Random(3)
    taken: list[int] = []

    async def handle(event: str) -> None:
        for _ in range(waits):
            spend()
            await wait()
        spend()

    def spend() -> None:
        taken.append(chance.choice([3_000, 40_000, 900_000, 30 * MS]))
        rig.now += taken[-1]

    rig.router.set_budget(rig.component, 100_000)
    for _ in range(300):
        waits = chance.randrange(4)
        assert rig.drive(handle, gap=70 * MS) == waits
    times = rig.router.call_times(rig.component)
    assert times.mean_ns == sum(taken) // len(taken)
    assert times.worst_ns == max(taken) == 30 * MS
    assert times.over_budget == sum(ns > 100_000 for ns in taken)
    assert times.loop_share == pytest.approx(sum(taken) / (rig.now - 1_000))
    assert rig.steps.calls == 300


def test_a_step_is_marked_while_it_runs_and_a_wait_is_not() -> None:
    rig = Rig()
    numbers: list[int] = []

    async def handle(event: str) -> None:
        for _ in range(3):
            assert rig.router.calling == (rig.component, rig.sink)
            assert rig.router.called_names == NAMES
            numbers.append(rig.router.call_number)
            await wait()

    call = rig.call(handle)
    for _ in range(3):
        assert next(call) == "waits"
        assert (rig.router.calling, rig.router.called_names) == ((-1, -1), None)
    call.close()
    assert len(set(numbers)) == 3, "each step can be told from the next"


def test_hooks_are_marked_inside_handlers_and_outside_and_are_nobodys_calls() -> None:
    rig = Rig()
    hook = ("desk", "hear (on_status)")
    seen: list[Any] = []

    def look() -> None:
        seen.append((rig.router.calling, rig.router.called_names))

    async def handle(event: str) -> None:
        with Hook(rig.router, 7, hook):
            look()
            with contextlib.suppress(ValueError), Hook(rig.router, 8, ("other", "veto")):
                rig.now += 600 * MS
                look()
                raise ValueError("mine")
            look()
        look()

    rig.drive(handle)
    look()
    inside = ((7, -1), hook)
    own = ((rig.component, rig.sink), NAMES)
    assert seen == [inside, ((8, -1), ("other", "veto")), inside, own, ((-1, -1), None)]
    long = [(call.component, call.names) for call in rig.router.take_long_calls()]
    assert long == [(-1, ("other", "veto")), (-1, hook), (rig.component, NAMES)]
    assert rig.router.call_times(7).mean_ns is None


def test_nothing_is_counted_for_a_component_that_the_call_closed() -> None:
    rig = Rig()

    async def handle(event: str) -> None:
        rig.steps.leave()
        rig.now += 20 * MS

    rig.drive(handle)
    assert rig.router.call_times(rig.component).mean_ns is None
    [call] = rig.router.take_long_calls()
    assert (call.component, call.names, call.duration_ns) == (-1, NAMES, 20 * MS)


def test_calls_in_a_row_that_never_wait_are_told_from_those_that_do() -> None:
    rig = Rig()

    async def handle(event: str) -> None:
        rig.now += 2 * MS
        if waits:
            await wait()
            rig.now += MS

    waits = False
    for count in (1, 2, 3):
        rig.drive(handle)
        assert (rig.steps.held_calls, rig.steps.held_ns) == (count, 2 * MS * count)
    waits = True
    rig.drive(handle)
    assert (rig.steps.held_calls, rig.steps.held_ns) == (1, MS)
    rig.steps.let_go()
    assert (rig.steps.held_calls, rig.steps.held_ns) == (0, 0)


def test_what_is_thrown_into_a_call_reaches_the_handler_and_is_timed() -> None:
    rig = Rig()
    order: list[Any] = []

    async def handle(event: str) -> None:
        try:
            await wait()
        except ValueError:
            order.append(rig.router.calling)
            rig.now += 3 * MS
            await wait()
        finally:
            order.append("ended")

    call = rig.call(handle)
    next(call)
    assert call.throw(ValueError("x")) == "waits"
    assert order == [(rig.component, rig.sink)]
    assert rig.router.call_times(rig.component).worst_ns == 3 * MS
    with pytest.raises(KeyError, match="y"):
        call.throw(KeyError("y"))
    assert order[1:] == ["ended"]
    with pytest.raises(ValueError, match="before it began"):
        rig.call(handle).throw(ValueError("before it began"))
    call = rig.call(handle)
    next(call)
    call.close()
    assert order[2:] == ["ended"]
    rig.call(handle).close()


class Waiting:
    """Awaitable, and no coroutine."""

    def __await__(self) -> Any:
        return iter(["one", "two"])


def test_whatever_can_be_awaited_may_be_given_and_the_rest_is_refused() -> None:
    rig = Rig()
    assert rig.drive(lambda event: Waiting()) == 2
    assert rig.drive(lambda event: wait()) == 1
    call = rig.call(lambda event: Waiting())
    next(call)
    with pytest.raises(ValueError, match="no throw"):
        call.throw(ValueError("no throw"))
    for wrong in (None, 3):
        with pytest.raises(TypeError, match="can't be awaited"):
            rig.drive(lambda event, wrong=wrong: wrong)
    assert rig.router.calling == (-1, -1)


async def test_under_a_task_it_is_as_if_the_handler_was_awaited() -> None:
    """Results of what it waits for, cancellation, and what it raises."""
    rig, order = Rig(), []

    async def handle(event: object) -> None:
        order.append(await asyncio.sleep(0, "slept"))
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            order.append("cancelled")
            raise

    async def work(event: object) -> None:
        await rig.steps.call(handle, event)

    task = asyncio.ensure_future(work("event"))
    while not order:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert order == ["slept", "cancelled"]

    async def fail(event: object) -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine") as caught:
        await rig.steps.call(fail, "event")
    assert caught.traceback[-1].name == "fail"
    assert rig.router.calling == (-1, -1)


@pytest.mark.parametrize("ends", ["returns", "raises", "closed", "never begun"])
def test_nothing_is_kept_of_a_call_that_is_over(ends: str) -> None:
    rig, event = Rig(), Waiting()
    kept = weakref.ref(event)

    async def handle(event: object) -> None:
        await wait()
        if ends == "raises":
            raise ValueError("mine")

    call = rig.steps.call(handle, event).__await__()
    del event
    if ends != "never begun":
        next(call)
    if ends in ("returns", "raises"):
        with contextlib.suppress(StopIteration, ValueError):
            next(call)
    else:
        call.close()
    assert kept() is None
