"""A manager over real sockets against the second embedded exchange: nothing above the venue knows which one it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

import subcore
from manager_rig import SOON, make, until
from subcore.errors import SubscribeError
from subcore.sim import Fault
from subcore.sim.binance import BinanceDurations, BinanceExchange
from subcore.sim.server import SimServer
from subcore.types import StreamState

MARKETS = ["BTCUSDT", "ETHUSDT", "ETHBTC", "XRPUSDT"]


@pytest.fixture
async def binance() -> AsyncIterator[SimServer]:
    """Windows of the venue are its own; it pings twenty times as often, and wants pongs as soon."""
    durations = BinanceDurations(ping_every=1.0, pong_within=2.0)
    exchange = BinanceExchange(seed=3, rate=20.0, markets=MARKETS, durations=durations)
    async with SimServer(exchange) as running:
        yield running
        assert list(running.violations) == []


@pytest.fixture
async def manager(binance: SimServer) -> AsyncIterator[subcore.SubscriptionManager]:
    async with subcore.SubscriptionManager("binance", url=binance.url, seed=1) as running:
        yield running


async def test_every_channel_reaches_its_handler(manager: subcore.SubscriptionManager) -> None:
    got: dict[str, list[Any]] = {}
    component = make(manager, "all")
    for channel in ("book_ticker", "agg_trade", "trade", "orderbook", "candle.1m"):
        component.subscribe(channel, ["BTCUSDT", "ETHUSDT"], got.setdefault(channel, []).append, raw=True)
    component.subscribe("orderbook", "BTCUSDT", got.setdefault("top", []).append, depth=5, raw=True)
    await component.live(timeout=SOON)
    await until(lambda: all(got.values()))
    for channel, events in got.items():
        for event in events:
            said = json.loads(event.raw)
            assert event.channel == ("orderbook" if channel == "top" else channel)
            assert event.symbol == said["stream"].partition("@")[0].upper()
    for channel, word in (("top", "depth5@100ms"), ("orderbook", "depth20@100ms")):
        for book in got[channel]:
            said = json.loads(book.raw)
            assert said["stream"].partition("@")[2] == word
            assert [[level.price, level.size] for level in book.bids] == [
                [float(price), float(size)] for price, size in said["data"]["bids"]
            ]
    stats = manager.stats()
    assert manager._hub.engine.stats.plans == 1, (
        "one message; a list may be asked for where a stream stays silent"
    )
    assert stats.streams["OPEN"] == 11


async def test_changes_and_a_reset_link(manager: subcore.SubscriptionManager, binance: SimServer) -> None:
    exchange: Any = binance.exchange
    component = make(manager, "books")
    component.subscribe("book_ticker", MARKETS)
    await component.live(timeout=SOON)
    component.replace("book_ticker", MARKETS[:2])
    component.subscribe("orderbook", MARKETS[:1], depth=10)
    await component.live(timeout=SOON)

    def carried() -> list[str]:
        return [name for connection in exchange.connections.values() for name in connection.streams]

    wanted = {"btcusdt@bookTicker", "ethusdt@bookTicker", "btcusdt@depth10@100ms"}
    await until(lambda: set(carried()) == wanted)
    exchange.inject(Fault("drop_rst"), binance.clock())
    binance.wake()
    await until(lambda: exchange.stats.connects >= 2 and set(carried()) == wanted)
    await component.live(timeout=SOON)
    assert len(carried()) == len(wanted), "each stream once, on one connection"
    assert {(info.topic.channel, info.state) for info in manager.topics()} == {
        ("book_ticker", StreamState.OPEN),
        ("orderbook", StreamState.OPEN),
    }
    assert manager.stats().losses_of_link == 1


async def test_the_venues_pings_are_answered(
    manager: subcore.SubscriptionManager, binance: SimServer
) -> None:
    exchange: Any = binance.exchange
    component = make(manager, "quiet")
    component.subscribe("trade", "BTCUSDT")
    await component.live(timeout=SOON)
    (connection,) = exchange.connections.values()
    heard = connection.messages
    await until(lambda: connection.messages >= heard + 3)
    assert not connection.over
    assert exchange.stats.idle_drops == 0


async def test_a_refused_request_names_the_venues_words(
    manager: subcore.SubscriptionManager, binance: SimServer
) -> None:
    binance.exchange.inject(Fault("error", symbol="ETHBTC", name="invalid stream"), binance.clock())
    component = make(manager, "refused")
    component.subscribe("trade", "ETHBTC")
    with pytest.raises(SubscribeError, match="error 2"):
        await component.live(timeout=SOON)


async def test_the_list_of_markets_comes_from_the_exchange(binance: SimServer) -> None:
    binance_venue = subcore.venue("binance")
    assert binance_venue.parse_markets is not None
    reader, writer = await asyncio.open_connection(binance.host, binance.port)
    writer.write(
        b"GET /api/v3/exchangeInfo?showPermissionSets=false HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    reply = await reader.read()
    writer.close()
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert binance_venue.parse_markets(body) == set(MARKETS)
