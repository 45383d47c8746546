"""A list that is to prove what is silent finds its place, though changes never end."""

from __future__ import annotations

import random

import pytest

from subcore.engine.clock import SECOND
from subcore.sim.binance import BinanceExchange
from subcore.sim.exchange import Exchange
from subcore.testing import EngineDriver
from subcore.types import Priority, StreamState
from subcore.venues import venue

pytestmark = pytest.mark.simulation

HOUSES = {
    "binance": (BinanceExchange, [f"N{number}USDT" for number in range(600)], "agg_trade"),
    "upbit": (Exchange, [f"KRW-N{number}" for number in range(600)], "trade"),
}


@pytest.mark.parametrize("house", HOUSES)
@pytest.mark.parametrize("seed", range(2))
def test_what_is_silent_is_proven_while_another_changes_its_set_all_the_time(house: str, seed: int) -> None:
    make, markets, quiet = HOUSES[house]
    exchange = make(seed, markets=markets, rate=1e-6)
    driver = EngineDriver(venue(house).at("ws://sim.test:80"), exchange, seed=seed)
    rng = random.Random(seed)
    low = driver.subscribe("low", quiet, markets[:60], priority=Priority.LOW)
    mine: set[str] = set()
    began = driver.now
    while driver.now - began < 30 * SECOND:
        chosen = set(rng.sample(markets, 60))
        driver.unsubscribe("high", "ticker" if house == "upbit" else "trade", sorted(mine - chosen))
        driver.subscribe(
            "high",
            "ticker" if house == "upbit" else "trade",
            sorted(chosen - mine),
            priority=Priority.CRITICAL,
        )
        mine = chosen
        driver.run(0.05)
    assert driver.streams_in(StreamState.OPEN) >= set(low.tolist())
    assert not driver.exchange.violations
