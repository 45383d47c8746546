"""Books by price step, through a whole manager: each step of a market is a stream of its own, with its own holders."""

from __future__ import annotations

import asyncio
from typing import Any

from manager_rig import make
from subcore.manager import SubscriptionManager
from subcore.sim.markets import UNIT
from virtual_manager import World

BTC = "KRW-BTC"


def test_each_component_gets_the_step_it_asked_for() -> None:
    async def main(world: World) -> None:
        market = world.exchange.markets[BTC]
        plain, *steps = (level / UNIT for level in market.levels[:3])
        assert plain == 0.0
        assert len(steps) == 2
        async with world.manager() as manager:
            got: dict[float, list[Any]] = {step: [] for step in (0.0, *steps)}
            for step, events in got.items():
                make(manager, f"{step}").subscribe("orderbook", BTC, events.append, grouping=step or None)
            await _heard(manager, got)
            for step, events in got.items():
                prices = {level.price for event in events for level in (*event.bids, *event.asks)}
                assert len(prices) > 5
                if step:
                    assert all(price % step == 0 for price in prices), step
            assert any(price % steps[0] for event in got[0.0] for price in [event.bids[0].price])
            assert not world.exchange.violations

    World().run(main)


async def _heard(manager: SubscriptionManager, got: dict[float, list[Any]]) -> None:
    async with asyncio.timeout(60.0):
        while min(map(len, got.values())) < 5:
            await asyncio.sleep(0.5)
    for component in manager.components.values():
        await component.live(1.0)
