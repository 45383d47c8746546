"""A request that states a stream anew owes its snapshot: where that does not come, the stream is frozen for certain."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from subcore.engine.clock import SECOND
from subcore.engine.context import Settings
from subcore.engine.engine import Engine
from subcore.sim.exchange import Exchange
from subcore.sim.faults import Fault
from subcore.testing import EngineDriver
from subcore.types import DataState, StatusKind
from subcore.venues import venue

pytestmark = pytest.mark.simulation

CODES = [f"KRW-N{i}" for i in range(40)]
VENUE = venue("upbit").at("ws://sim.test:80")
OVERDUE = "its new snapshot is overdue"


def opened(codes: int, run: float, rate: float = 3.0) -> EngineDriver:
    """Lone books, asked for in one message, and not known well enough for their silence to tell anything."""
    driver = EngineDriver(VENUE, Exchange(1, markets=CODES, rate=rate), seed=1)
    driver.subscribe("a", "orderbook", CODES[:codes])
    driver.run(run)
    assert driver.all_settled()
    return driver


def silence(driver: EngineDriver, *codes: str) -> None:
    exchange: Any = driver.exchange
    for code in codes:
        exchange.inject(Fault("silent", channel="orderbook", symbol=code), driver.now)


def suspects(driver: EngineDriver) -> list[tuple[int, str]]:
    return [(len(n.streams), n.reason) for n in driver.notices if n.kind is StatusKind.SUSPECT]


def restate(driver: EngineDriver) -> None:
    """One more is asked for, on the same link, so that the request states all, and has arrived."""
    sent = len(driver.sent)
    driver.subscribe("b", "orderbook", CODES[-1:])
    assert driver.run_until(lambda: len(driver.sent) > sent, 5)
    driver.run(0.06)


@pytest.mark.parametrize("known", [2, 120])
def test_one_whose_snapshot_does_not_come_is_asked_for_again_and_comes(known: float) -> None:
    driver = opened(3, known)
    restate(driver)
    silence(driver, CODES[1])
    began = driver.now
    assert driver.run_until(lambda: driver.engine.row(1).data is DataState.SUSPECT, 10)
    assert driver.run_until(lambda: driver.engine.row(1).data is DataState.GOOD, 10)
    assert (driver.now - began) / SECOND <= 10
    assert suspects(driver) == [(1, OVERDUE)]
    driver.run(120)
    assert driver.engine.row(1).data is DataState.GOOD
    assert suspects(driver) == [(1, OVERDUE)]
    assert driver.engine.stats.reasks == 1
    assert driver.engine.stats.needless_reasks == 0
    assert driver.engine.stats.losses == 0
    assert not driver.exchange.violations  # type: ignore[attr-defined]


def test_one_that_comes_nowhere_is_asked_for_ever_more_seldom() -> None:
    driver = opened(3, 2)
    restate(driver)
    for _ in range(8 * 400):
        silence(driver, CODES[1])
        driver.run(0.125)
    assert driver.engine.row(1).data is DataState.SUSPECT
    assert 3 <= driver.engine.stats.reasks <= 6  # after 0, 20, 60, 140, 300 s
    assert {code.data for code in map(driver.engine.row, (0, 2))} == {DataState.GOOD}
    assert driver.engine.stats.losses == 0
    assert not driver.exchange.violations  # type: ignore[attr-defined]


def test_many_whose_snapshots_are_late_are_asked_for_within_the_allowance_and_all_are_good_then() -> None:
    driver = opened(30, 20)
    restate(driver)
    silence(driver, *CODES[:29])
    driver.run(3.6)
    assert sum(count for count, _ in suspects(driver)) >= 20
    assert 1 <= driver.engine.stats.reasks <= 8
    assert driver.run_until(
        lambda: all(driver.engine.row(stream).data is DataState.GOOD for stream in range(30)), 120
    )
    driver.run(120)
    assert driver.engine.stats.losses == 0
    assert not driver.exchange.violations  # type: ignore[attr-defined]


def test_they_are_looked_for_in_parts_and_told_once_at_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("subcore.testing.driver.Engine", partial(Engine, settings=Settings(awaited=4)))
    driver = opened(30, 2)
    restate(driver)
    silence(driver, *CODES[:29])
    counted: list[int] = []
    for _ in range(8 * 8):
        driver.run(0.125)
        doubted = sum(driver.engine.row(s).data is DataState.SUSPECT for s in range(30))
        if doubted != (counted or [0])[-1]:
            counted.append(doubted)
        if suspects(driver):
            break
    assert counted[:3] == [4, 8, 12], "so many at each tick"
    assert [reason for _, reason in suspects(driver)] == [OVERDUE]
    assert suspects(driver)[0][0] >= 20
