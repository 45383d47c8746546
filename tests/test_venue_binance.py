"""Binance's grammar against json and against rules typed again from its documents."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subcore.errors import UnknownSymbolError, UnsupportedError, UsageError
from subcore.types import (
    Accepted,
    GoingAway,
    Listing,
    ReasonClass,
    Refused,
    StreamColumns,
    Topic,
    Unknown,
)
from subcore.venue import Counted, Model, Scope, Venue
from subcore.venues import venue

BINANCE = venue("binance")
NAMES = [(channel.name, channel.depths) for channel in BINANCE.channels]
Row = tuple[str, str, int]  # channel, symbol, class


def columns(rows: list[Row], first: int = 0) -> StreamColumns:
    """`orderbook/5` is the book of five levels."""
    indexes = []
    for name, _, _ in rows:
        channel, _, depth = name.partition("/")
        indexes.append(BINANCE.channel_index(channel, int(depth) if depth else None))
    return StreamColumns(
        np.arange(first, first + len(rows), dtype=np.int32),
        np.array(indexes, np.int32),
        [symbol for _, symbol, _ in rows],
        np.zeros(len(rows), np.int32),
        np.zeros(len(rows)),
        np.array([priority for _, _, priority in rows], np.int32),
    )


def messages(
    add: list[Row], remove: list[Row] | None = None, made: Venue = BINANCE
) -> list[dict[str, object]]:
    both = columns(add), columns(remove or [], first=len(add))
    outs = made.encode(*both, columns([]), 7)
    said = [json.loads(out.payload) for out in outs]
    assert [out.request_id for out in outs] == [str(m["id"]) for m in said]
    assert all(out.opcode == 1 for out in outs)
    return said


def test_names_are_lower_case_but_for_the_interval_and_in_the_order_given() -> None:
    rows: list[Row] = [
        ("agg_trade", "BTCUSDT", 0),
        ("orderbook", "BTCUSDT", 1),
        ("orderbook/5", "BTCUSDT", 1),
        ("candle.1M", "ETHUSDT", 3),
        ("book_ticker", "1INCHUSDT", 2),
        ("trade", "币安人生USDT", 1),
    ]
    assert messages(rows) == [
        {
            "method": "SUBSCRIBE",
            "params": [
                "btcusdt@aggTrade",
                "btcusdt@depth20@100ms",
                "btcusdt@depth5@100ms",
                "ethusdt@kline_1M",
                "1inchusdt@bookTicker",
                "币安人生usdt@trade",
            ],
            "id": 7,
        }
    ]


def test_a_slower_book_is_another_name() -> None:
    (said,) = messages([("orderbook/10", "BTCUSDT", 1)], made=venue("binance", book_speed="1000ms"))
    assert said["params"] == ["btcusdt@depth10"]


def test_additions_and_removals_are_messages_of_their_own_with_running_ids() -> None:
    add: list[Row] = [("trade", f"A{n}", 1) for n in range(150)]
    remove: list[Row] = [("trade", f"B{n}", 1) for n in range(3)]
    said = messages(add, remove)
    assert [(m["method"], m["id"], len(m["params"])) for m in said] == [  # type: ignore[arg-type]
        ("SUBSCRIBE", 7, 100),
        ("SUBSCRIBE", 8, 50),
        ("UNSUBSCRIBE", 9, 3),
    ]
    assert messages([]) == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from([f"{n}/{d[0]}" if d else n for n, d in NAMES]),
            st.text("ABC1-_.币안", min_size=1, max_size=50),
            st.integers(0, 3),
        ),
        max_size=300,
    ),
    st.integers(1, 120),
    st.integers(1, 4096),
)
def test_every_stream_is_named_once_within_count_and_bytes(rows: list[Row], count: int, size: int) -> None:
    made = venue("binance", names_per_message=count, bytes_per_message=size)
    half = len(rows) // 2
    add, remove = columns(rows[:half]), columns(rows[half:], first=half)
    outs = made.encode(add, remove, columns([]), 1)
    for out in outs:
        params = json.loads(out.payload)["params"]
        streams = [*out.adds.tolist(), *out.removes.tolist()]
        assert len(params) == len(streams) <= count
        assert len(out.payload) <= size or len(params) == 1
        assert params == [name_of(rows[stream]) for stream in streams]
    assert [s for out in outs for s in out.adds.tolist()] == list(range(half))
    assert [s for out in outs for s in out.removes.tolist()] == list(range(half, len(rows)))


def name_of(row: Row) -> str:
    channel, _, depth = row[0].partition("/")
    kinds = {"book_ticker": "bookTicker", "agg_trade": "aggTrade", "orderbook": f"depth{depth}@100ms"}
    return f"{row[1].lower()}@{kinds.get(channel, channel.replace('candle.', 'kline_'))}"


@pytest.mark.parametrize("symbol", ["BTCUSDT", "1INCHBTC", "币安人生USDT", "A", "BTC_USDT-1.X", "B" * 50])
def test_symbols_as_frames_have_them(symbol: str) -> None:
    BINANCE.check_symbol(symbol)
    assert symbol.lower().upper() == symbol


@pytest.mark.parametrize(
    "symbol", ["", "btcusdt", "BTC USDT", "BTC/USDT", 'A"B', "A\\B", "ÉUSDT", "B" * 51, "A\n"]
)
def test_symbols_that_would_be_met_with_silence(symbol: str) -> None:
    with pytest.raises(UnknownSymbolError, match="BASEQUOTE"):
        BINANCE.check_symbol(symbol)


def test_a_symbol_in_another_spelling_gets_a_hint() -> None:
    for text in ("btcusdt", "BTC/USDT", "btc-usdt"):
        if text != "btc-usdt":
            with pytest.raises(UnknownSymbolError, match="did you mean 'BTCUSDT'"):
                BINANCE.check_symbol(text)


def test_each_depth_is_a_channel_of_its_own_and_the_widest_is_meant_without_one() -> None:
    found = {depth: BINANCE.channel_index("orderbook", depth) for depth in (5, 10, 20)}
    assert len(set(found.values())) == 3
    assert BINANCE.channel_index("orderbook") == found[20]
    assert BINANCE.check_topic(Topic("orderbook", "BTCUSDT", 5)) == Topic("orderbook", "BTCUSDT", 5)
    with pytest.raises(UnsupportedError, match=r"no depth 15; offered: 5, 10, 20"):
        BINANCE.check_topic(Topic("orderbook", "BTCUSDT", 15))
    with pytest.raises(UnsupportedError, match="no depth 5"):
        BINANCE.check_topic(Topic("trade", "BTCUSDT", 5))
    with pytest.raises(UnsupportedError, match="has no grouping"):
        BINANCE.check_topic(Topic("orderbook", "BTCUSDT", grouping=1.0))
    with pytest.raises(
        UnsupportedError, match=r"it has book_ticker, agg_trade, trade, orderbook, candle\.1s"
    ):
        BINANCE.channel_index("ticker")


def test_what_is_declared() -> None:
    assert BINANCE.model is Model.DELTA
    assert BINANCE.connect_plan(BINANCE.routes[0]).url == "wss://stream.binance.com:9443/stream"
    assert venue("binance", endpoint="data").url == "wss://data-stream.binance.vision"
    assert [(c.resource, c.amount, c.soft) for c in BINANCE.capacities] == [("streams", 1024, False)]
    assert BINANCE.life.max_age == 86_400
    connects, sends = BINANCE.limits
    assert (connects.scope, [(w.amount, w.seconds) for w in connects.windows]) == (Scope.IP, [(300, 300)])
    assert sends.counts == {Counted.MESSAGE, Counted.PING, Counted.PONG}
    assert sends.min_gap_seconds == 0.3
    assert BINANCE.classify_close(1008) is ReasonClass.RATE
    assert BINANCE.classify_close(1006) is BINANCE.classify_close(None) is ReasonClass.TRANSIENT


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"format": "x"}, "has no option 'format'"),
        ({"book_speed": "1ms"}, "book_speed is one of 100ms, 1000ms"),
        ({"endpoint": []}, "endpoint is one of stream, data"),
        ({"names_per_message": 0}, "names_per_message is a whole number"),
        ({"bytes_per_message": "4096"}, "bytes_per_message is a whole number"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        venue("binance", **options)


def test_acknowledgements_lists_and_errors() -> None:
    said = {
        b'{"result":null,"id":1}': Accepted("1"),
        b'{"id":"abc","result":null}': Accepted("abc"),
        b'{"result":null,"id":null}': Accepted(""),
        b'{"result":[],"id":3}': Listing((), "3"),
        b'{"result":["btcusdt@aggTrade","ethusdt@kline_1M","bnbbtc@depth5@100ms","!x@arr"],"id":4}': Listing(
            (
                Topic("aggTrade", "BTCUSDT"),
                Topic("kline_1M", "ETHUSDT"),
                Topic("depth5", "BNBBTC"),
                Topic("arr", "!X"),
            ),
            "4",
        ),
        b'{"code":2,"msg":"Invalid request: x","id":5}': Refused(
            "error 2", "Invalid request: x", request_id="5"
        ),
        b'{"error":{"code":4,"msg":"Too many subscriptions"},"id":6}': Refused(
            "error 4", "Too many subscriptions", ReasonClass.CAPACITY, "6"
        ),
        b'{"error":{"code":2,"msg":"x"},"id":[]}': Refused("error 2", "x", request_id=""),
        b'{"e":"serverShutdown","E":1770123456789}': GoingAway(),
        b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}': GoingAway(),
    }
    for frame, control in said.items():
        assert BINANCE.decode_control(frame) == [control]
    for frame in (
        b"",
        b"[",
        b"[1]",
        b"1",
        b'{"id":1}',
        b'{"result":null}',
        b'{"result":[1],"id":1}',
        b"[" * 9999,
        b'{"type":"ticker","code":"KRW-BTC"}',
        b'{"code":2,"id":1}',
        b'{"error":"text","id":1}',
    ):
        assert BINANCE.decode_control(frame) == [Unknown(frame)]


def test_recorded_control_frames(recordings: Path) -> None:
    frames = (recordings / "binance" / "control_frames.jsonl").read_bytes().splitlines()
    found = [BINANCE.decode_control(frame)[0] for frame in frames]
    assert found[0] == Accepted("1")
    assert [(c.name, c.request_id) for c in found[1:] if isinstance(c, Refused)] == [
        ("error 2", ""),
        ("error 2", "1"),
    ]


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["result", "id", "error", "code", "msg", "e", "stream"]), inner),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_nothing_makes_decode_control_raise(frame: bytes) -> None:
    assert len(BINANCE.decode_control(frame)) == 1


def test_the_list_of_markets() -> None:
    rows = [
        {"symbol": "BTCUSDT", "status": "TRADING"},
        {"symbol": "LUNAUSDT", "status": "BREAK"},
        {"symbol": "x y"},
        1,
    ]
    body = json.dumps({"timezone": "UTC", "symbols": rows}).encode()
    assert BINANCE.parse_markets is not None
    assert BINANCE.parse_markets(body) == {"BTCUSDT", "LUNAUSDT"}
    for wrong in (b"", b"[]", b"{}", b'{"symbols":{}}', b'{"symbols":[]}', b'{"symbols":[{"symbol":1}]}'):
        with pytest.raises(ValueError, match=r"list of markets|Expecting"):
            BINANCE.parse_markets(wrong)
