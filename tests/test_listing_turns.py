"""A tick looks at so many streams that are not proven; links take turns, so that each is asked for its list."""

from __future__ import annotations

import dataclasses
from functools import partial

import pytest

from subcore.engine.context import Settings
from subcore.engine.engine import Engine
from subcore.sim.binance import BinanceExchange
from subcore.sim.faults import Fault
from subcore.testing import EngineDriver
from subcore.types import StreamState
from subcore.venue import Scope
from subcore.venues import venue

pytestmark = pytest.mark.simulation

EACH, LINKS = 20, 9
MARKETS = [f"N{number}USDT" for number in range(EACH * LINKS)]


def small(house: str) -> object:
    """A venue whose connections take few streams each."""
    made = venue(house).at("ws://sim.test:80")
    streams = [
        dataclasses.replace(c, amount=EACH) if c.resource == "streams" and c.scope is Scope.LINK else c
        for c in made.capacities
    ]
    return dataclasses.replace(made, capacities=tuple(streams))


@pytest.mark.parametrize("size", [EACH, EACH * LINKS])
def test_every_link_of_many_is_asked_for_its_list(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing speaks, so that only lists prove, and one link's answers come too late; a tick looks at as
    many streams as one link has, or at all."""
    monkeypatch.setattr("subcore.testing.driver.Engine", partial(Engine, settings=Settings(awaited=size)))
    exchange = BinanceExchange(1, markets=MARKETS, rate=1e-9)
    driver = EngineDriver(small("binance"), exchange, seed=1)  # type: ignore[arg-type]
    wanted = set(driver.subscribe("a", "agg_trade", MARKETS).tolist())
    assert driver.run_until(lambda: driver.streams_in(StreamState.SENT) >= wanted, 20)
    late = min(exchange.connections)
    exchange.inject(Fault("lag", conn=late, lag=60.0), driver.now)
    driver.run(8)
    carry = [link for link in driver.engine.links.values() if link.wire.len_wire]
    assert len(carry) >= LINKS
    assert len(driver.streams_in(StreamState.OPEN)) == len(wanted) - EACH
    assert driver.engine.stats.losses == 0
    assert not driver.exchange.violations
