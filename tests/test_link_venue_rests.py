"""A venue that rests as a whole, as in a maintenance, but opens connections and answers pings: few restarts tell it."""

from __future__ import annotations

from typing import Any

import pytest

from subcore.engine import health
from subcore.engine.clock import SECOND
from subcore.sim.binance import BinanceExchange
from subcore.sim.exchange import Exchange
from subcore.testing import EngineDriver
from subcore.venues import venue

pytestmark = pytest.mark.simulation

MINUTE = 60


class RestingUpbit(Exchange):
    rests = False

    def _send_stream(self, subscription: Any, payload: bytes, at: int) -> None:
        if not self.rests or b"SNAPSHOT" in payload:
            super()._send_stream(subscription, payload, at)


class RestingBinance(BinanceExchange):
    rests = False

    def _send_stream(self, listener: Any, name: str, data: bytes, at: int) -> None:
        if not self.rests:
            super()._send_stream(listener, name, data, at)


HOUSES: dict[str, tuple[Any, list[str], str]] = {
    "binance": (RestingBinance, [f"N{number}USDT" for number in range(8)], "trade"),
    "upbit": (RestingUpbit, [f"KRW-N{number}" for number in range(8)], "orderbook"),
}


@pytest.fixture(autouse=True)
def _known_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LOOKS_TO_KNOW", 60)


def resting(house: str, seconds: float) -> EngineDriver:
    """Its streams are known well, and then it rests for so long."""
    make, names, channel = HOUSES[house]
    driver = EngineDriver(venue(house).at("ws://sim.test:80"), make(1, markets=names, rate=40.0), seed=1)
    driver.subscribe("a", channel, names)
    driver.run(40)
    assert driver.engine.stats.losses == 0
    driver.exchange.rests = True  # type: ignore[attr-defined]
    driver.run(seconds)
    return driver


@pytest.mark.parametrize("house", HOUSES)
def test_each_restart_that_brings_nothing_doubles_the_patience(house: str) -> None:
    driver = resting(house, 20 * MINUTE)
    assert 4 <= driver.engine.stats.losses <= 12
    driver.exchange.rests = False  # type: ignore[attr-defined]
    assert driver.run_until(driver.all_settled, 60)


@pytest.mark.parametrize("house", HOUSES)
def test_one_that_has_spoken_again_is_judged_as_soon_as_at_first(house: str) -> None:
    driver = resting(house, 2 * MINUTE)
    driver.exchange.rests = False  # type: ignore[attr-defined]
    driver.run(2 * MINUTE)
    link = driver.engine.links[0]
    assert link.is_up
    assert link.in_vain == 0
    losses, driver.exchange.rests = driver.engine.stats.losses, True  # type: ignore[attr-defined]
    began = driver.now
    assert driver.run_until(lambda: driver.engine.stats.losses > losses, 10 * MINUTE)
    assert (driver.now - began) / SECOND <= 600
