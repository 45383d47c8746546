"""Whoever gets the id of a stream that load had taken off the wire has nothing to do with that."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from load_stage import CALM, HIGH, LOW, OVERLOADED, QUICK, press
from manager_rig import make
from virtual_manager import World


@pytest.mark.simulation
def test_the_next_owner_of_a_withheld_id_is_not_held_back() -> None:
    world = World(seed=8)

    async def main(world: World) -> None:
        async with world.manager(adapt=QUICK) as manager:
            felt, hub = press(manager), manager._hub
            mixed, other = make(manager, "mixed", priority=LOW), make(manager, "other", priority=HIGH)
            mixed.subscribe("ticker", "KRW-ETH", print, priority=HIGH)
            mixed.subscribe("trade", "KRW-ETH", print)
            await asyncio.sleep(3)
            felt[0] = OVERLOADED
            await asyncio.sleep(30)
            assert world.carried() == {"ticker:KRW-ETH"}
            withheld = hub.granting.adapting.withheld
            (stream,) = [int(n) for n in range(8) if withheld.why(n)]
            mixed.unsubscribe("trade", "KRW-ETH")
            await asyncio.sleep(0.1)
            other.subscribe("trade", "KRW-BTC", print)
            await asyncio.sleep(0.1)
            assert list(hub.intent.columns(np.array([stream], np.int32)).symbols) == ["KRW-BTC"], "its id"
            assert not withheld.why(stream)
            felt[0] = CALM
            await asyncio.sleep(60)
            assert world.carried() == {"ticker:KRW-ETH", "trade:KRW-BTC"}
            assert hub.engine.efficiency(hub.clock.monotonic_ns()).streams_wanted == 2

    world.run(main)


@pytest.mark.simulation
def test_a_restore_does_not_wait_for_what_load_keeps_off_the_wire() -> None:
    world = World(seed=8)

    async def main(world: World) -> None:
        async with world.manager() as manager:
            make(manager, "low", priority=LOW).subscribe("ticker", ["KRW-BTC", "KRW-ETH"], print)
            snapshot = manager.snapshot()
        async with world.manager(adapt=QUICK) as manager:
            felt = press(manager)
            make(manager, "high", priority=HIGH).subscribe("trade", "KRW-ETH", print)
            make(manager, "other", priority=LOW).subscribe("trade", "KRW-BTC", print)
            await asyncio.sleep(3)
            felt[0] = OVERLOADED
            await asyncio.sleep(30)
            assert world.carried() == {"trade:KRW-ETH"}
            async with asyncio.timeout(1.0):
                report = await manager.restore(snapshot, adopt=True)
            assert (report.done, report.streams) == (True, ())
            felt[0] = CALM
            await asyncio.sleep(60)
            assert world.carried() == {"trade:KRW-ETH", "trade:KRW-BTC", "ticker:KRW-BTC", "ticker:KRW-ETH"}

    world.run(main)
