"""What a scan must give, said with the json module, float() and int(): slow and obvious on purpose.

`expected(frame, declared)` walks the values that `json` makes of a frame by the declared fields, as a reader of the
declaration would. `check(...)` holds a scan against it.
"""

from __future__ import annotations

import calendar
import json
import time
from collections.abc import Sequence
from typing import Any

from subcore._events import Event
from subcore.fields import Field, Fields, Nested, Rows, Schema

MAY_REFUSE = {
    "duplicate_key", "depth", "overflow", "int_range", "wrong_type", "missing_field", "trailing_bytes", "number_syntax",
    "unknown_channel",
}  # fmt: skip
NAMED = {*MAY_REFUSE, "bad_json", "bad_utf8"}
SIDES = {1: "BUY", 2: "SELL"}
CONTROL = "control"
UNREADABLE = object()
TRUTHS = {"is_trading_suspended", "is_buyer_maker", "is_closed", "is_maker"}
INTEGERS = {"id", "first_id", "last_id", "update_id", "trade_count"}
TEXTS = {
    "symbol", "change", "trade_date", "trade_time", "high_52w_date", "low_52w_date", "market_state", "market_warning",
    "delisting_date", "order_type", "state", "time_in_force", "self_trade_prevention", "order_id", "trade_id",
    "client_order_id", "asset_id", "currency",
}  # fmt: skip

Expected = list[dict[str, Any] | str]
Scanned = Sequence[tuple[str, Event | None]]


class Number(str):
    """A number as it was spelt."""


def load(frame: bytes) -> Any:
    """What json makes of a frame, numbers as spelt. ValueError or RecursionError where json refuses it."""
    text = frame.decode("utf-8")
    json.loads(text)  # its own int() and float() may refuse what was spelt
    return json.loads(text, parse_int=Number, parse_float=Number)


def expected(frame: bytes, declared: Schema) -> Expected | None:
    """Of each object what its event must hold (in the form of `to_dict`), or "control"; None where json refuses.

    An object of the wrong form gives {}: its scan must end in a refusal, which `check` allows anyway.
    """
    try:
        said = load(frame)
    except (ValueError, RecursionError):
        return None
    return [read(one, declared) for one in (said if isinstance(said, list) else [said])]


def read(one: Any, declared: Schema) -> dict[str, Any] | str:
    if not isinstance(one, dict):
        return {}
    known = {discriminator.key: discriminator for discriminator in declared.discriminators}
    key = next((key for key in one if key in known), None)
    if key is None:
        return CONTROL
    discriminator, text, values = known[key], one[key], dict[str, Any]()
    if type(text) is not str:
        return {}
    if discriminator.split:
        symbol, parted, text = text.partition(discriminator.split)
        if not parted:
            return CONTROL
        values["symbol"] = upper(symbol) if discriminator.symbol_upper else symbol
    table = next((table for table in discriminator.tables if text in table.matches), None)
    if table is None:
        return {}
    values |= {"channel": table.matches[text], "is_snapshot": False, "is_realtime": False}
    if table.kind == "orderbook":
        values |= {"bids": [], "asks": []}
    elif table.kind == "asset":
        values |= {"balances": []}
    fill(values, one, table.fields)
    return {name: value for name, value in values.items() if value is not None}


def upper(text: str) -> str:
    return "".join(chr(ord(c) - 32) if "a" <= c <= "z" else c for c in text)


def fill(values: dict[str, Any], one: Any, fields: Sequence[Fields]) -> None:
    if not isinstance(one, dict):
        return
    for field in fields:
        if field.key not in one:
            continue
        value = one[field.key]
        if isinstance(field, Nested):
            fill(values, value, field.fields)
        elif isinstance(field, Rows):
            fill_rows(values, value, field)
        elif field.member == "flags":
            bits = field.words.get(value, 0) if type(value) is str else 0
            values["is_snapshot"], values["is_realtime"] = bool(bits & 1), bool(bits & 4)
        elif field.member:
            name = "grouping" if field.member == "variant" else field.member
            values[name] = convert(value, field)


def convert(value: Any, field: Field) -> Any:
    """A field's value; None where it is absent; UNREADABLE where it is not of the field's type."""
    if value is None and field.nullable:
        return None
    if field.words:
        if isinstance(value, bool):
            value = str(value).lower()
            return word(field, field.words[value]) if value in field.words else UNREADABLE
        return word(field, field.words.get(value, 0)) if type(value) is str else UNREADABLE
    if field.member in TRUTHS:
        return value if isinstance(value, bool) else UNREADABLE
    if field.member in TEXTS or (field.member == "id" and type(value) is str):
        if type(value) is not str:
            return UNREADABLE
        return (upper(value) if field.upper else value) or (None if field.member != "symbol" else "")
    try:
        if field.time_text and type(value) is str:
            return calendar.timegm(time.strptime(value, "%Y-%m-%dT%H:%M:%S")) * 10**9
        if not isinstance(value, Number) and not (field.quoted and type(value) is str):
            return UNREADABLE
        if field.member.endswith("_time_ns") or field.member in INTEGERS:
            return int(value) * field.unit
        number = float(value)
    except ValueError:
        return UNREADABLE
    return None if field.member == "variant" and number == 0 else number


def word(field: Field, code: int) -> Any:
    return SIDES.get(code) if field.member == "side" else {1: False, 2: True}.get(code)


def fill_rows(values: dict[str, Any], given: Any, rows: Rows) -> None:
    for row in given if isinstance(given, list) else []:
        if rows.positional and isinstance(row, list):
            row = dict(zip((field.key for field in rows.fields), row, strict=False))
        if not isinstance(row, dict):
            continue
        held = {field.member: convert(row.get(field.key), field) for field in rows.fields if field.member}
        if "currency" in held:
            values["balances"].append([held["currency"], held.get("available"), held.get("locked")])
        for side in ("bid", "ask"):
            if f"{side}_price" in held and not (rows.drop_zero_price and held[f"{side}_price"] == 0):
                values[f"{side}s"].append([held[f"{side}_price"], held[f"{side}_size"]])


def found(event: Event) -> dict[str, Any]:
    """An event in the form of `expected`."""
    return {
        name: value
        for name, value in event.to_dict().items()
        if name not in ("venue", "receive_time_ns", "is_image")
    }


def check(frame: bytes, scanned: Scanned, declared: Schema) -> str:
    """Hold a scan against json; returns the state it ended in ("ok" where every object was taken)."""
    wanted = expected(frame, declared)
    assert scanned or wanted == [], f"nothing scanned of {frame!r}"
    for index, (state, event) in enumerate(scanned):
        if state not in ("ok", CONTROL):
            assert state in NAMED, f"{state} for {frame!r}"
            assert index == len(scanned) - 1, f"something after {state} in {frame!r}"
            assert wanted is None or state in MAY_REFUSE, f"{state}, but json takes {frame!r}"
            return state
        if wanted is None:
            continue  # objects of a list before its fault
        if state == CONTROL:
            assert wanted[index] == CONTROL, f"control for {frame!r}"
        else:
            assert event is not None
            assert found(event) == wanted[index], f"other values than json's in {frame!r}"
    assert wanted is not None, f"scanned to its end, but json refuses {frame!r}"
    assert len(scanned) == len(wanted), f"{len(scanned)} objects of {len(wanted)} in {frame!r}"
    return "ok"
