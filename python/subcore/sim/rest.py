"""The REST pages a subscriber needs: the list of markets, and what is newest of some of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

from .markets import Market

__all__ = [
    "MARKET_PATH",
    "ORDERBOOK_PATH",
    "TICKER_PATH",
    "asked_markets",
    "market_list",
    "orderbooks",
    "tickers",
]

MARKET_PATH, TICKER_PATH, ORDERBOOK_PATH = "/v1/market/all", "/v1/ticker", "/v1/orderbook"
_CAUTIONS = (
    "PRICE_FLUCTUATIONS",
    "TRADING_VOLUME_SOARING",
    "DEPOSIT_AMOUNT_SOARING",
    "GLOBAL_PRICE_DIFFERENCES",
    "CONCENTRATION_OF_SMALL_ACCOUNTS",
)


def market_list(markets: Iterable[Market], *, details: bool) -> bytes:
    """The body of `GET /v1/market/all`; with details, each market's warnings. A delisted market is just absent."""
    rows = []
    for market in markets:
        row: dict[str, Any] = {
            "market": market.code,
            "korean_name": market.korean_name,
            "english_name": market.english_name,
        }
        if details:
            cautions = {name: market.caution and i == 0 for i, name in enumerate(_CAUTIONS)}
            row["market_event"] = {"warning": False, "caution": cautions}
        rows.append(row)
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode()


def asked_markets(query: str) -> list[str]:
    """The codes of `markets=`; case does not matter here, as it does on the socket."""
    said = parse_qs(query).get("markets", [""])[-1]
    return [code for code in said.upper().split(",") if code]


def tickers(times: Iterable[tuple[str, int, int]]) -> bytes:
    """The body of `GET /v1/ticker`, as far as it tells when: (code, time of the last trade, of the figures)."""
    rows = [
        {"market": code, "trade_timestamp": trade_ms, "timestamp": ticker_ms}
        for code, trade_ms, ticker_ms in times
    ]
    return json.dumps(rows, separators=(",", ":")).encode()


def orderbooks(times: Iterable[tuple[str, int]]) -> bytes:
    """The body of `GET /v1/orderbook`, without its levels: (code, time of the book's last change)."""
    rows = [
        {"market": code, "timestamp": book_ms, "level": 0, "orderbook_units": []} for code, book_ms in times
    ]
    return json.dumps(rows, separators=(",", ":")).encode()
