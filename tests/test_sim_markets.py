"""The generated venue looks like the real one: markets, prices, ticks, rates and their heavy tail."""

from __future__ import annotations

import ast
import itertools
import random
import statistics
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

import subcore.sim
from sim_play import Play, frames
from subcore.sim import Market, generate_markets
from subcore.sim.markets import UNIT, markets_for, supported_levels, tick_size
from subcore.sim.state import MarketState

SEEDS = (1, 2, 77)


@pytest.mark.parametrize("seed", SEEDS)
def test_855_markets_as_counted(seed: int) -> None:
    markets = generate_markets(seed)
    assert Counter(m.quote for m in markets) == {"KRW": 289, "BTC": 328, "USDT": 238}
    codes = [m.code for m in markets]
    assert len(set(codes)) == 855
    assert all(
        c == c.upper() and "." not in c and m.code == f"{m.quote}-{m.base}"
        for c, m in zip(codes, markets, strict=True)
    )
    assert {"KRW-BTC", "KRW-ETH", "KRW-ADA", "KRW-DOT", "KRW-XRP", "KRW-USDT", "USDT-BTC", "BTC-ETH"} <= set(
        codes
    )
    assert not {"KRW-KRW", "BTC-BTC", "USDT-USDT"} & set(codes)
    assert any(m.base[0].isdigit() for m in markets)
    assert markets == generate_markets(seed)


def test_prices_are_plausible_and_lie_on_ticks() -> None:
    markets = {m.code: m for m in generate_markets()}
    won = markets["KRW-BTC"].price / UNIT
    assert 50e6 < won < 500e6
    assert markets["KRW-BTC"].price / markets["USDT-BTC"].price == pytest.approx(1450, rel=0.01)
    assert markets["BTC-ETH"].price * markets["KRW-BTC"].price / UNIT == pytest.approx(
        markets["KRW-ETH"].price, rel=0.01
    )
    for market in markets.values():
        tick = tick_size(market.quote, market.price)
        assert market.price % tick == 0, market.code
        assert market.price >= 40 * tick


@pytest.mark.parametrize(
    ("quote", "price", "tick"),
    [("KRW", 116_539_000, 1000), ("KRW", 4_407_000, 1000), ("KRW", 2045, 1), ("KRW", 111, 1), ("KRW", 33.6, 0.1),
     ("KRW", 5.0, 0.01), ("BTC", 0.03, 1e-8), ("USDT", 64464.09, 0.01), ("USDT", 0.5, 0.0001)],
)  # fmt: skip
def test_tick_sizes(quote: str, price: float, tick: float) -> None:
    assert tick_size(quote, round(price * UNIT)) == round(tick * UNIT)


def test_only_krw_markets_can_be_grouped() -> None:
    assert supported_levels("BTC", 5 * UNIT) == (0,)
    levels = supported_levels("KRW", 116_539_000 * UNIT)
    assert [level // UNIT for level in levels] == [0, 10_000, 100_000, 1_000_000, 10_000_000]


def test_invented_markets_and_bad_codes() -> None:
    (market,) = markets_for(["KRW-MADEUP"])
    assert market.code == "KRW-MADEUP"
    with pytest.raises(ValueError, match="QUOTE-BASE"):
        markets_for(["EURUSD"])


@pytest.mark.parametrize("seed", SEEDS[1:])
def test_all_books_together_make_800_frames_a_second_with_a_heavy_tail(seed: int) -> None:
    play = Play(seed=seed)
    conn = play.connect()
    play.ask(conn, "orderbook", list(play.exchange.markets))
    play.pass_time(1)
    out = play.pass_time(30)
    live = [o.payload for o in out if b"REALTIME" in o.payload]
    assert len(live) / 30 == pytest.approx(800, rel=0.08)
    assert statistics.mean(len(o.payload) for o in out) == pytest.approx(2737, rel=0.1)
    counts = Counter(payload.split(b'"', 8)[7] for payload in live)
    silent = 855 - len(counts)
    assert 120 <= silent <= 280, "181 and 191 of 855 sent nothing but a snapshot in 30 to 40 s"
    ranked = [n for _, n in counts.most_common()]
    assert sum(ranked[:85]) > 0.4 * sum(ranked), "a tenth of the markets carries much of the traffic"
    assert statistics.median([*ranked, *[0] * silent]) < 0.5 * sum(ranked) / 855
    assert max(ranked) <= 300, "no KRW market has more than ten books a second"
    assert any(b'_price":0,' in payload for payload in live), "thin books are padded"


def test_krw_books_lie_on_a_grid_with_a_phase_of_each_market() -> None:
    play = Play()
    conn = play.connect()
    play.ask(conn, "orderbook", [*list(play.exchange.markets)[:40], "USDT-BTC"])
    times = defaultdict(list)
    for frame in frames(play.pass_time(30)):
        if frame["stream_type"] == "REALTIME":
            times[frame["code"]].append(frame["timestamp"])
    usdt = times.pop("USDT-BTC")
    phases = {code: {t % 100 for t in stamps} for code, stamps in times.items()}
    assert all(len(phase) == 1 for phase in phases.values())
    assert len({min(phase) for phase in phases.values()}) > 20
    assert len({t % 100 for t in usdt}) > 20
    assert min(b - a for a, b in itertools.pairwise(usdt) if b != a) >= 190
    assert all(stamps == sorted(stamps) for stamps in times.values())


def test_thin_btc_markets_are_padded() -> None:
    markets = [m for m in generate_markets() if m.quote == "BTC"]
    thin = sum(m.ask_depth < 30 or m.bid_depth < 30 for m in markets)
    assert 0.6 < thin / len(markets) < 0.8, "42 of 60 sampled"
    play = Play()
    conn = play.connect()
    play.ask(conn, "orderbook", [m.code for m in markets])
    for frame in frames(play.pass_time(0.5)):
        market = play.exchange.markets[frame["code"]]
        units = frame["orderbook_units"]
        assert len(units) == 30
        assert sum(u["ask_price"] > 0 for u in units) == market.ask_depth
        assert all((u["ask_price"] > 0) == (u["ask_size"] > 0) for u in units)
        assert all((u["bid_price"] > 0) == (u["bid_size"] > 0) for u in units)


def test_trades_come_in_bursts_with_ids_out_of_order_and_shared_by_markets() -> None:
    play = Play(rate=4.0)
    conn = play.connect()
    play.ask(conn, "trade", list(play.exchange.markets), is_only_realtime=True)
    by_market: dict[str, list[Any]] = defaultdict(list)
    for frame in frames(play.pass_time(20)):
        by_market[frame["code"]].append(frame)
    back = 0
    for trades in by_market.values():
        ids = [t["sequential_id"] for t in trades]
        assert len(set(ids)) == len(ids), "unique within a market"
        back += sum(b < a for a, b in itertools.pairwise(ids))
        stamps = [t["timestamp"] for t in trades]
        assert stamps == sorted(stamps), "the frame's own time never goes back"
        assert all(t["trade_timestamp"] <= t["timestamp"] for t in trades)
        assert all(len(str(i)) == 17 for i in ids)
        assert all(t["sequential_id"] // 10_000 == t["trade_timestamp"] for t in trades)
    total = sum(map(len, by_market.values()))
    assert 0.002 < back / total < 0.1
    owners = defaultdict(set)
    for code, trades in by_market.items():
        for trade in trades:
            owners[trade["sequential_id"]].add(code)
    assert sum(len(codes) > 1 for codes in owners.values()) > 5
    sizes = sorted(t["trade_volume"] for t in by_market["KRW-BTC"])
    assert sizes[-1] > 20 * sizes[len(sizes) // 2], "trade sizes have a heavy tail"


def test_btc_trades_and_tickers_as_often_as_measured() -> None:
    play = Play()
    conn = play.connect()
    play.send(
        conn,
        [{"ticket": "t"}, {"type": "trade", "codes": ["KRW-BTC"]}, {"type": "ticker", "codes": ["KRW-BTC"]}],
    )
    counts = Counter(f["type"] for f in frames(play.pass_time(350)))
    assert 200 < counts["trade"] < 930, "20 to 93 in 30 to 40 s"
    assert 150 < counts["ticker"] <= counts["trade"]


def test_sleeping_markets_move_on_but_keep_their_last_trade_when_nothing_happened() -> None:
    play = Play()
    conn = play.connect()
    play.ask(conn, "trade", ["KRW-BTC"], is_only_snapshot=True)
    (before,) = frames(play.pass_time(1))
    play.ask(conn, "trade", ["KRW-BTC"], is_only_snapshot=True)
    play.pass_time(5)
    play.exchange.closed(conn, play.ns())
    play.pass_time(3600)
    conn = play.connect()
    play.ask(conn, "trade", ["KRW-BTC"], is_only_snapshot=True)
    (after,) = frames(play.pass_time(1))
    assert after["trade_timestamp"] > before["trade_timestamp"] + 3_000_000
    assert after["sequential_id"] != before["sequential_id"]


def test_daily_figures_begin_anew_at_utc_midnight() -> None:
    play = Play()
    play.now = 86_400 - 1_790_000_000 % 86_400 - 5.0
    conn = play.connect()
    play.ask(conn, "ticker", ["KRW-BTC"])
    got = frames(play.pass_time(60))
    days = {f["trade_date"] for f in got}
    assert len(days) == 2
    old, new = (
        [f for f in got if f["trade_date"] == min(days)],
        [f for f in got if f["trade_date"] == max(days)],
    )
    assert new[0]["acc_trade_volume"] < old[-1]["acc_trade_volume"]
    assert new[-1]["prev_closing_price"] == new[-1]["opening_price"] != old[0]["prev_closing_price"]


@pytest.mark.parametrize("seed", SEEDS)
def test_markets_never_contradict_themselves(seed: int) -> None:
    rng = random.Random(seed)
    for market in rng.sample(generate_markets(seed), 60):
        state = MarketState(market, seed, 1_790_000_000_000, 46)
        now = 1_790_000_000_000
        for _ in range(400):
            now += rng.randrange(1, 5000)
            if rng.random() < 0.5:
                assert state.taker_order(now)
            else:
                state.book_change(now, traded=False)
            state.check()
        state.catch_up(now, now + 10_000_000, 1.0)
        state.check()


@pytest.mark.parametrize("gap_ms", [2, 7, 400])
def test_no_two_trades_of_a_market_share_an_id_however_fast_they_come(gap_ms: int) -> None:
    """Also those that carry the whole second before them."""
    (market,) = markets_for(["KRW-BTC"])
    state = MarketState(market, 3, 1_790_000_000_000, 46)
    told = [
        trade.sequential_id
        for n in range(4000)
        for trade in state.taker_order(1_790_000_000_500 + n * gap_ms)
    ]
    assert len(told) > 4000
    assert [id for id, count in Counter(told).items() if count > 1] == []
    assert len(state._counters) <= 5000 * 2


def test_given_markets_are_taken_as_they_are() -> None:
    market = generate_markets()[0]
    play = Play(markets=[market, "KRW-ETH"])
    assert list(play.exchange.markets) == ["KRW-BTC", "KRW-ETH"]
    assert isinstance(play.exchange.markets["KRW-ETH"], Market)


def test_the_exchange_shares_no_code_with_what_it_tests() -> None:
    """It may import the standard library, numpy, picows (and picows' own multidict), and itself."""
    folder = Path(subcore.sim.__file__).parent
    foreign = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                foreign |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level <= 1, f"{path.name} reaches out of its folder"
                if node.level == 0 and not str(node.module).startswith("subcore.sim."):
                    foreign.add(str(node.module).split(".")[0])
    allowed = {"picows", "multidict", "numpy"}
    assert not {
        name for name in foreign if name not in allowed and name not in __import__("sys").stdlib_module_names
    }
