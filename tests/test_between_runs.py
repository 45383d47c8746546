"""What is called while the loop stands still, between two runs of it, is done once it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from manager_rig import make
from subcore.component import Component
from subcore.errors import ComponentClosed
from subcore.manager import SubscriptionManager
from subcore.testing.world import VirtualLoop
from virtual_manager import World

BTC = "KRW-BTC"


async def iterated(component: Component) -> str:
    return f"ended after {len([event async for event in component])}"


async def in_batches(component: Component) -> str:
    return f"ended after {len(await component.batch())}"


async def waited(component: Component) -> str:
    try:
        await component.live()
    except ComponentClosed:
        return "ended after 0"
    return "proven"


class _Run:
    """A manager whose loop runs only as long as `until` says."""

    def __init__(self) -> None:
        self.world = World(rate=0.001)
        self.loop = VirtualLoop(self.world.clock)
        self.manager: SubscriptionManager = self.world.manager()

    def until(self, wanted: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(wanted, 60.0))

    def end(self) -> None:
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.until(self.manager.close())
        self.loop.run_until_complete(asyncio.sleep(1.0))
        self.loop.close()
        self.world.ended()


@pytest.fixture
def run() -> Iterator[_Run]:
    made = _Run()
    yield made
    made.end()


@pytest.mark.parametrize("read", [iterated, in_batches, waited])
def test_who_waits_ends_where_the_component_is_closed(
    run: _Run, read: Callable[[Component], Coroutine[Any, Any, str]]
) -> None:
    run.until(run.manager.start())
    component = make(run.manager, "a")
    component.subscribe("trade", BTC)
    reader = run.loop.create_task(read(component))
    run.until(asyncio.sleep(0.001))
    assert not reader.done()
    component.close()
    run.until(asyncio.sleep(10.0))
    assert reader.done()
    assert reader.result() == "ended after 0"
