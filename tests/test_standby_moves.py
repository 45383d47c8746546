"""What two links carry stays on two while its links are replaced, or it gets a link of its own: but for a moment.

Carriers are counted in the exchange's own books. A stream has two legs at most, so one has to leave before another
comes; it comes as soon as that one has left, not only when no frame of it can be late any more.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from subcore.engine import events
from subcore.engine.clock import SECOND
from subcore.sim.binance import BinanceExchange
from subcore.sim.exchange import Exchange
from subcore.sim.faults import Fault
from subcore.testing import EngineDriver
from subcore.types import Evidence, Int32Array, Priority, StatusKind
from subcore.venues import venue

pytestmark = pytest.mark.simulation

STEP = 0.02
VENUES = ["upbit", "binance"]


class Doubled:
    """Two markets' trades with a standby, beside what somebody else has of them."""

    def __init__(self, house: str, seed: int, *, own: bool = False, rate: float = 40.0) -> None:
        self.house = house
        names = ["BTCUSDT", "ETHUSDT"] if house == "binance" else ["KRW-BTC", "KRW-ETH"]
        make = BinanceExchange if house == "binance" else Exchange
        exchange = make(seed, markets=names, rate=rate)
        self.driver = EngineDriver(venue(house).at("ws://sim.test:80"), exchange, seed=seed)
        self.driver.subscribe("other", "agg_trade" if house == "binance" else "ticker", names)
        self.streams: Int32Array = self.driver.subscribe("a", "trade", names, priority=Priority.CRITICAL)
        self.driver.handle(events.StandBy(self.streams))
        if own:
            self.driver.handle(events.OwnLink(self.streams))
        self.driver.run(15)
        assert self.carriers() == [2, 2]

    def serving(self) -> dict[int, list[str]]:
        """The connections that serve some of it."""
        found = {}
        for number, conn in self.driver.exchange.connections.items():
            names = [s if isinstance(s, str) else f"{s.code}@{s.type}" for s in conn.streams]
            if mine := [name for name in names if name.endswith("@trade")]:
                found[number] = mine
        return found

    def carriers(self) -> list[int]:
        """How many connections serve each of the two."""
        return list(Counter(name for names in self.serving().values() for name in names).values()) or [0]

    def both_brought(self) -> bool:
        """Whether two connections serve each, and each has brought something: what only was asked for is no carrier."""
        evidence = self.driver.engine.streams.legs.evidence
        rows = 2 * self.streams.astype(np.int64)
        brought = evidence[rows] & evidence[rows + 1] & np.uint8(Evidence.DATA)
        return bool(brought.all()) and self.carriers() == [2, 2]

    def alone(self, seconds: float) -> float:
        """The longest time without two carriers within these seconds."""
        longest = since = 0
        for _ in range(round(seconds / STEP)):
            self.driver.run(STEP)
            if min(self.carriers()) >= 2:
                since = 0
            else:
                since = since or self.driver.now
                longest = max(longest, self.driver.now - since)
        return longest / SECOND

    def act(self, what: str) -> None:
        if what == "rotate":
            self.driver.handle(events.Rotate())
        else:
            self.driver.handle(events.OwnLink(self.streams, what == "own link on"))


@pytest.mark.parametrize("house", VENUES)
@pytest.mark.parametrize("what", ["rotate", "own link on", "own link off"])
@pytest.mark.parametrize("seed", range(3))
def test_it_has_two_carriers_but_for_a_moment(house: str, what: str, seed: int) -> None:
    doubled = Doubled(house, seed, own=what == "own link off")
    doubled.act(what)
    longest = doubled.alone(40)
    assert longest < 1.2, "a connection, a request and its first frame"
    assert doubled.carriers() == [2, 2]
    assert not [notice for notice in doubled.driver.notices if notice.kind is StatusKind.SUSPECT]
    assert not doubled.driver.exchange.violations


def test_a_link_that_has_let_go_of_it_is_not_said_to_wait_for_budget() -> None:
    """Markets that say nothing: the list has to prove the one carrier before the other leaves."""
    doubled = Doubled("binance", 1, rate=1e-6)
    doubled.act("own link on")
    said = list[str]()
    for _ in range(200):
        doubled.driver.run(STEP)
        said.append(doubled.driver.engine.explain(int(doubled.streams[0]), doubled.driver.now))
    assert any(
        "and a standby is to carry it too: link 0 has let go of it; no data yet" in text for text in said
    )
    assert not any("budget" in text for text in said)


@pytest.mark.parametrize("house", VENUES)
@pytest.mark.parametrize("what", ["rotate", "own link on", "own link off"])
@pytest.mark.parametrize("after", np.arange(0.1, 8.0, 1.0).round(1).tolist())
@pytest.mark.parametrize("which", [0, 1])
def test_the_loss_of_one_carrier_is_no_matter_while_another_holds_it(
    house: str, what: str, after: float, which: int
) -> None:
    doubled = Doubled(house, round(10 * after), own=what == "own link off")
    driver = doubled.driver
    doubled.act(what)
    driver.run(after)
    if not driver.run_until(doubled.both_brought, 3):
        return
    told = len(driver.notices)
    driver.exchange.inject(Fault("drop_rst", conn=sorted(doubled.serving())[which]), driver.now)
    driver.run(3)
    of_these = [
        notice
        for notice in driver.notices[told:]
        if notice.kind is StatusKind.SUSPECT and np.isin(doubled.streams, notice.streams).any()
    ]
    assert not of_these, of_these
