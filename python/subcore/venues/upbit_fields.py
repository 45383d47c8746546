"""Upbit's frames, field by field.

Every stream type has two spellings of its keys: DEFAULT (`trade_price`) and SIMPLE (`tp`). The values are the same.
Types, codes, times, prices and sizes are required; everything that was added or dropped over the years is not.
Unknown keys are skipped: the venue adds some now and then (level in 2024, best_* on 2024-11-27).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from subcore.fields import MILLISECONDS, Discriminator, Field, Fields, Rows, Schema, Table

# ASK = the taker sold, BID = the taker bought.
SIDES = {"BID": 1, "ASK": 2}
# Bits of the event's flags: 1 snapshot, 4 live.
STREAM_TYPES = {"SNAPSHOT": 1, "REALTIME": 4}
CANDLE_UNITS = ("1s", "1m", "3m", "5m", "10m", "15m", "30m", "60m", "240m")
CHANNELS = (
    "ticker",
    "trade",
    "orderbook",
    *(f"candle.{unit}" for unit in CANDLE_UNITS),
    "myOrder",
    "myAsset",
)
MAX_LEVELS = 256  # 30 levels are served today


How = Mapping[str, Any]
# DEFAULT key, SIMPLE key, member of the event, how it is read.
Pairs = tuple[tuple[str, str, str, How], ...]


def _pick(simple: bool, pairs: Pairs) -> tuple[Fields, ...]:
    return tuple(Field(short if simple else long, member, **how) for long, short, member, how in pairs)


_MUST: How = {"required": True}
_MAY: How = {}
_NULL: How = {"nullable": True}
_MS: How = {"unit": MILLISECONDS}
_MS_MUST: How = {"unit": MILLISECONDS, "required": True}
_MS_NULL: How = {"unit": MILLISECONDS, "nullable": True}
_SIDE: How = {"words": SIDES}

_PUBLIC: Pairs = (
    ("type", "ty", "", _MUST),
    ("code", "cd", "symbol", _MUST),
    ("timestamp", "tms", "exchange_time_ns", _MS_MUST),
    ("stream_type", "st", "flags", {"words": STREAM_TYPES}),
)

_TICKER: Pairs = (
    *_PUBLIC,
    ("opening_price", "op", "open", _MUST),
    ("high_price", "hp", "high", _MUST),
    ("low_price", "lp", "low", _MUST),
    ("trade_price", "tp", "price", _MUST),
    ("prev_closing_price", "pcp", "previous_close", _MUST),
    ("change", "c", "change", _MAY),
    ("change_price", "cp", "change_price", _MAY),
    ("signed_change_price", "scp", "signed_change_price", _MAY),
    ("change_rate", "cr", "change_rate", _MAY),
    ("signed_change_rate", "scr", "signed_change_rate", _MAY),
    ("trade_volume", "tv", "size", _MUST),
    ("acc_trade_volume", "atv", "volume", _MUST),
    ("acc_trade_volume_24h", "atv24h", "volume_24h", _MUST),
    ("acc_trade_price", "atp", "turnover", _MUST),
    ("acc_trade_price_24h", "atp24h", "turnover_24h", _MUST),
    ("trade_date", "tdt", "trade_date", _MAY),
    ("trade_time", "ttm", "trade_time", _MAY),
    ("trade_timestamp", "ttms", "trade_time_ns", _MS),
    ("ask_bid", "ab", "side", _SIDE),
    ("acc_ask_volume", "aav", "ask_volume", _MAY),
    ("acc_bid_volume", "abv", "bid_volume", _MAY),
    ("highest_52_week_price", "h52wp", "high_52w", _MAY),
    ("highest_52_week_date", "h52wdt", "high_52w_date", _MAY),
    ("lowest_52_week_price", "l52wp", "low_52w", _MAY),
    ("lowest_52_week_date", "l52wdt", "low_52w_date", _MAY),
    ("market_state", "ms", "market_state", _MAY),
    ("is_trading_suspended", "its", "is_trading_suspended", _NULL),
    ("delisting_date", "dd", "delisting_date", _NULL),
    ("market_warning", "mw", "market_warning", _NULL),
)

_TRADE: Pairs = (
    *_PUBLIC,
    ("trade_price", "tp", "price", _MUST),
    ("trade_volume", "tv", "size", _MUST),
    ("ask_bid", "ab", "side", _SIDE),
    ("prev_closing_price", "pcp", "previous_close", _MAY),
    ("change", "c", "change", _MAY),
    ("change_price", "cp", "change_price", _MAY),
    ("trade_date", "td", "trade_date", _MAY),
    ("trade_time", "ttm", "trade_time", _MAY),
    ("trade_timestamp", "ttms", "trade_time_ns", _MS),
    # 17 digits: more than a double holds
    ("sequential_id", "sid", "id", _MUST),
    ("best_ask_price", "bap", "best_ask_price", _NULL),
    ("best_ask_size", "bas", "best_ask_size", _NULL),
    ("best_bid_price", "bbp", "best_bid_price", _NULL),
    ("best_bid_size", "bbs", "best_bid_size", _NULL),
)

_UNITS: Pairs = (
    ("ask_price", "ap", "ask_price", _MUST),
    ("bid_price", "bp", "bid_price", _MUST),
    ("ask_size", "as", "ask_size", _MUST),
    ("bid_size", "bs", "bid_size", _MUST),
)

_ORDERBOOK: Pairs = (
    *_PUBLIC,
    ("total_ask_size", "tas", "total_ask_size", _MUST),
    ("total_bid_size", "tbs", "total_bid_size", _MUST),
)

_CANDLE: Pairs = (
    *_PUBLIC,
    ("candle_date_time_utc", "cdttmu", "start_time_ns", {"required": True, "time_text": True}),
    ("candle_date_time_kst", "cdttmk", "", _MAY),
    ("opening_price", "op", "open", _MUST),
    ("high_price", "hp", "high", _MUST),
    ("low_price", "lp", "low", _MUST),
    ("trade_price", "tp", "close", _MUST),
    ("candle_acc_trade_volume", "catv", "volume", _MUST),
    ("candle_acc_trade_price", "catp", "turnover", _MUST),
)

_ORDER: Pairs = (
    ("type", "ty", "", _MUST),
    ("code", "cd", "symbol", _MUST),
    ("timestamp", "tms", "exchange_time_ns", _MS_MUST),
    ("stream_type", "st", "flags", {"words": STREAM_TYPES}),
    ("uuid", "uid", "order_id", _MUST),
    ("ask_bid", "ab", "side", _SIDE),
    ("order_type", "ot", "order_type", _MAY),
    ("state", "s", "state", _MUST),
    ("trade_uuid", "tuid", "trade_id", _NULL),
    ("price", "p", "price", _NULL),
    ("avg_price", "ap", "average_price", _NULL),
    ("volume", "v", "size", _NULL),
    ("remaining_volume", "rv", "remaining_size", _NULL),
    ("executed_volume", "ev", "executed_size", _NULL),
    ("trades_count", "tc", "trade_count", _NULL),
    ("reserved_fee", "rsf", "reserved_fee", _NULL),
    ("remaining_fee", "rmf", "remaining_fee", _NULL),
    ("paid_fee", "pf", "paid_fee", _NULL),
    ("locked", "l", "locked", _NULL),
    ("executed_funds", "ef", "executed_funds", _NULL),
    ("time_in_force", "tif", "time_in_force", _NULL),
    ("trade_fee", "tf", "trade_fee", _NULL),
    ("is_maker", "im", "is_maker", _NULL),
    ("identifier", "id", "client_order_id", _NULL),
    ("smp_type", "smpt", "self_trade_prevention", _NULL),
    ("prevented_volume", "pv", "prevented_size", _NULL),
    ("prevented_locked", "pl", "prevented_locked", _NULL),
    ("trade_timestamp", "ttms", "trade_time_ns", _MS_NULL),
    ("order_timestamp", "otms", "order_time_ns", _MS_NULL),
)

_ASSET: Pairs = (  # no code: it is about the account
    ("type", "ty", "", _MUST),
    ("timestamp", "tms", "exchange_time_ns", _MS_MUST),
    ("stream_type", "st", "flags", {"words": STREAM_TYPES}),
    ("asset_uuid", "astuid", "asset_id", _MAY),
    ("asset_timestamp", "asttms", "asset_time_ns", _MS_NULL),
)

_BALANCES: Pairs = (
    ("currency", "cu", "currency", _MUST),
    ("balance", "b", "available", _NULL),
    ("locked", "l", "locked", _NULL),
)


def _rows(simple: bool, pairs: Pairs) -> tuple[Field, ...]:
    return tuple(field for field in _pick(simple, pairs) if isinstance(field, Field))


def _tables(simple: bool) -> tuple[Table, ...]:
    # Every frame is a complete book. A side with fewer levels is padded with price 0, size 0.
    units = Rows(
        "obu" if simple else "orderbook_units", _rows(simple, _UNITS), required=True, drop_zero_price=True
    )
    # The price step of the book; what tells groupings of one code apart.
    level = Field("lv" if simple else "level", "variant")
    balances = Rows("ast" if simple else "assets", _rows(simple, _BALANCES), required=True)
    return (
        Table("ticker", {"ticker": "ticker"}, _pick(simple, _TICKER)),
        Table("trade", {"trade": "trade"}, _pick(simple, _TRADE)),
        Table("orderbook", {"orderbook": "orderbook"}, (*_pick(simple, _ORDERBOOK), units, level)),
        Table("candle", {f"candle.{u}": f"candle.{u}" for u in CANDLE_UNITS}, _pick(simple, _CANDLE)),
        Table("order", {"myOrder": "myOrder"}, _pick(simple, _ORDER)),
        Table("asset", {"myAsset": "myAsset"}, (*_pick(simple, _ASSET), balances)),
    )


_SCHEMA = Schema(
    channels=CHANNELS,
    discriminators=(
        Discriminator("type", _tables(simple=False), format="DEFAULT"),
        Discriminator("ty", _tables(simple=True), format="SIMPLE"),
    ),
    max_rows=MAX_LEVELS,
)


def schema() -> Schema:
    """The tables of both formats; LIST formats wrap the same objects in an array."""
    return _SCHEMA
