"""Random wishes, replacements and losses on a venue that allows few connections: bounds hold, and all is carried."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from subcore.engine import events
from subcore.engine.link import Phase
from subcore.sim.binance import BinanceExchange
from subcore.sim.exchange import Exchange
from subcore.sim.faults import Fault
from subcore.testing import EngineDriver
from subcore.types import Int32Array, StreamState
from test_connections_allowed import CODES, EACH, MARKETS, few

pytestmark = pytest.mark.simulation

OPERATIONS = (
    "subscribe",
    "subscribe",
    "subscribe",
    "unsubscribe",
    "own",
    "standby",
    "rotate",
    "drop",
    "wait",
    "share",
)


def ids(*streams: int) -> Int32Array:
    return np.array(sorted(streams), np.int32)


class _Play:
    """One component's wishes, as plain sets, and what came of them."""

    def __init__(self, house: str, seed: int) -> None:
        self.rng = random.Random(seed)
        self.allowed = self.rng.choice([1, 2, 3, 4])
        self.each = EACH if house == "binance" else 1_000_000
        self.codes = CODES if house == "binance" else MARKETS
        made = BinanceExchange if house == "binance" else Exchange
        self.exchange = made(seed, markets=self.codes, rate=5.0)
        self.driver = EngineDriver(few(house, self.allowed), self.exchange, seed=seed)
        self.held: dict[str, int] = {}
        self.own: set[int] = set()
        self.standby: set[int] = set()

    def fits(self, held: int, own: set[int], standby: set[int]) -> bool:
        parts = (held - len(own), len(own), len(standby))
        return sum(math.ceil(part / self.each) for part in parts) <= self.allowed

    def step(self) -> None:
        operation = self.rng.choice(OPERATIONS)
        if operation == "subscribe":
            self.subscribe(self.rng.sample(self.codes, self.rng.randint(1, 4)))
        elif operation == "unsubscribe" and self.held:
            self.unsubscribe(self.rng.sample(sorted(self.held), self.rng.randint(1, len(self.held))))
        elif operation in ("own", "standby") and self.held:
            self.ask(operation, self.rng.choice(sorted(self.held.values())))
        elif operation == "share" and self.own:
            stream = self.rng.choice(sorted(self.own))
            self.own.discard(stream)
            self.driver.handle(events.OwnLink(ids(stream), False))
        elif operation == "rotate":
            self.driver.handle(events.Rotate())
        elif operation == "drop" and self.exchange.connections:
            number = self.rng.choice(sorted(self.exchange.connections))
            self.exchange.inject(Fault("drop_rst", conn=number), self.driver.now)
        for _ in range(self.rng.choice([1, 1, 3, 10, 60])):
            self.driver.run(0.1)
            self.check()

    def subscribe(self, codes: list[str]) -> None:
        if self.fits(len({*self.held, *codes}), self.own, self.standby):
            streams = self.driver.subscribe("a", "trade", codes)
            self.held.update(zip(codes, streams.tolist(), strict=True))

    def unsubscribe(self, codes: list[str]) -> None:
        gone = {self.held.pop(code) for code in codes}
        if gone & self.own:
            self.driver.handle(events.OwnLink(ids(*gone & self.own), False))
        if gone & self.standby:
            self.driver.handle(events.StandBy(ids(*gone & self.standby), False))
        self.own -= gone
        self.standby -= gone
        self.driver.unsubscribe("a", "trade", codes)

    def ask(self, what: str, stream: int) -> None:
        own = self.own | {stream} if what == "own" else self.own
        standby = self.standby | {stream} if what == "standby" else self.standby
        if self.fits(len(self.held), own, standby):
            self.own, self.standby = own, standby
            self.driver.handle((events.OwnLink if what == "own" else events.StandBy)(ids(stream)))

    def check(self) -> None:
        phases = [link.phase for link in self.driver.engine.links.values()]
        assert phases.count(Phase.CONNECTING) + phases.count(Phase.UP) <= self.allowed
        assert len(self.exchange.connections) <= self.allowed
        assert all(len(connection.streams) <= self.each for connection in self.exchange.connections.values())
        assert not self.exchange.violations


@pytest.mark.parametrize("house", ["binance", "upbit"])
@pytest.mark.parametrize("seed", [4, 11, 21, 30])
def test_bounds_hold_and_all_is_carried_in_the_end(house: str, seed: int) -> None:
    play = _Play(house, seed)
    for _ in range(25):
        play.step()
    for _ in range(600):
        play.driver.run(0.3)
        play.check()
    assert play.driver.streams_in(StreamState.OPEN) == set(play.held.values())
    assert not play.driver.engine.is_rotating
