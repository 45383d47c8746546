"""Upbit's grammar against json and against the strict exchange's own reading of the same documents."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subcore.errors import UnknownSymbolError, UnsupportedError, UsageError
from subcore.sim.requests import Request, Wanted, parse_request
from subcore.types import Alive, Listing, ReasonClass, Refused, StreamColumns, Topic, Unknown
from subcore.venue import Model, Scope
from subcore.venues import get_venue, venue, venue_names

UPBIT = venue("upbit")
NOTHING = StreamColumns(
    np.empty(0, np.int32),
    np.empty(0, np.int32),
    [],
    np.empty(0, np.int32),
    np.empty(0),
    np.empty(0, np.int32),
)
Row = tuple[str, str, int, float, int]  # channel, symbol, width, grouping, class


def columns(rows: list[Row], first: int = 0) -> StreamColumns:
    names = [c.name for c in UPBIT.channels]
    return StreamColumns(
        np.arange(first, first + len(rows), dtype=np.int32),
        np.array([names.index(r[0]) for r in rows], np.int32),
        [r[1] for r in rows],
        np.array([r[2] for r in rows], np.int32),
        np.array([r[3] for r in rows], np.float64),
        np.array([r[4] for r in rows], np.int32),
    )


def ask(rows: list[Row], **options: object) -> list[dict[str, object]]:
    made = venue("upbit", **options)
    (out,) = made.encode(columns(rows), NOTHING, columns(rows), 7)
    assert out.opcode == 1
    said: list[dict[str, object]] = json.loads(out.payload)
    return said


def test_one_message_for_all_channels_of_all_symbols_in_order_of_class() -> None:
    rows: list[Row] = [
        ("ticker", "KRW-BTC", 0, 0.0, 1),
        ("orderbook", "KRW-BTC", 5, 0.0, 3),
        ("ticker", "KRW-ETH", 0, 0.0, 2),
        ("candle.1m", "KRW-BTC", 0, 0.0, 0),
        ("trade", "BTC-ETH", 0, 0.0, 2),
    ]
    assert ask(rows) == [
        {"ticket": "s7"},
        {"type": "orderbook", "codes": ["KRW-BTC.5"]},
        {"type": "ticker", "codes": ["KRW-ETH", "KRW-BTC"]},
        {"type": "trade", "codes": ["BTC-ETH"]},
        {"type": "candle.1m", "codes": ["KRW-BTC"]},
        {"format": "SIMPLE"},
    ]


def test_depth_is_a_suffix_and_the_widest_needs_none() -> None:
    rows: list[Row] = [("orderbook", f"KRW-{w}", w, 0.0, 1) for w in (0, 1, 5, 15, 30)]
    entry = ask(rows)[1]
    assert sorted(entry["codes"]) == ["KRW-0", "KRW-1.1", "KRW-15.15", "KRW-30", "KRW-5.5"]  # type: ignore


def test_groupings_are_entries_of_their_own() -> None:
    rows: list[Row] = [("orderbook", "KRW-BTC", 0, g, 1) for g in (0.0, 1000.0, 0.1)]
    levels = [entry.get("level") for entry in ask(rows)[1:-1]]
    assert levels == [None, 1000, 0.1]


def test_the_format_is_asked_for_and_nothing_else_can_be() -> None:
    rows: list[Row] = [("ticker", "KRW-BTC", 0, 0.0, 1)]
    assert ask(rows, format="DEFAULT")[-1] == {"format": "DEFAULT"}
    with pytest.raises(UsageError, match="SIMPLE"):
        venue("upbit", format="XML")
    with pytest.raises(UsageError, match="format"):
        venue("upbit", fromat="DEFAULT")


def test_nothing_is_never_sent_since_an_empty_request_is_an_error() -> None:
    assert UPBIT.encode(NOTHING, columns([("ticker", "KRW-BTC", 0, 0.0, 1)]), NOTHING, 1) == []


def test_carried_streams_may_be_asked_as_realtime_only() -> None:
    old, new = ("ticker", "KRW-BTC", 0, 0.0, 1), ("ticker", "KRW-ETH", 0, 0.0, 1)
    target, added = columns([old, new]), columns([new], first=1)
    made = venue("upbit", carried_realtime_only=True)
    assert not made.resnapshots
    (out,) = made.encode(added, NOTHING, target, 1)
    assert json.loads(out.payload)[1:-1] == [
        {"type": "ticker", "codes": ["KRW-BTC"], "is_only_realtime": True},
        {"type": "ticker", "codes": ["KRW-ETH"]},
    ]
    camel = venue("upbit-sg", carried_realtime_only=True)
    (out,) = camel.encode(added, NOTHING, target, 1)
    assert b'"isOnlyRealtime":true' in out.payload


@given(st.integers(0, 2**32), st.integers(1, 60))
def test_the_exchange_reads_exactly_what_was_meant(seed: int, count: int) -> None:
    rng = random.Random(seed)
    public = [c for c in UPBIT.channels if c.route == "public"]
    rows: dict[tuple[str, str, float], Row] = {}
    for _ in range(count):
        channel, symbol = rng.choice(public), f"KRW-A{rng.randint(0, 30)}"
        width = rng.choice((0, *channel.depths)) if channel.depths else 0
        grouping = float(rng.choice((0, 0, 10, 1000))) if channel.grouping else 0.0
        rows[channel.name, symbol, grouping] = (channel.name, symbol, width, grouping, rng.randint(0, 3))
    target = columns(list(rows.values()))
    (out,) = UPBIT.encode(target, NOTHING, target, 3)
    read = parse_request(out.payload)
    meant = {
        Wanted(c, s, (w or 30) if c == "orderbook" else 0, round(g * 1e8)) for c, s, w, g, _ in rows.values()
    }
    assert isinstance(read, Request)
    assert set(read.streams or ()) == meant


def test_the_listing_request_names_the_format_that_is_in_force() -> None:
    assert UPBIT.encode_listing is not None
    out = UPBIT.encode_listing(9)
    assert json.loads(out.payload) == [
        {"ticket": "s9"},
        {"method": "LIST_SUBSCRIPTIONS"},
        {"format": "SIMPLE"},
    ]


LISTINGS = [
    b'{"method":"LIST_SUBSCRIPTIONS","result":[{"type":"ticker","codes":["KRW-BTC"]},'
    b'{"type":"orderbook","codes":["KRW-ETH","KRW-XRP.5"],"level":0},'
    b'{"type":"orderbook","codes":["KRW-ETH"],"level":1000.0},{"type":"myAsset"}],"ticket":"t1"}',
    b'{"mthd":"LIST_SUBSCRIPTIONS","rslt":[{"ty":"ticker","cds":["KRW-BTC"]},'
    b'{"ty":"orderbook","cds":["KRW-ETH","KRW-XRP.5"],"lv":0},'
    b'{"ty":"orderbook","cds":["KRW-ETH"],"lv":1000},{"ty":"myAsset"}],"tckt":"t1"}',
]


@pytest.mark.parametrize("frame", [*LISTINGS, b"[" + LISTINGS[0] + b"]"])
def test_listings_in_every_format(frame: bytes) -> None:
    (said,) = UPBIT.decode_control(frame)
    assert said == Listing(
        (
            Topic("ticker", "KRW-BTC"),
            Topic("orderbook", "KRW-ETH"),
            Topic("orderbook", "KRW-XRP"),
            Topic("orderbook", "KRW-ETH", None, 1000.0),
            Topic("myAsset", ""),
        ),
        "t1",
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("NO_TICKET", ReasonClass.PERMANENT),
        ("NO_CODES", ReasonClass.PERMANENT),
        ("INVALID_PARAM", ReasonClass.PERMANENT),
        ("WRONG_FORMAT", ReasonClass.PERMANENT),
        ("INVALID_AUTH", ReasonClass.AUTH),
        ("TOO_MANY_REQUEST", ReasonClass.RATE),
        ("Too Many Requests", ReasonClass.RATE),
        ("I'm a teapot", ReasonClass.RATE),
    ],
)
def test_errors_are_known_by_name_alone(name: str, reason: ReasonClass) -> None:
    frame = json.dumps({"error": {"message": "요청이 너무 많습니다.", "name": name}}, ensure_ascii=False)
    (said,) = UPBIT.decode_control(frame.encode())
    assert isinstance(said, Refused)
    assert (said.name, said.reason) == (name, reason)


def test_status_is_a_sign_of_life() -> None:
    assert UPBIT.decode_control(b'{"status":"UP"}') == [Alive()]


HOSTILE = [
    b"",
    b"\xff\xfe",
    b"PING",
    b"null",
    b"[]",
    b"[1]",
    b'{"error":1}',
    b'{"error":{"name":5}}',
    b'{"status":{}}',
    b'{"method":"LIST_SUBSCRIPTIONS"}',
    b'{"method":"LIST_SUBSCRIPTIONS","result":[1]}',
    b'{"method":"LIST_SUBSCRIPTIONS","result":[{"type":[]}]}',
    b'{"method":"LIST_SUBSCRIPTIONS","result":[{"type":"ticker","codes":5}]}',
    b'{"method":"LIST_SUBSCRIPTIONS","result":[{"type":"ticker","codes":["A"],"level":"x"}]}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("frame", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_control_frames_are_unknown_never_an_exception(frame: bytes) -> None:
    assert all(isinstance(said, Unknown) for said in UPBIT.decode_control(frame))


@given(st.binary(max_size=200))
def test_any_bytes_are_something(frame: bytes) -> None:
    assert UPBIT.decode_control(frame)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda c: (
            st.lists(c)
            | st.dictionaries(
                st.sampled_from(
                    ["error", "name", "status", "method", "result", "type", "codes", "level", "ticket"]
                )
                | st.text(),
                c,
            )
        ),
        max_leaves=20,
    )
)
def test_any_json_is_something(said: object) -> None:
    assert UPBIT.decode_control(json.dumps(said).encode())


@pytest.mark.parametrize(
    "url", ["", "h", "http://h", "ws://", "ws://h:99999", "ws://h:x", "ws://h:0", "ws://[::1", "wss://:443"]
)
def test_what_is_no_address_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError, match="is not a WebSocket address"):
        UPBIT.at(url)


@pytest.mark.parametrize("symbol", ["KRW-BTC", "BTC-1INCH", "USDT-BTC", "SGD-XRP"])
def test_well_spelt(symbol: str) -> None:
    UPBIT.check_symbol(symbol)


@pytest.mark.parametrize(
    "symbol", ["", "krw-btc", "KRW_BTC", "KRWBTC", "KRW-BTC.5", 'KRW-"', "KRW-BTC\n", "KRW-비트"]
)
def test_badly_spelt(symbol: str) -> None:
    with pytest.raises(UnknownSymbolError, match="QUOTE-BASE"):
        UPBIT.check_symbol(symbol)


def test_a_near_miss_is_told() -> None:
    with pytest.raises(UnknownSymbolError, match="did you mean 'KRW-BTC'"):
        UPBIT.check_symbol("krw_btc")


@pytest.mark.parametrize(
    ("topic", "said"),
    [
        (Topic("level2", "KRW-BTC"), "no channel 'level2'"),
        (Topic("ticker", "KRW-BTC", 5), "no depth 5"),
        (Topic("orderbook", "KRW-BTC", 7), "1, 5, 15, 30"),
        (Topic("ticker", "KRW-BTC", None, 10.0), "no grouping"),
        (Topic("orderbook", "BTC-ETH", None, 10.0), "KRW markets only"),
        (Topic("orderbook", "KRW-BTC", None, -1.0), "price step"),
        (Topic("orderbook", "KRW-BTC", None, float("nan")), "price step"),
        (Topic("myOrder", "KRW-BTC"), "jwt"),
    ],
)
def test_what_the_venue_cannot_do_is_refused_before_anything_is_sent(topic: Topic, said: str) -> None:
    with pytest.raises(UnsupportedError, match=said):
        UPBIT.check_topic(topic)


def test_checked_topics_are_canonical() -> None:
    assert UPBIT.check_topic(Topic("orderbook", "KRW-BTC", 5, 0.0)) == Topic("orderbook", "KRW-BTC", 5)
    assert UPBIT.check_topic(Topic("myAsset", ""), grants={"jwt"}) == Topic("myAsset", "")


def test_market_lists() -> None:
    assert UPBIT.parse_markets is not None
    rows = [{"market": "KRW-BTC", "korean_name": "비트코인"}, {"market": "BTC-ETH"}, {"market": 5}, {}]
    assert UPBIT.parse_markets(json.dumps(rows).encode()) == {"KRW-BTC", "BTC-ETH"}
    for bad in (b"[]", b"{}", b'[{"market":"x"}]', b"<html>", b"null"):
        with pytest.raises(ValueError, match=r"."):
            UPBIT.parse_markets(bad)


def test_recorded_market_list(recordings: object) -> None:
    from pathlib import Path

    body = (Path(str(recordings)) / "upbit" / "market_all_2021-04-17.json").read_bytes()
    assert UPBIT.parse_markets is not None
    markets = UPBIT.parse_markets(body)
    assert markets == {row["market"] for row in json.loads(body)}
    for symbol in markets:
        UPBIT.check_symbol(symbol)


def test_recorded_control_frames_are_known(recordings: object) -> None:
    from pathlib import Path

    known = 0
    for path in sorted((Path(str(recordings)) / "upbit").glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            if line.startswith((b'{"error"', b'{"status"', b'{"method"', b'{"mthd"')):
                assert not any(isinstance(said, Unknown) for said in UPBIT.decode_control(line)), line
                known += 1
    assert known


def test_houses_are_venues_of_their_own() -> None:
    hosts = {name: venue(name).host for name in venue_names() if name.startswith("upbit")}
    assert hosts == {
        "upbit": "api.upbit.com:443",
        "upbit-sg": "sg-api.upbit.com:443",
        "upbit-id": "id-api.upbit.com:443",
        "upbit-th": "th-api.upbit.com:443",
    }
    assert venue("upbit-sg").connect_plan(UPBIT.route("public")).url == "wss://sg-api.upbit.com/websocket/v1"
    assert venue("upbit-th").markets_url == "https://th-api.upbit.com/v1/market/all"


def test_limits_are_the_documented_ones() -> None:
    said = {(limit.scope, w.amount, w.seconds) for limit in UPBIT.limits for w in limit.windows}
    assert said == {
        (Scope.IP, 5, 1.0),
        (Scope.ACCOUNT, 5, 1.0),
        (Scope.LINK, 5, 1.0),
        (Scope.LINK, 100, 60.0),
    }
    assert UPBIT.model is Model.REPLACE


def test_addresses() -> None:
    here = UPBIT.at("ws://127.0.0.1:9000")
    assert here.connect_plan(here.route("public")).url == "ws://127.0.0.1:9000/websocket/v1"
    assert "origin" not in {h.lower() for h in here.connect_plan(here.route("public")).headers}
    assert (here.host, here.markets_url) == ("127.0.0.1:9000", None)
    for bad in ("http://x", "127.0.0.1:9000", "ws://"):
        with pytest.raises(UsageError, match="WebSocket address"):
            UPBIT.at(bad)
    with pytest.raises(UsageError, match="jwt"):
        UPBIT.connect_plan(UPBIT.route("private"))
    with pytest.raises(UsageError, match="public, private"):
        UPBIT.route("nowhere")


def test_unknown_venues_are_named() -> None:
    with pytest.raises(UsageError, match="upbit"):
        venue("upbeat")
    assert get_venue(UPBIT) is UPBIT
    assert get_venue("upbit").name == "upbit"


def test_channels_and_field_tables_agree() -> None:
    from subcore.venues import upbit_fields

    assert tuple(channel.name for channel in UPBIT.channels) == upbit_fields.CHANNELS
    assert UPBIT.load_fields() is upbit_fields.schema()
