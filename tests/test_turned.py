"""A market that the venue serves and then refuses to be asked for again takes no innocent stream with it."""

from __future__ import annotations

import pytest

from engine_script import BTC, ETH, XRP, Script
from subcore.engine import events
from subcore.engine.link import Role
from subcore.sim.binance import BinanceExchange
from subcore.sim.exchange import Exchange
from subcore.sim.faults import Fault
from subcore.testing import EngineDriver
from subcore.types import Priority, Refused, StatusKind, StreamState
from subcore.venues import venue

pytestmark = pytest.mark.simulation

MARKETS = [f"KRW-N{number}" for number in range(60)]
TURNED = MARKETS[5]
UPBIT = venue("upbit").at("ws://sim.test:80")


def serving(seed: int, *channels: str) -> EngineDriver:
    """All markets on a settled link."""
    driver = EngineDriver(UPBIT, Exchange(seed, markets=MARKETS, rate=10.0), seed=seed)
    for channel in channels:
        driver.subscribe("a", channel, MARKETS)
    driver.run(20)
    assert driver.all_settled()
    return driver


def turn(driver: EngineDriver) -> None:
    """From now on a request that names that market is an error."""
    driver.exchange.inject(Fault("error", symbol=TURNED, name="INVALID_PARAM"), driver.now)


def judge(driver: EngineDriver) -> None:
    """That market alone is refused, and all else is proven."""
    refused = [driver.ledger.topic(stream) for stream in driver.streams_in(StreamState.REFUSED)]
    assert {topic.symbol for topic in refused} <= {TURNED}, driver.read_history(60)
    wanted = [
        (driver.ledger.topic(stream).symbol, driver.engine.row(stream)) for stream in driver.ledger.wanted()
    ]
    bad = [(symbol, row) for symbol, row in wanted if symbol != TURNED and row.state is not StreamState.OPEN]
    assert not bad, driver.read_history(60)
    assert not driver.exchange.violations


@pytest.mark.parametrize("seed", range(3))
def test_a_newcomer_is_not_refused_for_one_that_was_served(seed: int) -> None:
    driver = serving(seed, "ticker")
    turn(driver)
    (newcomer,) = driver.subscribe("a", "trade", [MARKETS[0]]).tolist()
    driver.run(120)
    judge(driver)
    assert driver.engine.row(newcomer).state is StreamState.OPEN


@pytest.mark.parametrize("seed", range(3))
def test_nor_where_a_nursery_served_it(seed: int) -> None:
    """Its streams never settle: each goes to the nursery, of which some are proven when the market turns."""
    driver = serving(seed, "ticker")
    for market in MARKETS[6:18] + MARKETS[:5]:  # a storm, which sends what is new to the nursery
        driver.subscribe("a", "trade", [market])
        driver.run(1.5)
    driver.subscribe("a", "trade", [TURNED])
    driver.run(20)
    nursery = [link for link in driver.engine.links.values() if link.role is Role.NURSERY and link.is_up]
    assert nursery
    assert len(nursery[0].wire.wire())
    turn(driver)
    driver.subscribe("a", "orderbook", MARKETS[:2])
    driver.run(200)
    judge(driver)


@pytest.mark.parametrize("seed", range(3))
def test_nor_one_that_comes_while_it_is_found_out(seed: int) -> None:
    driver = serving(seed, "ticker", "trade")
    turn(driver)
    newcomers = []
    for market in MARKETS[:5]:
        newcomers += driver.subscribe("a", "orderbook", [market]).tolist()
        driver.run(0.7)
    driver.run(200)
    judge(driver)
    assert set(newcomers) <= driver.streams_in(StreamState.OPEN)


@pytest.mark.parametrize("seed", range(3))
def test_the_important_do_not_wait_until_it_is_found_out(seed: int) -> None:
    """All is suspect, since all was served; the half with the important ones is asked for first."""
    driver = serving(seed, "ticker")
    critical = set(driver.subscribe("b", "trade", MARKETS[50:], priority=Priority.CRITICAL).tolist())
    driver.run(5)
    assert driver.all_settled()
    turn(driver)
    driver.exchange.inject(Fault("drop_fin"), driver.now)
    assert driver.run_until(lambda: not critical <= driver.streams_in(StreamState.OPEN), 5)
    assert driver.run_until(lambda: critical <= driver.streams_in(StreamState.OPEN), 120)
    assert driver.engine.stats.losses == 3, "the connection, and two requests for all of it"
    driver.run(120)
    judge(driver)


def test_what_is_refused_as_a_market_is_found_at_once_in_all_its_channels() -> None:
    """Its streams stand side by side, so that few halves hold one of them."""
    driver = serving(1, "ticker", "trade", "orderbook")
    turn(driver)
    driver.exchange.inject(Fault("drop_fin"), driver.now)
    assert driver.run_until(lambda: len(driver.streams_in(StreamState.REFUSED)) == 3, 120)
    assert driver.engine.stats.losses <= 16
    driver.run(120)
    judge(driver)


@pytest.mark.parametrize("seed", range(3))
def test_nor_one_that_is_moved_with_it_to_a_successor(seed: int) -> None:
    """The venue refuses the request as a whole, and all that it named but the newcomer is held by the old link."""
    names = [f"N{number}USDT" for number in range(12)]
    exchange = BinanceExchange(seed, markets=names, rate=50.0)
    driver = EngineDriver(venue("binance").at("ws://sim.test:80"), exchange, seed=seed)
    driver.subscribe("a", "trade", names)
    driver.run(20)
    assert driver.all_settled()
    exchange.inject(Fault("error", symbol=names[5]), driver.now)
    driver.subscribe("a", "book_ticker", names[:1])
    driver.turn()
    driver.handle(events.Rotate())
    driver.run(60)
    told = [notice for notice in driver.notices if notice.kind is StatusKind.REFUSED]
    accused = {driver.ledger.topic(stream).symbol for notice in told for stream in notice.streams.tolist()}
    assert accused <= {names[5]}, driver.read_history(60)
    wanted = {(t.channel, t.symbol) for t in map(driver.ledger.topic, driver.ledger.wanted())}
    opened = {(t.channel, t.symbol) for t in map(driver.ledger.topic, driver.streams_in(StreamState.OPEN))}
    assert wanted - opened <= {("trade", names[5])}


@pytest.mark.parametrize("seed", range(3))
def test_a_rotation_ends_and_finds_it(seed: int) -> None:
    """It flows on the old link as long as that is kept, and each request that would move it fails."""
    driver = serving(seed, "ticker")
    turn(driver)
    driver.handle(events.Rotate())
    driver.run(4)
    driver.subscribe("a", "trade", MARKETS[:3])
    driver.run(300)
    judge(driver)
    assert not driver.engine.is_rotating
    assert driver.engine.stats.losses <= 16


@pytest.mark.parametrize("seed", range(3))
def test_the_way_home_of_one_that_turned_costs_the_settled_link_no_more_than_two_losses(seed: int) -> None:
    driver = serving(seed, "ticker")
    for market in MARKETS[6:18]:  # a storm, which sends what is new to the nursery
        driver.subscribe("a", "trade", [market])
        driver.run(1.5)
    driver.subscribe("a", "trade", [TURNED])
    driver.run(20)
    settled, nursery = driver.engine.links[0], driver.engine.links[1]
    driver.unsubscribe("a", "ticker", [TURNED])  # it is on the nursery alone
    driver.run(5)
    assert nursery.role is Role.NURSERY
    generation = settled.generation
    turn(driver)
    driver.run(900)
    judge(driver)
    assert settled.generation - generation <= 2
    assert not nursery.wire.len_target, "all else is at home"


def test_a_silent_death_by_chance_makes_no_innocent_guilty() -> None:
    """The nursery serves the one that turned, and its connection ends while a newcomer is tried there."""
    s = Script()
    s.open_with("ticker", BTC, ETH)
    for _ in range(2):
        s.wait(1.5, frames=1)
    (bad,) = s.want("trade", XRP).tolist()
    s.say(Refused("INVALID_PARAM"))
    s.reconnect()
    s.data([0, 1])
    s.up(link=1)
    s.down("by chance", link=1)
    assert s.state(bad) is not StreamState.REFUSED
    assert [group.doubted is not None for group in s.engine.links[1].trial.groups] == [True]
