"""Streams that change hands while something fails, with the engine played by hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from engine_script import BTC, ETH, Script
from subcore.engine import actions, events
from subcore.engine.clock import SECOND
from subcore.engine.link import Phase
from subcore.types import (
    Accepted,
    Dropped,
    GoingAway,
    Listing,
    ReasonClass,
    Refused,
    StatusKind,
    StreamState,
    Topic,
)
from subcore.venue import Capacity, Counted, Limit, Scope, Window
from subcore.venues import venue

BINANCE = venue("binance")


def up_all(s: Script) -> None:
    for link in list(s.generations):
        if s.engine.links[link].phase is Phase.CONNECTING:
            s.up(link=link)


def prove(s: Script) -> None:
    """First data of all that links carry."""
    for link in list(s.engine.links.values()):
        if link.is_up and len(link.wire.wire()):
            s.data(link.wire.wire(), link=link.id)


def settle(s: Script, seconds: float) -> None:
    for _ in range(round(seconds / 2)):
        up_all(s)
        s.wait(2, frames=1)
        take_off(s)
        prove(s)


def take_off(s: Script) -> None:
    """The venue says that it has done every removal, late."""
    for link in s.engine.links.values():
        for request in [r for r in (*link.in_flight, *link.answered) if len(r.removes)]:
            s.say(Accepted(request.id), link=link.id)


def test_what_a_successor_was_asked_for_is_not_handed_to_a_third_link() -> None:
    s = Script(replace(BINANCE, capacities=(Capacity("streams", 8),)))
    ids = s.want("trade", *(f"S{i}USDT" for i in range(14)))
    settle(s, 6)
    s.say(GoingAway(), link=1)
    s.up(link=2)
    s.wait(1, frames=1)
    s.down("reset", link=1)  # while its streams are asked for, and not proven
    settle(s, 60)
    carried = np.concatenate([link.wire.wire() for link in s.engine.links.values()])
    assert sorted(carried.tolist()) == sorted(ids.tolist()), "each once"
    assert s.states(ids) == {StreamState.OPEN}


def test_a_move_whose_source_is_lost_is_not_given_up() -> None:
    s = Script()
    ids = s.open_with("ticker", BTC, ETH)
    s.wait(3, frames=1)
    s.say(GoingAway())
    s.up(link=1)
    until = s.engine._moves._under_way[0].until
    while s.engine._ctx.clock.runnable < until - SECOND // 4:
        s.wait(0.25, frames=1)
    s.down("reset", link=0)
    s.wait(5, frames=1)
    assert sorted(s.engine.links[1].wire.target().tolist()) == sorted(ids.tolist()), "somebody carries them"
    s.data(ids, link=1)
    assert s.states(ids) == {StreamState.OPEN}


def test_a_stream_whose_removal_waits_is_put_back_after_it() -> None:
    slow = Limit("message", Scope.LINK, frozenset({Counted.MESSAGE}), (Window(1, 5.0, 5.0),))
    s = Script(replace(BINANCE, limits=(slow,)))
    ids = s.want("trade", *(f"S{i}USDT" for i in range(4)))
    settle(s, 6)
    link = s.engine.links[0]
    assert link.pacer.try_spend(Counted.MESSAGE, s.now)
    s.engine._health._ask_again(link, ids[:1], s.now)
    settle(s, 4)
    assert s.state(ids[0]) is StreamState.RECOVERING
    settle(s, 20)
    assert s.states(ids) == {StreamState.OPEN}
    assert sorted(link.wire.wire().tolist()) == sorted(ids.tolist())


def test_a_link_that_is_full_gets_no_more_and_another_carries_the_rest() -> None:
    s = Script(BINANCE)
    ids = s.want("trade", *(f"S{i}USDT" for i in range(4)))
    settle(s, 4)
    (extra,) = s.want("trade", "N0USDT").tolist()
    (send,) = s.of(actions.Send)
    s.say(Refused("error 4", "Too many subscriptions", ReasonClass.CAPACITY, str(send.request)))
    settle(s, 20)
    assert s.state(extra) is StreamState.OPEN
    assert s.engine.row(extra).link == 1
    assert sorted(s.engine.links[0].wire.target().tolist()) == sorted(ids.tolist())


FULL = ReasonClass.CAPACITY


def full_link() -> Script:
    """Link 0 carries four streams and was refused a fifth, which link 1 carries."""
    s = Script(BINANCE)
    s.want("trade", *(f"S{i}USDT" for i in range(4)))
    settle(s, 4)
    s.want("trade", "N0USDT")
    (send,) = s.of(actions.Send)
    s.say(Refused("error 4", "Too many subscriptions", FULL, str(send.request)))
    settle(s, 20)
    assert [link.wire.len_wire for link in s.engine.links.values()] == [4, 1]
    return s


def test_a_link_that_was_refused_more_once_is_asked_for_more_a_minute_later() -> None:
    """The venue was in trouble; it takes them now. Twice as many as it took then, in the first minute."""
    s = full_link()
    for minutes in range(1, 4):
        settle(s, 60)
        s.want("trade", *(f"N{minutes}{i}USDT" for i in range(50)))
        settle(s, 6)
        assert s.engine.links[0].wire.len_wire == 4 * 2**minutes


def test_a_link_that_takes_no_more_is_asked_for_more_ever_more_seldom() -> None:
    s, refused = full_link(), []
    for wish in range(240):
        s.want("trade", f"N{wish}{wish}USDT")
        for send in s.of(actions.Send):
            if send.link == 0 and send.request:
                refused.append(s.now // (60 * SECOND))
                s.say(Refused("error 4", "Too many subscriptions", FULL, str(send.request)))
        settle(s, 30)
    assert refused[0] == 1
    gaps = [later - earlier for earlier, later in pairwise(refused)]
    assert gaps == sorted(gaps)
    assert 4 <= len(refused) <= 7, "in two hours, of 240 wishes"
    assert s.engine.links[0].wire.len_wire == 4


def test_a_new_connection_was_refused_nothing() -> None:
    s = full_link()
    s.down(link=0)
    settle(s, 10)
    assert s.engine.links[0].wire.len_wire == 4
    s.want("trade", "N1USDT")
    settle(s, 4)
    assert s.engine.links[0].wire.len_wire == 5


def test_an_id_that_is_given_back_is_not_asked_for_in_anothers_name() -> None:
    s = Script(symbols=frozenset({BTC, ETH}))
    s.open_with("ticker", BTC)
    (old,) = s.want("ticker", ETH).tolist()
    for _ in range(40):
        if any(
            send.request == 0 for send in (a for a in s.wait(0.25, frames=1) if isinstance(a, actions.Send))
        ):
            break
    s.say(Listing((Topic("ticker", BTC),), None))
    assert "asked for again in" in s.engine.explain(old, s.now)
    s.unwant("ticker", ETH)
    assert [a.streams.tolist() for a in s.of(actions.ReleaseStreams)] == [[old]]
    (new,) = s.want("ticker", "KRW-NEW").tolist()
    assert new == old
    s.wait(3, frames=1)
    assert not [link.id for link in s.engine.links.values() if new in link.wire.target()], "no list has it"
    assert s.state(new) is StreamState.WAITING


def test_a_stream_given_up_after_it_was_back_leaves_the_account() -> None:
    s = Script()
    back, pending = s.open_with("ticker", BTC, ETH).tolist()
    s.down("reset")
    s.reconnect()
    s.data([back])
    s.unwant("ticker", BTC)
    s.wait(6, frames=1)
    released = s.engine.row(back).state
    assert released is StreamState.CLOSED
    s.data([pending])
    (account,) = s.of(actions.Restored)
    states = dict(zip(account.restore.streams.tolist(), account.restore.states.tolist(), strict=True))
    assert states == {back: StreamState.CLOSED, pending: StreamState.OPEN}


def test_what_nobody_wants_by_then_is_in_no_restore() -> None:
    s = Script()
    (kept,) = s.want("ticker", BTC).tolist()
    s.wait(1)
    s.tell(events.Restoring(np.array([kept, 7], np.int32), "a restart"))
    s.up()
    s.data([kept])
    (account,) = s.of(actions.Restored)
    assert account.restore.streams.tolist() == [kept]


def test_what_was_lost_and_is_back_stays_so_when_a_snapshot_asks_for_it() -> None:
    s = Script()
    ids = s.open_with("ticker", BTC, ETH)
    s.down()
    s.reconnect()
    s.data(ids[:1])
    asked, back = s.now, s.now
    s.wait(1)
    s.tell(events.Restoring(ids[:1], "a snapshot"))
    s.data(ids[1:])
    (account,) = s.of(actions.Restored)
    assert account.restore.asked.tolist() == [asked] * 2
    assert account.restore.ended.tolist() == [back, s.now]
    assert s.told(StatusKind.RECOVERED) == [ids.tolist()]


@pytest.mark.parametrize("wanted_again", [False, True])
def test_a_removal_that_the_venue_puts_off_goes_again(wanted_again: bool) -> None:
    s = Script(BINANCE)
    ids = s.want("trade", *(f"S{i}USDT" for i in range(3)))
    settle(s, 4)
    s.unwant("trade", "S0USDT")
    sends = [a for _ in range(12) for a in s.wait(0.25, frames=1) if isinstance(a, actions.Send)]
    (send,) = sends
    assert b"UNSUBSCRIBE" in send.payload
    if wanted_again:
        s.want("trade", "S0USDT")
    s.say(Refused("error -1", "too fast", ReasonClass.RATE, str(send.request)))
    out = []
    for _ in range(40):
        sent = [a for a in s.wait(0.25, frames=1) if isinstance(a, actions.Send) and a.request]
        for a in sent:
            s.say(Accepted(str(a.request)))
        out += sent
    assert [b"UNSUBSCRIBE" in a.payload for a in out] == ([] if wanted_again else [True])
    wire = s.engine.links[0].wire.wire().tolist()
    assert sorted(wire) == sorted(ids.tolist() if wanted_again else ids[1:].tolist())


def test_the_ideal_does_not_grow_while_no_link_is_up() -> None:
    s = Script()
    s.want("trade", ETH)
    for _ in range(2_000):
        s.want("ticker", BTC)
        s.now += SECOND
        s.unwant("ticker", BTC)
        s.now += SECOND
    s.engine.efficiency(s.now)
    (ideal,) = s.engine._effort._routes.values()
    assert len(ideal._adds) + len(ideal._removes) < 600


@pytest.mark.parametrize("proven", [True, False])
def test_a_stream_that_moves_is_told_once_that_both_of_its_carriers_are_lost(proven: bool) -> None:
    s = Script()
    ids = s.want("ticker", BTC, ETH)
    s.up()
    if proven:
        s.data(ids)
    s.tell(events.Rotate())
    s.up(link=1)
    told = s.down("cut", link=0)
    s.now += 1_000_000
    told += s.down("cut", link=1)
    kind = StatusKind.SUSPECT if proven else StatusKind.WAITING
    news = [(n.kind, n.streams.tolist()) for n in told if isinstance(n, actions.Notify)]
    assert news == [(kind, ids.tolist())]


def test_what_was_good_again_in_between_is_told_of_both_losses() -> None:
    s = Script()
    ids = s.open_with("ticker", BTC, ETH)
    s.tell(events.Rotate())
    s.up(link=1)
    first = s.down("cut", link=0)
    s.data(ids[:1], link=1)
    second = s.down("cut", link=1)
    told = [[n.streams.tolist() for n in out if isinstance(n, actions.Notify)] for out in (first, second)]
    assert told == [[ids.tolist()], [ids[:1].tolist()]]


def test_what_is_lost_again_later_is_told_again() -> None:
    s = Script()
    ids = s.open_with("ticker", BTC, ETH)
    for _ in range(3):
        s.down("cut")
        assert s.told(StatusKind.SUSPECT) == [ids.tolist()]
        s.wait(1)
        s.reconnect()


def test_what_failed_is_asked_for_on_a_link_that_has_not_let_go_of_it_yet() -> None:
    """A move was given up and the venue puts off its removal; then the stream fails on the link that holds it."""
    s = Script(BINANCE)
    ids = s.want("trade", "S0USDT", "S1USDT")
    settle(s, 4)
    s.tell(events.Rotate())
    up_all(s)
    new = s.want("trade", "NEWUSDT")
    s.wait(1, frames=1)
    s.data(new, link=1)
    while not (removal := [a for a in s.of(actions.Send) if b"UNSUBSCRIBE" in a.payload]):
        s.wait(0.25, frames=1)
    s.say(Refused("slow", "", ReasonClass.RATE, str(removal[0].request)), link=1)
    s.say(Dropped((Topic("trade", "S0USDT"),), "ended", ReasonClass.TRANSIENT), link=0)
    assert s.state(ids[0]) is StreamState.RECOVERING
    asked = [a.payload for a in s.wait(3, frames=1) if isinstance(a, actions.Send) and a.link == 1]
    assert sum(b'"SUBSCRIBE"' in payload and b"s0usdt" in payload for payload in asked) == 1
    s.data(ids[:1], link=1)
    assert s.states(ids) == {StreamState.OPEN}


def test_what_is_asked_for_again_keeps_its_part_of_the_limit_when_others_have_no_room_there() -> None:
    """One message each 10 s, and another one for repairs: it goes when the first is 10 s old, not when both are."""
    window = Window(2, 10.0, 10.0, reserve=1)
    slow = Limit("message", Scope.LINK, frozenset({Counted.MESSAGE}), (window,))
    s = Script(replace(BINANCE, limits=(slow,), capacities=(Capacity("streams", 3),)))
    ids = s.want("trade", *(f"S{i}USDT" for i in range(3)))
    s.up()
    s.data(ids)
    s.wait(30, frames=1)
    link, ended = s.engine.links[0], ReasonClass.TRANSIENT
    began = s.now
    assert link.pacer.try_spend(Counted.MESSAGE, s.now)
    s.wait(5, frames=1)
    assert link.pacer.try_spend(Counted.MESSAGE, s.now, repair=True)
    s.say(Dropped((Topic("trade", "S0USDT"),), "ended", ended))
    s.wait(1, frames=1)
    s.say(Dropped((Topic("trade", "S1USDT"),), "ended", ended))
    s.want("trade", "N0USDT")  # in the place of the one that failed first or last: one has no room any more
    s.wait(2, frames=1)
    assert [link.wire.len_target for link in s.engine.links.values()] == [3, 1]
    while not [a for a in s.of(actions.Send) if a.link == 0 and a.request]:
        s.wait(0.1, frames=1)
    assert 10.0 <= (s.now - began) / SECOND < 11.0
