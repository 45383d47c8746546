"""Events beside plain Python objects of the same values; read ratios, not seconds.

`python -m benchmarks.bench_events` prints a table of one run.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import msgspec

from subcore._events import Event, Orderbook, Ticker, Trade

from .bare.build import load

TIMES = 10_000
NAMES = tuple(f"value_{place}" for place in range(25))
Struct = msgspec.defstruct("Struct", [(name, object) for name in NAMES])
NUMBERS = dict.fromkeys(
    ("price", "open", "high", "low", "previous_close", "size", "volume_24h", "volume"), 1.5
)
HEAD = {"venue": "upbit", "symbol": "KRW-BTC", "exchange_time_ns": 1_788_000_000_000_000_000}


def events() -> dict[str, Event]:
    levels = [(100.0 + place, 1.5) for place in range(30)]
    return {
        "ticker": Ticker(channel="ticker", side="BUY", change="RISE", **HEAD, **NUMBERS),
        "trade": Trade(channel="trade", price=1.5, size=0.5, id=17880000000770001, **HEAD),
        "book of 30": Orderbook(channel="orderbook", bids=levels, asks=levels, **HEAD),
    }


class Make:
    """A unit is 10,000 events made and dropped."""

    params = ("ticker", "trade", "book of 30")
    param_names = ("event",)

    def setup(self, event: str) -> None:
        self.loops = load("event_loop")
        self.event = events()[event]
        self.ticker = events()["ticker"]

    def time_event(self, event: str) -> None:
        self.loops.make(self.event, TIMES)

    def time_book_cut_to_5(self, event: str) -> None:
        self.loops.make(self.event, TIMES, 5)


class MakePlain:
    """A unit is 10,000 plain objects of a ticker's 25 values."""

    def setup(self) -> None:
        self.loops = load("event_loop")
        self.ticker = events()["ticker"]

    def time_tuple(self) -> None:
        self.loops.make_tuple(self.ticker, TIMES)

    def time_struct(self) -> None:
        self.loops.make_struct(self.ticker, TIMES, Struct)

    def time_dict(self) -> None:
        self.loops.make_dict(self.ticker, TIMES, NAMES)


def contestants() -> dict[str, Callable[[], object]]:
    loops, made = load("event_loop"), events()
    found: dict[str, Callable[[], object]] = {
        name: lambda event=event: loops.make(event, TIMES) for name, event in made.items()
    }
    found["book cut to 5"] = lambda: loops.make(made["book of 30"], TIMES, 5)
    found["tuple of 25"] = lambda: loops.make_tuple(made["ticker"], TIMES)
    found["msgspec Struct of 25"] = lambda: loops.make_struct(made["ticker"], TIMES, Struct)
    found["dict of 25"] = lambda: loops.make_dict(made["ticker"], TIMES, NAMES)
    return found


def main() -> None:
    """Interleaved rounds, medians of CPU time."""
    seconds: dict[str, list[float]] = {}
    for _ in range(31):
        for name, run in contestants().items():
            begin = time.thread_time()
            run()
            seconds.setdefault(name, []).append(time.thread_time() - begin)
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    for name, median in medians.items():
        print(f"{name:22s} {median / TIMES * 1e9:8.1f} ns   {median / medians['ticker']:6.2f} x ticker")


if __name__ == "__main__":
    main()
