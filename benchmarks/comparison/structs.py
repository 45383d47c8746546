"""msgspec's typed Structs for the venue's frames: every field of every public frame, in both styles.

Typed is the fastest that msgspec offers, and checks what a subcore event checks: presence, type, number syntax.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from subcore.sim.encode import KEYS

__all__ = ["decoder"]


class Ticker(msgspec.Struct):
    type: str
    code: str
    opening_price: float
    high_price: float
    low_price: float
    trade_price: float
    prev_closing_price: float
    acc_trade_price: float
    change: str
    change_price: float
    signed_change_price: float
    change_rate: float
    signed_change_rate: float
    ask_bid: str
    trade_volume: float
    acc_trade_volume: float
    trade_date: str
    trade_time: str
    trade_timestamp: int
    acc_ask_volume: float
    acc_bid_volume: float
    highest_52_week_price: float
    highest_52_week_date: str
    lowest_52_week_price: float
    lowest_52_week_date: str
    market_state: str
    is_trading_suspended: bool
    delisting_date: str | None
    market_warning: str
    timestamp: int
    acc_trade_price_24h: float
    acc_trade_volume_24h: float
    stream_type: str


class Trade(msgspec.Struct):
    type: str
    code: str
    timestamp: int
    trade_date: str
    trade_time: str
    trade_timestamp: int
    trade_price: float
    trade_volume: float
    ask_bid: str
    prev_closing_price: float
    change: str
    change_price: float
    sequential_id: int
    best_ask_price: float
    best_ask_size: float
    best_bid_price: float
    best_bid_size: float
    stream_type: str


class Candle(msgspec.Struct):
    type: str
    code: str
    candle_date_time_utc: str
    candle_date_time_kst: str
    opening_price: float
    high_price: float
    low_price: float
    trade_price: float
    candle_acc_trade_volume: float
    candle_acc_trade_price: float
    timestamp: int
    stream_type: str


class Unit(msgspec.Struct):
    ask_price: float
    bid_price: float
    ask_size: float
    bid_size: float


class Orderbook(msgspec.Struct):
    type: str
    code: str
    timestamp: int
    total_ask_size: float
    total_bid_size: float
    orderbook_units: list[Unit]
    stream_type: str
    level: float


STRUCTS: dict[str, type[msgspec.Struct]] = {
    "ticker": Ticker, "trade": Trade, "candle": Candle, "orderbook": Orderbook,
}  # fmt: skip


def _simple(struct: type[msgspec.Struct], keys: dict[str, str]) -> type[msgspec.Struct]:
    """The struct with the short names of the SIMPLE style on the wire."""
    fields: list[tuple[str, Any]] = []
    for field in msgspec.structs.fields(struct):
        is_units = field.name == "orderbook_units"
        fields.append((field.name, list[_simple(Unit, keys)] if is_units else field.type))  # type: ignore[misc]
    return msgspec.defstruct(f"Simple{struct.__name__}", fields, rename=keys)


@cache
def decoder(kind: str, style: str) -> msgspec.json.Decoder[Any]:
    """A decoder for frames of one kind (`ticker`, `orderbook.15`, ...) in one style."""
    name = kind.partition(".")[0]
    struct = STRUCTS[name]
    return msgspec.json.Decoder(struct if style == "DEFAULT" else _simple(struct, KEYS[name]))
