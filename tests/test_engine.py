"""The engine, event by event, played by hand: links, proof, loss, blame, symbols, close."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine_script import MS, Script
from subcore.engine import actions, events
from subcore.engine.clock import SECOND, RunnableClock
from subcore.engine.links import Phase
from subcore.engine.pacing import LimitRegistry
from subcore.errors import InternalError
from subcore.types import (
    Alive,
    DataState,
    Evidence,
    Listing,
    Priority,
    ReasonClass,
    Refused,
    StatusKind,
    StreamState,
    Topic,
    Unknown,
)

BTC, ETH, XRP = "KRW-BTC", "KRW-ETH", "KRW-XRP"
RATE = Refused("TOO_MANY_REQUEST", "", ReasonClass.RATE)


def symbols_of(send: actions.Send) -> set[str]:
    return {code for entry in json.loads(send.payload) for code in entry.get("codes", ())}


# Opening


def test_the_first_wish_opens_a_link_and_leaves_with_the_handshake() -> None:
    s = Script()
    ids = s.want("ticker", BTC, ETH)
    (connect,) = s.of(actions.Connect)
    assert (connect.link, connect.generation) == (0, 1)
    assert connect.url == "wss://api.upbit.com/websocket/v1"
    assert "origin" not in {name.lower() for name in connect.headers}
    assert s.states(ids) == {StreamState.WAITING}
    s.up()
    awaited, sent = s.out[-2:]
    assert isinstance(awaited, actions.AwaitEvidence)
    assert isinstance(sent, actions.Send)
    assert awaited.streams.tolist() == ids.tolist()
    assert symbols_of(sent) == {BTC, ETH}
    assert s.states(ids) == {StreamState.SENT}


def test_wishes_while_connecting_join_the_one_message() -> None:
    s = Script()
    s.want("ticker", BTC)
    s.want("trade", ETH)
    assert not s.of(actions.Connect)
    s.up()
    (send,) = s.of(actions.Send)
    assert symbols_of(send) == {BTC, ETH}


def test_nothing_wanted_any_more_before_the_handshake_sends_nothing() -> None:
    s = Script()
    s.want("ticker", BTC)
    s.unwant("ticker", BTC)
    assert [r.streams.tolist() for r in s.of(actions.ReleaseStreams)] == [[0]]
    s.up()
    assert not s.of(actions.Send)
    s.wait(5.1)
    assert [d.reason for d in s.of(actions.Disconnect)] == ["nothing is wanted any more"]
    s.down()
    assert s.engine.deadline() is None


def test_a_handshake_that_hangs_is_given_up() -> None:
    s = Script()
    s.want("ticker", BTC)
    s.wait(14.9)
    assert not s.of(actions.Disconnect)
    s.wait(0.2)
    assert len(s.of(actions.Disconnect)) == 1
    s.wait(1)
    assert s.generation == 2


# Proof


def test_data_proves_and_says_so_once() -> None:
    s = Script()
    ids = s.want("ticker", BTC, ETH)
    s.up()
    s.data(ids[:1])
    assert s.told(StatusKind.OPEN) == [[0]]
    assert (s.state(0), s.state(1)) == (StreamState.OPEN, StreamState.SENT)
    row = s.engine.row(0)
    assert (row.data, row.evidence) == (DataState.GOOD, Evidence.DATA | Evidence.QUIET)
    s.data(ids[:1])
    assert s.told(StatusKind.OPEN) == []


def test_a_quiet_window_alone_proves_nothing() -> None:
    s = Script()
    s.want("ticker", BTC)
    s.up()
    s.wait(1.5)
    assert s.state(0) is StreamState.SENT
    assert s.engine.row(0).evidence == Evidence.QUIET


def test_evidence_and_control_of_an_older_generation_are_dropped_and_counted() -> None:
    s = Script()
    ids = s.open_with("ticker", BTC)
    s.down()
    s.reconnect()
    late = s.engine.stats.late_events
    s.tell(events.StreamEvidence(0, 1, ids))
    s.tell(events.ControlFrame(0, 1, Refused("NO_CODES")))
    s.tell(events.Pong(0, 1, 5))
    s.tell(events.LinkActivity(0, 1, 5, 5))
    s.tell(events.LinkUp(0, 1, 5))
    s.tell(events.StreamEvidence(7, 1, ids))
    assert s.engine.stats.late_events == late + 6
    assert s.state(0) is StreamState.SENT


def test_late_frames_of_a_dropped_stream_must_not_prove_its_re_add() -> None:
    s = Script()
    s.open_with("ticker", BTC, ETH)
    s.unwant("ticker", ETH)
    s.wait(2.1)
    assert symbols_of(s.of(actions.Send)[0]) == {BTC}
    s.data([0])
    s.want("ticker", ETH, "KRW-ADA")
    fresh, guarded = s.of(actions.AwaitEvidence)
    assert fresh.realtime_not_before_ns == 0
    assert fresh.streams.tolist() == [2]
    assert guarded.streams.tolist() == [1, 0]  # the re-added one and the carried one
    assert guarded.realtime_not_before_ns == s.now + 400 * MS


def test_after_a_loss_no_frame_can_be_late() -> None:
    s = Script()
    ids = s.open_with("ticker", BTC, ETH)
    s.down()
    s.reconnect()
    (awaited,) = s.of(actions.AwaitEvidence)
    assert (awaited.streams.tolist(), awaited.realtime_not_before_ns) == (ids.tolist(), 0)


def test_a_long_round_trip_makes_a_long_window() -> None:
    s = Script()
    s.want("ticker", BTC)
    s.up(rtt_ms=300)
    s.want("ticker", ETH)
    assert not s.of(actions.Send)
    s.wait(0.89)
    assert not s.of(actions.Send)
    s.wait(0.02)
    assert len(s.of(actions.Send)) == 1


def test_the_listing_proves_silent_streams_and_shows_missing_ones() -> None:
    s = Script()
    ids = s.want("candle.1m", BTC, ETH)
    s.up()
    s.wait(1.9)
    assert not s.of(actions.Send)
    s.wait(0.6)
    (probe,) = s.of(actions.Send)
    ticket = json.loads(probe.payload)[0]["ticket"]
    assert json.loads(probe.payload)[1] == {"method": "LIST_SUBSCRIPTIONS"}
    s.say(Listing((Topic("candle.1m", BTC),), "foreign"))
    assert s.states(ids) == {StreamState.SENT}
    s.say(Listing((Topic("candle.1m", BTC), Topic("ticker", "KRW-NOBODY"), Topic("odd", BTC)), ticket))
    assert (s.state(0), s.engine.row(0).data) == (StreamState.OPEN, DataState.NONE)
    assert s.state(1) is StreamState.WAITING
    assert s.told(StatusKind.WAITING) == [[1]]
    s.wait(2.1)
    assert symbols_of(s.of(actions.Send)[0]) == {BTC, ETH}


def test_a_stream_never_listed_is_refused_after_three_more_tries() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    (bad,) = s.want("ticker", "KRW-NOSUCH").tolist()
    asked = 1
    for _ in range(400):
        for send in [a for a in s.wait(0.25, frames=1) if isinstance(a, actions.Send)]:
            if send.request:
                asked += "KRW-NOSUCH" in symbols_of(send)
                s.data([0])
            else:
                ticket = json.loads(send.payload)[0]["ticket"]
                s.say(Listing((Topic("ticker", BTC),), ticket))
    assert s.state(bad) is StreamState.REFUSED
    assert "4 times" in s.engine.row(bad).reason
    assert asked == 4


def test_a_carried_stream_without_its_new_snapshot_is_suspect_until_data_comes() -> None:
    s = Script()
    s.open_with("ticker", BTC, ETH)
    s.want("ticker", XRP)
    s.data([0, 2])
    s.wait(2.7, frames=1)
    assert s.engine.row(1).data is DataState.GOOD
    s.wait(0.6, frames=1)
    assert s.told(StatusKind.SUSPECT) == [[1]]
    assert (s.state(1), s.engine.row(1).data) == (StreamState.OPEN, DataState.SUSPECT)
    s.data([1])
    assert s.told(StatusKind.GOOD) == [[1]]
    assert s.told(StatusKind.OPEN) == []


# Loss and restore


def test_a_loss_is_told_and_everything_comes_back_in_one_message() -> None:
    s = Script()
    ids = s.open_with("ticker", BTC, ETH)
    (unproven,) = s.want("trade", BTC).tolist()
    s.wait(1.5)
    s.down("reset")
    assert s.told(StatusKind.SUSPECT) == [ids.tolist()]
    assert s.told(StatusKind.WAITING) == [[unproven]]
    assert s.states(ids) == {StreamState.RECOVERING}
    assert s.state(unproven) is StreamState.WAITING
    assert {s.engine.row(i).data for i in ids.tolist()} == {DataState.SUSPECT}
    s.wait(0.3)
    s.up()
    (send,) = s.of(actions.Send)
    assert len(json.loads(send.payload)) == 4  # ticket, ticker, trade, format
    s.data([*ids.tolist(), unproven])
    assert s.told(StatusKind.OPEN) == [[0, 1, 2]]
    assert s.told(StatusKind.GOOD) == []
    assert s.engine.stats.restores == 1


def test_wishes_during_a_loss_are_part_of_the_restore() -> None:
    s = Script()
    s.open_with("ticker", BTC, ETH)
    s.down()
    s.unwant("ticker", ETH)
    s.want("ticker", XRP)
    s.wait(0.3)
    s.up()
    (send,) = s.of(actions.Send)
    assert symbols_of(send) == {BTC, XRP}


def test_backoff_doubles_with_full_jitter() -> None:
    waits: list[list[float]] = []
    for seed in range(200):
        s = Script(seed=seed)
        s.want("ticker", BTC)
        row = []
        for _ in range(9):
            s.down("refused")
            row.append((s.engine.links[0].connect_at - s.now) / SECOND)
            s.now = s.engine.links[0].connect_at
            s.tell(events.Tick())
        waits.append(row)
    for i, bound in enumerate([0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]):
        column = [row[i] for row in waits]
        assert 0.9 * bound < max(column) <= bound
        assert min(column) < 0.1 * bound


def test_only_thirty_good_seconds_with_data_reset_the_backoff() -> None:
    s = Script()
    s.want("ticker", BTC)
    for _ in range(5):
        s.down("refused")
        s.wait(0)
        while s.engine.links[0].phase is not Phase.CONNECTING:
            s.wait(0.1)
    s.up()
    s.wait(29, frames=1)
    s.down()
    assert s.engine.links[0].attempts == 6, "a link that held for less than 30 s has proven nothing"
    s.reconnect()
    for _ in range(20):
        s.wait(2)
        s.tell(events.Pong(0, s.generation, MS))
    assert s.engine.links[0].attempts == 6, "nor has one without data"
    s.wait(1, frames=1)
    assert s.engine.links[0].attempts == 0


@pytest.mark.parametrize(
    ("status", "told", "pause"), [(429, 7.0, 7), (418, 95.0, 95), (429, None, 10), (418, None, 120)]
)
def test_a_block_stops_all_connects_of_the_process(status: int, told: float | None, pause: int) -> None:
    registry = LimitRegistry()
    one, other = Script(registry=registry), Script(registry=registry, seed=2)
    one.want("ticker", BTC)
    one.down(f"HTTP {status}", status=status, retry_after=told)
    other.want("ticker", BTC)
    assert not other.of(actions.Connect)
    for s in (one, other):
        assert not [a for a in s.wait(pause - 0.01) if isinstance(a, actions.Connect)]
        assert [a for a in s.wait(0.02) if isinstance(a, actions.Connect)]


def test_connects_of_many_engines_share_the_window_of_the_address() -> None:
    registry = LimitRegistry()
    scripts = [Script(registry=registry, seed=i) for i in range(8)]
    for s in scripts:
        s.want("ticker", BTC)
    assert sum(bool(s.of(actions.Connect)) for s in scripts) == 5


def test_the_end_of_a_given_up_connection_changes_nothing() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    s.say(Refused("INVALID_PARAM"))
    assert len(s.of(actions.Disconnect)) == 1
    before = s.engine.links[0].connect_at
    s.down("our own close")
    assert s.engine.links[0].connect_at == before
    assert s.engine.stats.losses == 1


# Blame


def test_an_error_frame_blames_the_additions_only_the_second_time() -> None:
    s = Script()
    good = s.open_with("ticker", BTC, ETH)
    (bad,) = s.want("trade", XRP).tolist()
    s.say(Refused("INVALID_PARAM", "잘못된 요청"))
    assert s.state(bad) is StreamState.WAITING
    assert s.states(good) == {StreamState.RECOVERING}
    s.reconnect()
    assert XRP in symbols_of(s.of(actions.Send)[0])
    s.say(Refused("INVALID_PARAM", "잘못된 요청"))
    assert s.told(StatusKind.REFUSED) == [[bad]]
    assert "INVALID_PARAM" in s.engine.row(bad).reason
    s.reconnect()
    assert symbols_of(s.of(actions.Send)[0]) == {BTC, ETH}
    s.data(good)
    assert s.states(good) == {StreamState.OPEN}
    s.wait(200, frames=1)
    assert not s.of(actions.Send)


def test_two_quick_deaths_blame_what_is_new_but_never_a_set_of_which_nothing_was_proven() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    (bad,) = s.want("trade", XRP).tolist()
    s.down("closed", code=1000)
    s.reconnect()
    s.wait(0.3)
    s.down("closed", code=1000)
    assert s.state(bad) is StreamState.REFUSED

    s = Script()
    ids = s.want("ticker", BTC, ETH)
    s.up()
    for _ in range(5):
        s.down("closed", code=1000)
        s.reconnect()
        s.down("closed", code=1000)
    assert s.states(ids) == {StreamState.WAITING}


def test_a_slow_death_blames_nobody() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    (new,) = s.want("trade", XRP).tolist()
    for _ in range(3):
        s.wait(1.2)
        s.down("closed")
        s.reconnect()
    assert s.state(new) is StreamState.SENT


def test_a_rate_refusal_blames_nobody_and_narrows_the_limits_for_an_hour() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    (new,) = s.want("trade", XRP).tolist()
    for _ in range(3):
        s.say(RATE)
        assert len(s.of(actions.Disconnect)) == 1
        s.reconnect()
    assert s.state(new) is StreamState.SENT
    assert s.registry.is_narrowed(s.venue.host, s.now + 3500 * SECOND)
    assert not s.registry.is_narrowed(s.venue.host, s.now + 3601 * SECOND)


def test_a_refused_stream_comes_back_only_when_asked_for_again() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    (bad,) = s.want("trade", XRP).tolist()
    for _ in range(2):
        s.say(Refused("INVALID_PARAM"))
        s.reconnect()
    s.data([0])
    s.want("trade", XRP, who="somebody else")  # held already: no edge
    assert not s.of(actions.Send)
    s.tell(events.AskedAgain(np.array([bad, 0], np.int32)))
    assert XRP in symbols_of(s.of(actions.Send)[0])
    assert s.engine.row(bad).reason == ""
    s.data([bad])
    assert s.state(bad) is StreamState.OPEN


# Keepalive


def test_a_silent_link_is_pinged_and_lives_while_pongs_come() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    pings = 0
    for _ in range(600):
        for _ping in [a for a in s.wait(0.1) if isinstance(a, actions.Ping)]:
            pings += 1
            s.tell(events.Pong(0, s.generation, 30 * MS))
    assert s.engine.stats.losses == 0
    assert 12 <= pings <= 15  # every 4 s: the venue cuts what is silent for 60


@pytest.mark.parametrize(("rate", "bound"), [(0, 8.6), (8, 4.6)])
def test_no_pong_ends_the_link_in_time(rate: int, bound: float) -> None:
    s = Script()
    s.open_with("ticker", BTC)
    if rate:
        s.wait(30, frames=rate)
    start = s.now
    while s.engine.links[0].is_up:
        s.wait(0.05)
    assert bound - 0.9 <= (s.now - start) / SECOND <= bound
    assert s.told(StatusKind.SUSPECT) == [[0]]


def test_the_watchdog_is_armed_before_the_first_message() -> None:
    s = Script()
    s.want("ticker", BTC)
    s.up()
    s.wait(9)
    assert s.engine.stats.losses == 1


def test_text_keepalive_answers_count_as_pongs() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    s.wait(4.3)
    assert s.of(actions.Ping)
    s.say(Alive())
    s.wait(3.8)
    assert s.engine.stats.losses == 0


def test_a_sleeping_machine_accuses_nobody() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    s.wait(4.3)
    assert s.of(actions.Ping)
    s.now += 3600 * SECOND
    s.tell(events.Tick())
    assert s.engine.stats.losses == 0
    s.tell(events.Pong(0, s.generation, MS))
    s.wait(3)
    assert s.engine.stats.losses == 0


def test_runnable_time_adds_at_most_two_ticks() -> None:
    clock = RunnableClock(250 * MS)
    assert clock.read(10**12) == 0
    assert clock.read(10**12 + 100 * MS) == 100 * MS
    assert clock.read(10**12 + 10**11) == 600 * MS
    assert clock.read(10**12) == 600 * MS  # a clock that goes back adds nothing


# Symbols


KNOWN = frozenset({BTC, ETH})


def test_an_unlisted_symbol_waits_for_a_new_list_and_is_refused_by_it() -> None:
    s = Script(symbols=KNOWN)
    ids = s.want("ticker", BTC, "KRW-NEW")
    assert s.of(actions.RequestMarkets)
    assert s.told(StatusKind.WAITING) == [[1]]
    s.up()
    assert symbols_of(s.of(actions.Send)[0]) == {BTC}
    s.data(ids[:1])
    s.tell(events.SymbolsKnown(KNOWN))
    assert s.told(StatusKind.REFUSED) == [[1]]
    assert s.engine.row(1).reason == "not listed by the venue"
    assert not s.of(actions.Send)


def test_an_unlisted_symbol_goes_once_it_is_listed_or_no_list_can_be_had() -> None:
    for answer in (KNOWN | {"KRW-NEW"}, None):
        s = Script(symbols=KNOWN)
        s.want("ticker", BTC)
        s.up()
        s.data([0])
        s.want("ticker", "KRW-NEW")
        assert not s.of(actions.Send)
        s.tell(events.SymbolsKnown(answer))
        assert symbols_of(s.of(actions.Send)[0]) == {BTC, "KRW-NEW"}
        assert s.engine.row(1).reason == ""


def test_lists_are_asked_for_at_most_every_ten_seconds_and_judge_only_what_came_before() -> None:
    s = Script(symbols=KNOWN)
    s.want("ticker", "KRW-AAA")
    assert len(s.of(actions.RequestMarkets)) == 1
    s.wait(1)
    s.want("ticker", "KRW-BBB")
    assert not s.of(actions.RequestMarkets)
    s.tell(events.SymbolsKnown(KNOWN))  # asked before the second came
    assert (s.state(0), s.state(1)) == (StreamState.REFUSED, StreamState.WAITING)
    assert not [a for a in s.wait(8.9) if isinstance(a, actions.RequestMarkets)]
    assert len([a for a in s.wait(0.2) if isinstance(a, actions.RequestMarkets)]) == 1
    s.tell(events.SymbolsKnown(KNOWN))
    assert s.state(1) is StreamState.REFUSED
    assert s.engine.deadline() is None


def test_a_first_list_watches_what_was_sent_unlisted_and_a_second_refuses_it() -> None:
    s = Script()
    s.want("ticker", BTC, "KRW-OLD")
    s.up()
    s.data([0])
    s.tell(events.SymbolsKnown(KNOWN))
    assert s.of(actions.RequestMarkets)
    assert s.state(1) is StreamState.SENT
    s.tell(events.SymbolsKnown(KNOWN))
    assert s.told(StatusKind.REFUSED) == [[1]]
    assert s.state(0) is StreamState.OPEN


def test_data_outweighs_any_list() -> None:
    s = Script()
    s.open_with("ticker", "KRW-OLD")
    for _ in range(3):
        s.tell(events.SymbolsKnown(KNOWN))
        s.wait(11, frames=1)
    assert s.state(0) is StreamState.OPEN


def test_a_watched_stream_that_is_proven_meanwhile_is_not_refused() -> None:
    s = Script()
    s.want("ticker", BTC, "KRW-OLD")
    s.up()
    s.tell(events.SymbolsKnown(KNOWN))
    s.data([1])
    s.tell(events.SymbolsKnown(KNOWN))
    assert s.state(1) is StreamState.OPEN


# Ids


def test_ids_go_back_only_when_no_late_frame_can_come() -> None:
    s = Script()
    s.open_with("ticker", BTC, ETH)
    s.unwant("ticker", ETH)
    s.wait(2.1)
    s.data([0])
    assert s.engine.knows(np.array([0, 1, 99], np.int32)).tolist() == [True, True, False]
    s.wait(4.5, frames=1)
    assert s.ledger.live() == {0}
    assert s.engine.knows(np.array([0, 1, 99], np.int32)).tolist() == [True, False, False]


def test_a_stream_wanted_again_before_its_id_went_back_keeps_it() -> None:
    s = Script()
    s.open_with("ticker", BTC, ETH)
    for _ in range(20):
        s.unwant("ticker", ETH)
        s.wait(2.5, frames=1)
        s.data([0])
        s.want("ticker", ETH)
        s.wait(1.0, frames=1)
        s.data([0, 1])
    s.wait(20, frames=1)
    assert s.state(1) is StreamState.OPEN
    assert s.ledger.live() == {0, 1}


# Control and close


def test_unknown_control_frames_are_counted_only() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    s.say(Unknown(b"?"))
    assert s.out == []
    assert s.engine.stats.unknown_control == 1


def test_close_all_ends_links_and_the_engine_says_no_more() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    s.tell(events.CloseAll())
    assert [type(a) for a in s.out] == [actions.Disconnect]
    assert s.engine.deadline() is None
    assert s.down() == []
    assert s.want("trade", ETH) is not None
    assert s.out == []


def test_close_all_while_connecting_and_while_waiting() -> None:
    s = Script()
    s.want("ticker", BTC)
    assert [type(a) for a in s.tell(events.CloseAll())] == [actions.Disconnect]
    s = Script()
    s.want("ticker", BTC)
    s.down()
    assert s.tell(events.CloseAll()) == []


def test_an_event_the_engine_does_not_know_is_our_fault() -> None:
    with pytest.raises(InternalError):
        Script().engine.handle(object(), 0)  # type: ignore[arg-type]


def test_class_orders_the_entries_of_the_message() -> None:
    s = Script()
    s.want("ticker", BTC, priority=Priority.LOW)
    s.want("trade", BTC, priority=Priority.CRITICAL)
    s.want("orderbook", BTC, priority=Priority.HIGH)
    s.up()
    entries = json.loads(s.of(actions.Send)[0].payload)[1:-1]
    assert [e["type"] for e in entries] == ["trade", "orderbook", "ticker"]
