"""What events take in memory is what they say, and none is left when they are gone."""

from __future__ import annotations

import gc
import sys
import tracemalloc

import pytest

from compiled import compiled
from subcore._events import Asset, Candle, Event, Order, Orderbook, Ticker, Trade
from traced import traced_bytes

CLASSES: list[type[Event]] = [Ticker, Trade, Orderbook, Candle, Order, Asset]
HEAD = {"venue": "venue", "channel": "channel", "symbol": "KRW-BTC"}


@pytest.mark.parametrize("cls", CLASSES)
def test_takes_no_part_in_garbage_collection(cls: type[Event]) -> None:
    event = cls(**HEAD)
    assert not gc.is_tracked(event)
    assert not hasattr(event, "__dict__")


@pytest.mark.parametrize("cls", CLASSES)
def test_bytes_are_what_is_said(cls: type[Event]) -> None:
    again = compiled("event_loops").again
    event = cls(**HEAD, **({"bids": [(1.5, 2.5)] * 30, "asks": [(1.5, 2.5)] * 9} if cls is Orderbook else {}))
    count, kept = 2000, 64
    rounded = -(-cls.__basicsize__ // 32) * 32
    tracemalloc.start()
    try:
        del (made := [again(event) for _ in range(count)])[:]  # fills what is kept for reuse
        made = [None] * count
        before = traced_bytes()
        for index in range(count):
            made[index] = again(event)
        traced = traced_bytes() - before
    finally:
        tracemalloc.stop()
    said = sum(one.nbytes for one in made) + count * (rounded - cls.__basicsize__) - kept * rounded
    assert said == pytest.approx(traced, rel=0.01)


def traced_tuples(levels: int) -> tuple[int, int]:
    """Bytes that the tuples of a book take: (as it says, as they were allocated, with the cost of measuring)."""
    book = Orderbook(**HEAD, bids=[(1.5, 2.5)] * levels)
    bare = book.nbytes
    gc.collect()  # lets go of floats and tuples kept for reuse: taking those would not be traced
    tracemalloc.start()
    try:
        before = traced_bytes()
        assert len(book.bids) == levels
        traced = traced_bytes() - before
    finally:
        tracemalloc.stop()
    return book.nbytes - bare, traced


def test_bytes_of_the_tuples_are_said() -> None:
    said, traced = traced_tuples(1000)
    more_said, more_traced = traced_tuples(2000)
    assert more_said - said == pytest.approx(
        more_traced - traced, abs=100
    )  # a number of the measuring itself
    assert said == pytest.approx(traced, abs=500)


def test_dropped_events_leave_nothing() -> None:
    again = compiled("event_loops").again
    kinds = [cls(**HEAD) for cls in CLASSES] + [Orderbook(**HEAD, bids=[(1, 2)] * 30)]

    def churn() -> None:
        for event in kinds:
            batch = [again(event, raw=b"x" * 100) for _ in range(300)]
            for one in batch:
                one.to_dict()
                hash(one)

    churn()
    tracemalloc.start()
    try:
        churn()
        gc.collect()  # lets go of what the interpreter keeps for reuse
        base = traced_bytes()
        for _ in range(3):
            churn()
        gc.collect()
        assert traced_bytes() - base < 256  # less than the smallest event
    finally:
        tracemalloc.stop()


def test_raw_counts() -> None:
    raw = bytes(1000)
    with_raw, without = Ticker(**HEAD, raw=raw), Ticker(**HEAD)
    assert with_raw.nbytes - without.nbytes == sys.getsizeof(raw)
    assert compiled("event_loops").bytes_of(with_raw) == with_raw.nbytes
    assert sys.getsizeof(without) == without.nbytes
