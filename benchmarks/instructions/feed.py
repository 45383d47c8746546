"""Instructions of a frame's way: from its bytes to a callback that does nothing, and from one event to many.

The scanner has a large share of a whole ticker. The smallest one, with nothing but what the field table requires,
shows the rest of the way: the look-ups, the meter, the judgement of repeats, the event made and dropped, the call.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from subcore._delays import DelayTable
from subcore._events import Ticker
from subcore._feed import Feed

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from comparison.core import new_feed, subscribe
from comparison.frames import frames, home_markets

SYMBOLS = [market.code for market in home_markets()]
START_NS = 1_790_000_100_000_000_000
REQUIRED = (
    "type",
    "code",
    "timestamp",
    "opening_price",
    "high_price",
    "low_price",
    "trade_price",
    "prev_closing_price",
    "trade_volume",
    "acc_trade_volume",
    "acc_trade_volume_24h",
    "acc_trade_price",
    "acc_trade_price_24h",
)
SINKS = 100


def ignore(event: object) -> None:
    """A callback that does nothing."""


def feed_to(callbacks: int) -> Feed:
    feed = new_feed(SYMBOLS)
    feed.router.delays = DelayTable()  # as a manager has it
    feed.router.frame_budget_ns = 10**12  # under callgrind frames take too long, and each call would be timed
    for _ in range(callbacks):
        subscribe(feed, "ticker", SYMBOLS, ignore)
    return feed


def take(messages: Sequence[bytes], n: int) -> None:
    feed = feed_to(1)
    for number in range(n):
        feed.feed(0, messages[number % len(messages)], START_NS + number)
    if feed.events != n or feed.repeats or feed.unknown_streams:
        raise RuntimeError(f"frames did not reach the callback: {feed.counters()}")


def smallest(frame: bytes) -> bytes:
    values = json.loads(frame)
    return json.dumps({key: values[key] for key in REQUIRED}, separators=(",", ":")).encode()


TICKERS = frames("ticker", "DEFAULT", 64)
SMALLEST = [smallest(frame) for frame in TICKERS]
LATER_AND_LATER = [smallest(frame) for frame in frames("ticker", "DEFAULT", 512)]


def bench_ticker(n: int = 2_000) -> None:
    """A unit is one DEFAULT ticker of about 944 bytes."""
    take(TICKERS, n)


def bench_smallest_ticker(n: int = 2_000) -> None:
    take(SMALLEST, n)


def bench_smallest_ticker_of_two_links(n: int = 512) -> None:
    """A unit is two frames: what both carriers of a stream bring, of which one is delivered and one a copy."""
    feed = feed_to(1)
    feed.meter.arbitrate(range(len(SYMBOLS)), on=True)
    for number in range(n):
        for link in (0, 1):
            feed.feed(link, LATER_AND_LATER[number], START_NS + number)
    if feed.duplicates != n or feed.unknown_streams:
        raise RuntimeError(f"copies were not told from what is new: {feed.counters()}")


def bench_fan_out_100(n: int = 200) -> None:
    """A unit is one event delivered to 100 callbacks, with no frame to scan."""
    feed = feed_to(SINKS)
    stream = feed.ledger.get_stream(0, 0)
    event = Ticker(venue="upbit", channel="ticker", symbol=SYMBOLS[0], price=1.0)
    if not feed.router.route(stream):
        raise RuntimeError("nobody gets the event")
    for _ in range(n):
        feed.router.send(stream, event)


# What watching costs: the same frames with and without what a router needs only for figures. The meter stays on in
# both: it tells the engine of proofs, silences and repeats, so it cannot be switched off (`--parts` shows its part).

_kept: dict[bool, Feed] = {}


def take_watched(n: int, watched: bool) -> None:
    """As `take`, on a feed that is made at the first call, which is not counted: that costs more than the frames."""
    feed = _kept.get(watched)
    if feed is None:
        feed = _kept[watched] = feed_to(1)
        if not watched:
            feed.router.delays = None
    before = feed.events
    for number in range(n):
        feed.feed(0, TICKERS[number % len(TICKERS)], START_NS + before + number)
    if feed.events != before + n or feed.repeats or feed.unknown_streams:
        raise RuntimeError(f"frames did not reach the callback: {feed.counters()}")


def bench_ticker_watched(n: int = 2_048) -> None:
    """A unit is one DEFAULT ticker, all figures on."""
    take_watched(n, True)


def bench_ticker_unwatched(n: int = 2_048) -> None:
    """The same, without what is kept for figures alone."""
    take_watched(n, False)


AT_MOST = {"feed.ticker_watched": ("feed.ticker_unwatched", 1.02)}  # times the other, in one run
