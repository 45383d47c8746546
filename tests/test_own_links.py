"""`own_link=True`: what is critical shares a link only with what asked for the same, as long as somebody asks."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import Any

import pytest

from manager_rig import make
from subcore.engine.events import OwnLink
from subcore.engine.snapshot import Snapshot
from subcore.errors import UsageError
from subcore.manager import SubscriptionManager
from subcore.sim.binance import BinanceExchange
from subcore.sim.exchange import Exchange
from subcore.sim.faults import Fault
from subcore.testing import EngineDriver
from subcore.types import Int32Array, Priority, StatusKind, StreamState, Topic
from subcore.venue import Capacity, Scope
from subcore.venues import venue
from virtual_manager import World
from wishes import RandomWishes

SETTLED_S = 130.0  # twice the calm after which a nursery's streams come home
CODES = [f"KRW-S{number}" for number in range(6)]
HIGHEST: dict[str, Any] = {"priority": Priority.CRITICAL, "own_link": True}


def wires(world: World) -> list[set[str]]:
    """What trades each connection of the exchange carries, those that carry none left out."""
    found = [
        {wanted.code for wanted in connection.subscriptions if wanted.type == "trade"}
        for connection in world.exchange.connections.values()
    ]
    return sorted(filter(None, found), key=sorted)


def play(main: Any) -> None:
    async def run(world: World) -> None:
        async with world.manager() as manager:
            await main(world, manager)
            assert not world.exchange.violations

    World(markets=["KRW-BTC", "KRW-ETH", *CODES]).run(run)


def test_it_has_its_own_link_at_once_and_what_others_do_does_not_touch_it() -> None:
    async def main(world: World, manager: SubscriptionManager) -> None:
        chart, execution = make(manager, "chart"), make(manager, "execution")
        chart.subscribe("trade", "KRW-ETH")
        execution.subscribe("trade", "KRW-BTC", **HIGHEST)
        await execution.live(5.0)
        await chart.live(5.0)
        assert wires(world) == [{"KRW-BTC"}, {"KRW-ETH"}]
        assert manager.stats().messages_sent == 2
        (own,) = (c for c in world.exchange.connections.values() if len(wires(world)[0] & _codes(c)))
        for code in CODES:
            chart.subscribe("trade", code)
            await asyncio.sleep(0.5)
        assert own.messages == 1
        info = manager.topic("trade", "KRW-BTC")
        assert info.own_link == ("execution",)
        assert f"on link {info.link} (its own, " in manager.explain("trade", "KRW-BTC")

    play(main)


def _codes(connection: Any) -> set[str]:
    return {wanted.code for wanted in connection.subscriptions}


def test_what_is_carried_already_moves_there_and_back_and_is_carried_all_the_time() -> None:
    async def main(world: World, manager: SubscriptionManager) -> None:
        a, b = make(manager, "a"), make(manager, "b")
        a.subscribe("trade", ["KRW-BTC", "KRW-ETH"])
        b.subscribe("trade", "KRW-BTC")
        await a.live(5.0)

        async def watch(expected: list[set[str]]) -> None:
            for _ in range(400):
                await asyncio.sleep(0.1)
                assert set().union(*wires(world)) == {"KRW-BTC", "KRW-ETH"}
            assert wires(world) == expected

        b.subscribe("trade", "KRW-BTC", **HIGHEST)
        await watch([{"KRW-BTC"}, {"KRW-ETH"}])
        b.subscribe("trade", "KRW-BTC")
        await watch([{"KRW-BTC", "KRW-ETH"}])
        assert len(world.exchange.connections) == 1, "the link that nobody needs is closed"
        b.subscribe("trade", "KRW-BTC", **HIGHEST)
        await watch([{"KRW-BTC"}, {"KRW-ETH"}])
        b.pause()
        await watch([{"KRW-BTC", "KRW-ETH"}])
        b.resume()
        await watch([{"KRW-BTC"}, {"KRW-ETH"}])
        b.close()
        await watch([{"KRW-BTC", "KRW-ETH"}])

    play(main)


def test_a_standby_of_it_is_beside_its_own_link_whichever_was_asked_for_first() -> None:
    async def main(world: World, manager: SubscriptionManager) -> None:
        a, b = make(manager, "a"), make(manager, "b")
        a.subscribe("trade", ["KRW-ETH", "KRW-BTC"])
        b.subscribe("trade", "KRW-BTC", standby=True)
        await asyncio.sleep(SETTLED_S)
        assert wires(world) == [{"KRW-BTC"}, {"KRW-BTC", "KRW-ETH"}]
        b.subscribe("trade", "KRW-BTC", standby=True, **HIGHEST)
        await asyncio.sleep(SETTLED_S)
        assert wires(world) == [{"KRW-BTC"}, {"KRW-BTC"}, {"KRW-ETH"}]
        await manager.rotate()
        await asyncio.sleep(SETTLED_S)
        assert wires(world) == [{"KRW-BTC"}, {"KRW-BTC"}, {"KRW-ETH"}]

    play(main)


def test_it_is_for_what_is_critical() -> None:
    async def main(world: World, manager: SubscriptionManager) -> None:
        a = make(manager, "a")
        with pytest.raises(UsageError, match="component 'a': own_link= is for what is CRITICAL"):
            a.subscribe("trade", "KRW-BTC", own_link=True)
        assert a.topics == ()
        make(manager, "b", priority=Priority.CRITICAL).subscribe("trade", "KRW-BTC", own_link=True)

    play(main)


def test_a_snapshot_keeps_it() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            a = make(manager, "a")
            a.subscribe("trade", ["KRW-BTC", "KRW-ETH"])
            a.subscribe("trade", "KRW-BTC", **HIGHEST)
            snapshot = Snapshot.from_bytes(bytes(manager.snapshot()))
        (saved,) = snapshot.components
        assert (saved.own_link, saved.standby) == ({Topic("trade", "KRW-BTC")}, frozenset())
        async with world.manager() as manager:
            await manager.restore(snapshot)
            assert wires(world) == [{"KRW-BTC"}, {"KRW-ETH"}]

    World(markets=["KRW-BTC", "KRW-ETH"]).run(main)


def test_any_order_of_wishes_against_a_dict() -> None:
    """The model: a component asked for a topic with its own link or without, and is paused or not."""

    async def main(world: World, manager: SubscriptionManager) -> None:
        rng = random.Random(5)
        wishes = RandomWishes(rng, "abc", CODES, lambda name: make(manager, name))
        for step in range(160):
            wishes.step(lambda on: HIGHEST if on else {})
            if step % 16 < 15:
                await asyncio.sleep(rng.choice((0.0, 0.0, 0.3, 3.0)))
                continue
            await asyncio.sleep(SETTLED_S)
            wanted = {code for code, _ in wishes.counted()}
            own = {code for code, with_it in wishes.counted() if with_it}
            assert wires(world) == sorted(filter(None, [own, wanted - own]), key=sorted), step

    play(main)


# Where the venue allows few connections


def few(connections: int, **exchange: Any) -> tuple[EngineDriver, Int32Array]:
    made = replace(venue("upbit"), capacities=(Capacity("connections", connections, Scope.IP),))
    driver = EngineDriver(
        made.at("ws://sim.test:80"), Exchange(3, markets=CODES, rate=5.0, **exchange), seed=3
    )
    return driver, driver.subscribe("a", "trade", CODES)


def test_where_no_connection_is_left_it_stays_with_the_others_and_its_holders_are_told_once() -> None:
    driver, streams = few(1)
    assert driver.run_until(driver.all_settled, 10)
    driver.handle(OwnLink(streams[:2]))
    driver.run(60)
    assert len(driver.exchange.connections) == 1
    (told,) = (notice for notice in driver.notices if notice.kind is StatusKind.ERROR)
    assert told.streams.tolist() == streams[:2].tolist()
    assert told.reason == (
        "upbit allows 1 connections, and none is left for a link of its own: it shares one"
    )
    said = driver.engine.explain(int(streams[0]), driver.clock.now)
    assert "is to have a link of its own once one of the 1 connections that upbit allows is free" in said
    assert not driver.exchange.violations


def test_streams_that_add_and_remove_are_spread_over_links_of_their_own() -> None:
    made = replace(venue("binance"), capacities=(Capacity("streams", 3),)).at("ws://sim.test:80")
    codes = [f"S{number}USDT" for number in range(10)]
    exchange = BinanceExchange(3, markets=codes, rate=5.0)
    driver = EngineDriver(made, exchange, seed=3)
    streams = driver.subscribe("a", "trade", codes)
    assert driver.run_until(driver.all_settled, 30)
    driver.handle(OwnLink(streams[:5]))
    driver.run(60)
    own = {code.lower() for code in codes[:5]}
    carried = [
        {str(name).lower().partition("@")[0] for name in connection.streams}
        for connection in exchange.connections.values()
    ]
    carried = [names for names in carried if names]
    assert all(names <= own or not names & own for names in carried), carried
    assert sorted(name for names in carried for name in names) == sorted(code.lower() for code in codes)
    assert max(map(len, carried)) <= 3
    assert not exchange.violations


def test_what_comes_to_its_own_link_beside_one_that_is_refused_there_is_not_called_guilty() -> None:
    """The venue serves a market and refuses to be asked for it anew, so it cannot move. Each try would take with it who
    came meanwhile: they are apart, and tries are far apart."""
    codes = [f"S{number}USDT" for number in range(6)]
    exchange = BinanceExchange(3, markets=[*codes, "NEWUSDT"], rate=5.0)
    driver = EngineDriver(venue("binance").at("ws://sim.test:80"), exchange, seed=3)
    streams = driver.subscribe("a", "trade", codes)
    assert driver.run_until(driver.all_settled, 30)
    driver.handle(OwnLink(streams[:1]))
    driver.run(30)
    exchange.inject(Fault("error", symbol=codes[1], name="no"), driver.now)
    sent = len(driver.sent)
    driver.handle(OwnLink(streams[1:4]))
    new = driver.subscribe("a", "trade", ["NEWUSDT"])
    driver.handle(OwnLink(new))
    driver.turn()
    driver.run(50)
    assert driver.engine.row(int(new[0])).state is StreamState.OPEN
    assert driver.streams_in(StreamState.OPEN) == {*streams.tolist(), int(new[0])}
    assert len(driver.sent) - sent <= 6
    assert not [notice for notice in driver.notices if notice.kind is StatusKind.REFUSED]
    exchange.heal(driver.now)
    driver.run(300)
    links = driver.engine.streams.legs.link[2 * streams.astype(int)].tolist()
    assert len(set(links[:4])) == 1, "they are on it when the venue takes them"
    assert links[0] != links[5]
    assert not exchange.violations
