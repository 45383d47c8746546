"""How the venue spells what it sends: prices and sizes as quoted decimals with eight places, ids and times bare."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from subcore.sim.book import Book
from subcore.sim.markets import Market
from subcore.sim.numbers import fixed

from .coin import AggTrade, Kline, Trade

__all__ = [
    "ack",
    "agg_trade",
    "book_ticker",
    "depth",
    "error",
    "exchange_info",
    "kline",
    "result",
    "trade",
    "wrapped",
]


def wrapped(name: str, data: bytes) -> bytes:
    """As it stands in a combined stream."""
    return b'{"stream":"%b","data":%b}' % (name.encode(), data)


def book_ticker(symbol: str, book: Book, update: int) -> bytes:
    """Best bid and ask; it has neither time nor type."""
    return (
        f'{{"u":{update},"s":"{symbol}","b":"{fixed(book.bid_prices[0])}","B":"{fixed(book.bid_sizes[0])}",'
        f'"a":"{fixed(book.ask_prices[0])}","A":"{fixed(book.ask_sizes[0])}"}}'
    ).encode()


def depth(book: Book, levels: int, update: int) -> bytes:
    """The complete top of a book; it has neither symbol nor time."""
    bids, asks = (
        ",".join(f'["{fixed(price)}","{fixed(size)}"]' for price, size in zip(*side, strict=True))
        for side in (
            (book.bid_prices[:levels], book.bid_sizes[:levels]),
            (book.ask_prices[:levels], book.ask_sizes[:levels]),
        )
    )
    return f'{{"lastUpdateId":{update},"bids":[{bids}],"asks":[{asks}]}}'.encode()


def _truth(value: bool) -> str:
    return "true" if value else "false"


def trade(symbol: str, told: Trade, now_ms: int) -> bytes:
    """One trade."""
    return (
        f'{{"e":"trade","E":{now_ms},"s":"{symbol}","t":{told.id},"p":"{fixed(told.price)}",'
        f'"q":"{fixed(told.size)}","T":{told.at_ms},"m":{_truth(told.buyer_is_maker)},"M":true}}'
    ).encode()


def agg_trade(symbol: str, told: AggTrade, now_ms: int) -> bytes:
    """Trades of one taker at one price."""
    return (
        f'{{"e":"aggTrade","E":{now_ms},"s":"{symbol}","a":{told.id},"p":"{fixed(told.price)}",'
        f'"q":"{fixed(told.size)}","f":{told.first},"l":{told.last},"T":{told.at_ms},'
        f'"m":{_truth(told.buyer_is_maker)},"M":true}}'
    ).encode()


def kline(symbol: str, told: Kline, now_ms: int, *, closed: bool) -> bytes:
    """A candle as it stands."""
    return (
        f'{{"e":"kline","E":{now_ms},"s":"{symbol}","k":{{"t":{told.start_ms},"T":{told.end_ms},"s":"{symbol}",'
        f'"i":"{told.interval}","f":{told.first},"L":{told.last},"o":"{fixed(told.open)}","c":"{fixed(told.close)}",'
        f'"h":"{fixed(told.high)}","l":"{fixed(told.low)}","v":"{fixed(told.volume)}","n":{told.trades},'
        f'"x":{_truth(closed)},"q":"{fixed(told.turnover // 10**8)}","V":"{fixed(told.bought)}",'
        f'"Q":"{fixed(told.bought_turnover // 10**8)}","B":"0"}}}}'
    ).encode()


def result(value: Any, ident: int | str | None) -> bytes:
    """The answer to a request."""
    return json.dumps({"result": value, "id": ident}, ensure_ascii=False, separators=(",", ":")).encode()


def ack(ident: int | str | None) -> bytes:
    """A request was carried out."""
    return result(None, ident)


def error(code: int, message: str, ident: int | str | None, *, is_wrapped: bool) -> bytes:
    """A request was refused."""
    said: dict[str, Any] = {"code": code, "msg": message}
    said = {"error": said, "id": ident} if is_wrapped else {**said, "id": ident}
    return json.dumps(said, separators=(",", ":")).encode()


def exchange_info(markets: Iterable[tuple[str, Market]], now_ms: int) -> bytes:
    """The body of `GET /api/v3/exchangeInfo`, as far as a subscriber needs it."""
    rows = [
        {"symbol": symbol, "status": "TRADING", "baseAsset": market.base, "quoteAsset": market.quote}
        for symbol, market in markets
    ]
    said = {"timezone": "UTC", "serverTime": now_ms, "rateLimits": [], "exchangeFilters": [], "symbols": rows}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
