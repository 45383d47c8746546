"""A link that fell silent is found in time, and a stall accuses nobody."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine_script import ADA, BTC, ETH, XRP, Script
from subcore.engine import events
from subcore.engine.clock import SECOND
from subcore.sim.binance import BinanceExchange
from subcore.sim.exchange import Exchange
from subcore.sim.faults import Fault
from subcore.testing import EngineDriver
from subcore.types import StatusKind
from subcore.venues import venue

pytestmark = pytest.mark.simulation

MARKETS = [f"KRW-N{i}" for i in range(12)]
VENUE = venue("upbit").at("ws://sim.test:80")


def make(seed: int = 1, rate: float = 100.0) -> EngineDriver:
    return EngineDriver(VENUE, Exchange(seed, markets=MARKETS, rate=rate), seed=seed)


def learn(driver: EngineDriver, *channels: str) -> None:
    for channel in channels:
        driver.subscribe("a", channel, MARKETS)
    driver.run(20)
    assert driver.all_settled()
    assert driver.engine.stats.losses == 0


@pytest.mark.parametrize("seed", range(2))
def test_a_half_open_link_is_acted_on_in_time(seed: int) -> None:
    driver = make(seed)
    learn(driver, "ticker", "orderbook")
    driver.exchange.inject(Fault("half_open", conn=next(iter(driver.exchange.connections))), driver.now)
    began = driver.now
    assert driver.run_until(lambda: driver.engine.stats.losses == 1, 10)
    assert (driver.now - began) / SECOND <= 5.0, "it carried more than one frame a second"


@pytest.mark.parametrize("offset", range(4))
def test_a_quiet_half_open_link_is_acted_on_in_ten_seconds(offset: int) -> None:
    """Wherever between two pings it begins."""
    driver = make(2, rate=0.05)
    driver.subscribe("a", "trade", MARKETS[10:])
    driver.run(100 + offset)
    driver.exchange.inject(Fault("half_open", conn=next(iter(driver.exchange.connections))), driver.now)
    began = driver.now
    assert driver.run_until(lambda: driver.engine.stats.losses == 1, 20)
    assert (driver.now - began) / SECOND <= 10.0


@pytest.mark.parametrize("seed", range(3))
def test_changes_that_wait_keep_no_ping_from_going(seed: int) -> None:
    """Where pings count as messages, and the first wishes take half a minute."""
    binance = venue("binance", names_per_message=1).at("ws://sim.test:80")
    symbols = [f"N{i}USDT" for i in range(80)]
    driver = EngineDriver(binance, BinanceExchange(seed, markets=symbols), seed=seed)
    driver.subscribe("a", "trade", symbols)
    driver.run(1)
    driver.exchange.inject(Fault("half_open"), driver.now)
    began = driver.now
    assert driver.run_until(lambda: driver.engine.stats.losses == 1, 20)
    assert (driver.now - began) / SECOND <= 10.0


@pytest.mark.parametrize("seed", range(3))
def test_changes_of_another_link_keep_no_ping_from_going_where_both_share_a_limit(seed: int) -> None:
    """After a rate refusal limits count over the whole process, and the other link has to ask for half a minute."""
    binance = venue("binance", names_per_message=1).at(f"ws://shared-{seed}.test:80")
    symbols = [f"N{i}USDT" for i in range(100)]
    driver = EngineDriver(binance, BinanceExchange(seed, markets=symbols), seed=seed)
    driver.subscribe("a", "trade", symbols[:2])
    driver.run(5)
    driver.handle(events.StandBy(driver.engine.links[0].wire.wire()[:1]))
    driver.run(20)
    assert len(driver.exchange.connections) == 2
    driver.registry.narrow(binance.host, driver.now + 3600 * SECOND)
    driver.subscribe("a", "trade", symbols[2:])
    standby = max(driver.exchange.connections)
    driver.exchange.inject(Fault("half_open", conn=standby), driver.now)
    began = driver.now
    assert driver.run_until(lambda: driver.engine.stats.losses == 1, 20)
    assert (driver.now - began) / SECOND <= 10.0


@pytest.mark.parametrize("seed", range(2))
def test_a_silent_link_whose_pongs_come_is_replaced(seed: int) -> None:
    driver = make(seed)
    learn(driver, "ticker", "orderbook")
    limit = max(5.0, 20 * driver.engine.links[0].habit.median / SECOND)
    driver.exchange.inject(
        Fault("lose", probability=1.0, conn=next(iter(driver.exchange.connections))), driver.now
    )
    began = driver.now
    assert driver.run_until(lambda: driver.engine.stats.losses == 1, 60)
    assert (driver.now - began) / SECOND <= limit
    assert driver.run_until(driver.all_settled, 20)


@pytest.mark.simulation  # long, and the same on each interpreter
def test_a_stall_accuses_nobody() -> None:
    driver = make(4)
    learn(driver, "ticker", "trade", "orderbook")
    for seconds in (12.0, 30.0, 8.0):
        driver.stall(seconds)
        driver.run(seconds + 20)
    assert not [n for n in driver.notices if n.kind is StatusKind.SUSPECT]
    assert driver.engine.stats.losses == 0


def test_a_link_left_with_little_to_carry_is_not_judged_by_what_it_carried() -> None:
    driver = make(5)
    learn(driver, "ticker")
    driver.unsubscribe("a", "ticker", MARKETS[:-1])
    driver.run(5)
    driver.exchange.inject(Fault("silent", channel="ticker", symbol=MARKETS[-1]), driver.now)
    driver.run(60)
    assert driver.engine.stats.losses == 0


def test_a_stall_becomes_no_habit_of_the_link() -> None:
    """Else a link that dies within the day after is found minutes late."""
    s = Script()
    s.open_with("ticker", BTC, ETH, XRP, ADA)
    s.wait(60, frames=5)
    habit = s.engine.links[0].habit
    before = habit.limit(5 * SECOND)
    for stall in (1, 60, 3600):
        s.now += stall * SECOND
        s.activity(5)
        s.tell(events.Tick())
        assert habit.worst <= 0.5 * SECOND
    s.wait(10, frames=5)
    assert habit.limit(5 * SECOND) <= 1.1 * before


def silence(driver: EngineDriver) -> None:
    """Nothing comes any more but answers to pings, and lists."""
    conn = next(iter(driver.exchange.connections))
    driver.exchange.inject(Fault("lose", probability=1.0, conn=conn), driver.now)


def found_in_time(driver: EngineDriver, wish: Callable[[str], object], every: float) -> bool:
    """Whether a link that falls silent now is given up within its limit, with wishes made all the time."""
    limit = max(5.0, driver.engine.links[0].habit.limit(0) / SECOND)
    silence(driver)
    began = driver.now
    for market in MARKETS:
        wish(market)
        if driver.run_until(lambda: driver.engine.stats.losses == 1, every):
            return (driver.now - began) / SECOND <= limit
    return False


def test_what_is_added_meanwhile_saves_no_silent_link() -> None:
    """A wish each two seconds: none of its messages is a fresh start for the link."""
    driver = make(6)
    learn(driver, "ticker", "orderbook")
    assert found_in_time(driver, lambda market: driver.subscribe("a", "trade", [market]), every=2)


def test_what_is_removed_meanwhile_saves_no_silent_link() -> None:
    """The request states the whole set anew, and its snapshots do not come."""
    driver = make(7)
    learn(driver, "ticker", "orderbook")

    def exchange(market: str) -> None:
        driver.unsubscribe("a", "orderbook", [market])
        driver.subscribe("a", "trade", [market])  # so that the removal rides along, at once

    assert found_in_time(driver, exchange, every=1)
    assert driver.run_until(driver.all_settled, 20)


def test_what_rests_after_its_snapshots_is_not_judged_by_what_was_removed() -> None:
    driver = make(8)
    learn(driver, "ticker")
    driver.unsubscribe("a", "ticker", MARKETS[4:])
    driver.run(5)
    for market in MARKETS[:4]:
        driver.exchange.inject(Fault("silent", channel="ticker", symbol=market), driver.now)
    driver.run(60)
    assert driver.engine.stats.losses == 0


def test_another_connection_is_not_judged_by_what_the_last_one_carried() -> None:
    driver = make(9)
    learn(driver, "ticker")
    driver.exchange.inject(Fault("drop_fin", conn=next(iter(driver.exchange.connections))), driver.now)
    driver.unsubscribe("a", "ticker", MARKETS[4:])
    assert driver.run_until(lambda: driver.engine.stats.losses == 1, 5)
    assert driver.run_until(driver.all_settled, 20)
    for market in MARKETS[:4]:
        driver.exchange.inject(Fault("silent", channel="ticker", symbol=market), driver.now)
    driver.run(60)
    assert driver.engine.stats.losses == 1


def test_where_a_removal_brings_no_snapshots_it_leaves_no_habit() -> None:
    """On a venue whose messages name what changes, what is left may just have nothing to say."""
    names = ["BTCUSDT", "ETHUSDT", "XRPUSDT", "ADAUSDT", "SOLUSDT", "DOGEUSDT"]
    driver = EngineDriver(
        venue("binance").at("ws://sim.test:80"), BinanceExchange(10, markets=names, rate=100.0), seed=10
    )
    driver.subscribe("a", "trade", names)
    driver.run(20)
    driver.unsubscribe("a", "trade", names[4:])
    for market in names[:4]:
        driver.exchange.inject(Fault("silent", channel="trade", symbol=market), driver.now)
    driver.run(60)
    assert driver.engine.stats.losses == 0
