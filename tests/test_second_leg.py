"""Which of two links that carry a stream counts, event by event: the one that holds it, and no retired one."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest

from engine_script import BTC, ETH, XRP, Script
from subcore.engine import actions, events
from subcore.engine.clock import SECOND
from subcore.engine.legs import PROVEN
from subcore.engine.link import Phase, Role
from subcore.types import (
    Dropped,
    Evidence,
    Int32Array,
    Listing,
    ReasonClass,
    Refused,
    StatusKind,
    StreamState,
    Topic,
)
from subcore.venues import venue

STEP = 0.1


def play(s: Script, seconds: float, *topics: Topic, link: int = 0) -> None:
    """Time goes on and pings are answered; whoever asks what `link` carries is told `topics`."""
    for _ in range(round(seconds / STEP)):
        s.wait(STEP, frames=1)
        for send in s.of(actions.Send):
            said = json.loads(send.payload)
            if any("method" in part for part in said) and send.link == link:
                s.say(Listing(topics, said[0]["ticket"]), link=link)


def with_standby(
    house: str = "upbit", channel: str = "ticker", symbol: str = BTC
) -> tuple[Script, Int32Array]:
    """Link 0 holds the stream; link 1 was asked for it a second time, and said nothing so far."""
    s = Script(venue(house))
    ids = s.open_with(channel, symbol)
    s.tell(events.StandBy(ids, True))
    for _ in range(100):
        s.wait(STEP, frames=1)
        if 1 in s.engine.links and s.engine.links[1].phase is Phase.CONNECTING:
            break
    s.up(link=1)
    assert s.engine.links[1].wire.wire().tolist() == ids.tolist()
    return s, ids


def test_home_is_the_link_that_holds_what_is_wanted_again() -> None:
    s, ids = with_standby()
    s.unwant("ticker", BTC)
    s.want("ticker", BTC)
    row = s.engine.row(int(ids[0]))
    assert row.state is StreamState.OPEN
    assert row.link == 0
    assert s.engine.links[0].wire.target().tolist() == ids.tolist()


def test_what_the_other_link_only_listed_is_proven_by_its_next_list() -> None:
    s, ids = with_standby()
    play(s, 4, Topic("ticker", BTC), link=1)
    legs = s.engine.streams.legs
    assert legs.evidence[legs.rows(1, ids)] & PROVEN == Evidence.LISTED
    s.down(link=0)
    assert s.state(ids[0]) is StreamState.SENT, "a list is not enough while it may be had from a better one"
    play(s, 15, Topic("ticker", BTC), link=1)
    assert s.engine.row(int(ids[0])).link == 1
    assert s.state(ids[0]) is StreamState.OPEN


def test_a_retired_link_is_asked_for_nothing_that_failed_on_it() -> None:
    s = Script()
    listed, left_out = s.want("ticker", BTC, ETH).tolist()
    s.up()
    for _ in range(100):
        play(s, STEP, Topic("ticker", BTC))
        if s.state(listed) is StreamState.OPEN:
            break
    assert s.state(left_out) is StreamState.WAITING, "it is asked for again in two seconds"
    s.tell(events.Rotate())
    assert s.engine.links[0].role is Role.RETIRED
    s.unwant("ticker", BTC)
    play(s, 3)
    assert s.engine.links[s.engine.row(left_out).link].role is Role.NURSERY


def half_way() -> tuple[Script, Int32Array]:
    """A rotation: link 1 brought the ticker, and the wire of link 0 still carries it."""
    s = Script()
    ids = s.open_with("ticker", BTC)
    s.tell(events.Rotate())
    s.up(link=1)
    s.data(ids, link=1)
    play(s, 1)
    assert [link.wire.wire().tolist() for link in s.engine.links.values()] == [ids.tolist()] * 2
    assert s.engine.links[0].role is Role.RETIRED
    assert not s.engine.links[0].wire.len_target
    return s, ids


def test_what_was_to_leave_a_wire_stays_there_when_its_new_one_is_lost() -> None:
    s, ids = half_way()
    s.down(link=1)
    row = s.engine.row(int(ids[0]))
    assert row.state is StreamState.OPEN
    assert row.link == 0
    for _ in range(100):
        play(s, STEP)
        assert s.state(ids[0]) is StreamState.OPEN
        for link in list(s.engine.links.values()):
            if link.phase is Phase.CONNECTING:
                s.up(link=link.id)
                s.data(ids, link=link.id)
    assert not s.engine.is_rotating


def test_a_standby_that_is_let_go_is_no_home() -> None:
    s, ids = with_standby()
    s.data(ids, link=1)
    s.tell(events.StandBy(ids, False))
    s.down(link=0)
    s.reconnect()
    s.data(ids)
    play(s, 20)
    assert s.engine.row(int(ids[0])).link == 0
    assert s.engine.links[1].phase is Phase.IDLE


def test_what_is_wanted_again_amid_a_rotation_stays_with_the_successor() -> None:
    s, ids = half_way()
    s.unwant("ticker", BTC)
    s.want("ticker", BTC)
    assert s.engine.row(int(ids[0])).link == 1
    s.down(link=0)
    assert s.state(ids[0]) is StreamState.OPEN
    assert s.engine.links[1].wire.target().tolist() == ids.tolist()


def test_nor_is_home_a_successor_that_was_only_asked_for_it() -> None:
    s = Script()
    ids = s.open_with("ticker", BTC)
    s.tell(events.Rotate())
    s.up(link=1)
    assert s.engine.links[1].wire.wire().tolist() == ids.tolist()
    s.unwant("ticker", BTC)
    s.want("ticker", BTC)
    row = s.engine.row(int(ids[0]))
    assert row.state is StreamState.OPEN
    assert row.link == 0
    for _ in range(200):
        play(s, STEP)
        for link in list(s.engine.links.values()):
            if link.phase is Phase.CONNECTING:
                s.up(link=link.id)
            if link.wire.wire().tolist() == ids.tolist():
                s.data(ids, link=link.id)
    assert not s.engine.is_rotating
    assert s.state(ids[0]) is StreamState.OPEN


def thrive(s: Script, seconds: float) -> list[actions.Action]:
    """Whatever connects is opened, and each link brings what its wire carries. Returns all actions."""
    seen: list[actions.Action] = []
    for _ in range(round(seconds / STEP)):
        seen += s.wait(STEP, frames=1)
        for link in list(s.engine.links.values()):
            if link.phase is Phase.CONNECTING:
                seen += s.up(link=link.id)
            if link.is_up and link.wire.len_target:
                seen += s.data(link.wire.wire(), link=link.id)
    return seen


def test_what_has_a_link_of_its_own_comes_back_on_one_after_its_loss() -> None:
    """Though the wire that it is about to leave carries it still: there it would be with the others for ever."""
    s = Script()
    ids = s.open_with("ticker", BTC, ETH, XRP)
    own = ids[:1]
    s.tell(events.OwnLink(own, True))
    for _ in range(100):
        thrive(s, STEP)
        if own[0] not in s.engine.links[0].wire.target():
            break
    assert s.engine.links[0].wire.wire().tolist() == ids.tolist(), "it did not let go of it yet"
    assert s.engine.links[1].role is Role.OWN
    s.down(link=1)
    thrive(s, 60)
    assert s.state(own[0]) is StreamState.OPEN
    carrying = {link.role: link.wire.wire().tolist() for link in s.engine.links.values() if link.is_up}
    assert carrying == {Role.OWN: own.tolist(), Role.SETTLED: ids[1:].tolist()}


def test_what_is_frozen_on_the_wire_that_it_leaves_is_asked_for_again_when_its_nursery_is_lost() -> None:
    """It left since it is frozen there: to stay would be to call it good, and nobody would look at it for long."""
    s = Script()
    frozen = s.open_with("ticker", BTC, ETH, XRP)[:1]
    s.want("candle.1m", BTC)  # silent, so the venue is asked what the link carries
    s.engine.to_look_at(s.now)  # as a manager does
    for _ in range(100):
        play(s, STEP, Topic("ticker", ETH), Topic("ticker", XRP), Topic("candle.1m", BTC))
        if 1 in s.engine.links and s.engine.links[1].phase is Phase.CONNECTING:
            break
    s.up(link=1)
    assert s.engine.links[1].role is Role.NURSERY
    s.data(frozen, link=1)
    play(s, 1)
    first = s.engine.links[0].wire
    assert frozen[0] in first.wire()
    assert frozen[0] not in first.target()
    s.down(link=1)
    assert s.told(StatusKind.SUSPECT) == [frozen.tolist()]
    s.reconnect(link=1)
    assert [json.loads(send.payload)[1]["codes"] for send in s.of(actions.Send)] == [[BTC]]
    s.data(frozen, link=1)
    assert s.state(frozen[0]) is StreamState.OPEN


def test_home_is_the_link_that_brought_data_and_not_the_one_that_only_lists_it() -> None:
    """Data shows more than a list does: of what is listed and not brought the successor may never bring anything."""
    s = Script()
    ids = s.open_with("ticker", BTC, ETH)
    s.tell(events.Rotate())
    s.up(link=1)
    play(s, 5, Topic("ticker", BTC), Topic("ticker", ETH), link=1)
    legs = s.engine.streams.legs
    shown = [int(legs.evidence[legs.rows(link, ids[:1])][0]) & PROVEN for link in (0, 1)]
    assert shown == [Evidence.DATA, Evidence.LISTED]
    s.unwant("ticker", BTC)
    s.want("ticker", BTC)
    assert s.engine.row(int(ids[0])).link == 0
    s.down(link=1)
    assert s.state(ids[0]) is StreamState.OPEN


@pytest.mark.parametrize("drops", [1, 3])
def test_a_retired_link_of_a_venue_that_adds_and_removes_is_asked_for_nothing(drops: int) -> None:
    """What the venue ended there waits for its next try, which comes after a rotation: while the link lives, since its
    successor is slow to open, or when it was closed long ago. It must not be opened again for it either."""
    s = Script(venue("binance"))
    (kept,) = s.open_with("trade", "BTCUSDT").tolist()
    (ended,) = s.want("trade", "ETHUSDT").tolist()
    for number in range(drops):
        while s.state(ended) is not StreamState.SENT:
            s.wait(STEP, frames=1)
        s.say(Dropped((Topic("trade", "ETHUSDT"),), "gone"))
        assert s.engine.row(ended).retries == number + 1
    s.tell(events.Rotate())
    assert s.engine.links[0].role is Role.RETIRED
    seen = s.wait(5, frames=1)
    seen += thrive(s, 60)
    asked = [action for action in seen if isinstance(action, actions.Send | actions.Connect)]
    assert not [action for action in asked if action.link == 0]
    assert {s.engine.row(stream).link for stream in (kept, ended)} == {1}
    assert s.states(s.engine.links[1].wire.wire()) == {StreamState.OPEN}


def test_what_was_refused_on_two_wires_is_taken_off_both_though_it_is_asked_for_again() -> None:
    """Amid a rotation the list of markets refuses it; asked for again at once, it waits for another list."""
    s = Script(symbols=frozenset({BTC, ETH}))
    known, ghost = s.want("ticker", BTC, ETH).tolist()
    s.up()
    s.data([known])
    s.wait(1, frames=1)
    s.tell(events.Rotate())
    s.up(link=1)
    for _ in range(2):
        s.tell(events.SymbolsKnown(frozenset({BTC})))
    assert s.state(ghost) is StreamState.REFUSED
    s.tell(events.AskedAgain(np.array([ghost], np.int32)))
    assert [ghost in link.wire.wire() for link in s.engine.links.values()] == [True, True]
    s.data([known], link=1)
    said = ""
    for _ in range(100):
        s.wait(STEP, frames=1)
        said = next((str(send.payload) for send in s.of(actions.Send) if "ticker" in str(send.payload)), said)
    assert BTC in said
    assert ETH not in said
    assert not any(ghost in link.wire.wire() for link in s.engine.links.values())


def test_who_is_on_trial_is_asked_for_by_no_other_link() -> None:
    """Both links are lost. The standby is back first, and dies of each request until what it asks for is on trial: then
    home, which is still down, leaves it to the nursery."""
    s, ids = with_standby()
    s.data(ids, link=1)
    s.down(link=0)
    s.down(link=1)
    for _ in range(10):
        s.reconnect(link=1)
        assert ids[0] in s.engine.links[1].wire.wire(), "it was asked for"
        s.down(link=1)
        if any(link.trial is not None for link in s.engine.links.values()):
            break
    (nursery,) = (link for link in s.engine.links.values() if link.trial is not None)
    assert nursery.role is Role.NURSERY
    carried: set[int] = set()
    for _ in range(300):
        for link in list(s.engine.links.values()):
            if link.phase is Phase.CONNECTING:
                s.up(link=link.id)
        carried |= {link.id for link in s.engine.links.values() if ids[0] in link.wire.wire()}
        if carried:
            break
        s.wait(STEP)
    assert carried == {nursery.id}
    assert not np.isin(ids, s.engine.links[0].wire.target()).any()
    s.data(ids, link=nursery.id)
    assert s.state(ids[0]) is StreamState.OPEN


@pytest.mark.parametrize("home_after", [1.0, 4.0, 9.0])
def test_a_standby_that_dies_of_every_request_has_nobody_refused(home_after: float) -> None:
    """An outage; then home is well, and whoever answers the standby link kills it."""
    s, ids = with_standby()
    s.data(ids, link=1)
    s.down(link=0)
    s.down(link=1)
    began = s.now
    for _ in range(600):
        s.wait(0.05, frames=1)
        for link in list(s.engine.links.values()):
            if link.phase is Phase.CONNECTING and (link.id or s.now - began > home_after * SECOND):
                s.up(link=link.id)
            if link.is_up and link.role is Role.STANDBY and link.in_flight:
                s.down(link=link.id)
            elif link.is_up and len(link.wire.wire()):
                s.data(link.wire.wire(), link=link.id)
        assert s.state(ids[0]) is not StreamState.REFUSED
    assert s.state(ids[0]) is StreamState.OPEN


def test_what_lives_on_a_standby_alone_goes_home_when_it_shall_have_no_standby() -> None:
    """Home had an error for another stream, and left this one to the standby."""
    s, ids = with_standby()
    s.data(ids, link=1)
    s.wait(2, frames=1)
    s.want("trade", "KRW-GHOST")
    s.say(Refused("INVALID_PARAM", "", ReasonClass.PERMANENT), link=0)
    thrive(s, 5)
    assert s.engine.row(int(ids[0])).link == 1
    s.tell(events.StandBy(ids, False))
    thrive(s, 180)
    assert s.state(ids[0]) is StreamState.OPEN
    links = s.engine.links
    assert [links[number].wire.target().tolist()[:1] for number in (0, 1)] == [ids.tolist(), []]
    assert links[1].phase is Phase.IDLE


def test_a_list_of_markets_takes_nobody_from_his_trial() -> None:
    """He was sent before a list was known, and the next one names him: he waits for his turn, not for a link."""
    s = Script()
    good = s.open_with("ticker", BTC, ETH)
    bad = s.want("trade", XRP, "KRW-ADA")
    s.tell(events.SymbolsKnown(frozenset({BTC, ETH, "KRW-ADA"})))
    s.say(Refused("INVALID_PARAM", "", ReasonClass.PERMANENT))
    (nursery,) = (link for link in s.engine.links.values() if link.trial is not None)
    waiting = [stream for group in nursery.trial.groups for stream in group.streams.tolist()]  # type: ignore[union-attr]
    assert sorted(waiting) == sorted(bad.tolist())
    s.reconnect()
    s.data(good)
    s.tell(events.SymbolsKnown(frozenset({BTC, ETH, XRP, "KRW-ADA"})))
    assert not np.isin(bad, s.engine.links[0].wire.target()).any()
    after = [stream for group in nursery.trial.groups for stream in group.streams.tolist()]  # type: ignore[union-attr]
    assert sorted(after) == sorted(bad.tolist())


def test_what_a_standby_cannot_have_now_is_asked_for_by_its_home_and_waits_from_then_on() -> None:
    """Each wait of 2, 8 and 30 s is kept, however many links were refused it."""
    s, ids = with_standby("binance", "trade", "BTCUSDT")
    s.data(ids, link=1)
    s.down(link=0)
    s.down(link=1)
    began, asked = s.now, list[tuple[int, float]]()
    for _ in range(500):
        did = s.wait(0.05, frames=1)
        for link in list(s.engine.links.values()):
            if link.phase is Phase.CONNECTING and (link.id or s.now - began > 1.2 * SECOND):
                did = did + s.up(link=link.id)
        for send in [one for one in did if isinstance(one, actions.Send) and b'"SUBSCRIBE"' in one.payload]:
            asked.append((send.link, (s.now - began) / SECOND))
            said = Refused("BUSY", "", ReasonClass.TRANSIENT, str(json.loads(send.payload)["id"]))
            s.say(said, link=send.link)
    assert [link for link, _ in asked] == [1, 0, 0, 0]
    waits = [after - before for (_, before), (_, after) in pairwise(asked[1:])]
    assert waits == [pytest.approx(2.0, abs=0.1), pytest.approx(8.0, abs=0.1)]
