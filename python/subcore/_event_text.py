"""How an event reads in a log or at the prompt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

BEST = ("best_bid_price", "best_bid_size", "best_ask_price", "best_ask_size")
SHOWN = {
    "Ticker": ("price", "size", "side", *BEST),
    "Trade": ("price", "size", "side", "id"),
    "Orderbook": ("best_bid", "best_ask", "grouping"),
    "Candle": ("open", "high", "low", "close", "volume"),
    "Order": ("order_id", "state", "side", "price", "size", "remaining_size"),
    "Asset": ("balances",),
}


def time_text(time_ns: int) -> str:
    """ISO 8601 in UTC, with as many digits as the time has: milliseconds, microseconds or nanoseconds."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    digits = f"{rest:09d}"
    while len(digits) > 3 and digits.endswith("000"):
        digits = digits[:-3]
    return f"{EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{digits}Z"


def value_text(value: Any) -> str:
    """A float without exponent, an enum by its name, a level as price x size."""
    if isinstance(value, float):
        return repr(value) if "e" not in repr(value) else format(Decimal(repr(value)), "f")
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, tuple):
        return "x".join(value_text(part) for part in value) if hasattr(value, "price") else str(len(value))
    return str(value)


def describe(event: Any) -> str:
    """`Ticker(KRW-BTC price=106691000.0 side=SELL 2026-09-02T07:46:20.423Z)`; never raises for an event."""
    name = type(event).__name__
    parts = [event.symbol or event.venue or "?"]
    if event.channel and event.channel != name.lower():
        parts.append(event.channel)
    for shown in SHOWN.get(name, ()):
        value = getattr(event, shown)
        if value is not None:
            parts.append(f"{shown}={value_text(value)}")
    if name == "Orderbook":
        parts.append(f"levels={len(event.bid_array)}+{len(event.ask_array)}")
    if event.is_snapshot:
        parts.append("snapshot")
    if event.is_image:
        parts.append("image")
    if event.exchange_time_ns is not None:
        parts.append(time_text(event.exchange_time_ns))
    return f"{name}({' '.join(parts)})"
