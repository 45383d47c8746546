"""After a rate refusal the limits of links count over the process, judged where the messages arrive."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from subcore.engine.clock import SECOND
from subcore.engine.pacing import LimitRegistry
from subcore.sim import Exchange, Fault
from subcore.testing import EngineDriver
from subcore.venues import venue

pytestmark = pytest.mark.simulation

UPBIT = venue("upbit").at("ws://narrowed.test:80")
WINDOWS = ((5, SECOND), (100, 60 * SECOND))  # "5 a second, 100 a minute"
TEXT = 1
MOST_UNDER_WAY_S = 0.3
CODES = [f"KRW-N{number}" for number in range(60)]
ONE_TOO_MANY = "KRW-ADA"  # any request that names it is


@dataclass
class Arrivals:
    """Messages at the venue, of all connections."""

    times: list[int] = field(default_factory=list)
    links: list[tuple[int, int]] = field(default_factory=list)  # (manager, link) of each

    def worst(self, window: int, since: int) -> int:
        """The most within a rolling window that ends with one that came after `since`."""
        return max(sum(at - window < other <= at for other in self.times) for at in self.times if at > since)


class Watched(EngineDriver):
    """One of several managers of a process, each with one link to the venue; what arrives there is noted."""

    def __init__(self, number: int, seed: int, registry: LimitRegistry, arrivals: Arrivals) -> None:
        exchange = Exchange(seed, markets=[*CODES, ONE_TOO_MANY], rate=0.1)
        delay = (0.0, MOST_UNDER_WAY_S)
        super().__init__(UPBIT, exchange, seed=10 * seed + number, registry=registry, delay=delay)
        self._number = number
        self._arrivals = arrivals
        self._held: set[str] = set()

    def _arrive(self, one: Any, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            self._arrivals.times.append(self.now)
            self._arrivals.links.append((self._number, one.link))
        super()._arrive(one, opcode, payload)

    def change(self, code: str) -> None:
        """Ask for it, or for it no longer."""
        call = self.unsubscribe if code in self._held else self.subscribe
        call("desk", "ticker", [code])
        self._held ^= {code}


def storm(drivers: list[Watched], rng: random.Random, seconds: float) -> None:
    """Fifty changes a second of each. Now one lives through such a moment first, now the other."""
    for _ in range(round(seconds * 50)):
        for driver in rng.sample(drivers, len(drivers)):
            driver.change(rng.choice(CODES))
            driver.run(1 / 50)


@pytest.mark.parametrize("seed", range(2))
def test_after_a_rate_refusal_two_links_together_keep_to_the_windows_of_one(seed: int) -> None:
    rng, registry, arrivals = random.Random(f"narrowed {seed}"), LimitRegistry(), Arrivals()
    drivers = [Watched(number, seed, registry, arrivals) for number in range(2)]
    storm(drivers, rng, 70.0)
    before = [arrivals.worst(window, 0) for _, window in WINDOWS]
    assert before[1] > 150, "each link had the windows to itself"
    first = drivers[0]
    refusal = Fault("error", symbol=ONE_TOO_MANY, name="TOO_MANY_REQUEST", seconds=2.0)
    first.exchange.inject(refusal, first.now)  # type: ignore[attr-defined]
    first.change(ONE_TOO_MANY)
    while not registry.is_narrowed(UPBIT.host, first.now):
        storm(drivers, rng, 0.1)
    sent_before = len(arrivals.times)
    since = first.now + round(MOST_UNDER_WAY_S * SECOND)
    storm(drivers, rng, 130.0)
    for most, window in WINDOWS:
        assert arrivals.worst(window, since) <= most, f"seed {seed}"
    came = Counter(number for number, _ in arrivals.links[sent_before:])
    assert sum(came.values()) > 130, "what is allowed is used"
    assert min(came[0], came[1]) > 20, f"both sent: {came}"
