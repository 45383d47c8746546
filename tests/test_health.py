"""Health: a frozen stream is asked for again in time; quiet ones, quiet markets, nights and stalls accuse nobody.

Most of it plays on `subcore.testing.fleet`: the engine fed with columns, in a world that is steady.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from subcore.engine import health
from subcore.engine.clock import SECOND
from subcore.sim.exchange import Exchange
from subcore.sim.faults import Fault
from subcore.sim.markets import markets_for
from subcore.testing import EngineDriver
from subcore.testing import fleet as fleet_module
from subcore.testing.fleet import STEP_S, Fleet
from subcore.testing.restless import CHANNELS
from subcore.types import DataState, StatusKind, Topic
from subcore.venues import venue

pytestmark = pytest.mark.simulation

CODES = [f"KRW-N{i}" for i in range(6)]
VENUE = venue("upbit").at("ws://sim.test:80")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Habits are believed sooner: these worlds are steadier than markets."""
    monkeypatch.setattr(health, "LOOKS_TO_KNOW", 150)
    monkeypatch.setattr(health, "ALONE_LOOKS_TO_KNOW", 300)


class Steady:
    """Every market has the same rates, and they never change; `rests` stand still; `pace` is the hour of the day."""

    def __init__(self, count: int, orders: float, books: float, rng: np.random.Generator) -> None:
        self.orders, self.books = np.full(count, orders), np.full(count, books)
        self.rests, self.pace, self.rng = np.zeros(count, bool), 1.0, rng

    def step(self, seconds: float) -> tuple[np.ndarray, np.ndarray]:
        awake = np.where(self.rests, 0.0, STEP_S * self.pace)
        orders = self.rng.poisson(self.orders * awake)
        books = self.rng.poisson(self.books * awake)
        return np.concatenate([orders, orders, books]), np.zeros(3 * len(orders), np.int64)


def make(
    seed: int, orders: float, books: float, *channels: str, seconds: float = 400.0, can_ask: bool = False
) -> tuple[Fleet, Steady]:
    fleet = Fleet(list(markets_for(CODES)), seed, channels or CHANNELS, can_ask=can_ask)
    fleet.markets = steady = Steady(len(CODES), orders, books, fleet.rng)
    wait(fleet, seconds)
    assert not fleet.report.needless
    return fleet, steady


def wait(fleet: Fleet, seconds: float) -> None:
    for _ in range(round(seconds / STEP_S)):
        fleet.step()


@pytest.mark.parametrize("channel", range(3))
def test_a_frozen_stream_is_found_in_time_by_its_siblings(channel: int) -> None:
    fleet, _ = make(channel, 3.0, 5.0)
    stream = channel * len(CODES) + channel
    found = fleet.freeze(stream)
    wait(fleet, found.limit + 30)
    assert found.seconds is not None
    assert found.seconds <= found.limit
    assert "its symbol" in found.reason
    assert fleet.engine.row(stream).data is DataState.GOOD, "what was asked for again came"
    assert fleet.engine.stats.reasks == 1
    assert fleet.engine.stats.needless_reasks == 0
    assert fleet.report.restarts == 0


@pytest.mark.usefixtures("quick")
def test_without_siblings_all_others_are_the_witness() -> None:
    fleet, _ = make(1, 3.0, 5.0, "ticker", seconds=250)
    found = fleet.freeze(3)
    wait(fleet, found.limit + 30)
    assert found.seconds is not None, "late, since only its own longest silence says what is unusual"
    assert 9.0 <= found.seconds <= found.limit, "and yet in time, in a world as steady as this"
    assert "its link" in found.reason


@pytest.mark.usefixtures("quick")
def test_a_slow_stream_has_its_twenty_medians() -> None:
    fleet, _ = make(3, 0.5, 1.0, seconds=500)
    found = fleet.freeze(1)
    assert found.limit > 20
    wait(fleet, found.limit + 100)
    assert found.seconds is not None
    assert 10 < found.seconds <= found.limit


def test_a_market_that_rests_as_a_whole_accuses_nobody() -> None:
    fleet, steady = make(4, 2.0, 5.0)
    steady.rests[2] = True
    wait(fleet, 300)
    assert fleet.engine.stats.reasks == 0


def test_nightfall_accuses_nobody() -> None:
    fleet, steady = make(5, 2.0, 5.0)
    for _ in range(60):
        steady.pace *= 0.95
        wait(fleet, 10)
    assert fleet.engine.stats.reasks == 0
    assert fleet.report.restarts == 0


@pytest.mark.usefixtures("quick")
def test_a_needless_accusation_makes_patient() -> None:
    fleet, steady = make(6, 3.0, 5.0, "ticker", seconds=250)
    fleet.engine._health._allowance[2] = 4.0  # enough for more
    for _ in range(6):  # it rests for ever the same time, which looks frozen the first time
        steady.orders[1] = 0.0
        wait(fleet, 25)
        steady.orders[1] = 3.0
        wait(fleet, 60)
    assert fleet.engine.stats.needless_reasks == fleet.engine.stats.reasks == 1
    assert not [n for n in fleet.report.needless if "ticker KRW-N1" not in n]


@pytest.mark.usefixtures("quick")
def test_a_stream_that_stays_frozen_is_asked_for_ever_more_seldom() -> None:
    fleet, _ = make(7, 2.0, 5.0, seconds=200)
    for _ in range(800):
        fleet.freeze(1)
        fleet.step()
    assert 3 <= fleet.engine.stats.reasks <= 8


def test_too_few_samples_are_no_habit() -> None:
    fleet, _ = make(8, 2.0, 5.0, seconds=20)
    fleet.freeze(1)
    wait(fleet, 60)
    assert fleet.engine.stats.reasks == 0


@pytest.mark.usefixtures("quick")
def test_a_stall_accuses_nobody() -> None:
    fleet, _ = make(9, 3.0, 5.0, seconds=150)
    for seconds in (12, 60, 3600):
        fleet.freeze(1)  # a lull that its siblings do not have, and into that the stall
        wait(fleet, 6)
        fleet.now += seconds * SECOND
        wait(fleet, 1)
        fleet.frozen.clear()
        wait(fleet, 15)
    assert fleet.engine.stats.reasks == 0


@pytest.mark.usefixtures("quick")
def test_what_a_new_sibling_brings_is_not_held_against_a_stream() -> None:
    """A habit holds for one sibling only: another one in its place is unknown, whatever the first one was."""
    fleet, steady = make(11, 0.6, 5.0, "ticker", "trade", seconds=500)
    for stream in range(6):
        fleet.ledger.subscribe("a", Topic("orderbook", fleet.ledger.topic(stream).symbol))
    fleet.streams = np.array(sorted(fleet.ledger.live()), np.int32)
    fleet.places = np.arange(len(fleet.streams))
    fleet.tell(fleet.ledger.take_edges())
    wait(fleet, 30)
    steady.orders[:] = 0.0  # the books go on
    wait(fleet, 60)
    assert fleet.engine.stats.reasks == 0


def test_streams_come_and_go_while_they_are_watched() -> None:
    fleet, _ = make(10, 2.0, 5.0)
    habits = fleet.engine._health.habits
    assert sorted(np.flatnonzero(habits.watched).tolist()) == sorted(fleet.streams.tolist())
    gone = fleet.ledger.topic(4)
    fleet.ledger.unsubscribe("a", gone)
    fleet.tell(fleet.ledger.take_edges())
    fleet.step()
    assert 4 not in fleet.engine.to_look_at(fleet.now + SECOND)
    assert {len(sibling.came) for sibling in habits.siblings} == {len(habits.watched)}


@pytest.mark.usefixtures("quick")
def test_on_the_exchange_a_silent_stream_comes_back_through_the_nursery() -> None:
    driver = EngineDriver(VENUE, Exchange(1, markets=CODES[:2], rate=30.0), seed=1)
    for channel in ("ticker", "orderbook"):
        driver.subscribe("a", channel, CODES[:2])
    driver.run(70)
    assert driver.engine.stats.reasks == 0
    stream = driver.ledger.find_stream(VENUE.channel_index("orderbook"), CODES[0], 0.0)
    driver.exchange.inject(Fault("silent", channel="orderbook", symbol=CODES[0]), driver.now)
    began = driver.now
    assert driver.run_until(lambda: driver.engine.row(stream).data is DataState.SUSPECT, 60)
    assert (driver.now - began) / SECOND <= max(10, 20 * driver.hearing.median_of(stream) / SECOND)
    assert driver.run_until(lambda: driver.engine.row(stream).data is DataState.GOOD, 5)
    frames = driver.hearing.live_of(stream)
    driver.run(75)
    assert driver.hearing.live_of(stream) > frames + 10
    assert [n.streams.tolist() for n in driver.notices if n.kind is StatusKind.SUSPECT] == [[stream]]
    assert driver.engine.row(stream).link == 0, "home again after a minute of calm"
    assert driver.all_settled()
    assert driver.engine.stats.losses == 0
    assert not driver.exchange.violations


# Channels without snapshots


def without_snapshots(monkeypatch: pytest.MonkeyPatch, seed: int) -> tuple[Fleet, Steady]:
    """A fleet whose venue sends nothing on a request: only what happens next shows that it was heeded."""
    upbit = venue("upbit")
    channels = tuple(replace(channel, snapshot=False) for channel in upbit.channels)
    monkeypatch.setattr(fleet_module, "venue", lambda name: replace(upbit, channels=channels))
    monkeypatch.setattr(fleet_module.Columns, "snapshot", lambda columns, streams, now: None)
    return make(seed, 3.0, 5.0)


def test_what_speaks_right_after_it_was_asked_for_again_was_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet, _ = without_snapshots(monkeypatch, 1)
    for stream in (0, 7, 14, 3):  # one more than the allowance has, if none gave something back
        found = fleet.freeze(stream)
        wait(fleet, found.limit + 10)
        assert found.in_time, found
    assert fleet.engine.stats.reasks == 4
    assert fleet.engine.stats.needless_reasks == 0


@pytest.mark.usefixtures("quick")
def test_what_speaks_long_after_it_was_asked_for_again_was_resting(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet, steady = without_snapshots(monkeypatch, 2)
    steady.books[2] = 0.0
    wait(fleet, 60)
    assert fleet.engine.stats.reasks == 1
    steady.books[2] = 5.0
    wait(fleet, 10)
    assert fleet.engine.stats.needless_reasks == 1
    for _ in range(3):  # this silence is a habit now
        steady.books[2] = 0.0
        wait(fleet, 30)
        steady.books[2] = 5.0
        wait(fleet, 30)
    assert fleet.engine.stats.reasks == 1
