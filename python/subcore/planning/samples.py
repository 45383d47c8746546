"""Frames to calibrate and rehearse with, as the embedded exchange of that house makes them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from subcore.errors import UsageError
from subcore.sim.houses import exchange_like
from subcore.types import StreamColumns
from subcore.venue import Venue
from subcore.venues import get_venue

__all__ = ["Sample", "renamed", "sample_of", "symbols_like"]

START_NS = 1_790_000_000_000_000_000
STEP_NS = 100_000_000
LONG = 100  # steps, after which one frame will do
MOST_STEPS = 2000
FRAMES = 64
BUSY = 20.0  # times the usual traffic, to have the frames soon
NOBODY = StreamColumns(
    np.empty(0, np.int32),
    np.empty(0, np.int32),
    [],
    np.empty(0, np.int32),
    np.empty(0),
    np.empty(0, np.int32),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """What one stream brought: its symbol, its first frame, and others, oldest first."""

    symbol: str
    first: bytes
    frames: tuple[bytes, ...]

    @property
    def bytes(self) -> float:
        """Of a frame, on average."""
        return sum(map(len, self.frames)) / len(self.frames)


def _exchange(venue: str, **options: Any) -> Any:
    exchange = exchange_like(venue, seed=1, **options)
    if exchange is None:
        raise UsageError(
            f"there is no embedded exchange like {venue!r} to take frames from: a plan is of a built-in venue"
        )
    return exchange


def symbols_like(venue: str) -> tuple[str, ...]:
    """Symbols of the venue's embedded exchange, the busiest first."""
    markets = _exchange(venue).markets
    return tuple(sorted(markets, key=lambda symbol: -markets[symbol].book_rate))


@lru_cache(maxsize=64)
def sample_of(name: str, channel: int, depth: int, symbol: str) -> Sample:
    """Frames of one stream of a built-in venue. UsageError where its exchange has none."""
    venue = get_venue(name)
    exchange = _exchange(name, markets=[symbol], rate=BUSY)
    path = venue.route(venue.channels[channel].route).path
    conn = exchange.connect(START_NS, path=path)
    wanted = _columns(channel, depth, symbol)
    out = venue.encode(wanted, NOBODY, wanted, 1)[0]
    exchange.receive(conn, out.opcode, out.payload, START_NS)
    found: list[bytes] = []
    named = re.compile(re.escape(symbol.encode()), re.IGNORECASE)
    for step in range(1, MOST_STEPS):
        outputs = exchange.advance(START_NS + step * STEP_NS)
        found += [o.payload for o in outputs if o.kind == "frame" and named.search(o.payload)]
        if len(found) > (FRAMES if step < LONG else 0):
            break
    if not found:
        raise UsageError(f"{name}: no frames of {venue.channels[channel].name} to calibrate with")
    return Sample(symbol, found[0], tuple(found[1 : FRAMES + 1] or found))


def _columns(channel: int, depth: int, symbol: str) -> StreamColumns:
    def one(value: int) -> Any:
        return np.array([value], np.int32)

    return StreamColumns(one(0), one(channel), [symbol], one(depth), np.zeros(1), one(1))


def renamed(frame: bytes, symbol: str, other: str) -> bytes:
    """The same frame of another symbol."""
    frame = frame.replace(symbol.encode(), other.encode())
    return frame.replace(symbol.lower().encode(), other.lower().encode())


def busiest(venue: Venue) -> str:
    """A symbol that has frames of every channel soon."""
    return symbols_like(venue.name)[0]
