"""Boxes beside a deque and asyncio.Queue; read the ratio of neighbours, not the seconds."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from pathlib import Path

import subcore
from subcore._delivery import WakeBatch
from subcore._events import Ticker
from subcore._latest import LatestBox
from subcore._queue import EventQueue
from subcore._ring import RecordRing

sys.path.insert(0, str(Path(__file__).resolve().parent))  # asv imports this file by itself

from bare.build import load

EVENTS, ROUNDS = 4096, 10


def make_events() -> list[Ticker]:
    return [Ticker(venue="v", channel="ticker", symbol="KRW-BTC", price=float(n)) for n in range(EVENTS)]


class Put:
    """A unit is 40,960 events kept for later, of so many topics, and taken all at once."""

    params = (1, 200, 4096)
    param_names = ("topics",)

    def setup(self, topics: int) -> None:
        self.bare, self.events, self.waiting = load("boxes"), make_events(), deque[object]()
        self.queue = EventQueue(2 * EVENTS, wakes=WakeBatch(lambda flush: None))
        self.latest = LatestBox(wakes=WakeBatch(lambda flush: None))
        self.ring = RecordRing("ticker", 1024)

    def time_deque(self, topics: int) -> None:
        self.bare.append_each(self.waiting, self.events, ROUNDS)

    def time_queue(self, topics: int) -> None:
        self.bare.put_each(self.queue, self.events, topics, ROUNDS)

    def time_latest(self, topics: int) -> None:
        self.bare.put_each(self.latest, self.events, topics, ROUNDS)

    def time_ring(self, topics: int) -> None:
        self.bare.put_records(self.ring, self.events, ROUNDS)


class Read:
    """A unit is 4,096 events put one by one from Python and read again; `time_nothing_read` only puts them."""

    def setup(self) -> None:
        manager = subcore.SubscriptionManager("upbit", url="ws://127.0.0.1:9", markets=None)
        self.component = manager.component("reader", delivery=subcore.Queue(2 * EVENTS))
        self.queue = self.component._member.boxes.box(self.component._member.delivery)
        self.events, self.loop = make_events(), asyncio.new_event_loop()

    def fill(self) -> None:
        for event in self.events:
            self.queue.put(event, 0)

    def time_nothing_read(self) -> None:
        self.fill()
        self.queue.drain()

    def time_batch(self) -> None:
        async def read() -> None:
            left = EVENTS
            while left:
                left -= len(await self.component.batch())

        self.fill()
        self.loop.run_until_complete(read())

    def time_async_for(self) -> None:
        async def read() -> None:
            left = EVENTS
            async for _ in self.component:
                left -= 1
                if not left:
                    return

        self.fill()
        self.loop.run_until_complete(read())
