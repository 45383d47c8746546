"""Single valid frames from a seeded random generator: every kind, every format, every number spelling mixed.

For tests of a decoder. The exchange's own frames keep to the spellings captured for each field (`encode`); these take
any spelling for any number, and on request any key order and unknown keys, all of which the venue allows itself.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from .encode import FORMATS, KEYS, style_of, wrap
from .numbers import SPELLINGS
from .state import CANDLE_UNITS

__all__ = ["KINDS", "any_frame", "candle", "orderbook", "ticker", "trade"]

_Pairs = list[tuple[str, str]]
_CODES = ("KRW-BTC", "KRW-XRP", "BTC-ETH", "USDT-BTC", "KRW-1INCH", "BTC-0G", "KRW-SHIB", "USDT-PENGU")
_UNKNOWN = (
    ("trade_status", '"ACTIVE"'), ("market_state_for_ios", "null"), ("zz", "true"),
    ("nested", '{"a":[1,{"b":"]}"}],"c":{}}'),
    ("list", "[[],[1.5E3,-2,null],\"\\u00e9\\\"\"]"), ("empty", '""'),
)  # fmt: skip


def _units(rng: random.Random) -> int:
    """A price or size in units of 1e-8: whole or not, from 1e-8 to 1e11, rarely 0."""
    draw = rng.random()
    if draw < 0.03:
        return 0
    units = rng.randrange(1, 10 ** rng.randint(1, 19))
    return units // 100_000_000 * 100_000_000 or units if draw < 0.4 else units


def _number(rng: random.Random, units: int | None = None) -> str:
    return rng.choice(SPELLINGS)(_units(rng) if units is None else units)


def _signed(rng: random.Random) -> str:
    return _number(rng, rng.choice((-1, 1)) * _units(rng))


def _time_ms(rng: random.Random) -> int:
    return rng.randrange(1_500_000_000_000, 1_900_000_000_000)


def _text(rng: random.Random, choices: tuple[str, ...]) -> str:
    return json.dumps(rng.choice(choices))


def _stream_type(rng: random.Random) -> tuple[str, str]:
    return "stream_type", _text(rng, ("SNAPSHOT", "REALTIME"))


def _ticker_pairs(rng: random.Random) -> _Pairs:
    numbers = (
        "opening_price", "high_price", "low_price", "trade_price", "prev_closing_price", "acc_trade_price",
        "change_price", "change_rate", "trade_volume", "acc_trade_volume", "acc_ask_volume", "acc_bid_volume",
        "highest_52_week_price", "lowest_52_week_price", "acc_trade_price_24h", "acc_trade_volume_24h",
    )  # fmt: skip
    return [
        *((key, _number(rng)) for key in numbers),
        ("change", _text(rng, ("RISE", "EVEN", "FALL"))),
        ("signed_change_price", _signed(rng)),
        ("signed_change_rate", _signed(rng)),
        ("ask_bid", _text(rng, ("ASK", "BID"))),
        ("trade_date", '"20260902"'),
        ("trade_time", '"074620"'),
        ("trade_timestamp", str(_time_ms(rng))),
        ("highest_52_week_date", '"2026-01-20"'),
        ("lowest_52_week_date", '"2025-11-05"'),
        ("market_state", _text(rng, ("PREVIEW", "ACTIVE", "DELISTED"))),
        ("is_trading_suspended", rng.choice(("true", "false"))),
        ("delisting_date", rng.choice(("null", "null", '"2026-12-01"'))),
        ("market_warning", _text(rng, ("NONE", "CAUTION"))),
        ("timestamp", str(_time_ms(rng))),
        _stream_type(rng),
    ]


def _trade_pairs(rng: random.Random) -> _Pairs:
    when = _time_ms(rng)
    best = ("best_ask_price", "best_ask_size", "best_bid_price", "best_bid_size")
    return [
        ("timestamp", str(when + rng.randrange(200))),
        ("trade_date", '"2026-09-02"'),
        ("trade_time", rng.choice(('"07:46:20"', '"18:17"'))),
        ("trade_timestamp", str(when)),
        ("trade_price", _number(rng)),
        ("trade_volume", _number(rng)),
        ("ask_bid", _text(rng, ("ASK", "BID"))),
        ("prev_closing_price", _number(rng)),
        ("change", _text(rng, ("RISE", "EVEN", "FALL"))),
        ("change_price", _number(rng)),
        ("sequential_id", str(when * rng.choice((1000, 10_000)) + rng.randrange(100))),
        *((key, _number(rng)) for key in best if rng.random() < 0.95),
        _stream_type(rng),
    ]


def _orderbook_pairs(rng: random.Random, style: str, depth: int) -> _Pairs:
    keys = [
        KEYS["orderbook"][k] if style == "SIMPLE" else k
        for k in ("ask_price", "bid_price", "ask_size", "bid_size")
    ]
    asks, bids = rng.randint(0, depth), rng.randint(0, depth)
    units = []
    for i in range(depth):
        there = (i < asks, i < bids, i < asks, i < bids)
        inside = (
            f'"{key}":{_number(rng) if is_there else "0"}' for key, is_there in zip(keys, there, strict=True)
        )
        units.append("{" + ",".join(inside) + "}")
    return [
        ("timestamp", str(_time_ms(rng))),
        ("total_ask_size", _number(rng)),
        ("total_bid_size", _number(rng)),
        ("orderbook_units", "[" + ",".join(units) + "]"),
        _stream_type(rng),
        ("level", rng.choice(("0", "0.0", "10000", "1.0E7", "0.1"))),
    ]


def _candle_pairs(rng: random.Random) -> _Pairs:
    numbers = (
        "opening_price", "high_price", "low_price", "trade_price", "candle_acc_trade_volume", "candle_acc_trade_price",
    )  # fmt: skip
    return [
        ("candle_date_time_utc", '"2026-07-30T07:45:00"'),
        ("candle_date_time_kst", '"2026-07-30T16:45:00"'),
        *((key, _number(rng)) for key in numbers),
        ("timestamp", str(_time_ms(rng))),
        _stream_type(rng),
    ]


def _frame(
    rng: random.Random,
    kind: str,
    type_: str,
    pairs: _Pairs,
    format: str,
    shuffle: bool,
    unknown: bool,
    code: str | None,
) -> bytes:
    """Name the keys in the format's style and put everything together."""
    pairs = [("type", json.dumps(type_)), ("code", json.dumps(code or rng.choice(_CODES))), *pairs]
    if style_of(format) == "SIMPLE":
        pairs = [(KEYS[kind][key], text) for key, text in pairs]
    if unknown:
        for pair in rng.sample(_UNKNOWN, rng.randint(1, 3)):
            pairs.insert(rng.randint(0, len(pairs)), pair)
    if shuffle:
        rng.shuffle(pairs)
    return wrap(("{" + ",".join(f'"{key}":{text}' for key, text in pairs) + "}").encode(), format)


def ticker(
    rng: random.Random,
    format: str = "DEFAULT",
    *,
    code: str | None = None,
    shuffle: bool = False,
    unknown: bool = False,
) -> bytes:
    """A ticker frame. `shuffle`: keys in any order; `unknown`: one to three keys nobody knows."""
    return _frame(rng, "ticker", "ticker", _ticker_pairs(rng), format, shuffle, unknown, code)


def trade(
    rng: random.Random,
    format: str = "DEFAULT",
    *,
    code: str | None = None,
    shuffle: bool = False,
    unknown: bool = False,
) -> bytes:
    """A trade frame; now and then without a `best_*` key, as before 2024-11."""
    return _frame(rng, "trade", "trade", _trade_pairs(rng), format, shuffle, unknown, code)


def orderbook(
    rng: random.Random, format: str = "DEFAULT", *, depth: int = 30, code: str | None = None,
    shuffle: bool = False, unknown: bool = False,
) -> bytes:  # fmt: skip
    """A book frame of `depth` units; each side ends in zero padding at a random place. Prices are not sorted."""
    pairs = _orderbook_pairs(rng, style_of(format), depth)
    return _frame(rng, "orderbook", "orderbook", pairs, format, shuffle, unknown, code)


def candle(
    rng: random.Random, format: str = "DEFAULT", *, unit: str | None = None, code: str | None = None,
    shuffle: bool = False, unknown: bool = False,
) -> bytes:  # fmt: skip
    """A candle frame of a unit such as `candle.1m`, or of any."""
    type_ = unit or rng.choice(tuple(CANDLE_UNITS))
    return _frame(rng, "candle", type_, _candle_pairs(rng), format, shuffle, unknown, code)


KINDS: dict[str, Callable[..., bytes]] = {
    "ticker": ticker,
    "trade": trade,
    "orderbook": orderbook,
    "candle": candle,
}
"""Kind of frame -> its generator."""


def any_frame(rng: random.Random, *, shuffle: bool = False, unknown: bool = False) -> bytes:
    """A frame of any kind in any format."""
    make = KINDS[rng.choice(tuple(KINDS))]
    return make(rng, rng.choice(FORMATS), shuffle=shuffle, unknown=unknown)
