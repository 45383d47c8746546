"""Runs in virtual time, sampled: what the pictures show happened."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from subcore.engine import actions
from subcore.engine.clock import SECOND
from subcore.sim.binance import BinanceExchange
from subcore.sim.exchange import Exchange
from subcore.testing import EngineDriver
from subcore.types import Priority
from subcore.venues import venue

COMPONENTS, SYMBOLS = 120, 300


@dataclass
class Recorded:
    """A driver, and what was looked at while it ran."""

    driver: EngineDriver
    times: list[float] = field(default_factory=list)
    rows: list[dict[str, float]] = field(default_factory=list)

    def run(self, seconds: float, look: Callable[[], dict[str, float]], every: float = 0.05) -> None:
        """Let time pass, looking at it now and then."""
        for _ in range(round(seconds / every)):
            self.driver.run(every)
            self.times.append(self.driver.now / SECOND)
            self.rows.append(look())

    def column(self, name: str) -> np.ndarray:
        """One thing that was looked at, over `times`."""
        return np.array([row.get(name, 0.0) for row in self.rows])

    def sends(self, since: float = 0.0) -> list[tuple[float, int]]:
        """When requests left, and on which link."""
        found = [(at / SECOND, what) for at, what in self.driver.history if isinstance(what, actions.Send)]
        return [(at, what.link) for at, what in found if what.request and at >= since]


def upbit(rate: float, seed: int = 1) -> EngineDriver:
    """The engine before the embedded exchange, with a network of 5 to 50 ms."""
    exchange = Exchange(seed, markets=[f"KRW-T{number}" for number in range(SYMBOLS)], rate=rate)
    return EngineDriver(venue("upbit").at("ws://sim.test:80"), exchange, seed=seed)


def binance(rate: float, seed: int = 1) -> EngineDriver:
    """The same before the other exchange, whose requests add and remove."""
    exchange = BinanceExchange(seed, markets=[f"T{number}USDT" for number in range(SYMBOLS)], rate=rate)
    made = venue("binance").at("ws://sim.test:80")
    return EngineDriver(made, exchange, seed=seed)


def subscribe_all(
    driver: EngineDriver, channels: tuple[str, str], rng: random.Random
) -> dict[Priority, np.ndarray]:
    """120 components of all classes hold 600 streams; their ids by class."""
    market = "T{}USDT" if driver.venue.name == "binance" else "KRW-T{}"
    names = [(channel, market.format(number)) for channel in channels for number in range(SYMBOLS)]
    rng.shuffle(names)
    ids: dict[Priority, list[int]] = {cls: [] for cls in (Priority.CRITICAL, Priority.HIGH, Priority.NORMAL)}
    for at, (channel, symbol) in enumerate(names):
        cls = list(ids)[min(at % 4, 2)]
        ids[cls] += driver.subscribe(f"c{at % COMPONENTS}", channel, [symbol], priority=cls).tolist()
    return {cls: np.array(of, np.int32) for cls, of in ids.items()}
