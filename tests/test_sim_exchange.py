"""The venue's habits, one by one, on the pure exchange (the same over a socket: test_sim_server)."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from sim_play import Play, at, ends, frames
from subcore.sim import Durations, Rules


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
