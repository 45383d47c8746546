"""Routes beside the least they could cost; read the ratio of neighbours, not the seconds."""

from __future__ import annotations

import sys
from collections import deque
from pathlib import Path

import numpy as np

from subcore._delivery import WakeBatch
from subcore._events import Ticker
from subcore._ledger import Ledger
from subcore._queue import EventQueue
from subcore._route import Router

sys.path.insert(0, str(Path(__file__).resolve().parent))  # asv imports this file by itself

from bare.build import load
from comparison.core import new_router

ROUNDS = 200


def make_event() -> Ticker:
    return Ticker(venue="venue", channel="ticker", symbol="KRW-BTC", price=1.0)


def route_to(targets: list[object]) -> tuple[Router, int]:
    """A router whose one stream leads to all targets, each a component of its own: with all on that a manager has."""
    ledger = Ledger()
    router = new_router(ledger)
    topics = ledger.topics(0, [0])
    for target in targets:
        component = ledger.open_component()
        ledger.add(component, topics)
        router.connect(router.new_sink(component, target), topics)
    return router, ledger.get_stream(0, 0)


class FanOut:
    """A unit is 200 frames to so many sinks."""

    params = (1, 10, 100)
    param_names = ("sinks",)

    def setup(self, sinks: int) -> None:
        self.loops, self.bare = load("route_loop"), load("fan_out")
        self.event = make_event()
        self.callbacks = [lambda event, _number=number: None for number in range(sinks)]
        self.queues = [EventQueue(wakes=WakeBatch(lambda call: None)) for _ in range(sinks)]
        self.to_callbacks = route_to(list(self.callbacks))
        self.to_strategies = route_to([self.loops.NothingStrategy() for _ in range(sinks)])
        self.to_queues = route_to(list(self.queues))

    def time_bare_loop(self, sinks: int) -> None:
        self.bare.call_each(self.callbacks, self.event, ROUNDS)

    def time_callbacks(self, sinks: int) -> None:
        self.loops.fan_out(*self.to_callbacks, self.event, ROUNDS)

    def time_strategies(self, sinks: int) -> None:
        self.loops.fan_out(*self.to_strategies, self.event, ROUNDS)

    def time_queues_drained(self, sinks: int) -> None:
        self.loops.fan_out(*self.to_queues, self.event, ROUNDS)
        for queue in self.queues:
            queue.drain()


class Crowd:
    """A unit is one component of 200 interests that comes and goes, beside so many others in each stream."""

    params = (10, 1_000)
    param_names = ("others",)

    def setup(self, others: int) -> None:
        self.ledger = Ledger()
        self.router = Router(self.ledger, gone=deque())
        self.topics = self.ledger.topics(0, np.arange(200, dtype=np.int32))
        for _ in range(others):
            component = self.ledger.open_component()
            self.ledger.add(component, self.topics)
            self.router.connect(self.router.new_sink(component, print), self.topics)
        self.component = self.ledger.open_component()
        self.sink = self.router.new_sink(self.component, print)

    def time_come_and_go(self, others: int) -> None:
        self.ledger.add(self.component, self.topics)
        self.router.connect(self.sink, self.topics)
        self.router.disconnect(self.component, self.topics)
        self.ledger.remove(self.component, self.topics)

    def track_bytes_per_interest(self, others: int) -> float:
        return self.router.nbytes / self.router.interest_count
