"""`decode`: recorded frames against json, everything else against what its docstring says."""

from __future__ import annotations

import dataclasses
import gc
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import examples
from subcore._decode import decode, decode_all
from subcore._events import Event, Orderbook, Trade
from subcore.errors import DecodeError, UsageError
from subcore.types import Alive, Listing, Refused, Side
from subcore.venues import venue

TRADE = (
    b'{"type":"trade","code":"KRW-BTC","timestamp":1788000000123,"trade_price":100500000.00000000,'
    b'"trade_volume":0.00012340,"ask_bid":"BID","sequential_id":17880000000770001,"stream_type":"REALTIME"}'
)
UP = b'{"status":"UP"}'


def lines(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    yield from (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines()


# What a frame says, told by json: SIMPLE names beside DEFAULT ones.
NAMES = {
    "ticker": {
        "price": ("trade_price", "tp"),
        "open": ("opening_price", "op"),
        "high": ("high_price", "hp"),
        "low": ("low_price", "lp"),
        "previous_close": ("prev_closing_price", "pcp"),
        "size": ("trade_volume", "tv"),
        "volume_24h": ("acc_trade_volume_24h", "atv24h"),
        "turnover_24h": ("acc_trade_price_24h", "atp24h"),
        "change": ("change", "c"),
        "high_52w_date": ("highest_52_week_date", "h52wdt"),
        "delisting_date": ("delisting_date", "dd"),
        "is_trading_suspended": ("is_trading_suspended", "its"),
    },
    "trade": {
        "price": ("trade_price", "tp"),
        "size": ("trade_volume", "tv"),
        "id": ("sequential_id", "sid"),
        "best_bid_price": ("best_bid_price", "bbp"),
        "change_price": ("change_price", "cp"),
    },
    "orderbook": {
        "total_bid_size": ("total_bid_size", "tbs"),
        "total_ask_size": ("total_ask_size", "tas"),
    },
    "candle": {
        "open": ("opening_price", "op"),
        "close": ("trade_price", "tp"),
        "volume": ("candle_acc_trade_volume", "catv"),
        "turnover": ("candle_acc_trade_price", "catp"),
    },
}


def said(frame: dict[str, Any], names: tuple[str, str]) -> Any:
    return frame.get(names[0], frame.get(names[1]))


def check(event: Event, frame: dict[str, Any]) -> None:
    channel = said(frame, ("type", "ty"))
    assert event.channel == channel
    assert event.symbol == said(frame, ("code", "cd"))
    assert event.exchange_time_ns == said(frame, ("timestamp", "tms")) * 1_000_000
    assert event.is_snapshot == (said(frame, ("stream_type", "st")) == "SNAPSHOT")
    for name, names in NAMES[channel.split(".")[0]].items():
        assert getattr(event, name) == said(frame, names), name
    if channel in ("ticker", "trade"):
        assert event.side is {"ASK": Side.SELL, "BID": Side.BUY, None: None}[said(frame, ("ask_bid", "ab"))]
    if isinstance(event, Orderbook):
        units = said(frame, ("orderbook_units", "obu"))
        for levels, price, size in (
            (event.bids, ("bid_price", "bp"), ("bid_size", "bs")),
            (event.asks, ("ask_price", "ap"), ("ask_size", "as")),
        ):
            assert [tuple(level) for level in levels] == [
                (said(unit, price), said(unit, size)) for unit in units if said(unit, price)
            ]


@pytest.mark.parametrize(
    "name",
    [
        "rec_2021-04-05_simple_trade_orderbook.jsonl.gz",
        "wire_samples.jsonl",
        "wire_samples_unlicensed.jsonl",
        "fixtures_not_recorded.jsonl",
    ],
)
def test_recorded_frames_decode_to_what_json_says(recordings: Path, name: str) -> None:
    path = recordings / "upbit" / name
    sources = path.with_name(name.split(".")[0] + ".sources.jsonl")
    notes = [json.loads(line)["fidelity"] for line in lines(sources)] if sources.exists() else []
    seen = 0
    for number, line in enumerate(lines(path)):
        parsed = json.loads(line)
        try:
            found = decode_all("upbit", line, receive_time_ns=number)
        except DecodeError as refused:
            reason, found = refused.reason, []
        if not found:
            assert (reason, "trim" in notes[number]) == ("missing_field", True), line
            continue
        for event, frame in zip(found, parsed if isinstance(parsed, list) else [parsed], strict=True):
            if isinstance(event, Event) and said(frame, ("type", "ty")).split(".")[0] in NAMES:
                assert event.receive_time_ns == number
                assert event.venue == "upbit"
                check(event, frame)
                seen += 1
    assert seen > 3


def test_one_event() -> None:
    event = decode("upbit", TRADE, receive_time_ns=5)
    assert isinstance(event, Trade)
    assert (event.price, event.id, event.receive_time_ns, event.raw) == (
        100500000.0,
        17880000000770001,
        5,
        None,
    )
    assert decode("upbit", b"[" + TRADE + b"]", receive_time_ns=5) == event


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_takes_any_bytes(kind: type) -> None:
    assert decode("upbit", kind(TRADE)) == decode("upbit", TRADE)
    assert decode_all("upbit", kind(TRADE)) == [decode("upbit", TRADE)]


@pytest.mark.parametrize("frame", ["text", None, 5])
def test_refuses_what_is_no_bytes(frame: Any) -> None:
    with pytest.raises(TypeError):
        decode("upbit", frame)


def test_texts_are_shared() -> None:
    one, other = decode("upbit", TRADE), decode("upbit", TRADE)
    assert isinstance(one, Trade)
    assert isinstance(other, Trade)
    assert one.symbol is other.symbol
    assert one.channel is other.channel


def test_control_frames_are_what_the_venue_says() -> None:
    assert decode("upbit", UP) == Alive()
    assert decode("upbit", b'{"error":{"name":"NO_TICKET","message":"x"}}') == Refused("NO_TICKET", "x")
    listing = b'{"method":"LIST_SUBSCRIPTIONS","result":[{"type":"ticker","codes":["KRW-BTC"]}],"ticket":"t"}'
    assert isinstance(decode("upbit", listing), Listing)


def test_lists_keep_their_order() -> None:
    event = decode("upbit", TRADE)
    assert decode_all("upbit", b"[" + b",".join([TRADE, UP, TRADE, UP]) + b"]") == [
        event,
        Alive(),
        event,
        Alive(),
    ]
    assert decode_all("upbit", b"[]") == []
    with pytest.raises(UsageError, match=r"holds 2 .* decode_all"):
        decode("upbit", b"[" + TRADE + b"," + UP + b"]")
    with pytest.raises(DecodeError, match="holds nothing") as caught:
        decode("upbit", b"[]")
    assert caught.value.reason == "empty"


@pytest.mark.parametrize("ask", [decode, decode_all])
@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "bad_json"),
        (TRADE[:-1], "bad_json"),
        (TRADE + b"x", "trailing_bytes"),
        (TRADE + TRADE, "trailing_bytes"),
        (b"[" + TRADE + b",5]", "wrong_type"),
        (b"[" + TRADE + b"," + TRADE[:-1] + b"]", "bad_json"),
        (TRADE.replace(b'"trade_price":100500000.00000000,', b""), "missing_field"),
        (TRADE.replace(b'"trade","code"', b'"dream","code"'), "unknown_channel"),
    ],
)
def test_refusals_say_why_and_where(ask: Any, frame: bytes, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason) as caught:
        ask("upbit", frame)
    assert caught.value.reason == reason
    assert 0 <= caught.value.offset <= len(frame)
    assert ask("upbit", TRADE)  # the decoder is as good as before


@examples(200)
@given(st.binary(max_size=60) | st.text(max_size=40).map(lambda text: json.dumps({"type": text}).encode()))
def test_anything_ends_in_an_object_or_a_named_error(frame: bytes) -> None:
    try:
        found: object = decode("upbit", frame)
    except (DecodeError, UsageError) as error:
        found = str(error)
    assert found


def test_venues_by_name_or_value() -> None:
    with pytest.raises(UsageError, match="no venue is called 'nope'"):
        decode("nope", TRADE)
    own = dataclasses.replace(venue("upbit"), name="own")
    assert decode(own, TRADE).venue == "own"
    assert decode("upbit-sg", TRADE).venue == "upbit-sg"
    assert decode("upbit", TRADE).venue == "upbit"


def test_venues_are_not_hoarded() -> None:
    base, names = venue("upbit"), []
    for number in range(50):
        names.append(decode(dataclasses.replace(base, name=f"v{number}"), TRADE).venue)
    assert names == [f"v{number}" for number in range(50)]
    gc.collect()
    kept = [o for o in gc.get_objects() if isinstance(o, type(base)) and o.name.startswith("v")]
    assert len(kept) <= 17


def test_symbols_never_met_before_cost_no_more_than_a_full_table() -> None:
    base = dataclasses.replace(venue("upbit"), name="flood")
    for number in range(66_000):
        frame = TRADE.replace(b"KRW-BTC", b"KRW-%d" % number)
        assert decode(base, frame).symbol == f"KRW-{number}"
    long = "K" * 300
    assert decode(base, TRADE.replace(b"KRW-BTC", long.encode())).symbol == long


def test_decoding_inside_a_finalizer_harms_nothing() -> None:
    base = dataclasses.replace(venue("upbit"), name="nested")
    inner: list[Any] = []

    def control(frame: bytes) -> list[Any]:
        inner.append(decode(base, TRADE.replace(b"KRW-BTC", b"KRW-ETH")))
        return [Alive()] * 2

    base = dataclasses.replace(base, decode_control=control)
    found = decode_all(base, b"[" + TRADE + b"," + UP + b"]")
    assert [getattr(one, "symbol", None) for one in found] == ["KRW-BTC", None]
    assert inner[0].symbol == "KRW-ETH"
