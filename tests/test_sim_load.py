"""Traffic for load: kept frames with fresh times, many markets on one clock."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any

import pytest

from sim_play import Play, at, frames
from subcore.sim import SECOND
from subcore.sim.bulk import BEAT_NS, BulkClock
from subcore.sim.faults import Fault

MARKETS = ["KRW-BTC", "KRW-ETH", "BTC-ETH"]


def test_load_traffic_repeats_frames_with_fresh_times_and_ids() -> None:
    play = Play(rate=100.0, variety=3)
    conn = play.connect()
    kinds = ("ticker", "trade", "orderbook")
    play.send(conn, [{"ticket": "t"}, *({"type": k, "codes": ["KRW-BTC", "BTC-ETH"]} for k in kinds)])
    out = play.pass_time(5)
    by_stream: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for frame, output in zip(frames(out), out, strict=True):
        by_stream[frame["type"], frame["code"]].append(frame)
        if frame["stream_type"] == "REALTIME" and frame["type"] != "orderbook":
            assert 0 <= output.at // 10**6 - frame["timestamp"] < 5
            assert frame["trade_timestamp"] <= frame["timestamp"]
    assert len(by_stream) == 6
    for (kind, _), stream in by_stream.items():
        stamps = [f["timestamp"] for f in stream]
        assert stamps == sorted(stamps)
        times = {"timestamp", "trade_timestamp", "trade_date", "trade_time", "sequential_id"}
        distinct = {json.dumps({k: v for k, v in f.items() if k not in times}) for f in stream}
        assert len(distinct) < 40 < len(stream)
        if kind == "trade":
            ids = [f["sequential_id"] for f in stream[30:]]
            assert len(set(ids)) == len(ids)


def test_kept_frames_go_on_where_computed_ones_ended() -> None:
    """However fast trades come: no id twice where a market begins to repeat its frames."""
    for seed in range(6):
        play = Play(seed=seed, rate=3000.0, variety=4, markets=MARKETS)
        conn = play.connect()
        play.ask(conn, "trade", MARKETS)
        ids: dict[str, list[int]] = defaultdict(list)
        for frame in frames(play.pass_time(1)):
            ids[frame["code"]].append(frame["sequential_id"])
        for code, given in ids.items():
            assert len(given) > 20
            assert len(set(given[1:])) == len(given[1:]), (seed, code)


def bulk_play(kind: str, **options: Any) -> tuple[Play, int]:
    """An exchange whose few markets have all their cycles full and beat together."""
    play = Play(rate=500.0, variety=2, markets=MARKETS, **options)
    conn = play.connect()
    play.ask(conn, kind, MARKETS)
    play.pass_time(2)
    traffic: Any = play.exchange._traffic
    clock = traffic._books if kind == "orderbook" else traffic._orders
    assert all(traffic.feeds[code] in clock for code in MARKETS)
    return play, conn


def test_rates_stay_what_they_were_when_markets_beat_together() -> None:
    """Kept frames come as often as computed ones would; 5 standard deviations of the counts are allowed."""
    for kind in ("ticker", "orderbook"):
        counts = []
        for variety in (0, 2):
            play = Play(rate=100.0, variety=variety, markets=MARKETS)
            play.ask(play.connect(), kind, MARKETS)
            play.pass_time(2)
            counts.append(Counter(frame["code"] for frame in frames(play.pass_time(4))))
        computed, kept = counts
        for code in MARKETS:
            assert kept[code] > 20
            assert abs(kept[code] - computed[code]) < 5 * (kept[code] + computed[code]) ** 0.5 + 5, (
                kind,
                code,
            )


@pytest.mark.parametrize("kind", ["ticker", "trade", "orderbook"])
def test_a_market_leaves_the_beat_with_its_last_subscriber_and_comes_back(kind: str) -> None:
    play, conn = bulk_play(kind)
    play.ask(conn, kind, ["KRW-BTC"])
    play.pass_time(0.5)
    late = frames(play.pass_time(0.5))
    assert {frame["code"] for frame in late} == {"KRW-BTC"}
    play.ask(conn, kind, MARKETS)
    play.pass_time(0.5)
    assert {frame["code"] for frame in frames(play.pass_time(0.5))} == set(MARKETS)
    play.exchange.closed(conn, play.ns())
    play.pass_time(100)
    assert play.exchange.deadline() is None, "nothing is left to do for nobody"


def test_a_new_kind_of_stream_brings_its_market_to_life_for_a_while() -> None:
    play, conn = bulk_play("ticker")
    both = [{"type": kind, "codes": ["KRW-BTC"]} for kind in ("ticker", "trade", "candle.1s")]
    play.send(conn, [{"ticket": "t"}, *both])
    seen = frames(play.pass_time(3.5))
    assert {frame["type"] for frame in seen} == {"ticker", "trade", "candle.1s"}
    assert len({frame["trade_price"] for frame in seen if frame["type"] == "candle.1s"}) > 1, "it lives"


def test_another_format_is_computed_anew_and_then_kept() -> None:
    play, conn = bulk_play("ticker")
    play.ask(conn, "ticker", MARKETS, format="SIMPLE")
    play.pass_time(0.5)
    seen = frames(play.pass_time(0.5))
    assert len(seen) > 100
    assert {frame["ty"] for frame in seen} == {"ticker"}


def test_two_connections_get_the_same_kept_frames() -> None:
    play, first = bulk_play("trade")
    second = play.connect()
    play.ask(second, "trade", MARKETS)
    play.pass_time(1)
    out = play.pass_time(0.5)
    one, other = (
        [(o.at, o.payload) for o in out if o.conn == conn and o.kind == "frame"] for conn in (first, second)
    )
    assert len(one) > 100
    assert one == other


def test_a_fault_of_a_link_holds_for_kept_frames() -> None:
    play, _ = bulk_play("ticker")
    play.exchange.inject(Fault("silent", channel="ticker", symbol="KRW-BTC"), play.ns())
    assert {frame["code"] for frame in frames(play.pass_time(0.5))} == set(MARKETS) - {"KRW-BTC"}


def test_the_same_seed_gives_the_same_beats_however_time_is_cut() -> None:
    coarse, _ = bulk_play("ticker", seed=4)
    fine, _ = bulk_play("ticker", seed=4)
    other, _ = bulk_play("ticker", seed=5)
    coarse.now += 0.3
    together = coarse.exchange.advance(coarse.ns())
    apart = fine.pass_time(0.3)
    assert [(o.at, o.payload) for o in together] == [(o.at, o.payload) for o in apart]
    assert [at(o) for o in other.pass_time(0.3)] != [at(o) for o in apart] or len(apart) == 0


def test_a_beat_draws_in_proportion_and_owes_fractions() -> None:
    class Feed: ...

    queue: list[tuple[int, Any]] = []
    rates = {Feed(): 100.0, Feed(): 300.0}
    told: list[Any] = []
    clock = BulkClock(
        "seed 1",
        lambda when, beat: queue.append((when, beat)),
        lambda feeds, now: told.extend(feeds),
        rates.get,
    )  # type: ignore[arg-type]
    for feed in rates:
        clock.join(feed, 5)  # type: ignore[arg-type]
    assert [when for when, _ in queue] == [BEAT_NS], "one beat for all"
    for _ in range(10_000):
        when, beat = queue.pop()
        beat(when)
    assert when == 10 * SECOND
    assert len(told) == 4000 - (clock._owed > 0.5)
    slow, fast = (told.count(feed) for feed in rates)
    assert abs(slow - 1000) < 150
    assert slow + fast == len(told)
    for feed in rates:
        clock.leave(feed)  # type: ignore[arg-type]
    when, beat = queue.pop()
    beat(when)
    assert not queue
    assert slow + fast == len(told)
