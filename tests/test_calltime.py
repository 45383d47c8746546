"""Time that handlers hold the loop: what is read of it once a second against what they know they took."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from manager_rig import make
from subcore.calltime import CallTime
from subcore.figures import ComponentStats
from virtual_manager import World

BTC = "KRW-BTC"
MS = 1_000_000


class _Worker:
    """Handlers that hold the loop of a world for 3 ms a step, and add up how long they did."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.took = 0
        self.calls = 0

    def step(self, _: Any = None) -> None:
        self.world.clock.advance_to(self.world.clock.now + 3 * MS)
        self.took += 3 * MS

    async def in_four_steps(self, _: Any) -> None:
        self.calls += 1
        for pause in (0.002, 0.0, 0.001):
            self.step()
            await asyncio.sleep(pause)
        self.step()

    async def for_ever(self, _: Any) -> None:
        self.calls += 1
        while True:
            self.step()
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("kind", ["in_four_steps", "for_ever"])
def test_each_step_of_an_async_handler_counts(kind: str) -> None:
    """Also of a call that began long ago."""

    async def main(world: World) -> None:
        async with world.manager() as manager:
            worker = _Worker(world)
            component = make(manager, "a")
            component.subscribe("trade", BTC, getattr(worker, kind))
            await component.live(10.0)
            times = CallTime(manager._hub)
            times.took([component._member])
            before = worker.took
            for _ in range(5):
                await asyncio.sleep(4.0)
                assert times.took([component._member]) == worker.took - before > 0
                before = worker.took

    World(rate=5.0).run(main)


def test_plain_handlers_beside_it_count_too() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            worker = _Worker(world)
            component = make(manager, "a")
            component.subscribe("trade", BTC, worker.in_four_steps)
            component.subscribe("ticker", BTC, worker.step)
            times, seen = CallTime(manager._hub), 0.0
            for _ in range(120):
                await asyncio.sleep(1.0)
                seen += times.took([component._member])
            assert seen == pytest.approx(worker.took, rel=0.1)

    World(rate=5.0).run(main)


_FIGURES: dict[str, Callable[[Any, ComponentStats, int], float]] = {
    "costs": lambda manager, stats, since: manager.costs().components["a"].callback_ns,
    "plan": lambda manager, stats, since: manager.plan().components[0].handler_us * 1e3 * stats.calls,
    "loop_share": lambda manager, stats, since: (
        stats.loop_share * (manager._hub.clock.monotonic_ns() - since)
    ),
}


@pytest.mark.parametrize("figure", list(_FIGURES))
def test_figures_of_calls_are_of_all_their_steps(figure: str) -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            worker = _Worker(world)
            component = make(manager, "a")
            since = manager._hub.clock.monotonic_ns()
            component.subscribe("trade", BTC, worker.in_four_steps)
            await asyncio.sleep(30.0)
            stats = component.stats()
            assert stats.calls == worker.calls > 10
            assert _FIGURES[figure](manager, stats, since) == pytest.approx(worker.took, rel=1e-3)

    World(rate=5.0).run(main)
