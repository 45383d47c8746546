"""Small rules of the exchange that only the edge of a case shows."""

from __future__ import annotations

import pytest

from sim_play import Play, ends, frames, kinds
from subcore.sim import door
from subcore.sim.rules import Rules

PONG = 10


def test_a_pong_of_the_client_is_no_message() -> None:
    play = Play()
    conn = play.connect()
    for _ in range(20):
        play.send(conn, b"[]", opcode=PONG)
    assert play.pass_time(1) == []
    assert play.exchange.stats.messages == 0
    assert not play.exchange.violations


@pytest.mark.parametrize(("over", "codes"), [(0, []), (1, [1009])])
def test_a_message_may_be_just_as_large_as_the_rule_says(over: int, codes: list[int]) -> None:
    message = b'[{"ticket":"t"},{"type":"ticker","codes":["KRW-BTC"]}]'
    play = Play(rules=Rules(max_message=len(message) - over))
    play.send(play.connect(), message)
    out = play.pass_time(1)
    assert [end.code for end in ends(out)] == codes
    assert bool(frames(out)) == (not codes)


def test_nothing_is_answered_between_an_error_and_its_close() -> None:
    play = Play(rules=Rules(answers_ping_when_subscribed=True))
    conn = play.connect()
    play.ask(conn, "ticker", ["KRW-BTC"], is_only_snapshot=True)
    play.pass_time(1)
    play.ask(conn, "ticker", ["KRW-BTC"], is_only_realtime=True)
    play.pass_time(0.1)
    play.send(conn, b"nonsense")
    play.pass_time(0.05)
    play.send(conn, b"PING")
    play.send(conn, b"nonsense again")
    out = play.pass_time(1)
    assert not [frame for frame in frames(out) if "status" in frame or "error" in frame]
    assert kinds(ends(out)) == ["close"]
    assert play.exchange.stats.errors == 1


def test_addresses_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client may claim any address: the oldest is forgotten, with its refusals."""
    monkeypatch.setattr(door, "_ADDRESSES", 3)
    play = Play()
    for _ in range(5):
        play.connect(ip="10.0.0.1")
    assert not isinstance(play.try_connect(ip="10.0.0.1"), int)
    for last in (2, 3):
        play.connect(ip=f"10.0.0.{last}")
    assert not isinstance(play.try_connect(ip="10.0.0.1"), int), "three have room"
    play.connect(ip="10.0.0.4")
    play.connect(ip="10.0.0.1")


def test_rest_addresses_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_ADDRESSES", 2)
    play = Play(rules=Rules(rest_requests=1))
    ask = play.exchange.get
    assert [ask(play.ns(), "/v1/market/all", "10.0.0.1")[0] for _ in range(2)] == [200, 429]
    for last in (2, 3):
        assert ask(play.ns(), "/v1/market/all", f"10.0.0.{last}")[0] == 200
    assert ask(play.ns(), "/v1/market/all", "10.0.0.1")[0] == 200


def test_asking_again_for_realtime_only_need_not_wait_for_the_snapshot_asked_before() -> None:
    play = Play(rate=50.0, variety=0)
    conn = play.connect()
    play.ask(conn, "ticker", ["KRW-BTC"])
    play.pass_time(0.02)
    play.ask(conn, "ticker", ["KRW-BTC"], is_only_realtime=True)
    early = frames(play.pass_time(0.14))
    assert early
    assert {frame["stream_type"] for frame in early} == {"REALTIME"}


def test_text_pings_count_as_messages_if_the_rule_says_so() -> None:
    for counts in (True, False):
        play = Play(rules=Rules(text_ping_counts=counts))
        conn = play.connect()
        for _ in range(6):
            play.send(conn, b"PING")
        play.pass_time(1)
        assert len(play.exchange.violations) == counts


@pytest.mark.parametrize("messages", [[b"x", b"y"], [b"[]"] * 4, [b'[{"ticket":"t"}]'] * 10])
def test_one_error_ends_a_connection_however_many_are_due(messages: list[bytes]) -> None:
    play = Play()
    conn = play.connect()
    for message in messages:
        play.send(conn, message)
    out = play.pass_time(1)
    assert sum("error" in frame for frame in frames(out)) == 1
    assert kinds(ends(out)) == ["close"]
    assert play.exchange.stats.errors == 1


def test_refused_connects_are_counted_apart() -> None:
    play = Play()
    for _ in range(5):
        play.connect()
    for _ in range(2):
        play.try_connect()
    stats = play.exchange.stats
    assert (stats.connects, stats.refused, stats.violations) == (5, 2, 2)
