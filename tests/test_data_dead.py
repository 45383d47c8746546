"""A connection that answers pings and lists and brings no data is found, and takes nothing from one that brings it."""

from __future__ import annotations

import asyncio

import pytest

from engine_script import BTC, ETH, MS, Script
from manager_rig import make
from subcore.engine import events
from subcore.engine.clock import SECOND
from subcore.engine.link import Phase, Role
from subcore.sim.exchange import Exchange
from subcore.sim.faults import Fault
from subcore.testing import EngineDriver
from subcore.types import Listing, Refused, StatusKind, StreamState, Topic
from subcore.venues import venue
from virtual_manager import World

pytestmark = pytest.mark.simulation

MARKETS = [f"KRW-N{number}" for number in range(20)]
FEW = MARKETS[:4]  # for long times
UPBIT = venue("upbit").at("ws://sim.test:80")


def serving(seed: int, markets: list[str] = MARKETS, rate: float = 10.0) -> EngineDriver:
    driver = EngineDriver(UPBIT, Exchange(seed, markets=markets, rate=rate), seed=seed)
    for channel in ("ticker", "orderbook"):
        driver.subscribe("a", channel, markets)
    driver.run(20)
    assert driver.all_settled()
    return driver


def next_is_dead(driver: EngineDriver) -> int:
    """Whatever connects next brings no data; its number at the exchange."""
    known = set(driver.exchange.connections)
    assert driver.run_until(lambda: bool(set(driver.exchange.connections) - known), 30)
    (new,) = set(driver.exchange.connections) - known
    driver.exchange.inject(Fault("lose", probability=1.0, conn=new), driver.now)
    return new


def carried(driver: EngineDriver, but: int) -> set[tuple[str, str]]:
    """By the exchange's word, over all connections but one."""
    conns = [conn for number, conn in driver.exchange.connections.items() if number != but]
    return {(wanted.type, wanted.code) for conn in conns for wanted in conn.streams}


@pytest.mark.parametrize("seed", range(3))
def test_a_rotation_leaves_no_link_for_one_that_brings_nothing(seed: int) -> None:
    driver = serving(seed)
    driver.handle(events.Rotate())
    dead = next_is_dead(driver)
    for _ in range(240):
        driver.run(0.25)
        assert len(carried(driver, dead)) == 2 * len(MARKETS)
    assert not [notice for notice in driver.notices if notice.kind is StatusKind.SUSPECT]
    assert not driver.engine.is_rotating
    assert driver.all_settled()
    assert not driver.exchange.violations


@pytest.mark.parametrize("seed", range(3))
def test_a_connection_that_never_brought_anything_is_replaced(seed: int) -> None:
    """Its pongs come, and nobody knows its habits: but the snapshots that were asked for do not come."""
    driver = serving(seed)
    driver.exchange.inject(Fault("drop_rst"), driver.now)
    dead = next_is_dead(driver)
    assert driver.run_until(lambda: dead in driver.exchange.connections, 5)
    began = driver.now
    assert driver.run_until(lambda: dead not in driver.exchange.connections, 30)
    assert (driver.now - began) / SECOND <= 5.0
    assert driver.run_until(driver.all_settled, 20)


def test_the_way_home_is_no_way_to_one_that_brings_nothing() -> None:
    """A stream that its nursery brings stays there while the settled link only lists it."""
    driver = serving(4)
    for number in range(12):  # a storm, which sends what is new to the nursery
        driver.subscribe("a", "trade", [MARKETS[number]])
        driver.run(1.5)
    settled, nursery = driver.engine.links[0], driver.engine.links[1]
    assert nursery.role is Role.NURSERY
    assert nursery.wire.len_target
    driver.exchange.inject(Fault("lose", probability=1.0, conn=min(driver.exchange.connections)), driver.now)
    driver.run(90)
    assert settled.generation > 1, "it was replaced"
    assert driver.all_settled()


def test_what_need_not_stand_by_any_more_is_let_go_once_its_home_is_back() -> None:
    driver = serving(5)
    streams = driver.subscribe("a", "ticker", MARKETS[:5])
    driver.handle(events.StandBy(streams, True))
    driver.run(10)
    standby = next(link for link in driver.engine.links.values() if link.role is Role.STANDBY)
    assert standby.wire.len_target == 5
    driver.exchange.inject(Fault("drop_rst", conn=min(driver.exchange.connections)), driver.now)
    assert driver.run_until(lambda: not driver.engine.links[0].is_up, 5)
    driver.handle(events.StandBy(streams, False))
    driver.run(60)
    assert not standby.wire.len_target
    assert not driver.engine.streams.legs.has_other(streams).any()
    assert driver.all_settled()


@pytest.mark.parametrize("standby", [False, True])
def test_a_market_that_the_venue_delists_keeps_no_rotation_from_ending(standby: bool) -> None:
    """The old link holds it, in silence; the new one's list leaves it out, each time. It is refused for that, alone."""
    driver = serving(8, FEW, 1.0)
    gone = driver.subscribe("a", "ticker", FEW[3:])
    if standby:
        driver.handle(events.StandBy(gone, True))
        driver.run(10)
    driver.exchange.inject(Fault("delist", symbol=FEW[3]), driver.now)
    driver.run(5)
    driver.handle(events.Rotate())
    assert driver.run_until(lambda: not driver.engine.is_rotating, 40)
    assert driver.run_until(lambda: len(driver.streams_in(StreamState.REFUSED)) > 1, 80)
    refused = {driver.ledger.topic(stream).symbol for stream in driver.streams_in(StreamState.REFUSED)}
    assert refused == {FEW[3]}
    settled = [link for link in driver.engine.links.values() if link.role is Role.SETTLED]
    assert [link.wire.len_target for link in settled] == [2 * len(FEW) - 2]
    asked = driver.engine.stats.messages
    driver.run(120)
    assert driver.engine.stats.messages == asked


def test_a_standby_that_the_list_leaves_out_is_tried_ever_more_seldom() -> None:
    """After 1 minute, and after 2 more, with two messages each; the next time would be after 4."""
    driver = serving(9, FEW, 1.0)
    streams = driver.subscribe("a", "ticker", FEW)
    driver.exchange.inject(Fault("delist", symbol=FEW[3]), driver.now)
    driver.handle(events.StandBy(streams, True))
    driver.run(20)
    assert driver.engine.streams.legs.has_other(streams[:3]).all()
    asked = driver.engine.stats.messages
    driver.run(5 * 60)
    assert driver.engine.stats.messages - asked <= 4


@pytest.mark.parametrize(("which", "losses"), [("settled", 12), ("standby", 6)])
def test_one_that_turned_costs_the_others_neither_their_standby_nor_a_link_each_minute(
    which: str, losses: int
) -> None:
    """On the settled link its books are found by halves; its ticker is tried again after 1, 2, 4 minutes, by itself."""
    driver = serving(6, rate=1.0)
    streams = driver.subscribe("a", "ticker", MARKETS[:8])
    driver.handle(events.StandBy(streams, True))
    driver.run(10)
    conns = sorted(driver.exchange.connections)
    driver.exchange.inject(Fault("error", symbol=MARKETS[3], name="INVALID_PARAM"), driver.now)
    driver.exchange.inject(Fault("drop_rst", conn=conns[which == "standby"]), driver.now)
    driver.run(600)
    legs = driver.engine.streams.legs
    others = streams[[number for number in range(8) if number != 3]]
    assert legs.has_other(others).all()
    assert driver.engine.stats.losses <= losses
    opened = {driver.ledger.topic(stream).symbol for stream in driver.streams_in(StreamState.OPEN)}
    assert set(MARKETS) - {MARKETS[3]} <= opened


def test_chance_errors_on_a_standby_neither_end_its_home_nor_make_it_wait_for_ever() -> None:
    driver = serving(7, rate=1.0)
    streams = driver.subscribe("a", "ticker", MARKETS[:8])
    driver.handle(events.StandBy(streams, True))
    driver.run(10)
    for _ in range(2):
        standby = next(link for link in driver.engine.links.values() if link.role is Role.STANDBY)
        driver.handle(events.ControlFrame(standby.id, standby.generation, Refused("INTERNAL_ERROR")))
        driver.run(130)
        assert driver.engine.streams.legs.has_other(streams).all()
    assert not driver.engine.streams.alone_tries[streams].any()
    driver.run(120)
    before = driver.engine.stats.losses
    driver.handle(events.Rotate())
    driver.run(20)
    assert not driver.engine.is_rotating
    assert driver.engine.stats.losses == before


def test_a_manager_finds_a_connection_that_never_brought_anything() -> None:
    """A link's connections are counted together in the core: what the one before brought is not this one's."""
    world = World(seed=4)
    markets = ["KRW-BTC", "KRW-ETH", "KRW-XRP"]

    async def main(world: World) -> None:
        async with world.manager() as manager:
            component = make(manager, "a")
            component.subscribe("ticker", markets, print)
            await component.live()
            await asyncio.sleep(10)
            (old,) = world.exchange.connections
            world.exchange.inject(Fault("drop_rst"), world.ns())
            while old in world.exchange.connections or not world.exchange.connections:
                await asyncio.sleep(0.01)
            (dead,) = world.exchange.connections
            world.exchange.inject(Fault("lose", probability=1.0, conn=dead), world.ns())
            await asyncio.sleep(7)
            assert dead not in world.exchange.connections
            await component.live(timeout=30)

    world.run(main)


@pytest.mark.parametrize("seed", range(3))
def test_a_rotation_ends_although_a_standby_brings_nothing(seed: int) -> None:
    """Too few markets to be judged by its silence: the standby lists them for ever. The successor carries them then."""
    driver = EngineDriver(UPBIT, Exchange(seed, markets=MARKETS, rate=10.0), seed=seed)
    ids = driver.subscribe("a", "ticker", MARKETS[:2])
    driver.run(20)
    driver.handle(events.StandBy(ids, True))
    dead = next_is_dead(driver)
    driver.run(30)
    assert len(driver.exchange.connections) == 2
    driver.handle(events.Rotate((0,)))
    for _ in range(400):
        driver.run(0.25)
        assert len(carried(driver, dead)) == 2
    assert not driver.engine.is_rotating
    homes = {driver.engine.links[driver.engine.row(int(stream)).link].role for stream in ids}
    assert homes == {Role.SETTLED}
    assert driver.all_settled()
    assert not [notice for notice in driver.notices if notice.kind is StatusKind.SUSPECT]


def test_a_rotation_ends_although_a_standby_cannot_connect() -> None:
    """It was asked for all that the old link carries, and its connections fail for ever: it holds nothing, and nobody
    moves to it."""
    s = Script()
    ids = s.open_with("ticker", BTC, ETH)
    s.tell(events.StandBy(ids, True))
    for step in range(1200):
        if step == 600:
            assert s.engine.links[1].role is Role.STANDBY
            assert s.engine.links[1].attempts > 1
            s.tell(events.Rotate((0,)))
        s.wait(0.1, frames=1)
        for link in list(s.engine.links.values()):
            if link.phase is Phase.CONNECTING and link.role is Role.STANDBY:
                s.down("connection refused", link=link.id)
            elif link.phase is Phase.CONNECTING:
                s.up(link=link.id)
                s.data(ids, link=link.id)
        assert s.states(ids) == {StreamState.OPEN}
    assert not s.engine.is_rotating
    settled = [link for link in s.engine.links.values() if link.role is Role.SETTLED]
    assert [link.wire.wire().tolist() for link in settled] == [ids.tolist()]


def mute(s: Script, seconds: float) -> None:
    """Link 1 answers pings, lists what it was asked for, and brings nothing."""
    for _ in range(round(10 * seconds)):
        s.wait(0.1)
        s.tell(events.Pong(1, s.generations[1], 20 * MS))
        listed = s.engine.links[1].listing_sent
        if listed is not None and listed[1] is not None:
            s.say(Listing((Topic("ticker", BTC),), listed[1]), link=1)


def test_what_a_move_was_to_leave_and_lost_stays_on_the_other_link_until_it_is_back() -> None:
    """For longer than a move may take nobody may connect in place of the old link, and the new one only lists it."""
    s = Script()
    ids = s.open_with("ticker", BTC, ETH)
    s.tell(events.OwnLink(ids[:1], True))
    s.wait(0.5)
    s.up(link=1)
    mute(s, 0.5)
    s.down(link=0)
    while s.engine.links[0].phase is not Phase.CONNECTING:
        mute(s, 0.1)
    s.down(status=418, retry_after=60.0, link=0)
    while s.engine.links[0].phase is not Phase.CONNECTING:
        mute(s, 0.1)
        assert s.engine.streams.legs.on_wire(ids).tolist() == [True, False]
    assert s.now > 60 * SECOND
    assert s.state(ids[0]) is StreamState.OPEN
    s.up(link=0)
    s.data(ids, link=0)
    mute(s, 0.3)
    assert s.states(ids) == {StreamState.OPEN}
    assert s.engine.links[0].wire.wire().tolist() == ids.tolist()
    assert not s.engine.links[1].wire.len_target, "the old one holds it: the move is given up"
