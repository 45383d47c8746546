"""The same engine against the second pure exchange: whatever it knew of the first would show here.

What is wanted is kept in this file's own dict; what the wire carries is read from the exchange's books; limits are
judged by its own count of arrivals. A failing seed reruns alone: `pytest tests/test_simulation_binance.py -k seed_3`.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import random
from collections import Counter
from itertools import pairwise

import pytest

from random_faults import have_fault
from subcore.engine.clock import SECOND
from subcore.sim.binance import BinanceDurations, BinanceExchange, BinanceRules
from subcore.sim.faults import Fault
from subcore.testing import EngineDriver
from subcore.types import Evidence, Priority, StreamState, Topic
from subcore.venues import venue

pytestmark = pytest.mark.simulation

BASES = ("BTC", "ETH", "XRP", "ADA", "DOT", "SOL", "DOGE", "TRX")
MARKETS = [f"{base}USDT" for base in BASES] + ["ETHBTC", "XRPBTC"]
CHANNELS = ("book_ticker", "agg_trade", "trade", "orderbook", "candle.1m")
FAULTS = ("drop_fin", "drop_rst", "close", "refuse", "cut", "hang", "status")
FAULTS += ("half_open", "mute_pong", "garbage", "fragments", "lag")
SEEDS, STEPS = range(4, 12), 80  # each kind bites in four of them or more
VENUE = venue("binance").at("ws://sim.test:80")
WORDS = {"book_ticker": "bookTicker", "agg_trade": "aggTrade", "trade": "trade", "candle.1m": "kline_1m"}


def make(
    seed: int,
    rate: float = 0.2,
    markets: list[str] = MARKETS,
    delay: tuple[float, float] = (0.005, 0.05),
    **times: float,
) -> EngineDriver:
    durations = BinanceDurations(**times)
    exchange = BinanceExchange(seed, markets=markets, rate=rate, rules=BinanceRules(), durations=durations)
    return EngineDriver(VENUE, exchange, seed=seed, delay=delay)


def name_of(topic: Topic) -> str:
    word = f"depth{topic.depth or 20}@100ms" if topic.channel == "orderbook" else WORDS[topic.channel]
    return f"{topic.symbol.lower()}@{word}"


def carried(driver: EngineDriver) -> list[str]:
    """Every stream of every connection the exchange has, by its own books."""
    return [name for connection in driver.exchange.connections.values() for name in connection.streams]


class Wishes:
    """What components want, in a dict of the test's own, handed to the driver step by step."""

    def __init__(self, driver: EngineDriver, rng: random.Random) -> None:
        self.driver, self.rng = driver, rng
        self.held: dict[str, set[Topic]] = {f"component-{i}": set() for i in range(8)}

    def names(self) -> set[str]:
        return {name_of(topic) for held in self.held.values() for topic in held}

    def step(self) -> None:
        name = self.rng.choice(sorted(self.held))
        held = sorted(self.held[name], key=str)
        action = self.rng.choice(("add", "add", "drop", "close", "flip"))
        if action == "add":
            for _ in range(self.rng.randint(1, 6)):
                self.add(name, self.topic())
        elif action == "drop" and held:
            for topic in self.rng.sample(held, self.rng.randint(1, len(held))):
                self.drop(name, topic)
        elif action == "close":
            for topic in held:
                self.drop(name, topic)
        elif action == "flip" and (topic := self.topic()) not in held:
            self.add(name, topic)
            self.drop(name, topic)

    def topic(self) -> Topic:
        channel = self.rng.choice(CHANNELS)
        depth = self.rng.choice((None, 5, 10, 20)) if channel == "orderbook" else None
        return Topic(channel, self.rng.choice(MARKETS), depth)

    def add(self, name: str, topic: Topic) -> None:
        self.held[name].add(topic)
        self.driver.ledger.subscribe(name, topic, self.rng.choice(list(Priority)))

    def drop(self, name: str, topic: Topic) -> None:
        self.held[name].remove(topic)
        self.driver.ledger.unsubscribe(name, topic)

    def drop_all(self) -> None:
        for name, held in self.held.items():
            for topic in list(held):
                self.drop(name, topic)


def check_always(driver: EngineDriver, wishes: Wishes, seed: int) -> None:
    told = f"seed {seed}\n{driver.read_history(80)}"
    assert not driver.exchange.violations, told
    assert {name_of(driver.ledger.topic(s)) for s in driver.ledger.wanted()} == wishes.names(), told


def check_quiet(driver: EngineDriver, wishes: Wishes, seed: int) -> None:
    """By the exchange's books: the wire carries what is wanted, once."""
    told = f"seed {seed}\n{driver.read_history(120)}"
    on_wire = carried(driver)
    assert len(on_wire) == len(set(on_wire)), told
    assert set(on_wire) == wishes.names(), told
    assert {driver.engine.row(s).state for s in driver.ledger.wanted()} <= {StreamState.OPEN}, told
    assert driver.ledger.live() == driver.ledger.wanted(), told


@functools.cache
def play(seed: int) -> Counter[str]:
    """Wishes, stalls and each kind of fault, then peace; how often each fault bit."""
    rng = random.Random(f"binance {seed}")
    driver = make(seed, rate=rng.choice((0.2, 1e-4)))  # where a market is quiet, links are pinged
    wishes = Wishes(driver, rng)
    faults = dict(zip(rng.sample(range(STEPS), len(FAULTS)), FAULTS, strict=True))
    for step in range(STEPS):
        for _ in range(rng.choice((1, 1, 1, 4))):
            wishes.step()
        if step in faults:
            have_fault(driver, rng, faults[step])
        if rng.random() < 0.05:
            driver.stall(rng.uniform(0.3, 30.0))
        driver.run(rng.choice((0.0, 0.01, 0.2, 1.0, 5.0)))
        check_always(driver, wishes, seed)
    driver.exchange.heal(driver.now)
    driver.run(120)
    check_always(driver, wishes, seed)
    check_quiet(driver, wishes, seed)
    wishes.drop_all()
    driver.run(70)
    assert not driver.exchange.connections
    assert driver.ledger.live() == set(), driver.read_history(40)
    assert driver.engine.deadline() is None
    return driver.exchange.fault_counts


@pytest.mark.parametrize("seed", SEEDS, ids=lambda s: f"seed_{s}")
def test_wire_equals_intent_through_any_failure(seed: int) -> None:
    assert play(seed), "no fault hit anybody"


def test_every_kind_of_fault_bites_within_these_seeds() -> None:
    bitten = sum(map(play, SEEDS), Counter[str]())
    assert set(bitten) == set(FAULTS)


def sends(driver: EngineDriver, since: int = 0) -> list[dict[str, object]]:
    return [json.loads(send.payload) for send in driver.sent[since:] if send.request]


def test_a_thousand_streams_come_and_come_back_in_as_few_messages_as_fit() -> None:
    markets = list(BinanceExchange().markets)[:500]
    driver = make(1, markets=markets, rate=0.02)
    low = driver.subscribe("a", "trade", markets, priority=Priority.LOW)
    high = driver.subscribe("b", "book_ticker", markets, priority=Priority.CRITICAL)
    assert driver.run_until(lambda: len(carried(driver)) == 1000, 30)
    asked = sends(driver)
    assert [len(m["params"]) for m in asked] == [100] * 10  # type: ignore[arg-type]
    assert all("@bookTicker" in name for m in asked[:5] for name in m["params"])  # type: ignore[attr-defined]
    assert driver.run_until(driver.all_settled, 60), "listed, or heard of"
    driver.run(10)
    evidence = {driver.engine.row(int(s)).evidence for s in (*low, *high)}
    assert all(each & (Evidence.LISTED | Evidence.DATA) for each in evidence)
    before = len(driver.sent)
    driver.exchange.inject(Fault("drop_rst"), driver.now)
    driver.run(1)
    assert driver.run_until(lambda: len(carried(driver)) == 1000, 30)
    assert len(sends(driver, before)) == 10
    assert driver.run_until(driver.all_settled, 60)
    assert not driver.exchange.violations


def test_only_what_changed_is_sent() -> None:
    driver = make(2)
    driver.subscribe("a", "trade", MARKETS)
    assert driver.run_until(driver.all_settled, 30)
    before = len(driver.sent)
    driver.unsubscribe("a", "trade", MARKETS[:2])
    driver.run(0.5)
    driver.subscribe("a", "orderbook", MARKETS[:1], depth=5)
    driver.run(5)
    assert [(m["method"], m["params"]) for m in sends(driver, before)] == [
        ("SUBSCRIBE", ["btcusdt@depth5@100ms"]),
        ("UNSUBSCRIBE", ["btcusdt@trade", "ethusdt@trade"]),
    ]


def test_a_flood_of_changes_stays_within_the_limit_and_ends_right() -> None:
    driver = make(3)
    wishes = Wishes(driver, random.Random(3))
    driver.subscribe("anchor", "trade", ["BTCUSDT"])
    for _ in range(1200):
        for _ in range(5):
            wishes.step()
        driver.run(0.05)
    driver.run(30)
    assert not driver.exchange.violations
    assert set(carried(driver)) == wishes.names() | {"btcusdt@trade"}
    times = [at for at, what in driver.history if type(what).__name__ == "Send"]
    assert all(b - a >= 0.3 * SECOND for a, b in pairwise(times))


def test_pongs_to_the_venue_are_within_the_limit_and_keep_the_link() -> None:
    """Sends at every slot, arrivals bunched by jitter, ten times as many pings: the venue's count stays clean."""
    driver = make(4, delay=(0.0, 0.3), ping_every=2.0, pong_within=6.0)
    rng = random.Random(4)
    driver.subscribe("a", "trade", MARKETS)
    for _ in range(400):
        driver.subscribe("b", "orderbook", [rng.choice(MARKETS)], depth=rng.choice((5, 10, 20)))
        driver.unsubscribe("b", "orderbook", [rng.choice(MARKETS)], depth=rng.choice((5, 10, 20)))
        driver.run(0.15)
    assert not driver.exchange.violations
    assert driver.exchange.stats.idle_drops == 0
    assert driver.engine.stats.losses == 0


def test_a_quiet_market_is_proven_by_the_list_and_good_by_its_first_data() -> None:
    driver = make(5, rate=1e-6, markets=["ETHBTC"])
    (stream,) = driver.subscribe("a", "trade", ["ETHBTC"])
    assert driver.run_until(driver.all_settled, 10)
    row = driver.engine.row(int(stream))
    assert row.evidence & Evidence.LISTED
    assert not row.evidence & Evidence.DATA
    assert driver.engine.stats.listings == 1
    driver.run(600)
    assert driver.engine.stats.losses == 0, "silence is no fault while pongs come"


def test_a_half_open_link_is_found_in_time() -> None:
    driver = make(6, rate=3.0)
    driver.subscribe("a", "book_ticker", MARKETS)
    assert driver.run_until(driver.all_settled, 30)
    driver.run(20)
    driver.exchange.inject(Fault("half_open"), driver.now)
    start = driver.now
    assert driver.run_until(lambda: driver.engine.stats.losses > 0, 60)
    assert driver.now - start <= 5 * SECOND


def test_the_venues_day_ends_and_everything_comes_back() -> None:
    driver = make(7, max_age=60.0)
    driver.subscribe("a", "book_ticker", MARKETS)
    driver.run(200)
    assert driver.engine.stats.losses == 3
    assert driver.run_until(driver.all_settled, 30)
    assert set(carried(driver)) == {f"{symbol.lower()}@bookTicker" for symbol in MARKETS}


def test_a_refused_request_is_told_with_the_venues_words_and_the_others_stay() -> None:
    driver = make(8)
    good = driver.subscribe("a", "trade", MARKETS[:5])
    assert driver.run_until(driver.all_settled, 30)
    driver.exchange.inject(Fault("error", symbol="TRXUSDT", name="no"), driver.now)
    (bad,) = driver.subscribe("b", "trade", ["TRXUSDT"])
    driver.run(5)
    assert driver.engine.row(int(bad)).state is StreamState.REFUSED
    assert "error 2" in driver.engine.row(int(bad)).reason
    assert driver.streams_in(StreamState.OPEN) == set(good.tolist())
    assert driver.engine.stats.losses == 0


def test_the_same_seed_gives_the_same_run() -> None:
    def play() -> list[str]:
        driver = make(9)
        wishes = Wishes(driver, random.Random(9))
        for _ in range(20):
            wishes.step()
            driver.run(0.5)
        driver.exchange.inject(Fault("drop_rst"), driver.now)
        driver.run(5)
        return driver.read_history(10**6).splitlines()

    assert play() == play()


def test_more_streams_than_a_connection_takes_spread_over_several_and_come_back() -> None:
    markets = [f"N{i}USDT" for i in range(1250)]
    driver = make(5, rate=0.5, markets=markets)
    driver.subscribe("a", "book_ticker", markets)
    driver.subscribe("b", "trade", markets)
    assert driver.run_until(driver.all_settled, 120)
    loads = sorted(len(connection.streams) for connection in driver.exchange.connections.values())
    assert sum(loads) == 2500
    assert loads[-1] <= 1024
    assert len(loads) == 3
    driver.exchange.inject(Fault("drop_rst"), driver.now)
    driver.run(1)
    assert driver.run_until(driver.all_settled, 120)
    assert len(carried(driver)) == len(set(carried(driver))) == 2500
    assert max(len(c.streams) for c in driver.exchange.connections.values()) <= 1024
    assert not driver.exchange.violations


def test_a_link_is_replaced_before_the_venue_ends_it() -> None:
    """The day is ten minutes long here, for both sides."""
    exchange = BinanceExchange(6, markets=MARKETS, rate=0.5, durations=BinanceDurations(max_age=600.0))
    made = dataclasses.replace(VENUE, life=dataclasses.replace(VENUE.life, max_age=600.0))
    driver = EngineDriver(made, exchange, seed=6)
    driver.subscribe("a", "book_ticker", MARKETS)
    assert driver.run_until(driver.all_settled, 60)
    (first,) = driver.exchange.connections
    driver.run(598 - driver.now / SECOND)
    assert first not in driver.exchange.connections
    assert driver.engine.stats.losses == 0
    assert set(carried(driver)) == {name_of(Topic("book_ticker", symbol)) for symbol in MARKETS}
    assert not driver.exchange.violations
