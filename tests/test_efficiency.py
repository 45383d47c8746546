"""The efficiency score: the ideal held to a plain model with names, its parts to what is known by hand."""

from __future__ import annotations

import asyncio
import random
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

import change_storm

from engine_script import BTC, ETH, Script
from manager_rig import make
from subcore.engine.clock import SECOND
from subcore.engine.efficiency import Efficiency, Optimum, efficiency_score
from subcore.engine.events import Rotate, SymbolsKnown
from subcore.sim.binance import BinanceExchange
from subcore.types import Int32Array
from subcore.venue import Capacity, Route
from subcore.venues import venue
from virtual_manager import World


def ids(*streams: int) -> Int32Array:
    return np.array(streams, np.int32)


@pytest.mark.parametrize("seed", range(12))
def test_the_ideal_is_that_of_a_plain_model(seed: int) -> None:
    """The model: dicts and sets of names, limits typed again from the venues' documents."""
    rng = random.Random(f"efficiency {seed}")
    name, nominal = rng.choice([("upbit", change_storm.UPBIT), ("binance", change_storm.BINANCE)])
    size, rate = rng.choice([3, 40, 900]), rng.choice([0.3, 3.0, 30.0, 300.0])
    made, model = Optimum(venue(name)), change_storm.Optimum(change_storm.Windows(nominal))
    made.up(0, 0)
    wanted: set[int] = set()
    now = SECOND
    for _ in range(800):
        now += round(rng.expovariate(rate) * SECOND) + 1
        stream = rng.randrange(size)
        wanted ^= {stream}
        model.change(str(stream), stream in wanted, now)
        opened, closed = (ids(stream), ids()) if stream in wanted else (ids(), ids(stream))
        made.changed(opened, closed, now)
        assert made.messages == len(model.windows.sent), (name, size, rate, now)
    made.run(now + 200 * SECOND)
    model.run(now + 200 * SECOND)
    assert made.messages == len(model.windows.sent) > 2


def test_nothing_goes_before_a_link_is_up_and_what_it_loses_goes_once_more() -> None:
    made = Optimum(venue("upbit"))
    made.changed(ids(1, 2), ids(), SECOND)
    made.run(5 * SECOND)
    assert made.messages == 0
    made.up(0, 6 * SECOND)
    made.run(6 * SECOND)
    assert made.messages == 1
    made.changed(ids(), ids(2), 7 * SECOND)
    made.down(0, ids(1, 2), 8 * SECOND)  # 2 was leaving: its message is saved
    made.run(100 * SECOND)
    assert made.messages == 1
    made.up(0, 101 * SECOND)
    made.run(200 * SECOND)
    assert made.messages == 2


def test_a_removal_that_a_loss_made_needless_is_no_message() -> None:
    made = Optimum(venue("upbit"))
    made.up(0, 0)
    made.changed(ids(1), ids(), SECOND)
    made.changed(ids(), ids(1), 2 * SECOND)
    made.down(0, ids(1), 3 * SECOND)
    made.up(0, 4 * SECOND)
    made.run(100 * SECOND)
    assert made.messages == 1


def test_what_waited_for_a_link_counts_against_the_windows_when_it_goes() -> None:
    made = Optimum(venue("upbit"))
    made.changed(ids(0), ids(), SECOND)
    made.up(0, 10 * SECOND)
    for number in range(1, 6):
        made.changed(ids(number), ids(), 10 * SECOND + number * SECOND // 10)
    made.run(11 * SECOND - 1)
    assert made.messages == 5  # "5 per second"
    made.run(11 * SECOND)
    assert made.messages == 6


def test_the_score_is_the_product_of_both_factors() -> None:
    efficiency = Efficiency(8, 10, 30, 40)
    assert (efficiency.of_messages, efficiency.of_streams) == (0.8, 0.75)
    assert efficiency.score == efficiency_score(8, 10, 30, 40) == pytest.approx(0.6)
    assert "80.0%" in str(efficiency)
    fewer = Efficiency(10, 8, 0, 0)
    assert fewer.score == 1.0, "fewer than thought possible count as 1"
    assert "8 messages did for 10 (100.0%)" in str(fewer)
    assert Efficiency(0, 0, 5, 0).score == 1.0


def test_a_managers_own_figures() -> None:
    async def main(world: World) -> None:

        async with world.manager() as manager:
            a, b = make(manager, "a"), make(manager, "b")
            a.subscribe("ticker", ["KRW-BTC", "KRW-ETH"])
            b.subscribe("ticker", "KRW-BTC")
            await a.live(10.0)
            first = manager.efficiency()
            assert (first.optimal_messages, first.streams_wanted, first.streams_on_wire) == (1, 2, 2)
            b.subscribe("trade", "KRW-XRP", standby=True)
            await asyncio.sleep(5.0)
            doubled = manager.efficiency()
            assert (doubled.streams_wanted, doubled.streams_on_wire) == (3, 4)
            assert doubled.of_streams == 0.75
            assert doubled.messages == manager.stats().messages_sent
            assert manager.optimize() == (), "a standby is no second link that could be spared"
            a.close()
            b.close()
            await asyncio.sleep(30.0)
            assert manager.efficiency().streams_wanted == manager.efficiency().streams_on_wire == 0

    World(rate=20.0).run(main)


@pytest.mark.parametrize("storm", [change_storm.Storm("upbit", 48, 10, 30, 8)], ids=lambda storm: storm.name)
def test_in_a_storm_the_engine_and_the_judge_agree(
    storm: change_storm.Storm, monkeypatch: pytest.MonkeyPatch
) -> None:
    drivers: list[change_storm.EngineDriver] = []
    judges: list[change_storm.Judge] = []
    make_usual = change_storm.make

    def noted(storm: change_storm.Storm) -> object:
        driver, judge, topics = make_usual(storm)
        drivers.append(driver)
        judges.append(judge)
        return driver, judge, topics

    monkeypatch.setattr(change_storm, "make", noted)
    change_storm.play(storm)
    judges[0].optimum.run(drivers[0].now)
    told = drivers[0].engine.efficiency(drivers[0].now)
    # The judge's link is up from the start, the engine's a moment later.
    assert abs(told.optimal_messages - len(judges[0].optimum.windows.sent)) <= 1
    assert told.of_streams == 1.0
    assert told.of_messages > 0.95


def test_what_waits_as_the_first_of_its_route_counts_as_wanted() -> None:
    """It waits for a newer list of markets, so that there is no link of its route, but of others."""
    upbit = venue("upbit")
    names = ("ticker", "trade", "orderbook")
    made = replace(
        upbit,
        routes=tuple(Route(name, f"/{name}") for name in names),
        channels=tuple(replace(c, route=c.name) for c in upbit.channels if c.name in names),
        limits=tuple(replace(limit, routes=()) for limit in upbit.limits),
    )
    script = Script(made, symbols=frozenset([BTC]))
    for link, name in enumerate(names[:2]):
        script.want(name, BTC)
        script.up(link=link)
    script.want("orderbook", ETH)
    assert str(script.engine.efficiency(script.now)).endswith("3 streams wanted of 2 on the wire (100.0%)")
    script.tell(SymbolsKnown(frozenset([BTC, ETH])))
    script.up(link=2)
    said = script.engine.efficiency(script.now)
    assert (said.score, said.optimal_messages, said.streams_wanted) == (1.0, 3, 3)
    script.unwant("orderbook", ETH)
    assert script.engine.efficiency(script.now).streams_wanted == 2


def test_links_that_fit_on_one_are_proposed_with_the_reason() -> None:
    made = replace(venue("binance"), capacities=(Capacity("streams", 4),)).at("ws://sim.test:80")
    codes = [f"S{number}USDT" for number in range(10)]
    exchange = BinanceExchange(3, markets=codes, rate=5.0)
    driver = change_storm.EngineDriver(made, exchange, seed=3)
    driver.subscribe("a", "trade", codes)
    assert driver.run_until(driver.all_settled, 30)
    assert driver.engine.optimize(driver.now) == []  # 4, 4 and 2
    driver.unsubscribe("a", "trade", codes[:3])
    driver.run(20)
    (proposal,) = driver.engine.optimize(driver.now)
    carried = sorted(len(connection.streams) for connection in exchange.connections.values())
    assert carried == [1, 2, 4]
    assert (proposal.source, proposal.to, proposal.streams, proposal.in_seconds) == (0, 2, 1, None)
    assert "together they carry 3 of the 4 streams that one link takes" in str(proposal)


def test_what_is_yet_to_be_removed_keeps_no_links_from_being_filled_anew() -> None:
    """Both links are full until the removals leave; their successors carry what is wanted alone."""
    made = replace(venue("binance"), capacities=(Capacity("streams", 4),)).at("ws://sim.test:80")
    codes = [f"S{number}USDT" for number in range(8)]
    exchange = BinanceExchange(3, markets=codes, rate=5.0)
    driver = change_storm.EngineDriver(made, exchange, seed=3)
    streams = driver.subscribe("a", "trade", codes).tolist()
    assert driver.run_until(driver.all_settled, 30)
    driver.unsubscribe("a", "trade", codes[:2] + codes[4:6])
    driver.turn()
    assert [link.wire.len_removed for link in driver.engine.links.values()] == [2, 2]
    (proposal,) = driver.engine.optimize(driver.now)
    assert "together they carry 4 of the 4 streams that one link takes" in str(proposal)
    driver.handle(Rotate())
    for _ in range(300):
        driver.run(0.1)
        assert all(len(connection.streams) <= 4 for connection in exchange.connections.values())
    assert driver.engine.optimize(driver.now) == []
    carrying = [link.wire.wire().tolist() for link in driver.engine.links.values() if link.wire.len_wire]
    assert carrying == [streams[2:4] + streams[6:8]]


def test_a_calm_nursery_is_proposed_to_come_home_when_it_does() -> None:
    codes = [f"KRW-T{number}" for number in range(60)]
    exchange = change_storm.Exchange(5, markets=codes, rate=5.0)
    driver = change_storm.EngineDriver(venue("upbit").at("ws://sim.test:80"), exchange, seed=5)
    driver.subscribe("a", "trade", codes[:51])
    assert driver.run_until(driver.all_settled, 30)
    for code in codes[51:]:
        driver.subscribe("a", "trade", [code])
        driver.run(2.0)
    proposals = driver.engine.optimize(driver.now)
    assert [(p.source, p.to) for p in proposals] == [(1, 0)]
    assert proposals[0].in_seconds is not None
    driver.run(proposals[0].in_seconds + 20.0)
    assert driver.engine.optimize(driver.now) == []
