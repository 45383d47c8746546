"""Frames from a market's state, as bytes, in the venue's four formats and in its mixed number spellings.

The key tables are typed from the venue's documentation. Each frame kind is one text template per style,
filled in one
go: an all-market stream is thousands of frames a second.
"""

from __future__ import annotations

import json
import re
import time
from functools import lru_cache

from .book import DEPTH
from .markets import Market
from .numbers import decimal, double, fixed, fixed4, plain, scientific
from .state import CANDLE_UNITS, Candle, MarketState, Trade

__all__ = [
    "FORMATS", "KEYS", "PUBLIC_TYPES", "candle_frame", "clock_texts", "error_frame", "listing_frame", "orderbook_frame",
    "status_frame",
    "style_of", "ticker_frame", "trade_frame", "wrap",
]  # fmt: skip

FORMATS = ("DEFAULT", "SIMPLE", "JSON_LIST", "SIMPLE_LIST")
PUBLIC_TYPES = ("ticker", "trade", "orderbook", *CANDLE_UNITS)
_COMMON = {"type": "ty", "code": "cd", "timestamp": "tms", "stream_type": "st"}
KEYS: dict[str, dict[str, str]] = {
    "ticker": _COMMON | {
        "opening_price": "op", "high_price": "hp", "low_price": "lp", "trade_price": "tp",
        "prev_closing_price": "pcp",
        "change": "c", "change_price": "cp", "signed_change_price": "scp", "change_rate": "cr",
        "signed_change_rate": "scr", "trade_volume": "tv", "acc_trade_volume": "atv", "acc_trade_volume_24h":
        "atv24h",
        "acc_trade_price": "atp", "acc_trade_price_24h": "atp24h", "trade_date": "tdt", "trade_time": "ttm",
        "trade_timestamp": "ttms", "ask_bid": "ab", "acc_ask_volume": "aav", "acc_bid_volume": "abv",
        "highest_52_week_price": "h52wp", "highest_52_week_date": "h52wdt", "lowest_52_week_price": "l52wp",
        "lowest_52_week_date": "l52wdt", "market_state": "ms", "is_trading_suspended": "its",
        "delisting_date": "dd",
        "market_warning": "mw",
    },
    "trade": _COMMON | {
        "trade_price": "tp", "trade_volume": "tv", "ask_bid": "ab", "prev_closing_price": "pcp", "change":
        "c",
        "change_price": "cp", "trade_date": "td", "trade_time": "ttm", "trade_timestamp": "ttms",
        "sequential_id": "sid",
        "best_ask_price": "bap", "best_ask_size": "bas", "best_bid_price": "bbp", "best_bid_size": "bbs",
    },
    "orderbook": _COMMON | {
        "total_ask_size": "tas", "total_bid_size": "tbs", "orderbook_units": "obu", "ask_price": "ap",
        "bid_price": "bp",
        "ask_size": "as", "bid_size": "bs", "level": "lv",
    },
    "candle": _COMMON | {
        "candle_date_time_utc": "cdttmu", "candle_date_time_kst": "cdttmk", "opening_price": "op",
        "high_price": "hp",
        "low_price": "lp", "trade_price": "tp", "candle_acc_trade_volume": "catv", "candle_acc_trade_price":
        "catp",
    },
    "listing": {"method": "mthd", "result": "rslt", "type": "ty", "codes": "cds", "level": "lv", "ticket":
    "tckt"},
}  # fmt: skip
"""DEFAULT key -> SIMPLE key, by kind of frame."""


def style_of(format: str) -> str:
    """`DEFAULT` or `SIMPLE`: the names a format uses."""
    return "SIMPLE" if format.startswith("SIMPLE") else "DEFAULT"


def wrap(frame: bytes, format: str) -> bytes:
    """The LIST formats put the one object into an array."""
    return b"[" + frame + b"]" if format.endswith("_LIST") else frame


def _in_both_styles(kind: str, default: str) -> dict[str, str]:
    keys = KEYS[kind]
    return {
        "DEFAULT": default,
        "SIMPLE": re.sub(r'"(\w+)":', lambda found: f'"{keys[found.group(1)]}":', default),
    }


_TICKER = _in_both_styles(
    "ticker",
    '{"type":"ticker","code":"%s",%s"acc_trade_price":%d.%016d,%s"ask_bid":"%s","trade_volume":%s,'
    '"acc_trade_volume":%d.%08d,"trade_date":"%s","trade_time":"%s","trade_timestamp":%d,"acc_ask_volume":%d.%08d,'
    '"acc_bid_volume":%d.%08d,%s"timestamp":%d,"acc_trade_price_24h":%d.%016d,"acc_trade_volume_24h":%d.%08d,'
    '"stream_type":"%s"}',
)
_TICKER_PRICES = _in_both_styles(
    "ticker", '"opening_price":%s,"high_price":%s,"low_price":%s,"trade_price":%s,"prev_closing_price":%s,'
)
_TICKER_CHANGE = _in_both_styles(
    "ticker",
    '"change":"%s","change_price":%s,"signed_change_price":%s,"change_rate":%s,"signed_change_rate":%s,',
)
_TICKER_YEAR = _in_both_styles(
    "ticker",
    '"highest_52_week_price":%s,"highest_52_week_date":"%s","lowest_52_week_price":%s,"lowest_52_week_date":"%s",'
    '"market_state":"%s","is_trading_suspended":false,"delisting_date":%s,"market_warning":"%s",',
)
_TRADE = _in_both_styles(
    "trade",
    '{"type":"trade","code":"%s","timestamp":%d,"trade_date":"%s","trade_time":"%s","trade_timestamp":%d,'
    '"trade_price":%s,"trade_volume":%s,"ask_bid":"%s","prev_closing_price":%s,"change":"%s","change_price":%s,'
    '"sequential_id":%d,"best_ask_price":%s,"best_ask_size":%s,"best_bid_price":%s,"best_bid_size":%s,'
    '"stream_type":"%s"}',
)
_ORDERBOOK = _in_both_styles(
    "orderbook",
    '{"type":"orderbook","code":"%s","timestamp":%d,"total_ask_size":%s,"total_bid_size":%s,"orderbook_units":[%s],'
    '"stream_type":"%s","level":%s}',
)
_CANDLE = _in_both_styles(
    "candle",
    '{"type":"%s","code":"%s","candle_date_time_utc":"%s","candle_date_time_kst":"%s","opening_price":%s,'
    '"high_price":%s,"low_price":%s,"trade_price":%s,"candle_acc_trade_volume":%s,"candle_acc_trade_price":%s,'
    '"timestamp":%d,"stream_type":"%s"}',
)
_E16 = 10**16
_E8 = 10**8


@lru_cache(maxsize=4096)
def clock_texts(second: int) -> tuple[str, str, str, str]:
    """(`yyyyMMdd`, `HHmmss`, `yyyy-MM-dd`, `HH:mm:ss`) of an epoch second, UTC."""
    when = time.gmtime(second)
    return (
        time.strftime("%Y%m%d", when), time.strftime("%H%M%S", when),
        time.strftime("%Y-%m-%d", when), time.strftime("%H:%M:%S", when),
    )  # fmt: skip


def _sign(units: int) -> str:
    return "RISE" if units > 0 else "FALL" if units < 0 else "EVEN"


@lru_cache(maxsize=16384)
def _ticker_prices(
    style: str, variant: int, opening: int, high: int, low: int, price: int, before: int
) -> str:
    spell = (fixed4, decimal, double)[variant] if style == "DEFAULT" else (decimal, plain, double)[variant]
    return _TICKER_PRICES[style] % (spell(opening), spell(high), spell(low), spell(price), fixed(before))


@lru_cache(maxsize=16384)
def _ticker_change(style: str, price: int, before: int) -> str:
    change = price - before
    spell = fixed if change and style == "DEFAULT" else scientific
    rate = f"{abs(change) / before:.10f}" if change else "0E-8"
    signed_rate = "-" + rate if change < 0 else rate
    return _TICKER_CHANGE[style] % (_sign(change), spell(abs(change)), spell(change), rate, signed_rate)


@lru_cache(maxsize=4096)
def _ticker_year(style: str, high: int, low: int, day: int, caution: bool) -> str:
    high_day = clock_texts((day - high // 7 % 300) * 86_400)[2]
    low_day = clock_texts((day - low // 7 % 300 - 1) * 86_400)[2]
    warning = "CAUTION" if caution else "NONE"
    return _TICKER_YEAR[style] % (fixed4(high), high_day, fixed(low), low_day, "ACTIVE", "null", warning)


def spelling_variant(market: Market) -> int:
    """0, 1 or 2: which of a field's spellings this market's tickers use."""
    return sum(market.code.encode()) % 3


def ticker_frame(state: MarketState, style: str, stream_type: str, timestamp_ms: int) -> bytes:
    """The day's figures as of the last trade."""
    trade, market = state.last_trade, state.market
    date, clock, _, _ = clock_texts(trade.trade_ms // 1000)
    volume = state.ask_volume + state.bid_volume
    turnover_24h = state.turnover + state.day_before_turnover
    volume_24h = volume + state.day_before_volume
    size = fixed(trade.size) if style == "DEFAULT" else scientific(trade.size)
    prices = _ticker_prices(
        style,
        spelling_variant(market),
        state.opening,
        state.high,
        state.low,
        state.price,
        state.previous_close,
    )
    return (
        _TICKER[style]
        % (
            market.code, prices, state.turnover // _E16, state.turnover % _E16,
            _ticker_change(style, state.price, state.previous_close), trade.side, size, volume // _E8, volume
            % _E8,
            date, clock, trade.trade_ms, state.ask_volume // _E8, state.ask_volume % _E8,
            state.bid_volume // _E8, state.bid_volume % _E8,
            _ticker_year(style, state.year_high, state.year_low, state.day, market.caution), timestamp_ms,
            turnover_24h // _E16, turnover_24h % _E16, volume_24h // _E8, volume_24h % _E8, stream_type,
        )
    ).encode()  # fmt: skip


def trade_frame(code: str, trade: Trade, style: str, stream_type: str) -> bytes:
    """One fill."""
    _, _, date, clock = clock_texts(trade.trade_ms // 1000)
    change = trade.price - trade.previous_close
    if style == "DEFAULT":
        price, size, best_size = fixed(trade.price), fixed(trade.size), plain
    else:
        price = decimal(trade.price) if trade.sequential_id % 2 else fixed(trade.price)
        size, best_size = scientific(trade.size), double
    return (
        _TRADE[style]
        % (
            code, trade.frame_ms, date, clock, trade.trade_ms, price, size, trade.side,
            fixed(trade.previous_close),
            _sign(change), fixed(abs(change)), trade.sequential_id, plain(trade.best_ask),
            best_size(trade.best_ask_size),
            plain(trade.best_bid), fixed(trade.best_bid_size), stream_type,
        )
    ).encode()  # fmt: skip


def orderbook_frame(
    state: MarketState, style: str, stream_type: str, timestamp_ms: int, depth: int = DEPTH, level: int = 0
) -> bytes:
    """A whole book. The totals are those of all 30 levels whatever depth was asked for (not documented)."""
    book = state.book
    units = book.grouped_units(style, depth, level) if level else book.units(style, depth)
    spell = fixed if style == "DEFAULT" else double
    return (
        _ORDERBOOK[style]
        % (
            state.market.code, timestamp_ms, spell(sum(book.ask_sizes)), spell(sum(book.bid_sizes)), units,
            stream_type,
            plain(level),
        )
    ).encode()  # fmt: skip


def candle_frame(
    code: str, unit: str, candle: Candle, style: str, stream_type: str, timestamp_ms: int
) -> bytes:
    """One candle as it stands; nothing says whether it is finished."""
    _, _, date, clock = clock_texts(candle.start_s)
    _, _, kst_date, kst_clock = clock_texts(candle.start_s + 9 * 3600)
    turnover = f"{candle.turnover // _E16}.{candle.turnover % _E16:016d}"
    return (
        _CANDLE[style]
        % (
            unit, code, f"{date}T{clock}", f"{kst_date}T{kst_clock}", fixed(candle.open), fixed(candle.high),
            fixed(candle.low), fixed(candle.close), fixed(candle.volume), turnover,
            timestamp_ms, stream_type,
        )
    ).encode()  # fmt: skip


def status_frame() -> bytes:
    """The answer to a text PING."""
    return b'{"status":"UP"}'


def error_frame(name: str, message: str) -> bytes:
    """An error; the order of the two keys depends on the error, as captured."""
    named, told = f'"name":"{name}"', f'"message":"{message}"'
    inside = f"{named},{told}" if name.startswith("NO_") else f"{told},{named}"
    return b'{"error":{' + inside.encode() + b"}}"


def listing_frame(ticket: str, rows: list[tuple[str, list[str], int | None]], style: str) -> bytes:
    """The answer to LIST_SUBSCRIPTIONS; `rows` are (type, codes, level or None)."""
    keys = KEYS["listing"] if style == "SIMPLE" else {key: key for key in KEYS["listing"]}
    result = []
    for type_, codes, level in rows:
        row: dict[str, object] = {keys["type"]: type_}
        if "" not in codes:  # it is about all of them
            row[keys["codes"]] = codes
        if level is not None:
            row[keys["level"]] = json.loads(plain(level))
        result.append(row)
    body = {keys["method"]: "LIST_SUBSCRIPTIONS", keys["result"]: result, keys["ticket"]: ticket}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
