"""Every fault does what it says, is counted, and ends when it should; on the pure exchange."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from sim_play import Play, at, ends, frames, kinds
from subcore.sim import KINDS, SECOND, Fault, FaultSpecError, Refusal


def subscribed(rate: float = 3.0, **options: Any) -> tuple[Play, int]:
    play = Play(rate=rate, **options)
    conn = play.connect()
    play.ask(conn, "orderbook", ["KRW-BTC", "KRW-XRP"])
    play.pass_time(3)
    return play, conn


@pytest.mark.parametrize(
    ("kind", "output", "code"), [("drop_fin", "drop", 0), ("drop_rst", "reset", 0), ("close", "close", 1001)]
)
def test_a_drop_hits_one_connection_once(kind: str, output: str, code: int) -> None:
    play, one = subscribed()
    two = play.connect()
    play.ask(two, "orderbook", ["KRW-BTC"])
    play.exchange.inject(Fault(kind, conn=one), play.ns())
    out = play.pass_time(3)
    assert [(o.conn, o.kind, o.code) for o in ends(out)] == [(one, output, code)]
    assert all(o.conn == two for o in out[1:])
    assert len(out) > 20
    assert play.exchange.fault_counts == {kind: 1}


@pytest.mark.parametrize("kind", ["refuse", "cut", "hang"])
def test_connects_fail_for_a_time(kind: str) -> None:
    play = Play()
    play.exchange.inject(Fault(kind, seconds=2), play.ns())
    assert play.try_connect() == Refusal(kind)
    play.pass_time(1.999)
    assert play.try_connect() == Refusal(kind)
    play.pass_time(0.001)
    assert isinstance(play.try_connect(), int)
    assert play.exchange.fault_counts == {kind: 2}
    assert not play.exchange.violations


def test_status_tells_its_time() -> None:
    play = Play()
    play.exchange.inject(Fault("status", code=418, retry_after=2.5), play.ns())
    refusal = play.try_connect()
    assert isinstance(refusal, Refusal)
    assert (refusal.kind, refusal.status) == ("status", 418)
    assert refusal.headers == {"Retry-After": "3", "X-Retry-After-Ms": "2500"}
    play.exchange.heal(play.ns(), "status")
    assert isinstance(play.try_connect(), int)


def test_half_open_swallows_both_ways_and_is_not_idle_dropped() -> None:
    play, conn = subscribed()
    play.exchange.inject(Fault("half_open", conn=conn, seconds=200), play.ns())
    play.send(conn, b"", opcode=9)
    play.send(conn, b"nonsense")
    assert play.pass_time(199.9) == []
    assert play.exchange.fault_counts["half_open"] > 100
    assert play.pass_time(5), "the link is back"


def test_mute_pong_leaves_the_data_alone() -> None:
    play, conn = subscribed()
    play.exchange.inject(Fault("mute_pong", conn=conn), play.ns())
    play.send(conn, b"", opcode=9)
    out = play.pass_time(2)
    assert "pong" not in kinds(out)
    assert len(out) > 20
    assert play.exchange.fault_counts == {"mute_pong": 1}


def test_one_silent_stream_until_it_is_asked_for_again() -> None:
    play, conn = subscribed()
    other = play.connect()
    play.ask(other, "orderbook", ["KRW-BTC"])
    play.pass_time(1)
    play.exchange.inject(Fault("silent", conn=conn, channel="orderbook", symbol="KRW-BTC"), play.ns())
    out = play.pass_time(5)
    assert {f["code"] for f in frames(out, conn)} == {"KRW-XRP"}
    assert {f["code"] for f in frames(out, other)} == {"KRW-BTC"}
    play.ask(conn, "orderbook", ["KRW-BTC"])
    assert {f["stream_type"] for f in frames(play.pass_time(3), conn) if f["code"] == "KRW-BTC"} == {
        "SNAPSHOT",
        "REALTIME",
    }
    assert play.exchange.fault_counts["silent"] > 10


def test_a_silent_stream_on_all_links_is_cured_link_by_link() -> None:
    play, one = subscribed()
    two = play.connect()
    play.exchange.inject(Fault("silent", channel="orderbook", symbol="KRW-BTC"), play.ns())
    play.ask(two, "orderbook", ["KRW-BTC"])
    out = play.pass_time(3)
    assert "KRW-BTC" not in {f["code"] for f in frames(out, one)}
    assert "KRW-BTC" in {f["code"] for f in frames(out, two)}


def test_lost_frames_are_lost_in_proportion() -> None:
    play, _conn = subscribed()
    play.exchange.inject(Fault("lose", probability=0.3), play.ns())
    got = len(play.pass_time(60))
    lost = play.exchange.fault_counts["lose"]
    assert 0.22 < lost / (lost + got) < 0.38


def test_garbage_comes_between_and_costs_no_good_frame() -> None:
    clean = Play(seed=9, rate=3.0)
    dirty = Play(seed=9, rate=3.0)
    good = []
    for play in (clean, dirty):
        conn = play.connect()
        play.ask(conn, "orderbook", ["KRW-BTC"])
        play.exchange.advance(play.ns())
        if play is dirty:
            play.exchange.inject(Fault("garbage", count=20), play.ns())
        good.append([o.payload for o in play.pass_time(20)])
    assert dirty.exchange.fault_counts == {"garbage": 20}
    assert not Counter(good[0]) - Counter(good[1])
    assert len(good[1]) == len(good[0]) + 20


def test_fragments_join_to_the_frame() -> None:
    play, _conn = subscribed()
    play.exchange.inject(Fault("fragments", count=5, seconds=4), play.ns())
    message, whole = b"", 0
    for output in play.pass_time(4):
        assert output.opcode == (0 if message else 2)
        message += output.payload or b""
        if output.fin:
            assert json.loads(message)["type"] == "orderbook"
            message, whole = b"", whole + 1
    assert whole > 20
    assert play.exchange.fault_counts["fragments"] == whole


def test_trickle_spreads_and_keeps_order() -> None:
    play, _conn = subscribed()
    play.exchange.inject(Fault("trickle", lag=0.05, seconds=5), play.ns())
    out = play.pass_time(30)
    slow = [o for o in out if o.spread_ns]
    assert {o.spread_ns for o in slow} == {SECOND // 20}
    assert all(b.at >= a.at + a.spread_ns for a, b in pairwise(out))
    assert play.exchange.fault_counts["trickle"] == len(slow) > 20


def test_an_error_for_a_symbol() -> None:
    play, conn = subscribed()
    play.exchange.inject(Fault("error", symbol="KRW-ETH", name="INVALID_PARAM"), play.ns())
    play.ask(conn, "ticker", ["KRW-BTC", "KRW-ETH"])
    out = play.pass_time(2)
    assert any(b'"INVALID_PARAM"' in o.payload for o in out)
    assert [(o.kind, o.code) for o in ends(out)] == [("close", 1000)]
    fresh = play.connect()
    play.ask(fresh, "ticker", ["KRW-BTC"])
    assert not ends(play.pass_time(2))
    assert play.exchange.fault_counts == {"error": 1}


def test_lag_of_one_link_keeps_its_order() -> None:
    play, slow = subscribed()
    fast = play.connect()
    play.ask(fast, "orderbook", ["KRW-BTC", "KRW-XRP"])
    play.pass_time(2)
    play.exchange.inject(Fault("lag", conn=slow, lag=0.4, seconds=10), play.ns())
    out = play.pass_time(20)
    first = [o for o in out if o.conn == fast]
    late = [o for o in out if o.conn == slow]
    assert [o.payload for o in first] == [o.payload for o in late]
    delays = {round(at(b) - at(a), 3) for a, b in zip(first, late, strict=True) if at(a) < 14}
    assert delays == {0.4}
    assert at(late[-1]) - at(first[-1]) < 0.01, "the lag is over"


def test_reorder_lets_frames_overtake_but_loses_none() -> None:
    play, jumbled = subscribed()
    straight = play.connect()
    play.ask(straight, "orderbook", ["KRW-BTC", "KRW-XRP"])
    play.pass_time(2)
    play.exchange.inject(Fault("reorder", conn=jumbled, lag=0.5, seconds=10), play.ns())
    out = play.pass_time(20)
    first, second = ([o.payload for o in out if o.conn == conn] for conn in (straight, jumbled))
    assert first != second
    assert sorted(first) == sorted(second)


def test_the_end_stays_behind_lagging_frames() -> None:
    play, _conn = subscribed()
    play.exchange.inject(Fault("lag", lag=1.0), play.ns())
    play.pass_time(0.5)
    play.exchange.inject(Fault("drop_fin"), play.ns())
    out = play.pass_time(5)
    assert out[-1].kind == "drop"
    assert kinds(out).count("drop") == 1
    assert len(out) > 5


def test_a_lagging_link_that_the_client_left_is_quiet() -> None:
    play, conn = subscribed()
    play.exchange.inject(Fault("lag", lag=1.0), play.ns())
    play.pass_time(0.5)
    play.exchange.closed(conn, play.ns())
    assert play.pass_time(5) == []


def test_a_delisted_market_falls_silent() -> None:
    play, conn = subscribed()
    play.exchange.inject(Fault("delist", symbol="KRW-BTC"), play.ns())
    assert {f["code"] for f in frames(play.pass_time(5))} == {"KRW-XRP"}
    play.ask(conn, "orderbook", ["KRW-BTC", "KRW-XRP"])
    assert {f["code"] for f in frames(play.pass_time(5))} == {"KRW-XRP"}
    assert "KRW-BTC" not in play.exchange.markets
    assert play.exchange.fault_counts == {"delist": 1}


def test_scheduled_faults_begin_and_end_at_their_time() -> None:
    play = Play(faults=[(2.0, Fault("hang", seconds=1.0)), Fault("mute_pong"), (5.0, Fault("drop_rst"))])
    conn = play.connect()
    play.send(conn, b"", opcode=9)
    assert play.pass_time(2.5) == []
    assert play.try_connect() == Refusal("hang")
    play.pass_time(0.5)
    play.connect()
    out = play.pass_time(10)
    assert [(o.kind, at(o)) for o in out] == [("reset", 5.0), ("reset", 5.0)]
    assert play.exchange.fault_counts == {"mute_pong": 1, "hang": 1, "drop_rst": 2}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_fault_bites_and_is_counted(kind: str) -> None:
    play, conn = subscribed(seed=4)
    channel = "orderbook" if kind == "silent" else None
    play.exchange.inject(Fault(kind, symbol="KRW-BTC", channel=channel, probability=0.5, lag=0.05), play.ns())
    play.send(conn, b"", opcode=9)
    play.try_connect()
    play.pass_time(5)
    play.ask(conn, "ticker", ["KRW-BTC", "KRW-ETH"])
    play.pass_time(5)
    assert set(play.exchange.fault_counts) == {kind}
    assert play.exchange.fault_counts[kind] > 0
    assert not play.exchange.violations


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_fault_stops_the_determinism(kind: str) -> None:
    def run() -> list[Any]:
        play, _conn = subscribed(seed=4)
        play.exchange.inject(Fault(kind, symbol="KRW-BTC", channel="orderbook", seconds=2), play.ns())
        play.try_connect()
        return [tuple(o) for o in play.pass_time(5)]

    assert run() == run()


@pytest.mark.parametrize(
    ("text", "start", "fault"),
    [
        ("drop_rst@30", 30.0, Fault("drop_rst")),
        (
            "status:code=429,retry_after=3,seconds=10@60.5",
            60.5,
            Fault("status", code=429, retry_after=3.0, seconds=10.0),
        ),
        ("silent:channel=ticker,symbol=KRW-BTC", 0.0, Fault("silent", channel="ticker", symbol="KRW-BTC")),
        ("half_open:conn=3", 0.0, Fault("half_open", conn=3)),
        (
            "error:symbol=KRW-ETH,name=WRONG_FORMAT",
            0.0,
            Fault("error", symbol="KRW-ETH", name="WRONG_FORMAT"),
        ),
    ],
)
def test_fault_specs(text: str, start: float, fault: Fault) -> None:
    assert Fault.parse(text) == (start, fault)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_takes_the_settings_it_heeds(kind: str) -> None:
    needs = {"silent": "channel=ticker,symbol=KRW-BTC", "error": "symbol=KRW-BTC", "delist": "symbol=KRW-BTC"}
    needed = needs.get(kind, "")
    assert Fault.parse(f"{kind}:{needed}")[1].kind == kind
    with pytest.raises(FaultSpecError) as error:
        Fault.parse(f"{kind}:{needed},kind=lag")
    for setting in str(error.value).rpartition("a key of ")[2].split(", "):
        assert setting in {field.name for field in dataclasses.fields(Fault)} - {"kind"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("explode", "no fault named"), ("", "no fault named"), ("lag:lag", "key=value"),
        ("lag:colour=red", "key=value"), ("drop_rst:seconds=5", "a key of conn"), ("hang:lag=2", "a key of seconds"),
        ("refuse:conn=1", "a key of seconds"), ("lag:lag=1,lag=2", "lag twice"),
        ("lag:lag=x", "not a number"), ("lag@soon", "seconds"), ("silent:symbol=KRW-BTC", "channel"),
        ("error", "symbol"),
        ("garbage:count=0", "count"), ("lose:probability=2", "probability"), ("hang:seconds=-1", "negative"),
        ("drop_fin@-1", "negative"), ("drop_fin@nan", "seconds"), ("lag:lag=inf", "finite"),
    ],
)  # fmt: skip
def test_bad_fault_specs_say_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(FaultSpecError, match=says):
        Fault.parse(text)
