"""The task of an async handler: when it begins and ends, what it holds, and how long it keeps the loop."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import itertools
import weakref
from typing import Any

import pytest

from held_handler import Handler, nothing_kept, subscribed
from manager_rig import make
from subcore.manager import SubscriptionManager
from subcore.testing import VirtualClock
from trades import BTC, handler_tasks, offline, send, turns

__all__ = ["nothing_kept"]  # a fixture


async def test_no_task_before_the_first_event() -> None:
    manager = offline()
    component, _ = subscribed(manager, Handler())
    await turns()
    assert handler_tasks() == []
    component.close()
    await manager.close()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_ends_a_program_ends_it(kind: type[BaseException]) -> None:
    """As from a plain handler: the loop ends, and the manager of the block is closed."""
    managers: list[SubscriptionManager] = []

    async def handler(event: Any) -> None:
        await asyncio.sleep(0)
        raise kind("enough")

    async def main() -> None:
        async with offline() as manager:
            managers.append(manager)
            subscribed(manager, handler)
            send(manager, BTC, 1)
            await asyncio.sleep(60)

    with pytest.raises(kind, match="enough"):
        asyncio.run(main())
    assert "closed" in repr(managers[0])
    assert managers[0].stats().handler_errors == 1


async def test_a_bound_method_goes_with_its_object_and_a_call_holds_it() -> None:
    manager = offline()
    handlers = [Handler()]
    component, _ = subscribed(manager, handlers[0].take)
    send(manager, BTC, 1)
    send(manager, BTC, 2)
    await turns()
    gone, calls, ended = weakref.ref(handlers[0]), handlers[0]._calls, handlers[0].ended
    handlers.clear()
    gc.collect()
    assert gone() is not None, "its call is under way"
    calls[0].set_result(None)
    await turns()
    assert gone() is None
    assert ended == [1]
    manager._hub.housekeeping()
    await turns()
    assert component.topics == ()
    assert handler_tasks() == []
    await manager.close()


async def test_the_task_has_a_context_of_its_own() -> None:
    session: contextvars.ContextVar[str] = contextvars.ContextVar("session", default="nobody's")
    seen: list[str] = []

    async def handler(event: Any) -> None:
        seen.append(session.get())

    manager = offline()
    session.set("the subscriber's")
    subscribed(manager, handler)
    send(manager, BTC, 1)
    await turns()
    assert seen == ["nobody's"]
    await manager.close()


async def test_a_handler_that_waits_for_nothing_lets_the_loop_go_on() -> None:
    manager, seen, between = offline(), [], []

    async def handler(event: Any) -> None:
        seen.append(event.id)

    subscribed(manager, handler)
    for number in range(200):
        send(manager, BTC, number)
    while len(seen) < 200:
        await asyncio.sleep(0)
        between.append(len(seen))
    assert seen == list(range(200))
    assert max(b - a for a, b in itertools.pairwise(between)) <= 16
    await manager.close()


async def test_whoever_cancels_the_task_from_outside_ends_it(caplog: pytest.LogCaptureFixture) -> None:
    """As asyncio.run does with every task at its end: one that went on would keep it from ending."""
    handler, manager = Handler(), offline()
    component, _ = subscribed(manager, handler)
    send(manager, BTC, 1)
    send(manager, BTC, 2)
    await turns()
    (task,) = [t for t in asyncio.all_tasks() if t.get_name() == "subcore-handler-c"]
    task.cancel()
    await turns()
    assert task.cancelled()
    assert "somebody cancelled the task" in caplog.text
    stats = component.stats()
    assert (stats.queued, stats.lost) == (0, 1)
    assert "1 events that waited are lost" in (stats.last_error or "")
    report = await manager.close()
    assert report.dropped == {}


async def test_a_handler_whose_calls_take_long_lets_the_loop_go_on_sooner() -> None:
    """Time on the loop counts, by the manager's clock: 2 ms a call, so three calls."""
    clock = VirtualClock()
    manager, seen, between = offline(clock=clock), [], []

    async def handler(event: Any) -> None:
        clock.advance_to(clock.now + 2_000_000)
        seen.append(event.id)

    component, _ = subscribed(manager, handler)
    for number in range(30):
        send(manager, BTC, number)
    while len(seen) < 30:
        await asyncio.sleep(0)
        between.append(len(seen))
    assert seen == list(range(30))
    assert max(b - a for a, b in itertools.pairwise(between)) == 3
    stats = component.stats()
    assert (stats.calls, stats.mean_ns, stats.worst_ns) == (30, 2_000_000, 2_000_000)
    await manager.close()


async def test_calls_are_timed_and_counted_beside_a_budget() -> None:
    """What a call waits for costs nobody anything."""
    clock = VirtualClock()
    manager, numbers = offline(clock=clock), iter([1, 9, 2])
    handler = Handler()

    async def spend(event: Any) -> None:
        clock.advance_to(clock.now + 1_000_000 * next(numbers))
        await handler.take(event)
        clock.advance_to(clock.now + 4_000_000)

    component = make(manager, "c", callback_budget=0.005)
    component.subscribe("trade", BTC, spend)
    for number in range(3):
        send(manager, BTC, number)
    await turns()
    for _ in range(3):
        clock.advance_to(clock.now + 1_000_000_000)
        await handler.go()
    stats = component.stats()
    assert (stats.calls, stats.over_budget, stats.worst_ns) == (3, 1, 9_000_000)
    assert stats.mean_ns == 24_000_000 // 6, "each step is timed by itself"
    assert 0.007 < stats.loop_share < 0.009
    component.close()
    assert component.stats().calls == 3
    await manager.close()
