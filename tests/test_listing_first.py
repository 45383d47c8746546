"""A list that is to prove what is silent finds its place, though changes never end."""

from __future__ import annotations

import random

import pytest

from subcore.sim.binance import BinanceExchange
from subcore.sim.connection import Connection, Output, StreamName
from subcore.sim.exchange import Exchange
from subcore.testing import EngineDriver
from subcore.types import Priority, StreamState
from subcore.venues import venue

pytestmark = pytest.mark.simulation


class Quiet(Exchange):
    """Of trades nothing is ever sent, not even snapshots: only a list can prove them."""

    def _send(self, conn: Connection, output: Output, wanted: StreamName | None) -> None:
        if wanted is None or wanted.type != "trade":
            super()._send(conn, output, wanted)


HOUSES = {
    "binance": (BinanceExchange, [f"N{number}USDT" for number in range(600)], "agg_trade"),
    "upbit": (Quiet, [f"KRW-N{number}" for number in range(600)], "trade"),
}


@pytest.mark.parametrize("house", HOUSES)
@pytest.mark.parametrize("seed", range(2))
def test_what_is_silent_is_proven_while_another_changes_its_set_all_the_time(house: str, seed: int) -> None:
    """It comes when the changes have long begun: they have a link of their own by then, and it joins them there."""
    make, markets, quiet = HOUSES[house]
    exchange = make(seed, markets=markets, rate=1e-6)
    driver = EngineDriver(venue(house).at("ws://sim.test:80"), exchange, seed=seed)
    rng = random.Random(seed)
    channel = "ticker" if house == "upbit" else "trade"
    mine: set[str] = set()
    low: set[int] = set()
    for step in range(900):  # 45 s
        if step == 300:
            low = set(driver.subscribe("low", quiet, markets[:60], priority=Priority.LOW).tolist())
        chosen = set(rng.sample(markets, 60))
        driver.unsubscribe("high", channel, sorted(mine - chosen))
        driver.subscribe("high", channel, sorted(chosen - mine), priority=Priority.CRITICAL)
        mine = chosen
        driver.run(0.05)
    assert driver.streams_in(StreamState.OPEN) >= low
    assert driver.engine.stats.listings, "nothing but a list proves them"
    assert not driver.exchange.violations
