"""A link whose own habit is not known, as something left it just now, is judged by the habits of its streams."""

from __future__ import annotations

import math
from typing import Any

import pytest

from subcore.engine import health
from subcore.engine.clock import SECOND
from subcore.sim.binance import BinanceExchange
from subcore.sim.exchange import Exchange
from subcore.sim.faults import Fault
from subcore.testing import EngineDriver
from subcore.venues import venue

pytestmark = pytest.mark.simulation

HOUSES: dict[str, tuple[Any, list[str], str]] = {
    "binance": (BinanceExchange, [f"N{number}USDT" for number in range(8)], "trade"),
    "upbit": (Exchange, [f"KRW-N{number}" for number in range(8)], "orderbook"),
}
KNOWN = 30  # seconds, in which each stream speaks at more looks than must be known here


@pytest.fixture(autouse=True)
def _known_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LINK_LOOKS_TO_KNOW", 60)


def learned(house: str, seconds: float, markets: slice = slice(None)) -> EngineDriver:
    make, names, channel = HOUSES[house]
    driver = EngineDriver(venue(house).at("ws://sim.test:80"), make(1, markets=names, rate=40.0), seed=1)
    driver.subscribe("a", channel, names[markets])
    driver.run(seconds)
    assert driver.all_settled()
    assert driver.engine.stats.losses == 0
    return driver


def leave(driver: EngineDriver, house: str, markets: slice) -> None:
    """Some leave the link, and have left it."""
    _, names, channel = HOUSES[house]
    driver.unsubscribe("a", channel, names[markets])
    left = len(names[markets])
    link = driver.engine.links[0]
    before = link.wire.len_wire
    assert driver.run_until(lambda: link.wire.len_wire == before - left, 60)
    assert math.isinf(link.silence_limit(0)), "its habit is not known any more"


def silence(driver: EngineDriver) -> None:
    """Nothing comes any more but answers to pings."""
    conn = next(iter(driver.exchange.connections))  # type: ignore[attr-defined]
    driver.exchange.inject(Fault("lose", probability=1.0, conn=conn), driver.now)  # type: ignore[attr-defined]


@pytest.mark.parametrize("house", HOUSES)
def test_one_that_falls_silent_then_is_found_in_time(house: str) -> None:
    driver = learned(house, KNOWN)
    leave(driver, house, slice(6, None))
    silence(driver)
    began = driver.now
    assert driver.run_until(lambda: driver.engine.stats.losses == 1, 60)
    assert (driver.now - began) / SECOND <= 9.0, "its streams speak several times a second"
    assert driver.run_until(driver.all_settled, 20)


@pytest.mark.parametrize("house", HOUSES)
def test_two_markets_may_rest(house: str) -> None:
    driver = learned(house, KNOWN)
    leave(driver, house, slice(2, None))
    silence(driver)
    driver.run(90)
    assert driver.engine.stats.losses == 0


@pytest.mark.parametrize("house", HOUSES)
def test_streams_that_are_not_known_accuse_nobody(house: str) -> None:
    driver = learned(house, 10)
    leave(driver, house, slice(6, None))
    silence(driver)
    driver.run(90)
    assert driver.engine.stats.losses == 0


def fell_silent(known: int, streams: slice, median: int) -> EngineDriver:
    """Of six streams the first so many are `known`; these speak so often; and all are silent for 10 s by now."""
    driver = learned("binance", KNOWN)
    leave(driver, "binance", slice(6, None))
    habits = driver.engine._health.habits
    habits.median[streams], habits.worst_gap[streams] = median, 1.0
    habits.learned[streams] = habits.sum_gap[streams] = 1000
    habits.learned[known:] = 0
    silence(driver)
    driver.run(10)
    return driver


def test_what_leaves_while_all_is_silent_accuses_nobody_later() -> None:
    """Three that are silent for 40 s at most, and others that are not known; then the three leave."""
    driver = fell_silent(3, slice(3), 2 * SECOND)
    assert driver.engine.links[0].streams_limit == pytest.approx(40 * SECOND, rel=0.2), "it is looked at"
    leave(driver, "binance", slice(0, 3))
    driver.run(90)
    assert driver.engine.stats.losses == 0


def test_what_comes_to_a_silent_link_is_reckoned_with() -> None:
    """Two that are known accuse nobody; then others that are known are asked for there, and nothing comes."""
    driver = fell_silent(2, slice(6), SECOND // 4)
    assert math.isinf(driver.engine.links[0].streams_limit), "it is looked at"
    driver.subscribe("a", "trade", HOUSES["binance"][1][6:7])
    driver.run(0.5)
    driver.engine._health.habits.learned[2:6] = 1000  # as of streams that another link carried
    assert driver.run_until(lambda: driver.engine.stats.losses == 1, 10)
