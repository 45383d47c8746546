"""A removal that is refused, or not answered where the venue answers each request: the wire still comes right."""

from __future__ import annotations

from typing import Any

import pytest

from engine_script import Script
from subcore.engine import actions
from subcore.engine.events import ControlFrame, StandBy
from subcore.sim.binance import BinanceExchange, BinanceRules
from subcore.sim.binance.requests import Refused as RefusedRequest
from subcore.testing import EngineDriver
from subcore.types import Accepted, Int32Array, Priority, ReasonClass, Refused, StreamState
from subcore.venues import venue

pytestmark = pytest.mark.simulation

MARKETS = ["BTCUSDT", "ETHUSDT", "XRPUSDT", "ADAUSDT", "SOLUSDT"]


class Unwilling(BinanceExchange):
    """The first so many UNSUBSCRIBEs are refused with this error; with 0 they are not answered, nor done."""

    def __init__(self, code: int, times: int) -> None:
        super().__init__(1, markets=MARKETS, rate=1.0)
        self.code, self.times = code, times

    def _request(self, at: int, conn: Any, payload: bytes) -> None:
        if self.code == 0 and b"UNSUBSCRIBE" in payload and self.times:
            self.times -= 1
            return
        super()._request(at, conn, payload)

    def _check(self, request: Any, now: int) -> None:
        super()._check(request, now)
        if self.code and request.method == "UNSUBSCRIBE" and self.times:
            self.times -= 1
            raise RefusedRequest(self.code, "Invalid request: try later", request.ident)


def removals(driver: EngineDriver) -> list[actions.Send]:
    return [send for send in driver.sent if b"UNSUBSCRIBE" in send.payload]


def play(code: int, times: int) -> tuple[EngineDriver, list[str]]:
    driver = EngineDriver(venue("binance").at("ws://sim.test:80"), Unwilling(code, times), seed=1)
    driver.subscribe("a", "book_ticker", MARKETS)
    driver.run(10)
    driver.unsubscribe("a", "book_ticker", MARKETS[:2])
    driver.run(300)
    return driver, [name for conn in driver.exchange.connections.values() for name in conn.streams]


def leaving(code: int) -> tuple[EngineDriver, Int32Array]:
    """All are open, and the first removal of two of them, which will not be done, has just left."""
    driver = EngineDriver(venue("binance").at("ws://sim.test:80"), Unwilling(code, 1), seed=1)
    streams = driver.subscribe("a", "book_ticker", MARKETS)
    driver.run(10)
    driver.unsubscribe("a", "book_ticker", MARKETS[:2])
    while not removals(driver):
        driver.run(0.01)
    return driver, streams


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("code", [0, 1, 2, 4])
def test_what_was_not_taken_off_is_taken_off_later(code: int, times: int) -> None:
    driver, carried = play(code, times)
    assert sorted(carried) == sorted(f"{market.lower()}@bookTicker" for market in MARKETS[2:])
    assert len(removals(driver)) == times + 1
    assert driver.ledger.live() == driver.ledger.wanted()


def test_one_that_is_refused_for_ever_is_tried_once_a_minute_and_keeps_nothing_from_going() -> None:
    driver, carried = play(2, 10**6)
    assert len(carried) == len(MARKETS)
    assert 7 <= len(removals(driver)) <= 10
    (late,) = driver.subscribe("b", "trade", MARKETS[4:])
    driver.run(10)
    assert driver.engine.row(int(late)).state is StreamState.OPEN


def test_a_venue_that_never_says_so_is_believed_the_fourth_time() -> None:
    driver, _ = play(0, 10**6)
    assert len(removals(driver)) == 4
    assert driver.ledger.live() == driver.ledger.wanted()


def test_one_that_has_said_so_before_is_not_believed_for_its_silence() -> None:
    exchange = Unwilling(0, 0)
    driver = EngineDriver(venue("binance").at("ws://sim.test:80"), exchange, seed=1)
    driver.subscribe("a", "book_ticker", MARKETS)
    driver.run(10)
    driver.unsubscribe("a", "book_ticker", MARKETS[:1])
    driver.run(10)
    assert len(removals(driver)) == 1
    exchange.times = 6
    driver.unsubscribe("a", "book_ticker", MARKETS[1:3])
    driver.run(300)
    assert exchange.times == 0
    carried = [name for conn in exchange.connections.values() for name in conn.streams]
    assert sorted(carried) == sorted(f"{market.lower()}@bookTicker" for market in MARKETS[3:])


@pytest.mark.parametrize("code", [0, 2])
def test_what_is_wanted_again_meanwhile_comes(code: int) -> None:
    driver, streams = leaving(code)
    driver.run(1.0)
    driver.subscribe("b", "book_ticker", MARKETS[:2])
    driver.run(60)
    assert driver.streams_in(StreamState.OPEN) == set(streams.tolist())
    assert sum(len(conn.streams) for conn in driver.exchange.connections.values()) == len(MARKETS)
    assert len(removals(driver)) == 1


@pytest.mark.parametrize("code", [0, 1, 2, 4])
@pytest.mark.parametrize("busy", [False, True])
def test_what_is_wanted_again_before_the_venue_says_no_comes(code: int, busy: bool) -> None:
    """`busy`: others use up the messages, so that it waits longer than the venue has to answer."""
    driver, streams = leaving(code)
    if busy:
        for market in MARKETS:
            driver.subscribe("c", "trade", [market], priority=Priority.CRITICAL)
            driver.run(0.01)
    driver.subscribe("b", "book_ticker", MARKETS[:2])
    driver.run(60)
    assert set(streams.tolist()) <= driver.streams_in(StreamState.OPEN)
    assert driver.ledger.live() == driver.ledger.wanted()


def test_a_removal_that_is_refused_costs_no_other_stream_its_standby() -> None:
    """Nor does an answer to nothing that was asked for: neither says anything about what the link carries."""
    driver = EngineDriver(venue("binance").at("ws://sim.test:80"), Unwilling(2, 1), seed=1)
    streams = driver.subscribe("a", "book_ticker", MARKETS)
    driver.handle(StandBy(streams))
    driver.run(10)
    driver.unsubscribe("a", "book_ticker", MARKETS[:1])
    driver.run(10)
    assert len(removals(driver)) == 3  # one of them was refused
    assert [len(conn.streams) for conn in driver.exchange.connections.values()] == [len(MARKETS) - 1] * 2
    for link in list(driver.engine.links.values()):
        said = Refused("error 2", "Invalid request", ReasonClass.PERMANENT, "no such request")
        driver.handle(ControlFrame(link.id, link.generation, said))
        driver.run(10)
    assert [len(conn.streams) for conn in driver.exchange.connections.values()] == [len(MARKETS) - 1] * 2
    assert driver.all_settled()


@pytest.mark.parametrize("over", ["error", "close"])
def test_a_connection_that_takes_fewer_than_a_message_names_gets_a_part(over: str) -> None:
    markets = list(BinanceExchange().markets)[:90]
    exchange = BinanceExchange(
        1, markets=markets, rate=0.2, rules=BinanceRules(streams=60, over_streams=over)
    )
    driver = EngineDriver(venue("binance").at("ws://sim.test:80"), exchange, seed=1)
    driver.subscribe("a", "trade", markets)
    driver.run(120)
    assert len(driver.streams_in(StreamState.OPEN)) == 90
    assert sum(len(conn.streams) for conn in driver.exchange.connections.values()) == 90
    assert len(driver.sent) < 12


def test_what_is_on_trial_is_asked_for_although_its_removal_was_not_answered() -> None:
    """Wanted again, it is refused with another and each is asked for alone; then it is too late for that answer."""
    s = Script(venue("binance"))
    ids = s.open_with("book_ticker", *MARKETS)
    s.wait(2, frames=1)
    s.unwant("book_ticker", *MARKETS[:2], urgent=True)
    s.want("book_ticker", *MARKETS[:2])
    link = s.engine.links[0]
    removal = link.last_request
    while link.last_request is removal:
        s.wait(0.01)
    asked = link.last_request
    assert removal is not None
    assert asked is not None
    assert removal in link.in_flight
    s.say(Refused("Invalid request", request_id=asked.id))
    for _ in range(40):
        s.wait(0.25, frames=1)
        for request in [one for one in link.in_flight if one is not removal]:
            s.say(Accepted(request.id))
            s.data(request.adds)
    assert s.states(ids) == {StreamState.OPEN}
