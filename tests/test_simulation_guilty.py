"""One bad stream among many, in virtual time: it is found and refused, and keeps no other off the wire."""

from __future__ import annotations

import random

import pytest

from subcore.sim.exchange import Exchange
from subcore.sim.faults import Fault
from subcore.testing import EngineDriver
from subcore.types import StatusKind, StreamState
from subcore.venues import venue

pytestmark = pytest.mark.simulation

MARKETS = [f"KRW-N{i}" for i in range(60)]
VENUE = venue("upbit").at("ws://sim.test:80")


def make(seed: int) -> EngineDriver:
    return EngineDriver(VENUE, Exchange(seed, markets=MARKETS, rate=0.3), seed=seed)


@pytest.mark.parametrize("seed", range(3), ids=lambda s: f"seed_{s}")
@pytest.mark.parametrize("first", ["alone", "with_proven"])
def test_the_guilty_are_refused_and_all_others_come_back(seed: int, first: str) -> None:
    rng = random.Random(f"guilty {seed} {first}")
    driver = make(seed)
    if first == "with_proven":
        driver.subscribe("old", "orderbook", MARKETS[:40])
        driver.run(3)
        assert driver.all_settled()
    guilty = rng.sample(MARKETS, rng.choice((1, 1, 2, 4)))
    for symbol in guilty:
        driver.exchange.inject(Fault("error", symbol=symbol, channel="ticker"), driver.now)
    driver.subscribe("new", "ticker", MARKETS)
    told = f"seed {seed}, guilty {guilty}"
    settled = driver.run_until(driver.all_settled, 60)
    assert settled, f"{told}\n{driver.read_history(60)}"
    refused = {driver.ledger.topic(s) for s in driver.streams_in(StreamState.REFUSED)}
    assert {(t.channel, t.symbol) for t in refused} == {("ticker", s) for s in guilty}, told
    assert all("INVALID_PARAM" in driver.engine.row(s).reason for s in driver.streams_in(StreamState.REFUSED))
    assert not driver.exchange.violations
    carried = [(w.type, w.code) for c in driver.exchange.connections.values() for w in c.streams]
    assert len(carried) == len(set(carried))
    driver.run(200)
    assert not driver.exchange.violations
    links = [link for link in driver.engine.links.values() if link.wire.len_target]
    assert len(links) == 1, "after calm one link carries all again"
    assert (
        driver.streams_in(StreamState.OPEN) | driver.streams_in(StreamState.REFUSED) == driver.ledger.wanted()
    )


def test_the_proven_are_off_the_wire_only_for_the_time_of_one_reconnect() -> None:
    driver = make(3)
    old = set(driver.subscribe("old", "orderbook", MARKETS[:40]).tolist())
    driver.run(3)
    driver.exchange.inject(Fault("error", symbol=MARKETS[50], channel="ticker"), driver.now)
    driver.subscribe("new", "ticker", MARKETS)
    assert driver.run_until(driver.all_settled, 60)
    suspect = [n for n in driver.notices if n.kind is StatusKind.SUSPECT and old & set(n.streams.tolist())]
    assert len(suspect) == 1, "the error took them down once; the search for the guilty did not"


def test_a_venue_that_kills_every_connection_refuses_nobody() -> None:
    driver = make(4)
    driver.subscribe("a", "ticker", MARKETS)
    for second in range(0, 600, 1):
        driver.exchange.inject(Fault("drop_fin"), driver.now)
        driver.run(0.2 if second % 2 else 0.35)
    assert not driver.streams_in(StreamState.REFUSED)
    driver.run(60)
    assert driver.all_settled()
    assert len(driver.streams_in(StreamState.OPEN)) == len(MARKETS)
