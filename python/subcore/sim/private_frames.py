"""Frames of the private route, typed from the venue's documentation: every key always there, null where it says so."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from .markets import UNIT
from .numbers import double, fixed, plain, scientific
from .orders import Report

__all__ = ["KEYS", "PRIVATE_TYPES", "asset_frame", "order_frame"]

PRIVATE_TYPES = ("myOrder", "myAsset")
KEYS: dict[str, dict[str, str]] = {
    "myOrder": {
        "type": "ty", "code": "cd", "uuid": "uid", "ask_bid": "ab", "order_type": "ot", "state": "s", "trade_uuid":
        "tuid", "price": "p", "avg_price": "ap", "volume": "v", "remaining_volume": "rv", "executed_volume": "ev",
        "trades_count": "tc", "reserved_fee": "rsf", "remaining_fee": "rmf", "paid_fee": "pf", "locked": "l",
        "executed_funds": "ef", "time_in_force": "tif", "trade_fee": "tf", "is_maker": "im", "identifier": "id",
        "smp_type": "smpt", "prevented_volume": "pv", "prevented_locked": "pl", "trade_timestamp": "ttms",
        "order_timestamp": "otms", "timestamp": "tms", "stream_type": "st",
    },
    "myAsset": {
        "type": "ty", "asset_uuid": "astuid", "assets": "ast", "currency": "cu", "balance": "b", "locked": "l",
        "asset_timestamp": "asttms", "timestamp": "tms", "stream_type": "st",
    },
}  # fmt: skip
"""DEFAULT key -> SIMPLE key, by type."""


def order_frame(report: Report, style: str) -> bytes:
    """A myOrder frame. A fill tells its own price and size in `price` and `volume`."""
    order = report.order
    money, size = (fixed, fixed) if style == "DEFAULT" else (double, scientific)
    price, volume = order.price, order.volume
    trade_id = fee = maker = traded_ms = None
    if report.fill is not None:
        trade_id, price, volume, fee, maker = report.fill
        traded_ms = report.at_ms - 1
    buys_for_money = order.volume is None
    average = report.funds * UNIT // report.executed if report.executed else None
    members: dict[str, Any] = {
        "type": "myOrder", "code": order.market.code, "uuid": order.id, "ask_bid": order.side,
        "order_type": order.kind, "state": report.state, "trade_uuid": trade_id,
        "price": _or_null(price, money), "avg_price": _or_null(average, double if style == "DEFAULT" else plain),
        "volume": _or_null(volume, size),
        # "null on a market buy"; "null seen on a market buy in wait"
        "remaining_volume": _or_null(None if buys_for_money else (order.volume or 0) - report.executed, size),
        "executed_volume": _or_null(None if buys_for_money and not report.executed else report.executed, size),
        "trades_count": report.fills, "reserved_fee": _Number(money(order.reserved_fee)),
        "remaining_fee": _Number(money(max(0, order.reserved_fee - report.paid_fee))),
        "paid_fee": _Number(money(report.paid_fee)), "locked": _Number(money(report.locked)),
        "executed_funds": _Number(money(report.funds)), "time_in_force": order.time_in_force,
        "trade_fee": _or_null(fee, scientific), "is_maker": maker, "identifier": order.identifier, "smp_type": None,
        "prevented_volume": 0, "prevented_locked": 0, "trade_timestamp": traded_ms,
        "order_timestamp": order.placed_ms, "timestamp": report.at_ms, "stream_type": "REALTIME",
    }  # fmt: skip
    return _write(members, "myOrder", style)


def asset_frame(account_id: str, report: Report, style: str) -> bytes:
    """A myAsset frame with what changed. "Whether a frame lists all or only changed assets was not established"."""
    spell = fixed if style == "DEFAULT" else double
    assets = [
        {"currency": currency, "balance": _Number(spell(available)), "locked": _Number(spell(locked))}
        for currency, available, locked in report.balances
    ]
    members = {
        "type": "myAsset", "asset_uuid": account_id, "assets": assets, "asset_timestamp": report.at_ms - 1,
        "timestamp": report.at_ms, "stream_type": "REALTIME",
    }  # fmt: skip
    return _write(members, "myAsset", style)


class _Number(str):
    """A number by its spelling."""

    __slots__ = ()


def _or_null(units: int | None, spell: Any) -> _Number | None:
    return None if units is None else _Number(spell(units))


def _write(members: dict[str, Any], type_: str, style: str) -> bytes:
    return _text(members, KEYS[type_] if style == "SIMPLE" else None).encode()


def _text(value: Any, short: dict[str, str] | None) -> str:
    """JSON in which numbers keep their spelling."""
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, list):
        return "[" + ",".join(map(partial(_text, short=short), value)) + "]"
    if isinstance(value, dict):
        pairs = (f'"{short[k] if short else k}":{_text(v, short)}' for k, v in value.items())
        return "{" + ",".join(pairs) + "}"
    return json.dumps(value)
