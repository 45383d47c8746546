"""Streams with two carriers, in virtual time: rotation, standby, and what happens when one of them is lost."""

from __future__ import annotations

import random
from collections.abc import Iterable

import numpy as np
import pytest

from subcore.engine import events
from subcore.engine.link import Role
from subcore.sim.exchange import Exchange
from subcore.sim.faults import Fault
from subcore.testing import EngineDriver
from subcore.types import GoingAway, Int32Array, StatusKind, StreamState
from subcore.venues import venue

pytestmark = pytest.mark.simulation

MARKETS = [f"KRW-N{i}" for i in range(40)]
VENUE = venue("upbit").at("ws://sim.test:80")


def make(seed: int = 1) -> EngineDriver:
    return EngineDriver(VENUE, Exchange(seed, markets=MARKETS, rate=5.0), seed=seed)


def settle(driver: EngineDriver, channel: str, symbols: Iterable[str]) -> Int32Array:
    streams = driver.subscribe("a", channel, symbols)
    assert driver.run_until(driver.all_settled, 10)
    return streams


def carriers(driver: EngineDriver) -> dict[str, int]:
    """How many connections carry each code, by the exchange's own books."""
    count: dict[str, int] = {}
    for connection in driver.exchange.connections.values():
        for wanted in connection.streams:
            count[wanted.code] = count.get(wanted.code, 0) + 1
    return count


def told_suspect(driver: EngineDriver, since: int) -> list[int]:
    return [s for n in driver.notices[since:] if n.kind is StatusKind.SUSPECT for s in n.streams.tolist()]


def test_rotation_replaces_the_link_and_no_stream_is_ever_without_a_carrier() -> None:
    driver = make()
    settle(driver, "ticker", MARKETS)
    before, told = driver.exchange.connections.copy(), len(driver.notices)
    driver.handle(events.Rotate())
    for _ in range(200):
        driver.run(0.1)
        assert all(n >= 1 for n in carriers(driver).values())
        assert len(carriers(driver)) == len(MARKETS)
    assert not set(before) & set(driver.exchange.connections), "the old connection is closed"
    assert len(driver.exchange.connections) == 1
    assert set(carriers(driver).values()) == {1}
    assert told_suspect(driver, told) == []
    assert not driver.arbitrated
    assert not driver.exchange.violations
    assert driver.engine.stats.losses == 0


def test_many_rotations_use_no_more_links_than_two() -> None:
    driver = make()
    settle(driver, "ticker", MARKETS)
    for _ in range(30):
        driver.handle(events.Rotate())
        driver.run(30)
    assert len(driver.engine.links) <= 2, "links out of use are used again"
    assert set(carriers(driver).values()) == {1}
    assert not driver.exchange.violations


def test_a_link_that_will_be_closed_by_the_venue_is_replaced_before() -> None:
    driver = make()
    settle(driver, "ticker", MARKETS[:5])
    (link,) = driver.engine.links.values()
    driver.handle(events.ControlFrame(link.id, link.generation, GoingAway(10.0)))
    driver.run(9)
    assert link.role is Role.RETIRED
    assert carriers(driver) == dict.fromkeys(MARKETS[:5], 1)
    assert driver.engine.stats.losses == 0


def test_a_rotation_whose_successor_cannot_connect_keeps_the_old_link() -> None:
    driver = make()
    settle(driver, "ticker", MARKETS)
    told = len(driver.notices)
    driver.exchange.inject(Fault("refuse", seconds=100.0), driver.now)
    driver.handle(events.Rotate())
    driver.run(95)
    assert carriers(driver) == dict.fromkeys(MARKETS, 1)
    assert told_suspect(driver, told) == []
    driver.run(90)
    assert len(driver.exchange.connections) == 1
    assert carriers(driver) == dict.fromkeys(MARKETS, 1)
    assert told_suspect(driver, told) == []


def test_a_link_lost_while_it_is_replaced_comes_back_whole() -> None:
    for at in (0.0, 0.05, 0.1, 0.2, 0.5, 1.0, 3.0):
        driver = make(seed=int(at * 100))
        settle(driver, "ticker", MARKETS)
        driver.handle(events.Rotate())
        driver.run(at)
        driver.exchange.inject(Fault("drop_rst"), driver.now)  # every connection
        driver.run(60)
        assert driver.all_settled(), at
        assert carriers(driver) == dict.fromkeys(MARKETS, 1), at
        assert not driver.exchange.violations


def test_a_standby_is_carried_twice_and_survives_either_loss_without_suspicion() -> None:
    driver = make()
    streams = settle(driver, "trade", MARKETS[:10])
    settle(driver, "ticker", MARKETS)
    driver.handle(events.StandBy(streams[:6]))
    driver.run(5)
    twice = {code: n for code, n in carriers(driver).items() if n == 3}  # ticker once, trade twice
    assert set(twice) == set(MARKETS[:6])
    assert driver.arbitrated == set(streams[:6].tolist())
    rng = random.Random(5)
    for _ in range(12):
        told = len(driver.notices)
        conn = rng.choice(sorted(driver.exchange.connections))
        driver.exchange.inject(Fault("drop_rst", conn=conn), driver.now)
        driver.run(20)
        assert not set(told_suspect(driver, told)) & set(streams[:6].tolist())
        assert {code for code, n in carriers(driver).items() if n == 3} == set(MARKETS[:6])
        assert driver.all_settled()
    driver.handle(events.StandBy(streams[:6], False))
    driver.run(20)
    assert not driver.arbitrated
    assert sum(carriers(driver).values()) == 50
    assert len(driver.exchange.connections) == 1
    assert not driver.exchange.violations


def test_a_standby_follows_its_holders() -> None:
    driver = make()
    streams = settle(driver, "trade", MARKETS[:4])
    driver.handle(events.StandBy(streams))
    driver.run(5)
    assert set(carriers(driver).values()) == {2}
    driver.unsubscribe("a", "trade", MARKETS[:2])
    driver.run(1)
    driver.subscribe("a", "trade", MARKETS[:1])  # back before it left the wire
    driver.run(20)
    assert carriers(driver) == {MARKETS[0]: 2, MARKETS[2]: 2, MARKETS[3]: 2}
    driver.unsubscribe("a", "trade", MARKETS)
    driver.run(30)
    assert not driver.exchange.connections
    assert driver.ledger.live() == set()
    assert driver.engine.deadline() is None


def test_what_was_never_proven_gets_no_second_carrier() -> None:
    driver = make()
    driver.exchange.inject(Fault("error", symbol=MARKETS[3], channel="trade"), driver.now)
    streams = driver.subscribe("a", "trade", MARKETS[:6])
    driver.handle(events.StandBy(streams))
    assert driver.run_until(driver.all_settled, 30)
    driver.run(100)
    assert {code: n for code, n in carriers(driver).items() if n != 2} == {}
    assert driver.streams_in(StreamState.REFUSED) == {int(streams[3])}
    assert not driver.exchange.violations


def test_a_second_carrier_that_fails_again_and_again_leaves_its_link_alone_for_a_minute() -> None:
    """A market that ceased is carried on by its old connection; on any other one its list does not have it."""
    driver = make()
    streams = settle(driver, "orderbook", MARKETS[:4])
    driver.exchange.inject(Fault("delist", symbol=MARKETS[0]), driver.now)
    driver.handle(events.StandBy(streams))
    driver.run(15)
    (standby,) = (link for link in driver.engine.links.values() if link.role is Role.STANDBY)
    asked = standby.requests
    driver.run(300)
    assert standby.requests - asked <= 2 * 300 / 60 + 2
    assert {code: n for code, n in carriers(driver).items() if code != MARKETS[0]} == dict.fromkeys(
        MARKETS[1:4], 2
    )


@pytest.mark.parametrize("seed", range(3), ids=lambda s: f"seed_{s}")
def test_rotations_standbys_losses_and_changes_in_any_order(seed: int) -> None:
    rng = random.Random(f"two carriers {seed}")
    driver = make(seed)
    held: set[str] = set()
    doubled: set[str] = set()
    for _ in range(80):
        act = rng.random()
        symbol = rng.choice(MARKETS[:20])
        if act < 0.35:
            held.add(symbol)
            stream = driver.subscribe("a", "trade", [symbol])
            if rng.random() < 0.5:
                doubled.add(symbol)
                driver.turn()
                driver.handle(events.StandBy(stream))
        elif act < 0.55:
            held.discard(symbol)
            doubled.discard(symbol)
            stream_id = driver.ledger.find_stream(VENUE.channel_index("trade"), symbol, 0.0)
            driver.unsubscribe("a", "trade", [symbol])
            if stream_id >= 0:
                driver.turn()
                driver.handle(events.StandBy(np.array([stream_id], np.int32), False))
        elif act < 0.62:
            driver.handle(events.Rotate())
        elif act < 0.75:
            driver.exchange.inject(
                Fault(rng.choice(("drop_rst", "drop_fin", "half_open")), seconds=5.0), driver.now
            )
        driver.run(rng.choice((0.0, 0.05, 0.3, 2.0, 8.0)))
        assert not driver.exchange.violations, f"seed {seed}\n{driver.read_history(60)}"
    driver.exchange.heal(driver.now)
    driver.run(30)
    blamed = sorted(driver.streams_in(StreamState.REFUSED))  # chance can kill a request three times
    driver.handle(events.AskedAgain(np.array(blamed, np.int32)))
    driver.run(170)
    told = f"seed {seed}\n{driver.read_history(80)}"
    assert carriers(driver) == {s: 2 if s in doubled else 1 for s in held}, told
    assert driver.all_settled(), told
    driver.unsubscribe("a", "trade", MARKETS)
    driver.run(100)
    assert not driver.exchange.connections, told
    assert driver.ledger.live() == set(), told
