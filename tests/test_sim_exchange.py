"""The venue's habits, one by one, on the pure exchange (the same over a socket: test_sim_server)."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from sim_play import START, Play, at, ends, frames, kinds
from subcore.sim import SECOND, Durations, Exchange, Rules


def test_data_frames_are_binary_and_begin_with_one_snapshot_per_code() -> None:
    play = Play(seed=3)
    conn = play.connect()
    codes = ["KRW-BTC", "KRW-ETH", "BTC-ETH", "USDT-BTC"]
    play.ask(conn, "ticker", codes)
    out = play.pass_time(20)
    assert {o.opcode for o in out if o.kind == "frame"} == {2}
    got = frames(out)
    assert Counter(f["code"] for f in got if f["stream_type"] == "SNAPSHOT") == Counter(codes)
    first = {code: next(f for f in got if f["code"] == code)["stream_type"] for code in codes}
    assert set(first.values()) == {"SNAPSHOT"}
    assert any(f["stream_type"] == "REALTIME" for f in got)


def test_snapshots_come_in_two_bursts() -> None:
    play = Play(seed=3)
    conn = play.connect()
    play.ask(conn, "orderbook", list(play.exchange.markets)[:100])
    snapshots = [o for o in play.pass_time(1) if json.loads(o.payload)["stream_type"] == "SNAPSHOT"]
    assert Counter(round(at(o), 3) for o in snapshots) == {0.18: 50, 0.34: 50}


@pytest.mark.parametrize("spelling", ["is_only_realtime", "isOnlyRealtime"])
def test_realtime_only_sends_no_snapshot(spelling: str) -> None:
    play = Play()
    conn = play.connect()
    play.ask(conn, "orderbook", ["KRW-BTC"], **{spelling: True})
    assert {f["stream_type"] for f in frames(play.pass_time(5))} == {"REALTIME"}


@pytest.mark.parametrize("spelling", ["is_only_snapshot", "isOnlySnapshot"])
def test_snapshot_only_sends_one_frame_per_code(spelling: str) -> None:
    play = Play()
    conn = play.connect()
    play.ask(conn, "trade", ["KRW-BTC", "KRW-ETH"], **{spelling: True})
    assert [f["stream_type"] for f in frames(play.pass_time(10))] == ["SNAPSHOT"] * 2


def test_only_snapshots_and_only_realtime_at_once_leave_nothing_to_send() -> None:
    """The venue does not say what then: the two exclude each other, so nothing is sent and nothing is held."""
    play = Play(rate=20.0)
    conn = play.connect()
    play.ask(conn, "trade", ["KRW-BTC"], is_only_snapshot=True, is_only_realtime=True)
    assert play.pass_time(5) == []
    play.send(conn, [{"ticket": "who"}, {"method": "LIST_SUBSCRIPTIONS"}])
    (listing,) = frames(play.pass_time(1))
    assert listing["result"] == []


@pytest.mark.parametrize("seed", range(8))
def test_a_request_replaces_everything_but_for_at_most_two_late_frames(seed: int) -> None:
    play = Play(seed=seed)
    conn = play.connect()
    play.send(conn, [{"ticket": "a"}, {"type": "orderbook", "codes": ["KRW-BTC"]},
                     {"type": "trade", "codes": ["KRW-XRP"]}])  # fmt: skip
    play.pass_time(5)
    play.ask(conn, "orderbook", ["KRW-ETH"])
    out = play.pass_time(10)
    effective = 5 + play.exchange.durations.request_delay
    late = [o for o in out if json.loads(o.payload)["code"] != "KRW-ETH" and at(o) > effective]
    assert len(late) <= 2
    assert all(at(o) <= effective + 0.12 for o in late)
    assert any(f["code"] == "KRW-ETH" and f["stream_type"] == "REALTIME" for f in frames(out))


def test_late_frames_do_happen() -> None:
    late = Counter()
    for seed in range(30):
        play = Play(seed=seed, durations=Durations(request_delay=0.0))
        conn = play.connect()
        play.ask(conn, "ticker", ["KRW-BTC"])
        play.pass_time(5)
        play.ask(conn, "ticker", ["KRW-ETH"])
        late[sum(f["code"] == "KRW-BTC" for f in frames(play.pass_time(5)))] += 1
    assert set(late) == {0, 1, 2}
    assert min(late.values()) >= 3


def test_kept_streams_flow_on_through_a_replacement_and_snapshot_again() -> None:
    play = Play()
    conn = play.connect()
    play.ask(conn, "orderbook", ["KRW-BTC"])
    play.pass_time(5)
    play.ask(conn, "orderbook", ["KRW-BTC", "KRW-ETH"])
    types = [f["stream_type"] for f in frames(play.pass_time(10)) if f["code"] == "KRW-BTC"]
    assert types.count("SNAPSHOT") == 1
    assert types.count("REALTIME") > 40


def test_the_switch_for_a_gap_pauses_kept_streams_until_their_snapshot() -> None:
    play = Play(rules=Rules(gap_on_replace=True, late_frames=0))
    conn = play.connect()
    play.ask(conn, "orderbook", ["KRW-BTC"])
    play.pass_time(5)
    play.ask(conn, "orderbook", ["KRW-BTC"])
    play.pass_time(0.01)
    got = frames(play.pass_time(5))
    assert got[0]["stream_type"] == "SNAPSHOT"


@pytest.mark.parametrize("code", ["KRW-NOSUCH", "krw-btc", "", "KRW", "KRW-BTC\u0000"])
def test_unknown_and_lower_case_codes_are_silent_and_harm_no_other(code: str) -> None:
    play = Play()
    conn = play.connect()
    play.ask(conn, "ticker", [code, "KRW-BTC"])
    out = play.pass_time(20)
    assert {f["code"] for f in frames(out)} == {"KRW-BTC"}
    assert not ends(out)


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


@pytest.mark.parametrize(
    ("format", "keys"),
    [("DEFAULT", ("method", "result", "ticket")), ("SIMPLE", ("mthd", "rslt", "tckt")),
     ("JSON_LIST", ("method", "result", "ticket")), ("SIMPLE_LIST", ("mthd", "rslt", "tckt"))],
)  # fmt: skip
def test_listing_tells_the_set_and_its_format_takes_effect(format: str, keys: tuple[str, ...]) -> None:
    play = Play()
    conn = play.connect()
    play.send(conn, [{"ticket": "a"}, {"type": "ticker", "codes": ["KRW-BTC", "KRW-NOSUCH"]},
                     {"type": "orderbook", "codes": ["KRW-ETH.5"]}])  # fmt: skip
    play.pass_time(1)
    play.send(conn, [{"ticket": "b"}, {"method": "LIST_SUBSCRIPTIONS"}, {"format": format}])
    got = frames(play.pass_time(10))
    simple, listed = format.startswith("SIMPLE"), format.endswith("_LIST")
    bodies = [f[0] if isinstance(f, list) else f for f in got]
    reply = next(f for f in bodies if keys[0] in f)
    type_, codes, level = ("ty", "cds", "lv") if simple else ("type", "codes", "level")
    assert tuple(reply) == keys
    assert reply[keys[1]] == [{type_: "ticker", codes: ["KRW-BTC"]},
                              {type_: "orderbook", codes: ["KRW-ETH"], level: 0}]  # fmt: skip
    assert reply[keys[2]] == "b"
    after = got[bodies.index(reply) :]
    assert len(after) > 10
    assert all(isinstance(f, list) == listed for f in after)
    assert all(("ty" in f) == simple for f in bodies[bodies.index(reply) + 1 :])
    assert not any("SNAPSHOT" in f.values() for f in bodies[bodies.index(reply) + 1 :])


def test_a_request_without_format_goes_back_to_default() -> None:
    play = Play()
    conn = play.connect()
    play.ask(conn, "ticker", ["KRW-BTC"], format="SIMPLE")
    play.pass_time(3)
    play.ask(conn, "ticker", ["KRW-BTC"])
    play.pass_time(0.01)
    assert all("type" in f for f in frames(play.pass_time(3)))


@pytest.mark.parametrize(
    ("suffix", "units"), [("", 30), (".1", 1), (".5", 5), (".15", 15), (".30", 30), (".2", 30), (".x", 30)]
)
def test_the_suffix_sets_the_depth_and_is_not_shown(suffix: str, units: int) -> None:
    play = Play()
    conn = play.connect()
    play.ask(conn, "orderbook", ["KRW-BTC" + suffix])
    got = frames(play.pass_time(5))
    assert {f["code"] for f in got} == {"KRW-BTC"}
    assert {len(f["orderbook_units"]) for f in got} == {units}


def test_grouping_serves_only_levels_the_market_has() -> None:
    play = Play()
    level = play.exchange.markets["KRW-BTC"].levels[1] // 10**8
    conn = play.connect()
    play.ask(conn, "orderbook", ["KRW-BTC"], level=level)
    got = frames(play.pass_time(3))
    assert len(got) > 5
    for frame in got:
        assert frame["level"] == level
        units = frame["orderbook_units"]
        assert all(u["ask_price"] % level == 0 and u["bid_price"] % level == 0 for u in units)
        assert [u["ask_price"] for u in units] == sorted({u["ask_price"] for u in units})
        assert units[0]["bid_price"] < units[0]["ask_price"]
    for code, bad in (("KRW-BTC", level + 1), ("BTC-ETH", level)):
        conn = play.connect()
        play.ask(conn, "orderbook", [code], level=bad)
        assert not [o for o in play.pass_time(5) if o.conn == conn]


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


def test_same_seed_and_same_behaviour_give_the_same_bytes() -> None:
    def run(seed: int, step: float) -> list[tuple[int, str, bytes, int]]:
        play = Play(seed=seed)
        conn = play.connect()
        play.ask(conn, "orderbook", list(play.exchange.markets)[:50])
        out = []
        for _ in range(round(6 / step)):
            play.now += step
            out += play.exchange.advance(play.ns())
        return [(o.conn, o.kind, o.payload, o.at) for o in out]

    assert run(5, 0.5) == run(5, 0.01)
    assert run(5, 0.5) != run(6, 0.5)


def test_two_connections_are_told_the_same_events() -> None:
    play = Play()
    one, two = play.connect(), play.connect()
    for conn in (one, two):
        play.ask(conn, "trade", ["KRW-BTC", "KRW-XRP"], is_only_realtime=True)
    out = play.pass_time(30)
    payloads = [[o.payload for o in out if o.conn == conn] for conn in (one, two)]
    assert payloads[0] == payloads[1]
    assert len(payloads[0]) > 20


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


def test_a_stream_dropped_before_its_snapshot_gets_none() -> None:
    play = Play(rules=Rules(late_frames=0))
    conn = play.connect()
    play.ask(conn, "ticker", ["KRW-BTC"])
    play.pass_time(0.1)
    play.ask(conn, "ticker", ["KRW-ETH"])
    assert {f["code"] for f in frames(play.pass_time(5))} == {"KRW-ETH"}


def test_two_requests_bring_two_snapshots_of_a_kept_stream() -> None:
    play = Play()
    conn = play.connect()
    play.ask(conn, "ticker", ["KRW-BTC"])
    play.pass_time(0.1)
    play.ask(conn, "ticker", ["KRW-BTC", "KRW-ETH"])
    got = frames(play.pass_time(1))
    assert [f["stream_type"] for f in got if f["code"] == "KRW-BTC"].count("SNAPSHOT") == 2
