"""Binance's recorded and documented frames: every value against json and float(), in order."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import subcore
from scan_oracle import check
from subcore._events import Event
from subcore._scan import Scanner
from subcore._schema import Schema
from subcore.errors import DecodeError
from subcore.types import GoingAway
from subcore.venues import binance_fields, venue

BINANCE = venue("binance")
DECLARED = binance_fields.schema()
COUNTS = {
    "2021-08-14_spot": {
        "ok": 457, "unknown_channel": 546, "book_ticker": 412, "agg_trade": 28, "candle.1m": 17,
    },
    "2021-08-14_us_spot": {
        "ok": 247, "unknown_channel": 361, "book_ticker": 241, "agg_trade": 3, "candle.1m": 3,
    },
    "2023-04-10_tr_spot": {"ok": 55, "unknown_channel": 84, "book_ticker": 47, "candle.1m": 8},
}  # fmt: skip
PLAIN = {"venue", "channel", "symbol", "receive_time_ns", "is_snapshot", "is_realtime", "is_image"}
MS = 1_000_000


def by_hand(frame: bytes) -> dict[str, Any]:
    """What an event must say, typed again from the venue's documents."""
    said = json.loads(frame)
    kind, data = said["stream"].split("@")[1], said["data"]
    if kind == "bookTicker":
        numbers = {"best_bid_price": "b", "best_bid_size": "B", "best_ask_price": "a", "best_ask_size": "A"}
        return {"update_id": data["u"], **{name: float(data[key]) for name, key in numbers.items()}}
    if kind.startswith("depth"):
        sides = {s: [[float(price), float(size)] for price, size in data[s]] for s in ("bids", "asks")}
        return {"update_id": data["lastUpdateId"], **sides}
    found: dict[str, Any] = {"exchange_time_ns": data["E"] * MS}
    if kind in ("aggTrade", "trade"):
        found |= {"price": float(data["p"]), "size": float(data["q"]), "trade_time_ns": data["T"] * MS}
        found["side"] = "SELL" if data["m"] else "BUY"
        found["id"] = data["a" if kind == "aggTrade" else "t"]
        return found | ({"first_id": data["f"], "last_id": data["l"]} if kind == "aggTrade" else {})
    k = data["k"]
    numbers = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v", "turnover": "q"}
    numbers |= {"buy_volume": "V", "buy_turnover": "Q"}
    found |= {name: float(k[key]) for name, key in numbers.items()}
    found |= {"start_time_ns": k["t"] * MS, "end_time_ns": k["T"] * MS}
    return found | {"trade_count": k["n"], "is_closed": k["x"]}


def compare(frame: bytes, event: Event) -> None:
    found = event.to_dict()
    assert {name: value for name, value in found.items() if name not in PLAIN} == by_hand(frame), frame
    assert event.symbol == json.loads(frame)["stream"].split("@")[0].upper()


@pytest.mark.parametrize("name", COUNTS)
def test_recorded_frames_decode_to_what_json_reads(recordings: Path, name: str) -> None:
    counts: Counter[str] = Counter()
    scanner = Scanner(Schema(DECLARED))
    for frame in (recordings / "binance" / f"rec_{name}_combined.jsonl").read_bytes().splitlines():
        state = check(frame, scanner.scan(frame), DECLARED)
        if b'@depth@100ms"' in frame:  # changes of a book, which nobody can ask for
            assert state == "unknown_channel"
            with pytest.raises(DecodeError, match="unknown_channel"):
                subcore.decode(BINANCE, frame)
        else:
            assert state == "ok"
            event = subcore.decode(BINANCE, frame)
            assert isinstance(event, Event)
            compare(frame, event)
            counts[event.channel] += 1
        counts[state] += 1
    assert counts == COUNTS[name]


DOCUMENTED = [
    b'{"stream":"bnbbtc@trade","data":{"e":"trade","E":1672515782136,"s":"BNBBTC","t":12345,"p":"0.00100000",'
    b'"q":"100.00000000","T":1672515782136,"m":true,"M":true}}',
    b'{"stream":"bnbbtc@trade","data":{"e":"trade","E":1672515782136,"s":"BNBBTC","t":12346,"p":"0.00100000",'
    b'"q":"100.00000000","T":1672515782136,"m":false,"M":true}}',
    b'{"stream":"bnbbtc@depth5","data":{"lastUpdateId":160,"bids":[["0.00240000","10.00000000"]],'
    b'"asks":[["0.00260000","100.00000000"],["0.00270000","0.10000000"]]}}',
    b'{"stream":"btcusdt@depth20@100ms","data":{"lastUpdateId":7,"bids":[],"asks":[]}}',
    b'{"stream":"btcusdt@kline_1M","data":{"e":"kline","E":1672515782136,"s":"BTCUSDT","k":{"t":1672515780000,'
    b'"T":1672515839999,"s":"BTCUSDT","i":"1M","f":100,"L":200,"o":"0.0010","c":"0.0020","h":"0.0025",'
    b'"l":"0.0015","v":"1000","n":100,"x":false,"q":"1.0000","V":"500","Q":"0.500","B":"123456"}}}',
    '{"stream":"币安人生usdt@bookTicker","data":{"u":400900217,"s":"币安人生USDT","b":"25.35190000",'
    '"B":"31.21000000","a":"25.36520000","A":"40.66000000"}}'.encode(),
]


@pytest.mark.parametrize("frame", DOCUMENTED)
def test_documented_frames_decode_to_what_json_reads(frame: bytes) -> None:
    scanner = Scanner(Schema(DECLARED))
    assert check(frame, scanner.scan(frame), DECLARED) == "ok"
    event = subcore.decode(BINANCE, frame)
    assert isinstance(event, Event)
    compare(frame, event)


def test_every_channel_that_can_be_asked_for_has_frames_and_a_public_name() -> None:
    names = {channel.wire_name: channel.name for channel in BINANCE.channels}
    assert len(names) == len(BINANCE.channels)
    assert tuple(names) == DECLARED.channels
    for frame in DOCUMENTED:
        event = subcore.decode(BINANCE, frame)
        assert isinstance(event, Event)
        kind = json.loads(frame)["stream"].split("@")[1]
        assert event.channel == names[kind]
    assert {names[f"depth{n}"] for n in (5, 10, 20)} == {"orderbook"}


@pytest.mark.parametrize("truth", [b'"true"', b"null", b"1", b"tru", b"[]"])
def test_the_takers_side_is_read_of_a_truth_alone(truth: bytes) -> None:
    scanner = Scanner(Schema(DECLARED))
    frame = DOCUMENTED[0].replace(b'"m":true', b'"m":' + truth)
    state = check(frame, scanner.scan(frame), DECLARED)
    assert state == {b'"true"': "ok", b"tru": "bad_json"}.get(truth, "wrong_type")


def test_a_notice_of_the_venue_is_no_data() -> None:
    frame = b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}'
    assert subcore.decode(BINANCE, frame) == GoingAway()
    scanner = Scanner(Schema(DECLARED))
    assert check(frame, scanner.scan(frame), DECLARED) == "ok"
    both = b"[" + frame + b"," + DOCUMENTED[0] + b"]"
    assert [state for state, _ in scanner.scan(both)] == ["control", "ok"]
    for cut in range(1, len(frame)):
        assert check(frame[:cut], scanner.scan(frame[:cut]), DECLARED) != "ok"


def test_a_book_ticker_reads_as_its_best_prices() -> None:
    event = subcore.decode(BINANCE, DOCUMENTED[-1])
    assert repr(event) == (
        "Ticker(币安人生USDT book_ticker best_bid_price=25.3519 best_bid_size=31.21 "
        "best_ask_price=25.3652 best_ask_size=40.66)"
    )
