"""Books by price step, through a whole manager: each step of a market is a stream of its own, with its own holders."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from manager_rig import make
from subcore.errors import UsageError
from subcore.manager import SubscriptionManager
from subcore.sim.markets import UNIT
from subcore.types import Topic
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


HUGE = 10**400


def test_a_step_that_no_double_holds_is_refused_and_harms_nobody() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            a = make(manager, "a")
            for call in (a.subscribe, a.replace, a.unsubscribe):
                with pytest.raises(UsageError, match="price step"):
                    call("orderbook", BTC, grouping=HUGE)
            with pytest.raises(UsageError, match="price step"):
                manager.topic("orderbook", BTC, grouping=HUGE)
            step = world.exchange.markets[BTC].levels[1] // UNIT
            a.subscribe("orderbook", BTC, grouping=step)
            await a.live(5.0)
            assert a.topics == (Topic("orderbook", BTC, None, float(step)),)

    World().run(main)


def test_equal_steps_are_one_whatever_their_type() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            a, b = make(manager, "a"), make(manager, "b")
            step = world.exchange.markets[BTC].levels[1] // UNIT
            a.subscribe("orderbook", BTC, grouping=Fraction(2 * step, 2))
            b.subscribe("orderbook", BTC, grouping=np.float64(step))
            await a.live(5.0)
            assert manager.topic("orderbook", BTC, grouping=step).holders == ("a", "b")
            assert manager.stats().streams["OPEN"] == 1
            a.unsubscribe("orderbook", grouping=Fraction(step))
            assert a.topics == ()

    World().run(main)


def test_steps_nobody_uses_any_more_make_room_for_others() -> None:
    """Over 1,023 of them one after another, some all the time: the one in use keeps its place."""

    async def main(world: World) -> None:
        async with world.manager() as manager:
            a, b = make(manager, "a"), make(manager, "b")
            b.subscribe("orderbook", BTC, grouping=0.5)
            for step in range(2, 1500):
                a.replace("orderbook", BTC, grouping=step)
                if step % 100 == 0:
                    await asyncio.sleep(0)  # ids of a turn are given back at its end
            assert [topic.grouping for topic in (*a.topics, *b.topics)] == [1499.0, 0.5]

    World().run(main)
