"""Refusals of whole requests on a venue whose requests add and remove, and answers that come late."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from engine_script import Script
from subcore.engine import actions, events
from subcore.engine.legs import Legs
from subcore.engine.link import Phase
from subcore.sim.faults import Fault
from subcore.testing import EngineDriver
from subcore.types import (
    Dropped,
    Evidence,
    Int32Array,
    Priority,
    ReasonClass,
    Refused,
    StatusKind,
    StreamState,
    Topic,
)
from subcore.venue import Capacity, Scope
from subcore.venues import venue
from test_simulation_binance import MARKETS, make

pytestmark = pytest.mark.simulation


def settled(driver: EngineDriver, markets: list[str]) -> Int32Array:
    streams = driver.subscribe("a", "trade", markets)
    assert driver.run_until(driver.all_settled, 60)
    return streams


def test_of_a_refused_request_only_the_guilty_is_refused() -> None:
    """The venue refuses a request as a whole and says nothing of which stream it means."""
    driver = make(1)
    driver.exchange.inject(Fault("error", symbol="TRXUSDT", name="no"), driver.now)
    streams = driver.subscribe("a", "trade", MARKETS, priority=Priority.HIGH)
    assert driver.run_until(driver.all_settled, 60)
    (bad,) = driver.streams_in(StreamState.REFUSED)
    assert driver.ledger.topic(bad).symbol == "TRXUSDT"
    assert "error 2" in driver.engine.row(bad).reason
    assert driver.streams_in(StreamState.OPEN) == set(streams.tolist()) - {bad}
    assert driver.engine.stats.losses == 0
    assert not driver.exchange.violations


def test_a_refused_request_of_a_successor_takes_nothing_from_the_link_it_replaces() -> None:
    """A rotation whose request is refused for one of many: all stay where they are, and no storm follows."""
    driver = make(2)
    streams = settled(driver, MARKETS)
    driver.exchange.inject(Fault("error", symbol="ETHUSDT", name="no"), driver.now)
    sent = len(driver.sent)
    driver.handle(events.Rotate())
    driver.run(30)
    assert driver.streams_in(StreamState.OPEN) == set(streams.tolist())
    assert not [n for n in driver.notices if n.kind in (StatusKind.REFUSED, StatusKind.SUSPECT)]
    assert len(driver.sent) - sent <= 4
    driver.exchange.heal(driver.now)
    driver.run(120)
    assert len(driver.exchange.connections) == 1
    assert driver.streams_in(StreamState.OPEN) == set(streams.tolist())


def test_a_refusal_that_comes_late_is_heeded() -> None:
    """The error window ends after 0.4 s; the answer of a slow venue comes after a second."""
    driver = make(3)
    good = settled(driver, MARKETS[:4])
    driver.exchange.inject(Fault("lag", lag=1.0), driver.now)
    driver.exchange.inject(Fault("error", symbol="TRXUSDT", name="no"), driver.now)
    (bad,) = driver.subscribe("b", "trade", ["TRXUSDT"])
    driver.run(5)
    assert driver.engine.row(int(bad)).state is StreamState.REFUSED
    assert driver.streams_in(StreamState.OPEN) == set(good.tolist())


def test_what_is_wanted_again_while_it_left_one_wire_and_never_came_on_the_other_is_not_called_open() -> None:
    """Evidence is of a wire that carries the stream now; another wire asked for it and has not brought anything."""
    driver = make(4, rate=1e-6, markets=["ETHBTC", "BTCUSDT"])
    (stream,) = settled(driver, ["ETHBTC"])
    driver.handle(events.StandBy(driver.subscribe("a", "trade", ["ETHBTC"])))
    driver.run(1.0)  # asked for on the second link, and silent there
    legs = driver.engine.streams.legs
    assert legs.has_other(driver.subscribe("a", "trade", ["ETHBTC"])).all()
    first = 2 * int(stream)
    legs.width[first] = -1  # it left the wire that proved it
    (speaks,) = legs.in_force(np.array([stream], np.int32)).tolist()
    assert not speaks & (Evidence.DATA | Evidence.LISTED)


def test_one_that_was_proven_and_is_refused_now_is_found_too() -> None:
    """Upbit's way, where an error ends the connection: after the second of them all that was asked for is suspect."""
    from test_simulation import MARKETS as UPBIT
    from test_simulation import make as make_upbit

    driver = make_upbit(5)
    streams = driver.subscribe("a", "ticker", UPBIT)
    assert driver.run_until(driver.all_settled, 10)
    driver.exchange.inject(Fault("error", symbol="KRW-TRX"), driver.now)
    driver.exchange.inject(Fault("drop_rst"), driver.now)
    driver.run(60)
    (bad,) = driver.streams_in(StreamState.REFUSED)
    assert driver.ledger.topic(bad).symbol == "KRW-TRX"
    assert driver.streams_in(StreamState.OPEN) == set(streams.tolist()) - {bad}
    assert not driver.exchange.violations


def test_the_widest_depth_by_name_is_the_widest() -> None:
    """Depth 30 is what the venue sends where no depth is asked for: asking for it by name sends nothing."""
    from test_simulation import make as make_upbit

    driver = make_upbit(6)
    driver.subscribe("a", "orderbook", ["KRW-BTC"])
    assert driver.run_until(driver.all_settled, 10)
    sent = len(driver.sent)
    driver.subscribe("b", "orderbook", ["KRW-BTC"], depth=30)
    driver.unsubscribe("a", "orderbook", ["KRW-BTC"])
    driver.run(10)
    assert len(driver.sent) == sent


def test_a_stream_on_trial_keeps_its_place_until_its_turn() -> None:
    """Wanted anew just after it left two wires: the leg on the nursery, unused yet, must not be swept away."""
    from test_simulation import make as make_upbit

    for seed in range(12):
        rng = random.Random(seed)
        driver = make_upbit(seed)
        streams = driver.subscribe("a", "ticker", ["KRW-BTC", "KRW-ETH", "KRW-XRP"])
        assert driver.run_until(driver.all_settled, 10)
        driver.handle(events.Rotate())
        driver.run(rng.uniform(0.3, 1.2))
        driver.unsubscribe("a", "ticker", ["KRW-XRP"])
        driver.run(rng.uniform(0.0, 0.5))
        driver.exchange.inject(Fault("close"), driver.now)
        driver.subscribe("a", "ticker", ["KRW-XRP"])
        driver.run(150)
        assert driver.streams_in(StreamState.OPEN) == set(streams.tolist()), seed


def test_one_that_was_proven_once_and_is_not_listed_any_more_is_asked_for_when_somebody_asks_anew() -> None:
    """Data outweighs any list: it is sent, and what the venue says of it then decides."""
    from subcore.sim.exchange import Exchange
    from test_simulation import VENUE

    exchange = Exchange(7, markets=["KRW-BTC", "KRW-ETH"], rate=0.5)
    driver = EngineDriver(
        VENUE,
        exchange,
        seed=7,
        symbols=frozenset(exchange.markets),
        markets=lambda: frozenset(exchange.markets),
    )
    (stream,) = driver.subscribe("a", "ticker", ["KRW-ETH"])
    driver.subscribe("a", "ticker", ["KRW-BTC"])
    assert driver.run_until(driver.all_settled, 10)
    driver.exchange.inject(Fault("delist", symbol="KRW-ETH"), driver.now)
    driver.handle(events.SymbolsKnown(frozenset(["KRW-BTC"])))
    driver.exchange.inject(Fault("drop_rst"), driver.now)
    driver.run(100)
    assert driver.engine.row(int(stream)).state is StreamState.REFUSED
    sent = len(driver.sent)
    driver.handle(events.AskedAgain(np.array([stream], np.int32)))
    driver.run(100)
    assert any(send.request and b"KRW-ETH" in send.payload for send in driver.sent[sent:])
    assert driver.engine.row(int(stream)).state is StreamState.REFUSED, driver.engine.explain(
        int(stream), driver.now
    )


def test_a_leg_that_a_wire_carries_is_not_given_up_for_one_that_none_does() -> None:
    """Its home is lost while another link has not let go of it yet: the new leg takes the place of the lost one."""
    legs, stream = Legs(1), np.array([0], np.int32)
    legs.attach(1, stream, 0)
    legs.width[0] = 0
    legs.add(2, stream)
    legs.width[1] = 0
    legs.width[0] = -1  # link 1 is lost
    legs.attach(3, stream, 0)
    assert legs.link[:2].tolist() == [3, 2]
    assert legs.width[:2].tolist() == [-1, 0]


@pytest.mark.parametrize("later", [0.1, 1.0])
def test_what_a_list_of_markets_refused_meanwhile_is_not_taken_from_a_wire_that_never_carried_it(
    later: float,
) -> None:
    """Its request is in flight, or just out of its window, when the venue refuses that as a whole: nothing of it is in
    force, so there is nothing to take back."""
    s = Script(venue("binance"))
    s.open_with("trade", "BTCUSDT")
    s.wait(5, frames=1)
    (unlisted,) = s.want("trade", "ETHUSDT").tolist()
    (request,) = [send.request for send in s.of(actions.Send)]
    for _ in range(2):  # only the second was asked for after it was sent
        s.tell(events.SymbolsKnown(frozenset({"BTCUSDT"})))
    assert s.state(unlisted) is StreamState.REFUSED
    s.wait(later, frames=1)
    s.say(Refused("error 2", request_id=str(request)))
    assert "not listed" in s.engine.row(unlisted).reason
    seen = s.out + s.wait(20, frames=1)
    payloads = [bytes(action.payload) for action in seen if isinstance(action, actions.Send)]
    assert not [payload for payload in payloads if b"ethusdt" in payload]
    assert s.engine.links[0].wire.wire().tolist() == [0]


def test_a_refused_request_takes_the_standby_from_nobody_whom_it_did_not_name() -> None:
    driver = make(3)
    streams = settled(driver, MARKETS[:4])
    driver.handle(events.StandBy(streams))
    driver.run(10)
    driver.exchange.inject(Fault("error", symbol="TRXUSDT", name="no"), driver.now)
    sent = len(driver.sent)
    (bad,) = driver.subscribe("a", "trade", ["TRXUSDT"]).tolist()
    driver.run(30)
    assert driver.streams_in(StreamState.REFUSED) == {bad}
    assert [len(conn.streams) for conn in driver.exchange.connections.values()] == [4, 4]
    assert len(driver.sent) == sent + 1


def test_what_failed_goes_where_there_is_room_when_no_further_connection_is_allowed() -> None:
    """Its place on a full link was given to another stream meanwhile: asked for there it would never come."""
    few = (Capacity("streams", 3), Capacity("connections", 2, Scope.IP))
    s = Script(replace(venue("binance"), capacities=few))
    full = s.want("trade", *MARKETS[:3])
    s.up()
    s.data(full)
    rest = s.want("trade", *MARKETS[3:5])
    s.up(link=1)
    s.data(rest, link=1)
    s.say(Dropped((Topic("trade", MARKETS[0]),), "ended", ReasonClass.TRANSIENT))
    s.want("trade", MARKETS[5])
    s.wait(3, frames=1)
    assert [link.wire.len_wire for link in s.engine.links.values()] == [3, 3]
    assert s.state(full[0]) is StreamState.SENT
    (asked,) = (send for send in s.of(actions.Send) if MARKETS[0].lower().encode() in send.payload)
    assert asked.link == 1


def test_what_leaves_the_nursery_goes_to_a_link_that_has_room() -> None:
    s = Script(replace(venue("binance"), capacities=(Capacity("streams", 3),)))
    full = s.want("trade", *MARKETS[:3])
    s.up()
    s.data(full)
    other = s.want("trade", MARKETS[3]).tolist()
    s.up(link=1)
    s.data(other, link=1)
    s.wait(3, frames=1)
    suspect = s.want("trade", MARKETS[4]).tolist()
    for _ in range(2):
        s.down(link=1)  # right after the request that named the suspect
        s.reconnect(link=1)
    s.data(other, link=1)
    s.reconnect(link=2)
    s.data(suspect, link=2)
    assert [link.wire.wire().tolist() for link in s.engine.links.values()] == [full.tolist(), other, suspect]
    assert [(proposal.source, proposal.to) for proposal in s.engine.optimize(s.now)] == [(2, 1)]
    s.wait(70, frames=1)
    assert s.engine.links[0].wire.len_wire == 3
    assert s.engine.links[1].wire.wire().tolist() == [*other, *suspect]


@pytest.mark.parametrize("house", ["binance", "upbit"])
def test_a_link_that_is_replaced_is_not_asked_again_for_what_it_was_refused(house: str) -> None:
    """Upbit's refusal ends the connection, Binance's does not. Who is to blame is found on another link."""
    s = Script(venue(house))
    bad, good = ("BADUSDT", "NEWUSDT") if house == "binance" else ("KRW-BAD", "KRW-NEW")
    if house == "binance":
        s.open_with("trade", "OLDUSDT")
        s.wait(5, frames=1)
    ids = s.want("trade", bad, good).tolist()
    if house == "upbit":
        s.up()
    s.tell(events.Rotate())

    def refuse_what_names_it() -> list[int]:
        """The links that were asked for something just now."""
        sends = [send for send in s.of(actions.Send) if send.request]
        for send in [send for send in sends if bad.lower() in send.payload.decode().lower()]:
            answers = str(send.request) if house == "binance" else None
            s.say(Refused("no", "", ReasonClass.PERMANENT, answers), link=send.link)
        return [send.link for send in sends]

    request = str(s.engine.links[0].requests) if house == "binance" else None
    s.say(Refused("no", "", ReasonClass.PERMANENT, request))
    asked = refuse_what_names_it()
    for _ in range(300):
        for link in list(s.engine.links.values()):
            if link.phase is Phase.CONNECTING:
                s.up(link=link.id)
                asked += refuse_what_names_it()
            elif link.is_up and link.wire.len_wire and not link.in_flight:
                s.data(link.wire.wire(), link=link.id)
        s.wait(0.1, frames=1)
        asked += refuse_what_names_it()
    assert asked
    assert 0 not in asked
    assert [s.state(stream) for stream in ids] == [StreamState.REFUSED, StreamState.OPEN]
    assert not s.engine.is_rotating


def test_a_topic_that_the_venue_names_is_refused_on_all_links_though_only_the_standby_was_asked() -> None:
    """Without a name it would stay on the link that holds it."""
    s = Script(venue("binance"))
    ids = s.open_with("trade", "BADUSDT", "NEWUSDT")
    s.wait(2, frames=1)
    s.tell(events.StandBy(ids))
    while 1 not in s.engine.links or s.engine.links[1].phase is not Phase.CONNECTING:
        s.wait(0.1, frames=1)
    s.up(link=1)
    (send,) = s.of(actions.Send)
    s.say(Refused("no", "", ReasonClass.PERMANENT, str(send.request), (Topic("trade", "BADUSDT"),)), link=1)
    assert s.told(StatusKind.REFUSED) == [ids[:1].tolist()]
    s.data(ids[1:], link=1)
    s.wait(20, frames=1)
    assert [s.state(stream) for stream in ids.tolist()] == [StreamState.REFUSED, StreamState.OPEN]
    assert [link.wire.wire().tolist() for link in s.engine.links.values()] == [ids[1:].tolist()] * 2
    assert not s.told(StatusKind.REFUSED)
