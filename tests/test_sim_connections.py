"""What ends a connection, keeps it, or does not let it begin, on the pure exchange."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from sim_play import START, Play, at, ends, frames, kinds
from subcore.sim import SECOND, Durations, Exchange, Rules

ERRORS: list[tuple[Any, str]] = [
    ([{"type": "ticker", "codes": ["KRW-BTC"]}], "NO_TICKET"),
    ([{"ticket": ""}, {"type": "ticker", "codes": ["KRW-BTC"]}], "NO_TICKET"),
    ([], "NO_TICKET"),
    ([{"ticket": "t"}], "NO_TYPE"),
    ([{"ticket": "t"}, {"format": "SIMPLE"}], "NO_TYPE"),
    ([{"ticket": "t"}, {"type": "ticker"}], "NO_CODES"),
    ([{"ticket": "t"}, {"type": "ticker", "codes": []}], "INVALID_PARAM"),
    ([{"ticket": "t"}, {"type": "nope", "codes": ["KRW-BTC"]}], "INVALID_PARAM"),
    ([{"ticket": "t"}, {"type": "myOrder", "codes": []}], "INVALID_PARAM"),
    ([{"ticket": "t"}, {"type": "ticker", "codes": ["KRW-BTC"]}, {"format": "XML"}], "INVALID_PARAM"),
    ([{"ticket": "t"}, {"type": "ticker", "codes": ["A-B"], "is_only_snapshot": 1}], "INVALID_PARAM"),
    ([{"ticket": "t"}, {"type": "orderbook", "codes": ["A-B"], "level": "x"}], "INVALID_PARAM"),
    ([{"ticket": "t"}, {"method": "UNSUBSCRIBE"}], "INVALID_PARAM"),
    ([{"ticket": "t"}, {"type": "ticker", "codes": "KRW-BTC"}], "WRONG_FORMAT"),
    ([{"ticket": "t"}, {"type": "ticker", "codes": [1]}], "WRONG_FORMAT"),
    ({"ticket": "t"}, "WRONG_FORMAT"),
    ([1, 2], "WRONG_FORMAT"),
    (b"hello", "WRONG_FORMAT"),
    (b"", "WRONG_FORMAT"),
    (b"\xff\xfe", "WRONG_FORMAT"),
    (b"[NaN]", "WRONG_FORMAT"),
    (b"[" * 100_000, "WRONG_FORMAT"),
    (b"[" + b"9" * 5000 + b"]", "WRONG_FORMAT"),
]


@pytest.mark.parametrize(("message", "name"), ERRORS)
def test_an_error_closes_the_whole_connection_150_ms_later(message: Any, name: str) -> None:
    play = Play(rules=Rules(late_frames=0))
    conn = play.connect()
    play.ask(conn, "orderbook", ["KRW-BTC"])
    play.pass_time(5)
    play.send(conn, message)
    out = play.pass_time(100)
    error = next(o for o in out if b'"error"' in o.payload)
    assert json.loads(error.payload)["error"].keys() == {"name", "message"}
    assert json.loads(error.payload)["error"]["name"] == name
    assert [(o.kind, o.code) for o in ends(out)] == [("close", 1000)]
    assert at(out[-1]) - at(error) == pytest.approx(0.15, abs=1e-6)
    assert not play.exchange.connections


def test_key_order_of_errors_varies() -> None:
    orders = set()
    for message in (b"x", [{"ticket": "t"}]):
        play = Play()
        play.send(play.connect(), message)
        orders.add(tuple(frames(play.pass_time(1))[0]["error"]))
    assert orders == {("name", "message"), ("message", "name")}


def test_an_idle_connection_is_dropped_after_60_s_without_a_close_frame() -> None:
    play = Play()
    play.connect()
    out = play.pass_time(70)
    assert [(o.kind, at(o)) for o in out] == [("drop", 60.0)]
    assert play.exchange.stats.idle_drops == 1


@pytest.mark.parametrize(("ping_resets", "dropped_at"), [(True, 100.0), (False, 60.0)])
def test_a_ping_is_answered_and_keeps_the_connection_if_the_rule_says_so(
    ping_resets: bool, dropped_at: float
) -> None:
    play = Play(rules=Rules(ping_resets_idle=ping_resets, sent_resets_idle=False))
    conn = play.connect()
    play.pass_time(40)
    play.send(conn, b"abc", opcode=9)
    pong, drop = play.pass_time(200)
    assert (pong.kind, pong.payload, at(pong)) == ("pong", b"abc", 40.0)
    assert (drop.kind, at(drop)) == ("drop", dropped_at)


def test_a_text_ping_on_an_unsubscribed_socket_starts_a_status_every_10_s() -> None:
    play = Play()
    conn = play.connect()
    play.send(conn, b"PING")
    out = play.pass_time(115)
    assert {o.payload for o in out} == {b'{"status":"UP"}'}
    times = [at(o) for o in out]
    assert 5.8 <= times[0] <= 7.5
    assert [round(b - a, 6) for a, b in pairwise(times)] == [10.0] * 10


@pytest.mark.parametrize("answers", [True, False])
def test_a_text_ping_on_a_subscribed_socket(answers: bool) -> None:
    play = Play(rules=Rules(answers_ping_when_subscribed=answers))
    conn = play.connect()
    play.ask(conn, "ticker", ["KRW-BTC"])
    play.pass_time(1)
    play.send(conn, b"PING")
    assert (b'{"status":"UP"}' in {o.payload for o in play.pass_time(2.5)}) == answers


def test_message_limit_five_a_second_and_a_hundred_a_minute() -> None:
    play = Play(durations=Durations(idle=1000))
    conn = play.connect()
    for _ in range(5):
        play.ask(conn, "ticker", ["KRW-BTC"])
        play.pass_time(0.19)
    assert not play.exchange.violations
    play.ask(conn, "ticker", ["KRW-BTC"])
    out = play.pass_time(1)
    (violation,) = play.exchange.violations
    assert (violation.rule, violation.conn, violation.count, violation.limit) == ("message-short", conn, 6, 5)
    assert violation.at == START + round(0.95 * SECOND)
    assert any(b"TOO_MANY_REQUEST" in o.payload for o in out)
    assert [(o.kind, o.code) for o in ends(out)] == [("close", 1000)]

    conn = play.connect()
    for n in range(101):
        assert len(play.exchange.violations) == 1, n
        play.ask(conn, "ticker", ["KRW-BTC"])
        play.pass_time(0.5)
    assert play.exchange.violations[-1].rule == "message-long"
    assert play.exchange.violations[-1].count == 101


@pytest.mark.parametrize(("reaction", "end"), [("close", [("close", 1008)]), ("ignore", [])])
def test_other_reactions_to_the_limit_record_it_too(reaction: Any, end: list[tuple[str, int]]) -> None:
    play = Play(rules=Rules(over_limit=reaction))
    conn = play.connect()
    for _ in range(7):
        play.ask(conn, "ticker", ["KRW-BTC"])
    out = play.pass_time(2)
    assert [(o.kind, o.code) for o in ends(out)] == end
    assert play.exchange.stats.violations == (2 if reaction == "ignore" else 1)
    assert not any(b"error" in o.payload for o in out)


def test_connects_are_limited_by_address_then_blocked() -> None:
    play = Play()
    assert all(isinstance(play.try_connect(ip="10.0.0.1"), int) for _ in range(5))
    refusals = [play.try_connect(ip="10.0.0.1") for _ in range(4)]
    assert [r.status for r in refusals] == [429, 429, 429, 418]  # type: ignore[union-attr]
    assert [r.headers["Retry-After"] for r in refusals] == ["1", "1", "1", "10"]  # type: ignore[union-attr]
    assert {v.rule for v in play.exchange.violations} == {"connect"}
    assert isinstance(play.try_connect(ip="10.0.0.2"), int)
    play.pass_time(9.9)
    assert not isinstance(play.try_connect(ip="10.0.0.1"), int)
    play.pass_time(1.2)
    assert isinstance(play.try_connect(ip="10.0.0.1"), int)


def test_an_origin_header_allows_one_connect_in_ten_seconds() -> None:
    play = Play()
    origin = {"Origin": "https://example.com"}
    assert isinstance(play.try_connect(headers=origin), int)
    refusal = play.try_connect(headers=origin)
    assert refusal.status == 429  # type: ignore[union-attr]
    assert refusal.headers["Retry-After"] == "10"  # type: ignore[union-attr]
    play.pass_time(20.1)
    assert isinstance(play.try_connect(headers=origin), int)


def test_unknown_path_is_not_found() -> None:
    refusal = Play().try_connect(path="/websocket/v2")
    assert refusal.status == 404  # type: ignore[union-attr]


def test_a_client_close_is_answered_and_a_lost_client_is_forgotten() -> None:
    play = Play()
    one, two = play.connect(), play.connect()
    play.ask(one, "ticker", ["KRW-BTC"])
    play.ask(two, "ticker", ["KRW-BTC"])
    play.pass_time(1)
    play.send(one, (1001).to_bytes(2, "big") + b"bye", opcode=8)
    play.exchange.closed(two, play.ns())
    out = play.pass_time(30)
    assert [(o.conn, o.kind, o.code) for o in out] == [(one, "close", 1001)]
    assert play.exchange.deadline() is None or not play.exchange.connections


def test_nothing_is_scheduled_for_ever_when_nobody_is_there() -> None:
    play = Play()
    conn = play.connect()
    play.ask(conn, "ticker", list(play.exchange.markets))
    play.pass_time(5)
    play.exchange.closed(conn, play.ns())
    play.pass_time(10**7)
    assert play.exchange.deadline() is None


def test_time_never_goes_back() -> None:
    exchange = Exchange()
    conn = exchange.connect(START)
    assert isinstance(conn, int)
    exchange.receive(conn, 9, b"", START - 5 * SECOND)
    assert [o.at for o in exchange.advance(START - SECOND)] == [START]


def test_oversized_message_ends_with_1009() -> None:
    play = Play()
    conn = play.connect()
    play.send(conn, b"x" * (2 << 20))
    assert [(o.kind, o.code) for o in play.pass_time(1)] == [("close", 1009)]


def test_kinds_helper_sees_everything() -> None:
    play = Play()
    conn = play.connect()
    play.send(conn, b"", opcode=9)
    play.send(conn, b"", opcode=10)
    play.send(conn, b"", opcode=8)
    assert kinds(play.pass_time(1)) == ["pong", "close"]
