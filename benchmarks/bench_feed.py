"""A frame's whole way in the core, from its bytes to callbacks that do nothing; read ratios, not seconds."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))  # asv imports this file by itself

from bare.build import load
from comparison.core import new_feed, subscribe
from comparison.frames import frames, home_markets, renamed

COUNT = 256
NOW_NS = 1_790_000_100_000_000_000
SYMBOLS = [market.code for market in home_markets()]


def ignore(event: object) -> None:
    """A callback that does nothing."""


class Way:
    """A unit is 256 frames of 32 markets, each to so many callbacks."""

    params = (("ticker", "orderbook.30"), (1, 10))
    param_names = ("kind", "callbacks")

    def setup(self, kind: str, callbacks: int) -> None:
        self.feed = new_feed(SYMBOLS)
        for _ in range(callbacks):
            subscribe(self.feed, kind.partition(".")[0], SYMBOLS, ignore)
        self.frames = frames(kind, "DEFAULT", COUNT)
        self.time_feed(kind, callbacks)
        if self.feed.events != COUNT:
            raise RuntimeError(f"not every frame reached the callbacks: {self.feed.counters()}")

    def time_feed(self, kind: str, callbacks: int) -> None:
        for frame in self.frames:
            self.feed.feed(0, frame, NOW_NS)


class Nobody:
    """A unit is 256 frames of streams that nobody holds: looked up, counted and dropped."""

    def setup(self) -> None:
        self.feed = new_feed(SYMBOLS)
        self.frames = frames("ticker", "DEFAULT", COUNT)

    def time_feed(self) -> None:
        for frame in self.frames:
            self.feed.feed(0, frame, NOW_NS)


class Streams:
    """A unit is 1,000 tickers, evenly over so many streams, written anew in the same few bytes of memory."""

    params = (10, 1_000, 50_000)
    param_names = ("streams",)

    def setup(self, streams: int) -> None:
        self.loops = load("feed_loop")
        symbols = [f"KRW-{number:05d}" for number in range(streams)]
        self.feed = new_feed(symbols)
        subscribe(self.feed, "ticker", symbols, ignore)
        whole = renamed(frames("ticker", "DEFAULT", 1)[0], symbols[0])
        self.templates, self.offset = [bytearray(whole)], whole.index(b"KRW-") + len("KRW-")
        self.numbers = np.random.default_rng(1).integers(0, streams, 1_000, dtype=np.int32)

    def time_uniform(self, streams: int) -> None:
        self.loops.feed_all(self.feed, self.templates, self.offset, self.numbers, 1)

    def track_bytes_per_stream(self, streams: int) -> float:
        """Ledger, routes, meter and symbols; what is there for one stream already counts too."""
        parts = (self.feed.ledger, self.feed.router, self.feed.meter, self.feed.interner)
        return sum(part.nbytes for part in parts) / streams
