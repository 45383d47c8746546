"""Binance's combined streams, field by field.

`{"stream":"btcusdt@aggTrade","data":{...}}`: symbol and kind stand in one text, numbers in quotes, short keys differ in
case. "Partial-depth payloads carry no symbol and bookTicker no event type, so only the wrapper identifies them" [A].
What is of no use to anybody is declared too, so that the order of keys stays predicted.
"""

from __future__ import annotations

from subcore.fields import MILLISECONDS, Discriminator, Field, Fields, Nested, Rows, Schema, Table

# "kline_<i>" [B]: the venue's word for each length, which is ours too.
INTERVALS = (
    "1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M",
)  # fmt: skip
DEPTHS = (20, 10, 5)  # the first is what no depth asks for
BOOK_SPEEDS = ("", "@100ms")  # "<s>@depth5/10/20[@100ms]" [A]: without the suffix once a second
CHANNELS = (
    "bookTicker", "aggTrade", "trade", *(f"depth{n}" for n in DEPTHS), *(f"kline_{i}" for i in INTERVALS),
)  # fmt: skip
MAX_LEVELS = 256  # 20 are served
# "m": whether the buyer was the maker. Then the taker sold.
TAKER = {"true": 2, "false": 1}


def _number(key: str, member: str = "") -> Field:
    return Field(key, member, required=bool(member), quoted=True, bare=False)


def _time(key: str, member: str) -> Field:
    return Field(key, member, required=True, unit=MILLISECONDS)


def _side(key: str, side: str) -> Rows:
    level = (_number("0", f"{side}_price"), _number("1", f"{side}_size"))
    return Rows(key, level, required=True, positional=True)


_EVENT = (Field("e"), _time("E", "exchange_time_ns"), Field("s"))
_BOOK_TICKER = (
    Field("u", "update_id", required=True),
    Field("s"),
    _number("b", "best_bid_price"),
    _number("B", "best_bid_size"),
    _number("a", "best_ask_price"),
    _number("A", "best_ask_size"),
)
_PRICE_AND_SIZE = (_number("p", "price"), _number("q", "size"))
_TAKEN = (
    _time("T", "trade_time_ns"),
    Field("m", "side", required=True, words=TAKER),
    Field("M"),
)
_TRADE = (*_EVENT, Field("t", "id", required=True), *_PRICE_AND_SIZE, *_TAKEN)
_AGG_TRADE = (
    *_EVENT,
    Field("a", "id", required=True),
    *_PRICE_AND_SIZE,
    Field("f", "first_id", required=True),
    Field("l", "last_id", required=True),
    *_TAKEN,
)
_BOOK = (Field("lastUpdateId", "update_id", required=True), _side("bids", "bid"), _side("asks", "ask"))
_KLINE = (
    _time("t", "start_time_ns"),
    _time("T", "end_time_ns"),
    Field("s"),
    Field("i"),
    Field("f"),
    Field("L"),
    _number("o", "open"),
    _number("c", "close"),
    _number("h", "high"),
    _number("l", "low"),
    _number("v", "volume"),
    Field("n", "trade_count", required=True),
    Field("x", "is_closed", required=True),
    _number("q", "turnover"),
    _number("V", "buy_volume"),
    _number("Q", "buy_turnover"),
    Field("B"),
)
_CANDLE = (*_EVENT, Nested("k", _KLINE, required=True))


def _table(kind: str, fields: tuple[Fields, ...], matches: dict[str, str]) -> Table:
    return Table(kind, matches, (Nested("data", fields, required=True),))


_SCHEMA = Schema(
    channels=CHANNELS,
    discriminators=(
        Discriminator(
            "stream",
            (
                _table("ticker", _BOOK_TICKER, {"bookTicker": "bookTicker"}),
                _table("trade", _AGG_TRADE, {"aggTrade": "aggTrade"}),
                _table("trade", _TRADE, {"trade": "trade"}),
                _table(
                    "orderbook", _BOOK, {f"depth{n}{s}": f"depth{n}" for n in DEPTHS for s in BOOK_SPEEDS}
                ),
                _table("candle", _CANDLE, {f"kline_{i}": f"kline_{i}" for i in INTERVALS}),
            ),
            format="combined",
            split="@",
            symbol_upper=True,
        ),
    ),
    max_rows=MAX_LEVELS,
)


def schema() -> Schema:
    """The tables of the combined streams."""
    return _SCHEMA
