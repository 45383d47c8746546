"""Frames: the tables of the venue's documentation, exact values, every spelling; against `json` and plain Python."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_play import Play, frames
from subcore.sim import frames as samples
from subcore.sim.numbers import SPELLINGS, decimal, double, fixed, fixed4, plain, scientific, wide

FORMATS = ("DEFAULT", "SIMPLE", "JSON_LIST", "SIMPLE_LIST")
# Typed from the documentation's field tables: DEFAULT names in sorted order beside their SIMPLE names.
FIELDS = {
    "ticker": """type ty code cd opening_price op high_price hp low_price lp trade_price tp prev_closing_price
        pcp change c
        change_price cp signed_change_price scp change_rate cr signed_change_rate scr trade_volume tv
        acc_trade_volume atv
        acc_trade_volume_24h atv24h acc_trade_price atp acc_trade_price_24h atp24h trade_date tdt trade_time ttm
        trade_timestamp ttms ask_bid ab acc_ask_volume aav acc_bid_volume abv highest_52_week_price h52wp
        highest_52_week_date h52wdt lowest_52_week_price l52wp lowest_52_week_date l52wdt market_state ms
        is_trading_suspended its delisting_date dd market_warning mw timestamp tms stream_type st""",
    "trade": """type ty code cd trade_price tp trade_volume tv ask_bid ab prev_closing_price pcp change c
        change_price cp
        trade_date td trade_time ttm trade_timestamp ttms timestamp tms sequential_id sid best_ask_price bap
        best_ask_size bas
        best_bid_price bbp best_bid_size bbs stream_type st""",
    "orderbook": """type ty code cd total_ask_size tas total_bid_size tbs orderbook_units obu timestamp tms level lv
        stream_type st""",
    "candle.1m": """type ty code cd candle_date_time_utc cdttmu candle_date_time_kst cdttmk opening_price op
        high_price hp
        low_price lp trade_price tp candle_acc_trade_volume catv candle_acc_trade_price catp timestamp tms
        stream_type st""",
}


def names(kind: str, format: str) -> set[str]:
    return set(FIELDS[kind].split()[1 if format.startswith("SIMPLE") else 0 :: 2])


def body(frame: bytes) -> dict[str, Any]:
    value = json.loads(frame)
    return value[0] if isinstance(value, list) else value  # type: ignore[no-any-return]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("kind", list(FIELDS))
def test_live_frames_have_exactly_the_documented_fields(kind: str, format: str) -> None:
    play = Play()
    conn = play.connect()
    play.ask(conn, kind, ["KRW-BTC", "BTC-ETH"], format=format)
    out = play.pass_time(10)
    assert len(out) > 3
    for output in out:
        assert output.payload.startswith(b"[{" if format.endswith("_LIST") else b"{")
        assert set(body(output.payload)) == names(kind, format)


def test_same_values_in_default_and_simple() -> None:
    play = Play()
    for format in ("DEFAULT", "SIMPLE"):
        conn = play.connect()
        play.send(
            conn,
            [
                {"ticket": "t"},
                *({"type": k, "codes": ["KRW-BTC", "USDT-BTC"]} for k in FIELDS),
                {"format": format},
            ],
        )
    out = play.pass_time(10)
    default, simple = ([o.payload for o in out if o.conn == conn] for conn in (1, 2))
    assert len(default) == len(simple) > 50
    units = dict(
        zip(
            *[iter(["ask_price", "ap", "bid_price", "bp", "ask_size", "as", "bid_size", "bs"])] * 2,
            strict=True,
        )
    )
    for a, b in zip(default, simple, strict=True):
        one, two = json.loads(a), json.loads(b)
        for long, short in zip(*[iter(FIELDS[one["type"]].split())] * 2, strict=True):
            left, right = one[long], two[short]
            if long == "orderbook_units":
                right = [{k: u[s] for k, s in units.items()} for u in right]
            assert left == right, (long, left, right)


def test_frames_agree_with_each_other() -> None:
    play = Play(seed=2, rate=3.0)
    conn = play.connect()
    play.send(conn, [{"ticket": "t"}, *({"type": k, "codes": ["KRW-XRP"]} for k in FIELDS)])
    trades: list[Any] = []
    book_times = []
    for frame in frames(play.pass_time(120)):
        if frame["type"] == "trade":
            assert frame["best_bid_price"] < frame["best_ask_price"]
            if frame["stream_type"] == "REALTIME":
                trades.append(frame)
        elif frame["type"] == "ticker" and trades and frame["stream_type"] == "REALTIME":
            last = trades[-1]
            assert (frame["trade_price"], frame["ask_bid"]) == (last["trade_price"], last["ask_bid"])
            assert frame["trade_timestamp"] == last["trade_timestamp"]
            assert frame["low_price"] <= frame["trade_price"] <= frame["high_price"]
            change = Decimal(str(frame["trade_price"])) - Decimal(str(frame["prev_closing_price"]))
            assert Decimal(str(frame["signed_change_price"])) == change
            assert frame["change"] == ("RISE" if change > 0 else "FALL" if change < 0 else "EVEN")
            assert frame["acc_trade_volume"] == pytest.approx(
                frame["acc_ask_volume"] + frame["acc_bid_volume"]
            )
        elif frame["type"] == "orderbook":
            units = frame["orderbook_units"]
            asks = [u["ask_price"] for u in units if u["ask_price"]]
            bids = [u["bid_price"] for u in units if u["bid_price"]]
            assert asks == sorted(set(asks))
            assert bids == sorted(set(bids), reverse=True)
            assert bids[0] < asks[0]
            assert frame["total_ask_size"] == pytest.approx(sum(u["ask_size"] for u in units))
            assert frame["total_bid_size"] == pytest.approx(sum(u["bid_size"] for u in units))
            book_times.append(frame["timestamp"])
    assert len(trades) > 50
    assert book_times == sorted(book_times)


def test_a_trade_moves_the_candle_and_the_volume() -> None:
    play = Play(seed=4, rate=5.0)
    conn = play.connect()
    play.send(
        conn,
        [
            {"ticket": "t"},
            {"type": "trade", "codes": ["KRW-BTC"]},
            {"type": "candle.1s", "codes": ["KRW-BTC"]},
        ],
    )
    got = frames(play.pass_time(60))
    live = [f for f in got if f["stream_type"] == "REALTIME"]
    volumes: Counter[str] = Counter()
    for trade in live:
        if trade["type"] == "trade":
            volumes[f"{trade['trade_date']}T{trade['trade_time']}"] += trade["trade_volume"]  # type: ignore[assignment]
    final = {
        f["candle_date_time_utc"]: f["candle_acc_trade_volume"] for f in live if f["type"] == "candle.1s"
    }
    same = [second for second in final if final[second] == pytest.approx(volumes[second])]
    assert len(final) > 20
    assert len(same) >= 0.85 * len(final), "only trades told late or put on a whole second may differ"


def test_captured_spellings_all_occur() -> None:
    text = {}
    for format in ("DEFAULT", "SIMPLE"):
        play = Play(rate=3.0)
        conn = play.connect()
        codes = list(play.exchange.markets)
        items = [{"type": k, "codes": codes} for k in ("ticker", "trade", "orderbook")]
        play.send(conn, [{"ticket": "t"}, *items, {"format": format}])
        text[format] = b"\n".join(o.payload for o in play.pass_time(3)).decode()
    wanted = {
        "DEFAULT": [r'"ask_price":\d\.\d+E8', r'_size":0\.\d+0[,}]', r'"trade_price":\d+\.00000000',
                    r'"best_ask_price":\d+,',
                    r'"acc_trade_price":\d+\.\d{16}', r'"change_price":0E-8', r'"trade_price":\d\.\d+E[78]',
                    r'"ask_price":0,'],
        "SIMPLE": [r'"ap":\d+,', r'"as":\d\.\d+E-4', r'"as":5\.0E-4|"bs":\d\.0E-4', r'"tp":\d+\.0,',
                    r'"tp":\d+\.00000000',
                   r'"tv":\dE-8|"tv":\d\.\dE-7'],
    }  # fmt: skip
    for format, patterns in wanted.items():
        missing = [p for p in patterns if not re.search(p, text[format])]
        assert not missing, (format, missing)


@given(st.integers(-(10**20), 10**20))
def test_every_spelling_has_the_same_value(units: int) -> None:
    for spell in SPELLINGS:
        assert Decimal(spell(units)) == Decimal(units).scaleb(-8), spell.__name__
        assert float(json.loads(spell(units))) == float(Decimal(units).scaleb(-8))


def test_spellings_as_captured() -> None:
    assert double(116539000 * 10**8) == "1.16539E8"
    assert double(49120000 * 10**8) == "4.912E7"
    assert double(79276) == "7.9276E-4"
    assert double(50000) == "5.0E-4"
    assert plain(116606000 * 10**8) == "116606000"
    assert fixed(77720) == "0.00077720"
    assert fixed(106691000 * 10**8) == "106691000.00000000"
    assert fixed4(49190000 * 10**8) == "49190000.0000"
    assert decimal(127 * 10**8) == "127.0"
    assert [scientific(n) for n in (6, 99, 0, 120518500)] == ["6E-8", "9.9E-7", "0E-8", "1.205185"]
    assert wide(1969980060025381) == "19699800.6002538100000000"


@pytest.mark.parametrize("kind", list(samples.KINDS))
@pytest.mark.parametrize("format", FORMATS)
def test_generated_frames_are_valid_and_of_their_kind(kind: str, format: str) -> None:
    rng = random.Random(7)
    make = samples.KINDS[kind]
    for n in range(60):
        value = body(make(rng, format, shuffle=n % 2 == 1))
        wanted = names("candle.1m" if kind == "candle" else kind, format)
        optional = {
            "best_ask_price",
            "best_ask_size",
            "best_bid_price",
            "best_bid_size",
            "bap",
            "bas",
            "bbp",
            "bbs",
        }
        assert set(value) <= wanted
        assert wanted - set(value) <= optional
        assert value["ty" if format.startswith("SIMPLE") else "type"].split(".")[0] == kind
    assert set(body(make(rng, format, unknown=True))) - wanted


def test_generated_frames_hold_every_spelling_and_repeat_from_their_seed() -> None:
    text = b"".join(samples.any_frame(random.Random(n)) for n in range(200)).decode()
    for pattern in (
        r":\d+[,}]",
        r":\d+\.0[,}]",
        r"\.\d{16}[,}]",
        r"\dE-8[,}]",
        r"\d\.\d+E1?\d[,}]",
        r":0E-8",
        r":-\d",
        r":null",
    ):
        assert re.search(pattern, text), pattern
    assert text == b"".join(samples.any_frame(random.Random(n)) for n in range(200)).decode()
