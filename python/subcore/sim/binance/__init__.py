"""A second embedded exchange: Binance spot's combined market streams, read from its documents for itself.

`SimServer(BinanceExchange(seed=1))` puts it on a port.
"""

from __future__ import annotations

from .exchange import BinanceExchange
from .rules import BinanceDurations, BinanceRules

__all__ = ["BinanceDurations", "BinanceExchange", "BinanceRules"]
