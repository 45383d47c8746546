"""The engine played by hand: what proves a stream, and what becomes of one that nothing proves."""

from __future__ import annotations

import json
from dataclasses import replace

from engine_script import BTC, ETH, MS, XRP, Script, symbols_of
from subcore.engine import actions, events
from subcore.engine.clock import SECOND
from subcore.engine.link import Phase
from subcore.types import (
    DataState,
    Evidence,
    Listing,
    Refused,
    StatusKind,
    StreamState,
    Topic,
)
from subcore.venue import Counted, Limit, Scope, Window
from subcore.venues import venue


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
    guarded, fresh = s.of(actions.AwaitEvidence)
    assert fresh.realtime_not_before_ns == 0
    assert fresh.streams.tolist() == [2]
    # The re-added one, the carried one and, until it is awaited at once, the new one.
    assert guarded.streams.tolist() == [0, 1, 2]
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
    assert [a.link for a in s.of(actions.Connect)] == [1], "asked again where it disturbs nobody"
    s.up(link=1)
    assert symbols_of(s.of(actions.Send)[0]) == {ETH}


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
                s.say(Listing((Topic("ticker", BTC),), ticket), link=send.link)
        if 1 in s.generations and s.engine.links[1].phase is Phase.CONNECTING:
            s.up(link=1)
            asked += "KRW-NOSUCH" in symbols_of(s.of(actions.Send)[0])
    assert s.state(bad) is StreamState.REFUSED
    assert "4 times" in s.engine.row(bad).reason
    assert asked == 4


def test_what_is_missing_is_asked_for_again_together_after_2_8_and_30_seconds() -> None:
    """Apart from what is proven: one message on the nursery asks for all of them."""
    s = Script()
    s.open_with("ticker", BTC)
    names = {"KRW-X1", "KRW-X2", "KRW-X3"}
    missing = s.want("ticker", *sorted(names))
    s.data([0])
    failed, waits = 0, []
    while StreamState.REFUSED not in s.states(missing):
        assert s.now < 200 * SECOND
        out = s.wait(0.05, frames=1)
        if 1 in s.generations and s.engine.links[1].phase is Phase.CONNECTING:
            out = out + s.up(link=1)
        for send in [action for action in out if isinstance(action, actions.Send)]:
            if send.request:
                assert (send.link, symbols_of(send)) == (1, names)
                waits.append(round((s.now - failed) / SECOND, 1))
            else:
                topics = (Topic("ticker", BTC),) if send.link == 0 else ()
                s.say(Listing(topics, json.loads(send.payload)[0]["ticket"]), link=send.link)
                failed = s.now
    assert waits == [2.0, 8.0, 30.0]
    assert s.states(missing) == {StreamState.REFUSED}


def test_a_list_that_names_nothing_of_the_link_says_nothing_of_what_is_silent() -> None:
    """It is spelt another way, or cut short: what is proven is not in it either."""
    s = Script()
    s.open_with("ticker", BTC, ETH)
    (silent,) = s.want("trade", XRP).tolist()
    s.data([0, 1])

    def answer(*topics: Topic) -> None:
        for _ in range(60):
            s.wait(0.25, frames=1)
            if any(b"LIST_SUBSCRIPTIONS" in send.payload for send in s.of(actions.Send)):
                s.say(Listing(topics, None))
                return
        raise AssertionError("no list was asked for within 15 s")

    for _ in range(3):
        answer(Topic("ticker", "krw_btc"))
        answer()
        assert s.state(silent) is StreamState.SENT
        assert s.engine.row(silent).retries == 0
    answer(Topic("ticker", BTC))
    assert s.engine.row(silent).reason == "the venue does not list it"


def test_a_listing_is_asked_for_within_the_limits_alone() -> None:
    two = Limit("message", Scope.LINK, frozenset({Counted.MESSAGE}), (Window(2, 15.0, 15.0),))
    s = Script(replace(venue("upbit"), limits=(two,)))
    s.open_with("ticker", BTC)
    s.want("ticker", ETH)
    assert s.of(actions.Send), "the second of two"
    assert not [a for _ in range(59) for a in s.wait(0.25, frames=1) if isinstance(a, actions.Send)]
    sent = [a for _ in range(8) for a in s.wait(0.25, frames=1) if isinstance(a, actions.Send)]
    assert [send.request for send in sent] == [0], "one listing, and nothing else"


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
