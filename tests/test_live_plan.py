"""What a live manager's plan says of books by several price steps, and of what needs a login."""

from __future__ import annotations

import asyncio

import pytest

from plan_figures import COSTS, UPBIT
from private_keys import token
from subcore.engine.forecast import Costs
from subcore.errors import UsageError
from subcore.planning.plans import Plan, PlannedComponent, PlannedInterests
from subcore.planning.prediction import predict
from virtual_manager import World


def test_a_book_that_is_held_plain_and_grouped_is_planned_as_often_as_the_busier() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            component = manager.component("books")
            component.subscribe("orderbook", UPBIT[:1], lambda event: None)
            for price_step in (7, 11):  # which the market has not, so that nothing comes
                component.subscribe("orderbook", UPBIT[:1], lambda event: None, grouping=price_step)
            await asyncio.sleep(62)
            rate = manager.stats().frame_rate.over_60s
            assert rate > 1.0
            assert manager.plan().rate_of("orderbook", UPBIT[0]).per_second == pytest.approx(rate)

    World(seed=3, markets=list(UPBIT[:2]), rate=2.0).run(main)


def test_what_needs_a_login_is_in_no_plan_of_a_live_manager() -> None:
    async def login() -> str:
        return token()

    async def main(world: World) -> None:
        async with world.manager(credentials=login) as manager:
            component = manager.component("desk")
            component.subscribe("ticker", UPBIT[:2], lambda event: None)
            for channel in ("myOrder", "myAsset"):
                component.subscribe(channel, "*", lambda event: None)
            await component.live(20.0)
            found = manager.plan()
            assert [part.channel for part in found.components[0].interests] == ["ticker"]
            costs = Costs(1e4, {("ticker", 0): 1000.0}, COSTS.delivery, COSTS.wake, 1e4, 1e4)
            assert predict(found, costs=costs).streams == 2

    World(seed=3, markets=list(UPBIT[:2])).run(main)
    private = Plan("upbit", (PlannedComponent("a", (PlannedInterests("myOrder", ("*",)),)),), {})
    with pytest.raises(UsageError, match=r"myOrder needs a login.* leave it out of the plan"):
        predict(private, costs=COSTS)
