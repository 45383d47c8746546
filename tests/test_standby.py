"""`standby=True`: two links carry what asks for it, and only as long as somebody asks."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import Any

from manager_rig import make
from subcore.component import Component
from subcore.engine.events import StandBy
from subcore.engine.snapshot import Snapshot
from subcore.manager import SubscriptionManager
from subcore.sim.binance import BinanceExchange
from subcore.testing import EngineDriver
from subcore.types import Topic
from subcore.venue import Capacity
from subcore.venues import venue
from virtual_manager import World
from wishes import RandomWishes

SETTLED_S = 30.0
CODES = [f"KRW-S{number}" for number in range(6)]


def carriers(world: World) -> dict[str, int]:
    """How many connections the exchange sends each market's trades on."""
    found: dict[str, int] = {}
    for connection in world.exchange.connections.values():
        for wanted in connection.subscriptions:
            if wanted.type == "trade":
                found[wanted.code] = found.get(wanted.code, 0) + 1
    return found


async def assert_carried(world: World, **expected: int) -> None:
    """After a while of virtual time so many connections bring each market's trades, and no others any."""
    await asyncio.sleep(SETTLED_S)
    found = carriers(world)
    assert found == {f"KRW-{code}": count for code, count in expected.items()}


def play(main: Any) -> None:
    async def run(world: World) -> None:
        async with world.manager() as manager:
            await main(world, manager)
            assert not world.exchange.violations

    World(markets=["KRW-BTC", "KRW-ETH", *CODES]).run(run)


def test_a_stream_is_on_standby_while_any_holder_asks_for_it() -> None:
    async def main(world: World, manager: SubscriptionManager) -> None:
        a, b = make(manager, "a"), make(manager, "b")
        a.subscribe("trade", ["KRW-BTC", "KRW-ETH"])
        await assert_carried(world, BTC=1, ETH=1)
        b.subscribe("trade", "KRW-BTC", standby=True)
        await assert_carried(world, BTC=2, ETH=1)
        a.subscribe("trade", "KRW-BTC", standby=True)
        b.close()
        await assert_carried(world, BTC=2, ETH=1)
        a.pause()
        a.resume()
        await assert_carried(world, BTC=2, ETH=1)
        a.subscribe("trade", ["KRW-BTC"])  # the short way: no options, known symbols
        await assert_carried(world, BTC=1, ETH=1)

    play(main)


def test_whatever_ends_an_interest_ends_its_standby() -> None:
    async def main(world: World, manager: SubscriptionManager) -> None:
        stays = make(manager, "stays")
        stays.subscribe("trade", "KRW-BTC")

        def asks(name: str) -> Component:
            component = make(manager, name)
            component.subscribe("trade", "KRW-BTC", standby=True)
            return component

        a = asks("a")
        await assert_carried(world, BTC=2)
        a.unsubscribe("trade")
        await assert_carried(world, BTC=1)
        a.replace("trade", "KRW-BTC", standby=True)
        await assert_carried(world, BTC=2)
        a.replace("trade", "KRW-BTC")
        await assert_carried(world, BTC=1)
        b = asks("b")
        await assert_carried(world, BTC=2)
        b.pause()
        await assert_carried(world, BTC=1)
        b.resume()
        await assert_carried(world, BTC=2)
        b.close()
        c = make(manager, "c")  # which may get the number of one that was closed
        c.subscribe("trade", "KRW-BTC")
        await assert_carried(world, BTC=1)

    play(main)


def test_a_failed_call_asks_for_no_standby() -> None:
    async def main(world: World, manager: SubscriptionManager) -> None:
        a = make(manager, "a")
        a.subscribe("trade", "KRW-BTC")
        try:
            with manager.transaction():
                a.subscribe("trade", "KRW-BTC", standby=True)
                raise KeyError
        except KeyError:
            pass
        await assert_carried(world, BTC=1)

    play(main)


def test_it_is_explained_and_shown() -> None:
    async def main(world: World, manager: SubscriptionManager) -> None:
        a, b = make(manager, "a"), make(manager, "b")
        a.subscribe("trade", "KRW-BTC", standby=True)
        b.subscribe("trade", "KRW-BTC")
        assert manager.topic("trade", "KRW-BTC").standby == ("a",)
        await a.live(10.0)
        assert "and a standby is to carry it too" in manager.explain("trade", "KRW-BTC")
        await asyncio.sleep(SETTLED_S)
        info = manager.topic("trade", "KRW-BTC")
        assert (info.link, info.other_link, info.standby) == (0, 1, ("a",))
        assert "standing by, on link 1 (the standby)" in manager.explain("trade", "KRW-BTC")
        a.close()
        await asyncio.sleep(SETTLED_S)
        info = manager.topic("trade", "KRW-BTC")
        assert (info.other_link, info.standby) == (None, ())
        assert "stand" not in manager.explain("trade", "KRW-BTC")

    play(main)


def test_a_snapshot_keeps_it_and_two_links_carry_what_comes_back_before_anybody_claims_it() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            a, b = make(manager, "a"), make(manager, "b")
            a.subscribe("trade", ["KRW-BTC", "KRW-ETH"], standby=True)
            a.subscribe("trade", ["KRW-ETH"])
            b.subscribe("trade", ["KRW-ETH", *CODES])
            snapshot = Snapshot.from_bytes(bytes(manager.snapshot()))
        by_name = {component.name: component for component in snapshot.components}
        assert by_name["a"].standby == {Topic("trade", "KRW-BTC")}
        assert by_name["b"].standby == frozenset()
        async with world.manager(claim_grace=50.0) as manager:
            b = make(manager, "b")
            b.subscribe("trade", "KRW-BTC")  # and what lives keeps what it has
            await manager.restore(snapshot)
            everything = {"BTC": 2, "ETH": 1, **{code[4:]: 1 for code in CODES}}
            await assert_carried(world, **everything)
            assert {c.name: c.standby for c in manager.snapshot().components} == {
                "a": {Topic("trade", "KRW-BTC")},
                "b": frozenset(),
            }
            assert manager.topic("trade", "KRW-BTC").standby == ("a",)
        async with world.manager(claim_grace=50.0) as manager:
            await manager.restore(snapshot)
            a = make(manager, "a")
            a.adopt()
            await assert_carried(world, **everything)
            a.subscribe("trade", "KRW-BTC")
            await assert_carried(world, BTC=1, ETH=1)  # what b had is dropped by now
            assert not world.exchange.violations

    World(markets=["KRW-BTC", "KRW-ETH", *CODES]).run(main)


def test_standbys_too_many_for_one_link_get_several() -> None:
    made = replace(venue("binance"), capacities=(Capacity("streams", 4),)).at("ws://sim.test:80")
    codes = [f"S{number}USDT" for number in range(10)]
    exchange = BinanceExchange(3, markets=codes, rate=5.0)
    driver = EngineDriver(made, exchange, seed=3)
    streams = driver.subscribe("a", "trade", codes)
    assert driver.run_until(driver.all_settled, 30)
    driver.handle(StandBy(streams))
    driver.run(30)
    carried = [len(connection.streams) for connection in exchange.connections.values()]
    assert max(carried) <= 4
    assert sum(carried) == 2 * len(codes)
    assert not exchange.violations


def test_any_order_of_wishes_against_a_dict() -> None:
    """The model: a component asked for a topic with standby or without, and is paused or not."""

    async def main(world: World, manager: SubscriptionManager) -> None:
        rng = random.Random(11)
        wishes = RandomWishes(rng, "abcd", CODES, lambda name: make(manager, name))
        for step in range(400):
            wishes.step(lambda on: {"standby": on} if on or rng.random() < 0.5 else {})
            if step % 20 < 19:
                if rng.random() < 0.3:
                    await asyncio.sleep(0)
                continue
            await asyncio.sleep(SETTLED_S)
            expected: dict[str, int] = {}
            for code, with_it in wishes.counted():
                expected[code] = max(expected.get(code, 0), 1 + with_it)
            assert carriers(world) == expected, step

    play(main)
