"""Which embedded exchange plays the house of a venue, by the venue's name, and what each may be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .binance import BinanceDurations, BinanceExchange, BinanceRules
from .durations import Durations, Times
from .exchange import Exchange
from .machine import Machine
from .rules import Rules

__all__ = ["HOUSES", "House", "exchange_like"]


@dataclass(frozen=True)
class House:
    """One exchange. `over_limit`: what a message over its limit may bring, the usual first."""

    exchange: Callable[..., Machine[Any]]
    durations: Times
    rules: Callable[..., Any]
    over_limit: tuple[str, ...]

    def make(self, *, over_limit: str | None = None, speedup: float = 1.0, **options: Any) -> Machine[Any]:
        """It, with every time divided by `speedup`, and its options."""
        rules = self.rules(over_limit=over_limit or self.over_limit[0])
        return self.exchange(durations=self.durations.divided(speedup), rules=rules, **options)


HOUSES = {
    "upbit": House(Exchange, Durations(), Rules, ("error", "close", "ignore")),
    "binance": House(BinanceExchange, BinanceDurations(), BinanceRules, ("close", "ignore")),
}


def exchange_like(name: str, **options: Any) -> Machine[Any] | None:
    """An exchange of that house with its options, or None where there is none. Its `markets` are by symbol."""
    house = HOUSES.get(name.partition("-")[0])
    return None if house is None else house.exchange(**options)
