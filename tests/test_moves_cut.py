"""A link that is lost while its streams are on their way to another one that lags: what both bring is news once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from manager_rig import make
from subcore.sim.binance import BinanceExchange
from subcore.sim.exchange import Exchange
from subcore.sim.faults import Fault
from subcore.types import Priority
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


@pytest.mark.parametrize(
    ("venue", "exchange", "market", "channel"),
    [
        ("upbit", Exchange, "KRW-BTC", "ticker"),
        ("upbit", Exchange, "KRW-BTC", "trade"),
        ("binance", BinanceExchange, "BTCUSDT", "trade"),
    ],
    ids=["upbit ticker", "upbit trade", "binance trade"],
)
def test_what_is_wanted_again_on_another_link_is_compared_with_what_the_first_brings_late(
    venue: str, exchange: type[Exchange], market: str, channel: str
) -> None:
    """The wire of a link that lags let go of it a moment ago, and now it shall have a link of its own."""
    world = World(5, make=exchange, markets=[market], rate=40.0)

    async def main(world: World) -> None:
        async with world.manager(venue=venue) as manager:
            seen: list[int] = []
            make(manager, "others").subscribe("candle.1m" if venue == "binance" else "orderbook", market)
            component = make(manager, "one", priority=Priority.CRITICAL)

            def note(event: Any) -> None:
                seen.append(event.id if channel == "trade" else event.exchange_time_ns)

            component.subscribe(channel, market, note)
            await component.live()
            await asyncio.sleep(5.0)
            (old,) = world.exchange.connections
            world.exchange.inject(Fault("lag", conn=old, lag=1.6), world.ns())
            await asyncio.sleep(5.0)
            component.unsubscribe(channel, market)
            while carries(world, old, channel):
                await asyncio.sleep(0.005)
            seen.clear()
            component.subscribe(channel, market, note, own_link=True)
            await component.live()
            await asyncio.sleep(8.0)
            assert len(seen) > 20
            assert len(set(seen)) == len(seen) or channel == "ticker"
            assert seen == sorted(seen) or channel == "trade"

    world.run(main)


def carries(world: World, conn: int, channel: str) -> bool:
    """Whether the venue still has it on that connection."""
    return any(channel in str(stream) for stream in world.exchange.connections[conn].streams)
