"""An async handler whose task ended by itself holds no stream any more; what asks for it again begins anew."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import Any

import pytest

import subcore
from manager_rig import make
from subcore.types import Status, StatusKind
from virtual_manager import World

BTC, ETH = "KRW-BTC", "KRW-ETH"


def end_tasks() -> None:
    """As somebody does who cancels every task but his own."""
    for task in asyncio.all_tasks():
        if task.get_name().startswith("subcore-handler"):
            task.cancel()


@pytest.mark.parametrize("cancelled", [True, False], ids=["cancelled", "overflowed"])
def test_the_streams_of_a_handler_that_ended_leave_the_wire_and_others_stay(cancelled: bool) -> None:
    world = World(rate=5.0)

    async def main(world: World) -> None:
        told: list[Status] = []
        parked = asyncio.Event()
        calls: list[int] = []

        async def handler(event: Any) -> None:
            calls.append(event.id)
            if not cancelled:
                await parked.wait()

        async with world.manager() as manager:
            component = make(manager, "a", on_status=told.append)
            component.subscribe("trade", BTC, handler, delivery=subcore.Queue(2, overflow="close"))
            component.subscribe("ticker", ETH)
            await component.live(10.0)
            assert world.carried() == {f"trade:{BTC}", f"ticker:{ETH}"}
            await asyncio.sleep(20.0)
            if cancelled:
                end_tasks()
            parked.set()
            await asyncio.sleep(10.0)
            assert [status.kind for status in told if status.kind is StatusKind.ERROR] == [StatusKind.ERROR]
            assert [str(topic) for topic in component.topics] == [f"ticker:{ETH}"]
            assert world.carried() == {f"ticker:{ETH}"}

    world.run(main)


@pytest.mark.parametrize("in_block", [True, False])
def test_what_is_asked_for_anew_at_once_is_held_and_handed_over(in_block: bool) -> None:
    """Before the manager had time to let go of it, also where a transaction ends only then."""
    world = World(rate=5.0)

    async def main(world: World) -> None:
        calls: list[int] = []

        async def handler(event: Any) -> None:
            calls.append(event.id)

        async with world.manager() as manager:
            component = make(manager, "a")
            component.subscribe("trade", BTC, handler)
            await component.live(10.0)
            await asyncio.sleep(10.0)
            with manager.transaction() if in_block else nullcontext():
                component.subscribe("trade", BTC, handler)
                end_tasks()
                await asyncio.sleep(0.0)
                await asyncio.sleep(0.0)
                if not in_block:
                    component.subscribe("trade", BTC, handler)
            before = len(calls)
            assert before > 0
            await asyncio.sleep(10.0)
            assert [str(topic) for topic in component.topics] == [f"trade:{BTC}"]
            assert len(calls) > before

    world.run(main)


def test_the_end_of_the_whole_loop_takes_nothing_from_a_snapshot() -> None:
    async def main(world: World) -> None:
        async def handler(event: Any) -> None:
            pass

        async with world.manager() as manager:
            component = make(manager, "a")
            component.subscribe("trade", BTC, handler)
            await component.live(10.0)
            await asyncio.sleep(10.0)
            end_tasks()
            await asyncio.sleep(0.0)
            await asyncio.sleep(0.0)
            names = [str(topic) for topic in manager.snapshot().topics_between(0, 9)]
            assert names == [f"trade:{BTC}"]

    World(rate=5.0).run(main)
