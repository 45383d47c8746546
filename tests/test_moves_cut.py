"""A link that is lost while its streams are on their way to another one that lags: what both bring is news once."""

from __future__ import annotations

import asyncio

import pytest

from manager_rig import make
from subcore.sim.binance import BinanceExchange
from subcore.sim.exchange import Exchange
from subcore.sim.faults import Fault
from virtual_manager import World

LAG_S = 0.8


@pytest.mark.parametrize(
    ("venue", "exchange", "market"),
    [("upbit", Exchange, "KRW-BTC"), ("binance", BinanceExchange, "BTCUSDT")],
    ids=["upbit", "binance"],
)
def test_what_the_lost_link_had_brought_is_no_news_when_the_lagging_one_brings_it(
    venue: str, exchange: type[Exchange], market: str
) -> None:
    world = World(3, make=exchange, markets=[market], rate=40.0)

    async def main(world: World) -> None:
        async with world.manager(venue=venue) as manager:
            ids: list[int | str] = []
            make(manager, "counting").subscribe("trade", market, lambda trade: ids.append(trade.id))
            await asyncio.sleep(20.0)
            (old,) = world.exchange.connections
            replacing = asyncio.ensure_future(manager.rotate())
            while set(world.exchange.connections) == {old}:
                await asyncio.sleep(0.005)
            new = max(world.exchange.connections)
            world.exchange.inject(Fault("lag", conn=new, lag=LAG_S), world.ns())
            while manager.topic("trade", market).other_link is None or not manager.stats().duplicates:
                await asyncio.sleep(0.005)
            world.exchange.inject(Fault("drop_rst", conn=old), world.ns())
            await asyncio.sleep(20.0)
            await replacing
            assert set(world.exchange.connections) == {new}
            assert len(ids) > 100
            assert len(set(ids)) == len(ids)

    world.run(main)
