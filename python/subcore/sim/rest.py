"""The one REST page a subscriber needs: the list of markets."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from .markets import Market

__all__ = ["MARKET_PATH", "market_list"]

MARKET_PATH = "/v1/market/all"
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
