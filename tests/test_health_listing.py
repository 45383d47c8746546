"""Where nobody can be asked what is newest, the list of what a link carries is a witness against what it leaves out."""

from __future__ import annotations

import pytest

from subcore.engine import health
from subcore.engine.clock import SECOND
from subcore.sim.exchange import Exchange
from subcore.sim.faults import Fault
from subcore.testing import EngineDriver
from subcore.types import DataState, StatusKind
from subcore.venues import venue

pytestmark = pytest.mark.simulation

CODES = [f"KRW-N{i}" for i in range(3)]
VENUE = venue("upbit").at("ws://sim.test:80")


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> EngineDriver:
    """Lone books whose habits are believed soon."""
    monkeypatch.setattr(health, "LOOKS_TO_KNOW", 60)
    made = EngineDriver(VENUE, Exchange(1, markets=CODES, rate=8.0), seed=1)
    made.subscribe("a", "orderbook", CODES)
    made.run(40)
    assert made.all_settled()
    assert made.engine.stats.listings == 0
    return made


def lose(driver: EngineDriver, *codes: str) -> None:
    """The venue forgets streams of the first connection."""
    conn = next(iter(driver.exchange.connections.values()))  # type: ignore[attr-defined]
    for wanted in [wanted for wanted in conn.subscriptions if wanted.code in codes]:
        driver.exchange._traffic.remove(conn.subscriptions.pop(wanted), driver.now)  # type: ignore[attr-defined]
        del conn.streams[wanted]


def reasons(driver: EngineDriver) -> list[str]:
    return [n.reason for n in driver.notices if n.kind is StatusKind.SUSPECT]


def test_what_the_list_leaves_out_is_asked_for_again(driver: EngineDriver) -> None:
    lose(driver, CODES[1])
    began = driver.now
    assert driver.run_until(lambda: driver.engine.row(1).data is DataState.SUSPECT, 30)
    assert (driver.now - began) / SECOND <= max(10, 20 * driver.hearing.median_of(1) / SECOND) + 1
    assert driver.run_until(lambda: driver.engine.row(1).data is DataState.GOOD, 5)
    assert reasons(driver) == ["the venue's list of what its link carries leaves it out"]
    driver.run(10)
    assert driver.engine.stats.needless_reasks == 0
    assert driver.engine.stats.losses == 0
    assert not driver.exchange.violations  # type: ignore[attr-defined]


def test_what_the_list_names_is_not_accused_and_lists_are_seldom(driver: EngineDriver) -> None:
    driver.exchange.inject(Fault("silent", channel="orderbook", symbol=CODES[1]), driver.now)  # type: ignore[attr-defined]
    driver.run(130)
    assert reasons(driver) == []
    assert 1 <= driver.engine.stats.listings <= 3


def test_a_list_that_names_nothing_of_ours_says_nothing(driver: EngineDriver) -> None:
    lose(driver, *CODES)
    driver.exchange.connections[1].streams.clear()  # type: ignore[attr-defined]
    driver.run(3)
    driver.engine.links[0].doubted = True
    driver.run(1.5)  # no longer, or the link is taken for dead
    assert driver.engine.stats.listings == 1
    assert reasons(driver) == []
