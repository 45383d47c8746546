"""What consumers at work get at the end of a manager: time to take what waits, and no more of it than was given."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

import subcore
from held_handler import Handler
from manager_rig import KEPT, make
from subcore.errors import ComponentClosed, UsageError
from subcore.manager import SubscriptionManager
from subcore.types import StatusKind
from trades import BTC, ETH, handler_tasks, send, turns
from virtual_manager import World


def in_virtual_time(main: Any) -> None:
    async def run(world: World) -> None:
        await main(world, world.manager())

    World(rate=0.0001).run(run)


async def waiting_for(manager: SubscriptionManager, handler: Any, count: int = 5) -> subcore.Component:
    """A component whose handler has so many events to go; the first call is under way."""
    component = make(manager, "works")
    component.subscribe("trade", BTC, handler)
    for number in range(count):
        send(manager, BTC, number)
    await turns()
    return component


def test_async_handlers_work_off_what_waits() -> None:
    async def main(world: World, manager: SubscriptionManager) -> None:
        seen: list[int] = []

        async def slow(event: Any) -> None:
            await asyncio.sleep(0.1)
            assert not component.closed, "it may do what it always does"
            seen.append(event.id)

        async with manager:
            component = await waiting_for(manager, slow)
            began = world.clock.now
        assert seen == list(range(5))
        assert world.clock.now - began < 600_000_000, "no longer than they needed"
        assert component.closed
        assert handler_tasks() == []

    in_virtual_time(main)


@pytest.mark.parametrize("drain", [0.0, 0.25])
def test_what_is_not_worked_off_in_time_is_dropped_and_told(
    drain: float, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(world: World, manager: SubscriptionManager) -> None:
        seen: list[int] = []

        async def slow(event: Any) -> None:
            await asyncio.sleep(0.1)
            seen.append(event.id)

        await manager.start()
        await waiting_for(manager, slow, 8)
        report = await manager.close(drain=drain)
        handled = int(drain / 0.1)
        assert seen == list(range(handled))
        assert report.dropped == {"works": 8 - handled - 1}, "the call under way was cancelled"
        assert not report.clean
        assert report.unfinished == ()
        assert handler_tasks() == []

    with caplog.at_level(logging.WARNING, "subcore"):
        in_virtual_time(main)
    assert "were not handled in time" in caplog.text


def test_a_block_left_by_an_exception_drops() -> None:
    async def main(world: World, manager: SubscriptionManager) -> None:
        handler = Handler()

        async def block() -> None:
            async with manager:
                await waiting_for(manager, handler)
                raise ValueError("mine")

        began = world.clock.now
        with pytest.raises(ValueError, match="mine"):
            await block()
        assert handler.cancelled == [0]
        assert world.clock.now - began < 100_000_000, "nobody was waited for"
        assert handler_tasks() == []

    in_virtual_time(main)


def test_whoever_reads_gets_time_and_whoever_does_not_gets_none() -> None:
    """A task that reads slowly; one that is done; one that holds a queue nobody reads; and the one that closes."""

    async def main(world: World, manager: SubscriptionManager) -> None:
        seen: list[int] = []
        await manager.start()
        reads, left, unread, closes = (make(manager, name) for name in ("reads", "left", "unread", "closes"))
        for component in (reads, left, unread, closes):
            component.subscribe("trade", BTC)

        async def read() -> None:
            async for event in reads:
                await asyncio.sleep(0.05)
                seen.append(event.id)

        async def look_in() -> None:
            await left.batch(1)

        async def read_and_close() -> subcore.CloseReport:
            await closes.batch(1)
            return await manager.close()

        tasks = [asyncio.create_task(work()) for work in (read, look_in, read_and_close)]
        await turns()
        for number in range(10):
            send(manager, BTC, number)
        report = await tasks[2]
        assert isinstance(report, subcore.CloseReport)
        assert seen == list(range(9)), "all are taken"
        await tasks[0]
        assert seen == list(range(10))
        assert report.dropped == {"left": 9, "unread": 10, "closes": 9}
        assert len(await unread.batch()) == 10, "they can still be read"
        assert tasks[1].done()

    in_virtual_time(main)


def test_a_handler_may_close_its_manager() -> None:
    """It is not waited for, nor cancelled: it gets its report, and ends."""

    async def main(world: World, manager: SubscriptionManager) -> None:
        reports: list[subcore.CloseReport] = []

        async def handler(event: Any) -> None:
            reports.append(await manager.close())

        await manager.start()
        await waiting_for(manager, handler)
        async with asyncio.timeout(0.5):
            while not reports:
                await asyncio.sleep(0.01)
        assert reports[0].dropped == {"works": 4}
        assert reports[0].unfinished == ()
        await turns()
        assert handler_tasks() == []

    in_virtual_time(main)


def test_a_handler_that_does_not_let_itself_be_cancelled_is_named() -> None:
    async def main(world: World, manager: SubscriptionManager) -> None:
        release = asyncio.Event()

        async def stubborn(event: Any) -> None:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue

        await manager.start()
        await waiting_for(manager, stubborn, 2)
        report = await manager.close(timeout=0.5, drain=0.1)
        assert report.unfinished == ("subcore-handler-works",)
        assert report.dropped == {"works": 1}
        release.set()
        await turns()
        assert handler_tasks() == []

    in_virtual_time(main)


def test_what_a_handler_left_behind_long_ago_is_not_dropped_by_the_close() -> None:
    async def main(world: World, manager: SubscriptionManager) -> None:
        handlers = [Handler()]
        await manager.start()
        component = await waiting_for(manager, handlers[0].take, 5)
        calls = handlers[0]._calls
        handlers.clear()
        component.pause()  # so that the others wait
        calls[0].set_result(None)  # the last that held the object
        await asyncio.sleep(1.0)
        assert component.topics == ()
        report = await manager.close()
        assert report.dropped == {}
        assert report.clean

    in_virtual_time(main)


def test_a_paused_component_is_not_waited_for() -> None:
    async def main(world: World, manager: SubscriptionManager) -> None:
        handler = Handler()
        await manager.start()
        component = await waiting_for(manager, handler, 3)
        component.pause()
        await handler.go()
        began = world.clock.now
        report = await manager.close()
        assert report.dropped == {"works": 2}
        assert world.clock.now - began < 500_000_000

    in_virtual_time(main)


def test_live_ends_at_once_and_nothing_new_is_made() -> None:
    async def main(world: World, manager: SubscriptionManager) -> None:
        handler = Handler()
        await manager.start()
        component = await waiting_for(manager, handler, 3)
        waiting = asyncio.create_task(component.live())
        await turns()
        closing = asyncio.create_task(manager.close())
        await turns()
        with pytest.raises(ComponentClosed):
            await waiting
        with pytest.raises(UsageError):
            manager.component("late")
        assert not component.closed
        assert handler.begun == [0]
        await handler.go(3)
        assert (await closing).clean
        assert handler.ended == [0, 1, 2]

    in_virtual_time(main)


def test_a_second_close_may_drop_what_the_first_waits_for() -> None:
    async def main(world: World, manager: SubscriptionManager) -> None:
        handler = Handler()
        await manager.start()
        await waiting_for(manager, handler, 3)
        closing = asyncio.create_task(manager.close(drain=4.0))
        await turns()
        began = world.clock.now
        again = await manager.close(drain=0.0)
        first = await closing
        assert {**again.dropped, **first.dropped} == {"works": 2}
        assert world.clock.now - began < 100_000_000
        KEPT.clear()

    in_virtual_time(main)


def test_the_deadline_must_be_a_number() -> None:
    async def main(world: World, manager: SubscriptionManager) -> None:
        with pytest.raises(UsageError, match="drain is a number"):
            await manager.close(drain="all")  # type: ignore[arg-type]
        make(manager, "lives").subscribe("trade", ETH)
        await manager.close()

    in_virtual_time(main)


def test_who_was_reaped_in_a_call_is_told_before_the_manager_is_closed() -> None:
    async def main(world: World) -> None:
        told: list[StatusKind] = []
        manager = world.manager()
        await manager.start()
        owner = asyncio.create_task(asyncio.sleep(0.0))
        desk = manager.component("desk", owner=owner, on_status=lambda status: told.append(status.kind))
        await owner
        await asyncio.sleep(0.0)
        manager.component("other").close()
        assert desk.closed
        assert told == [], "no handler is called inside a public call"
        await manager.close()
        assert told == [StatusKind.REAPED]

    World().run(main)
