"""A venue that allows few connections at a time: whatever happens, no more are open, and all is carried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from engine_script import BTC, ETH, Script
from subcore.engine import events
from subcore.engine.link import Phase
from subcore.sim.binance import BinanceExchange
from subcore.sim.exchange import Exchange
from subcore.sim.faults import Fault
from subcore.testing import EngineDriver
from subcore.types import Int32Array, StreamState
from subcore.venue import Capacity, Scope, Venue
from subcore.venues import venue

pytestmark = pytest.mark.simulation

EACH = 4  # streams a connection takes
CODES = [f"S{number}USDT" for number in range(20)]
MARKETS = [f"KRW-S{number}" for number in range(8)]


def few(house: str, connections: int) -> Venue:
    bounds = (Capacity("connections", connections, Scope.IP), Capacity("streams", EACH))
    capacities = bounds if house == "binance" else bounds[:1]
    return replace(venue(house), capacities=capacities).at("ws://sim.test:80")


def carrying(connections: int, count: int) -> tuple[EngineDriver, Int32Array]:
    exchange = BinanceExchange(3, markets=CODES, rate=5.0)
    driver = EngineDriver(few("binance", connections), exchange, seed=3)
    streams = driver.subscribe("a", "trade", CODES[:count])
    assert driver.run_until(driver.all_settled, 30)
    return driver, streams


def most_connections(driver: EngineDriver, seconds: float) -> int:
    """The most that were open, or about to be, by the engine's books and by the exchange's."""
    most = 0
    for _ in range(round(seconds / 0.1)):
        driver.run(0.1)
        phases = [link.phase for link in driver.engine.links.values()]
        ours = phases.count(Phase.CONNECTING) + phases.count(Phase.UP)
        most = max(most, ours, len(driver.exchange.connections))
    return most


WISHES: dict[str, Callable[[Int32Array], events.Event]] = {
    "standby": events.StandBy,
    "own link": lambda streams: events.OwnLink(streams[:7]),
    "rotation": lambda streams: events.Rotate(),
}


@pytest.mark.parametrize("wish", WISHES)
@pytest.mark.parametrize("connections", [3, 4, 5])
def test_no_wish_opens_more_connections_than_are_allowed(wish: str, connections: int) -> None:
    driver, streams = carrying(connections, 10)
    driver.handle(WISHES[wish](streams))
    assert most_connections(driver, 60) <= connections
    assert driver.streams_in(StreamState.OPEN) == set(streams.tolist())
    assert all(len(connection.streams) <= EACH for connection in driver.exchange.connections.values())
    assert len(driver.engine.links) <= 2 * connections, "links that nobody may open are not made"
    assert not driver.exchange.violations


def test_links_are_replaced_one_after_another_where_one_more_is_allowed() -> None:
    driver, streams = carrying(4, 10)
    old = set(driver.exchange.connections)
    assert len(old) == 3
    first = {link.id: link.generation for link in driver.engine.links.values()}
    for _ in range(30):  # as a manager does, until all are replaced
        known = driver.engine.links
        driver.handle(events.Rotate(tuple(n for n in first if known[n].generation == first[n])))
        assert most_connections(driver, 2) <= 4
        assert driver.streams_in(StreamState.OPEN) == set(streams.tolist())
    assert not old & set(driver.exchange.connections)
    assert not driver.engine.is_rotating
    assert not driver.exchange.violations


def test_what_finds_no_room_while_a_link_is_replaced_waits_until_there_is_one() -> None:
    driver, _ = carrying(2, EACH)
    driver.handle(events.Rotate())
    streams = driver.subscribe("a", "trade", CODES[: EACH + 1])
    for _ in range(200):
        assert most_connections(driver, 0.1) <= 2
        assert all(len(connection.streams) <= EACH for connection in driver.exchange.connections.values())
    assert driver.streams_in(StreamState.OPEN) == set(streams.tolist())


def test_a_link_is_replaced_though_no_connection_is_left_for_what_asks_for_its_own_there() -> None:
    driver, streams = carrying(2, 3)
    driver.handle(events.OwnLink(streams[:1]))
    driver.handle(events.Rotate())
    assert most_connections(driver, 60) == 2
    assert not driver.engine.is_rotating
    assert driver.streams_in(StreamState.OPEN) == set(streams.tolist())
    assert sorted(len(connection.streams) for connection in driver.exchange.connections.values()) == [1, 2]


def test_what_takes_the_place_of_others_on_full_links_waits_for_them_to_leave() -> None:
    driver, _ = carrying(1, EACH)
    driver.unsubscribe("a", "trade", CODES[:EACH])
    new = driver.subscribe("a", "trade", CODES[EACH : 2 * EACH])
    for _ in range(100):
        assert most_connections(driver, 0.1) == 1
        assert all(len(connection.streams) <= EACH for connection in driver.exchange.connections.values())
    assert driver.streams_in(StreamState.OPEN) == set(new.tolist())


def test_the_guilty_is_found_on_the_only_connection() -> None:
    exchange = Exchange(3, markets=MARKETS, rate=5.0)
    driver = EngineDriver(few("upbit", 1), exchange, seed=3)
    driver.subscribe("a", "trade", MARKETS[:4])
    assert driver.run_until(driver.all_settled, 30)
    exchange.inject(Fault("error", symbol=MARKETS[5]), driver.now)
    driver.subscribe("a", "trade", MARKETS[4:])
    assert most_connections(driver, 60) == 1
    (bad,) = driver.streams_in(StreamState.REFUSED)
    assert driver.ledger.topic(bad).symbol == MARKETS[5]
    assert len(driver.streams_in(StreamState.OPEN)) == len(MARKETS) - 1
    assert not exchange.violations


def test_what_is_frozen_is_asked_for_again_on_the_only_connection() -> None:
    s = Script(few("upbit", 1))
    ids = s.open_with("ticker", BTC, ETH)
    s.wait(5, frames=1)
    link = s.engine.links[0]
    s.engine._health._ask_again(link, ids[:1], s.now)
    s.wait(1, frames=1)
    assert link.wire.wire().tolist() == ids[1:].tolist()
    s.wait(3, frames=1)
    assert link.wire.wire().tolist() == ids.tolist()
    s.data(ids)
    assert s.states(ids) == {StreamState.OPEN}
    assert len(s.engine.links) == 1


def test_no_unused_link_is_opened_beside_a_nursery_that_has_become_home() -> None:
    exchange = Exchange(3, markets=MARKETS, rate=5.0)
    driver = EngineDriver(few("upbit", 3), exchange, seed=3)
    own = driver.subscribe("c", "ticker", MARKETS[:1])
    driver.run(2)
    driver.handle(events.OwnLink(own))
    driver.run(8)
    driver.subscribe("a", "trade", MARKETS[:3])
    driver.run(15)
    exchange.inject(Fault("error", symbol=MARKETS[5]), driver.now)
    driver.subscribe("b", "trade", MARKETS[4:7])
    driver.run(1)
    driver.unsubscribe("a", "trade", MARKETS[:3])
    driver.run(7.5)
    assert [len(connection.streams) for connection in exchange.connections.values()] == [1, 2]
    driver.handle(events.StandBy(own))
    driver.run(60)
    driver.subscribe("a", "trade", MARKETS[:3])
    assert most_connections(driver, 20) == 3
    assert sorted(len(connection.streams) for connection in exchange.connections.values()) == [1, 1, 5]
