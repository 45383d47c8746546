"""The engine against the pure exchange, in virtual time, from printed seeds.

What is wanted is kept in the driver's plain ledger and in this file's own dict; what the wire carries is read
from
the exchange; limits are judged by the exchange's own arrival log. A failing seed reruns alone:
`pytest tests/test_simulation.py -k 'seed_17'`.
"""

from __future__ import annotations

import functools
import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest

from random_faults import have_fault
from subcore.engine.clock import SECOND
from subcore.sim.durations import Durations
from subcore.sim.exchange import Exchange
from subcore.sim.faults import Fault
from subcore.sim.rules import Rules
from subcore.testing import EngineDriver
from subcore.types import Priority, StatusKind, StreamState, Topic
from subcore.venues import venue

pytestmark = pytest.mark.simulation

MARKETS = [f"KRW-{base}" for base in ("BTC", "ETH", "XRP", "ADA", "DOT", "SOL", "DOGE", "TRX")]
MARKETS += ["BTC-ETH", "BTC-XRP", "USDT-BTC"]
CHANNELS = ("ticker", "trade", "orderbook", "candle.1m")
FAULTS = ("drop_fin", "drop_rst", "drop_fin", "drop_rst", "close", "refuse", "cut", "hang", "status")
FAULTS += ("half_open", "mute_pong", "garbage", "fragments", "lag")
SEEDS, STEPS = range(20, 28), 80  # each kind bites in four of them or more
VENUE = venue("upbit").at("ws://sim.test:80")

Key = tuple[str, str, float]


def make(seed: int, rate: float = 0.1, **rules: object) -> EngineDriver:
    exchange = Exchange(seed, markets=MARKETS, rate=rate, rules=Rules(**rules))
    return EngineDriver(VENUE, exchange, seed=seed)


def carried(driver: EngineDriver) -> list[Key]:
    """Every stream of every connection the exchange has, by its own books."""
    keys = []
    for connection in driver.exchange.connections.values():
        keys += [(w.type, w.code, w.level / 1e8) for w in connection.streams]
    return keys


class Wishes:
    """What components want, in a dict of the test's own, handed to the driver step by step."""

    def __init__(
        self, driver: EngineDriver, rng: random.Random, *, classes: Sequence[Priority] = tuple(Priority)
    ) -> None:
        self.driver, self.rng, self.classes = driver, rng, classes
        self.held: dict[str, dict[Topic, Priority]] = {f"component-{i}": {} for i in range(8)}

    def keys(self) -> set[Key]:
        return {(t.channel, t.symbol, t.grouping or 0.0) for held in self.held.values() for t in held}

    def step(self) -> None:
        name = self.rng.choice(sorted(self.held))
        action = self.rng.choices(("add", "drop", "close", "flip"), (6, 4, 1, 2))[0]
        held = self.held[name]
        if action == "add":
            for _ in range(self.rng.randint(1, 6)):
                self._add(name, self._topic())
        elif action == "drop" and held:
            for topic in self.rng.sample(sorted(held, key=str), self.rng.randint(1, len(held))):
                self._drop(name, topic)
        elif action == "close":
            for topic in list(held):
                self._drop(name, topic)
        elif action == "flip":
            topic = self._topic()
            self._add(name, topic)
            self._drop(name, topic)

    def drop_all(self) -> None:
        for name, held in self.held.items():
            for topic in list(held):
                self._drop(name, topic)

    def _topic(self) -> Topic:
        channel = self.rng.choice(CHANNELS)
        symbol = self.rng.choice(MARKETS)
        depth = self.rng.choice((None, 1, 5, 15, 30)) if channel == "orderbook" else None
        return Topic(channel, symbol, depth)

    def _add(self, name: str, topic: Topic) -> None:
        priority = self.rng.choice(self.classes)
        self.held[name][topic] = priority
        self.driver.ledger.subscribe(name, topic, priority)

    def _drop(self, name: str, topic: Topic) -> None:
        del self.held[name][topic]
        self.driver.ledger.unsubscribe(name, topic)


def check_always(driver: EngineDriver, wishes: Wishes, seed: int) -> None:
    told = f"seed {seed}\n{driver.read_history(80)}"
    assert not driver.exchange.violations, told
    wanted = {driver.ledger.topic(s) for s in driver.ledger.wanted()}
    assert {(t.channel, t.symbol, t.grouping or 0.0) for t in wanted} == wishes.keys(), told


def check_quiet(driver: EngineDriver, wishes: Wishes, seed: int) -> None:
    """Property 1, by the exchange's books: the wire carries what is wanted, once."""
    told = f"seed {seed}\n{driver.read_history(120)}"
    on_wire = carried(driver)
    assert len(on_wire) == len(set(on_wire)), told
    assert set(on_wire) == wishes.keys(), told
    states = {driver.engine.row(s).state for s in driver.ledger.wanted()}
    assert states <= {StreamState.OPEN}, told
    assert driver.ledger.live() == driver.ledger.wanted(), told


def check_over(driver: EngineDriver) -> None:
    """Nobody wants anything: nothing is left."""
    assert carried(driver) == []
    assert not driver.exchange.connections
    assert driver.ledger.live() == set(), driver.read_history(40)
    assert not driver.engine.streams.reasons
    assert driver.engine.deadline() is None


@functools.cache
def play(seed: int) -> Counter[str]:
    """Wishes, stalls and each kind of fault, then peace; how often each fault bit."""
    rng = random.Random(f"simulation {seed}")
    rate = rng.choice((0.1, 1e-4))  # where a market is quiet, links are pinged
    driver = make(seed, rate, gap_on_replace=rng.random() < 0.3)
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
    driver.run(120)  # after many losses a link is left alone for a minute before it takes over
    check_always(driver, wishes, seed)
    check_quiet(driver, wishes, seed)
    wishes.drop_all()
    driver.run(70)
    check_over(driver)
    return driver.exchange.fault_counts


@pytest.mark.parametrize("seed", SEEDS, ids=lambda s: f"seed_{s}")
def test_wire_equals_intent_through_any_failure(seed: int) -> None:
    assert play(seed), "no fault hit anybody"


def test_every_kind_of_fault_bites_within_these_seeds() -> None:
    bitten = sum(map(play, SEEDS), Counter[str]())
    assert set(bitten) == set(FAULTS)


def test_the_same_seed_gives_the_same_run() -> None:
    def play() -> list[str]:
        rng = random.Random(5)
        driver = make(5)
        wishes = Wishes(driver, rng)
        for _ in range(20):
            wishes.step()
            driver.run(0.5)
        driver.exchange.inject(Fault("drop_rst"), driver.now)
        driver.run(5)
        return driver.read_history(10**6).splitlines()

    assert play() == play()


def bodies(driver: EngineDriver) -> list[list[object]]:
    """What was asked for by each request, tickets left out."""
    return [json.loads(send.payload)[1:] for send in driver.sent if send.request]


@pytest.mark.parametrize("rate", [10, 100, 400])
def test_a_flood_of_changes_leaves_as_few_messages_with_the_last_wish(rate: int) -> None:
    """`rate` changes a second for a minute: no violation, nothing sent twice over, the end state right."""
    rng = random.Random(rate)
    driver = make(rate)
    wishes = Wishes(driver, rng, classes=(Priority.LOW, Priority.NORMAL, Priority.HIGH))
    driver.subscribe("anchor", "ticker", ["KRW-BTC"])
    for _ in range(60 * rate // max(1, rate // 50)):
        for _ in range(max(1, rate // 50)):
            wishes.step()
        driver.run(max(1, rate // 50) / rate)
    driver.run(10)
    assert not driver.exchange.violations
    assert set(carried(driver)) == wishes.keys() | {("ticker", "KRW-BTC", 0.0)}
    said = bodies(driver)
    assert all(a != b for a, b in pairwise(said))
    if rate > 10:  # work waited all the time: nine tenths of the venue's hundred a minute were used
        assert 90 <= len(said) <= 110
    assert len(driver.engine.links) == 1


def test_in_a_flood_a_link_with_critical_streams_is_left_alone() -> None:
    """What is new goes to the nursery while it lasts, at the cost of few messages, and comes home after it."""
    driver = make(7)
    calm = driver.subscribe("anchor", "ticker", ["KRW-BTC", "KRW-ETH"], priority=Priority.CRITICAL)
    driver.run(2)
    wishes = Wishes(driver, random.Random(7), classes=(Priority.NORMAL,))
    for _ in range(6000):
        wishes.step()
        driver.run(0.01)
    settled = driver.engine.links[0]
    by_link = Counter(send.link for send in driver.sent if send.request)
    assert by_link[0] <= 25, "six rewrites; then removals, and depths, of what it carried then"
    assert 80 <= by_link[1] <= 93, "the reserve is left to repair"
    driver.run(130)
    assert not driver.exchange.violations
    assert set(carried(driver)) == wishes.keys() | {("ticker", "KRW-BTC", 0.0), ("ticker", "KRW-ETH", 0.0)}
    assert len(carried(driver)) == len(set(carried(driver))), "no stream is on two links"
    assert settled.wire.len_target == len(carried(driver)), "all came home"
    assert driver.streams_in(StreamState.OPEN) >= set(calm.tolist())
    assert not driver.arbitrated


def test_changes_that_cancel_before_the_send_produce_no_message() -> None:
    driver = make(1)
    driver.subscribe("a", "ticker", ["KRW-BTC", "KRW-ETH"])
    assert driver.run_until(driver.all_settled, 5)
    before = len(driver.sent)
    for _ in range(50):
        driver.subscribe("b", "trade", MARKETS)
        driver.unsubscribe("b", "trade", MARKETS)
        driver.unsubscribe("a", "ticker", ["KRW-ETH"])
        driver.subscribe("a", "ticker", ["KRW-ETH"])
        driver.run(0.05)
    for _ in range(10):  # across turns: gone and back within the two seconds a removal waits
        driver.unsubscribe("a", "ticker", ["KRW-ETH"])
        driver.run(1.0)
        driver.subscribe("a", "ticker", ["KRW-ETH"])
        driver.run(1.0)
    driver.subscribe("other", "ticker", ["KRW-BTC"], priority=Priority.CRITICAL)  # held already
    driver.run(5)
    assert len(driver.sent) == before
    assert driver.all_settled()


def test_after_a_loss_everything_comes_back_in_one_message_and_is_proven_again() -> None:
    driver = make(2)
    driver.subscribe("a", "ticker", MARKETS)
    driver.subscribe("b", "orderbook", MARKETS[:4], depth=5, priority=Priority.CRITICAL)
    assert driver.run_until(driver.all_settled, 5)
    proven, sent = driver.ledger.wanted(), len(driver.sent)
    driver.exchange.inject(Fault("drop_rst"), driver.now)
    assert driver.run_until(lambda: driver.streams_in(StreamState.RECOVERING) == proven, 1)
    assert driver.run_until(driver.all_settled, 10)
    assert len(driver.sent) == sent + 1
    assert [entry["type"] for entry in bodies(driver)[-1][:2]] == ["orderbook", "ticker"]


def test_a_poisonous_addition_is_refused_and_the_proven_streams_come_back() -> None:
    """Property 5: two deaths of the same request, then everything else without it."""
    driver = make(3)
    good = driver.subscribe("a", "ticker", MARKETS[:5])
    assert driver.run_until(driver.all_settled, 5)
    driver.exchange.inject(Fault("error", symbol="KRW-TRX"), driver.now)
    (bad,) = driver.subscribe("b", "trade", ["KRW-TRX"])
    driver.run(20)
    assert driver.engine.row(int(bad)).state is StreamState.REFUSED
    assert "INVALID_PARAM" in driver.engine.row(int(bad)).reason
    assert driver.streams_in(StreamState.OPEN) == set(good.tolist())
    refusals = [n for n in driver.notices if n.kind is StatusKind.REFUSED]
    assert [n.streams.tolist() for n in refusals] == [[int(bad)]]
    sent = len(driver.sent)
    driver.run(120)
    assert len(driver.sent) == sent, "a refused stream is not tried again by itself"


def found_within(driver: EngineDriver, fault: Fault, done: Callable[[], bool]) -> float:
    driver.exchange.inject(fault, driver.now)
    start = driver.now
    assert driver.run_until(done, 60), driver.read_history()
    return (driver.now - start) / SECOND


@pytest.mark.parametrize("seed", range(2))
def test_a_half_open_link_is_found_in_time(seed: int) -> None:
    exchange = Exchange(seed, markets=MARKETS, rate=3.0)
    driver = EngineDriver(VENUE, exchange, seed=seed)
    driver.subscribe("a", "orderbook", MARKETS)
    assert driver.run_until(driver.all_settled, 5)
    driver.run(20)
    losses = driver.engine.stats.losses
    took = found_within(driver, Fault("half_open"), lambda: driver.engine.stats.losses > losses)
    assert took <= 5.0


def test_a_quiet_half_open_link_is_found_within_ten_seconds() -> None:
    exchange = Exchange(1, markets=["BTC-XRP"], rate=0.01, durations=Durations())
    driver = EngineDriver(VENUE, exchange, seed=1)
    driver.subscribe("a", "ticker", ["BTC-XRP"])
    assert driver.run_until(driver.all_settled, 5)
    driver.run(30)
    assert driver.engine.stats.losses == 0, "a quiet market is no fault while pongs come"
    losses = driver.engine.stats.losses
    took = found_within(driver, Fault("half_open"), lambda: driver.engine.stats.losses > losses)
    assert took <= 10.0


def test_a_stall_of_the_loop_accuses_nobody() -> None:
    driver = make(4)
    driver.subscribe("a", "ticker", MARKETS)
    assert driver.run_until(driver.all_settled, 5)
    for seconds in (3.0, 20.0, 50.0):
        driver.stall(seconds)
        driver.run(seconds + 5)
    assert driver.engine.stats.losses == 0, driver.read_history()
