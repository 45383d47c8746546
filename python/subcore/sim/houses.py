"""Which embedded exchange plays the house of a venue, by the venue's name."""

from __future__ import annotations

from typing import Any

from .binance import BinanceExchange
from .exchange import Exchange
from .machine import Machine

__all__ = ["exchange_like"]


def exchange_like(name: str, **options: Any) -> Machine[Any] | None:
    """An exchange of that house with its options, or None where there is none. Its `markets` are by symbol."""
    house = name.partition("-")[0]
    if house == "upbit":
        return Exchange(**options)
    return BinanceExchange(**options) if house == "binance" else None
