"""Rings of records: every number against the event's own attributes, overrun, resizing, memory."""

from __future__ import annotations

import math
import tracemalloc
from collections import deque
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from examples import examples
from subcore._events import Candle, Event, Orderbook, Ticker, Trade
from subcore._ledger import Ledger
from subcore._ring import RecordRing, RingReader
from subcore._route import Router
from traced import traced_bytes


class Source:
    """A router whose one stream leads to a ring."""

    def __init__(self, kind: str, size: int) -> None:
        ledger = Ledger()
        self.router = Router(ledger, gone=deque())
        self.topics = ledger.topics(0, [0])
        self.stream = ledger.get_stream(0, 0)
        self.component = ledger.open_component()
        ledger.add(self.component, self.topics)
        self.ring = RecordRing(kind, size)
        self.sink = self.router.new_sink(self.component, self.ring)
        self.router.connect(self.sink, self.topics)

    def send(self, event: Event) -> None:
        self.router.send(self.stream, event)


def ticker(price: float) -> Ticker:
    return Ticker(venue="v", channel="ticker", symbol="KRW-BTC", price=price, receive_time_ns=int(price))


NUMBERS: dict[str, tuple[type[Event], dict[str, Any]]] = {
    "ticker": (Ticker, {"price": 1.5, "low": 0.25, "volume": 7.0, "update_id": 2**60, "trade_time_ns": 12}),
    "trade": (Trade, {"price": 3.25, "size": 1e-8, "id": 2**62 + 1, "best_ask_size": 4.0, "last_id": 3}),
    "candle": (Candle, {"open": 1.0, "close": 2.0, "start_time_ns": 60, "buy_turnover": 9.5}),
    "orderbook": (Orderbook, {"total_bid_size": 8.0, "grouping": 1000.0, "update_id": 5}),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_a_row_has_every_number_of_its_event(kind: str) -> None:
    cls, given = NUMBERS[kind]
    source = Source(kind, 4)
    event = cls(venue="v", channel=kind, symbol="S", receive_time_ns=77, exchange_time_ns=66, **given)
    source.send(event)
    (row,) = RingReader(source.ring).read()
    assert (row["sequence"], row["topic"], row["receive_time_ns"], row["exchange_time_ns"]) == (
        0,
        source.topics[0],
        77,
        66,
    )
    names = set(row.dtype.names) - {"sequence", "topic", "symbol", "flags", "receive_time_ns"}
    names -= {"exchange_time_ns", "bid_count", "ask_count", "bid_price", "bid_size", "ask_price", "ask_size"}
    assert set(given) <= names
    for name in names:
        wanted, got = getattr(event, name), row[name].item()
        if wanted is None:
            assert math.isnan(got) if row.dtype[name].kind == "f" else got in (0, -(2**63)), name
        else:
            assert got == wanted, name


def test_a_missing_time_is_the_least_number_and_a_side_is_a_code() -> None:
    source = Source("trade", 4)
    source.send(Trade(venue="v", channel="trade", symbol="S", side="buy"))
    source.send(Trade(venue="v", channel="trade", symbol="S", side="sell", is_snapshot=True))
    rows = RingReader(source.ring).read()
    assert rows["exchange_time_ns"].tolist() == [-(2**63)] * 2
    assert rows["side"].tolist() == [1, 2]
    assert rows["flags"].tolist() == [0, 1]


def test_a_book_has_its_best_levels() -> None:
    source = Source("orderbook", 4)
    book = {"venue": "v", "channel": "orderbook", "symbol": "S"}
    source.send(Orderbook(**book, bids=[(9.0, 1.0), (8.0, 2.0)], asks=[(10.0, 3.0)]))
    source.send(Orderbook(**book))
    full, empty = RingReader(source.ring).read()
    assert [full[n].item() for n in ("bid_price", "bid_size", "ask_price", "ask_size")] == [
        9.0,
        1.0,
        10.0,
        3.0,
    ]
    assert (full["bid_count"], full["ask_count"]) == (2, 1)
    assert all(math.isnan(empty[n]) for n in ("bid_price", "bid_size", "ask_price", "ask_size"))


def test_a_record_of_another_kind_is_passed_over() -> None:
    source = Source("trade", 4)
    source.send(ticker(1.0))
    assert source.ring.sequence == 0


def test_a_copy_stays_as_it_is_and_readers_do_not_disturb_each_other() -> None:
    source = Source("ticker", 2)
    early = RingReader(source.ring)
    source.send(ticker(1.0))
    rows = early.read()
    late = RingReader(source.ring)
    for price in (2.0, 3.0, 4.0):
        source.send(ticker(price))
    assert rows["price"].tolist() == [1.0]
    assert early.read()["price"].tolist() == [3.0, 4.0]
    assert (early.overrun, early.sequence) == (1, 4)
    assert late.read(max=1)["price"].tolist() == [3.0]
    assert late.overrun == 2
    assert source.ring.overrun == 3
    assert late.read(max=0).size == 0
    with pytest.raises(ValueError, match="max"):
        late.read(max=-1)


@pytest.mark.parametrize("size", [0, -1, 2**20 + 1])
def test_sizes_are_bounded(size: int) -> None:
    with pytest.raises(ValueError, match="size must be 1 to 1048576"):
        RecordRing("ticker", size)


def test_a_kind_that_has_no_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match="ticker, trade, orderbook, candle"):
        RecordRing("order", 4)


def test_the_dtype_is_plain() -> None:
    ring = RecordRing("ticker", 1)
    assert ring.dtype.names is not None
    assert ring.dtype.names[:6] == (
        "sequence",
        "receive_time_ns",
        "exchange_time_ns",
        "topic",
        "symbol",
        "flags",
    )
    rows = np.zeros(3, ring.dtype)
    rows["price"] = 2.5
    assert np.concatenate([rows, rows])["price"].sum() == 15.0


def test_bytes_are_as_reported_and_gone_with_it() -> None:
    RecordRing("ticker", 1)
    tracemalloc.start()
    try:
        before = traced_bytes()
        ring = RecordRing("ticker", 1000)
        assert abs(traced_bytes() - before - ring.nbytes) < 6000  # its dtype is a few thousand
        assert ring.nbytes == 1000 * ring.dtype.itemsize
        del ring
        assert traced_bytes() - before < 4000
    finally:
        tracemalloc.stop()


class RingModel(RuleBasedStateMachine):
    """The model is a list of everything ever written; what is kept is its end."""

    @initialize(size=st.integers(1, 9))
    def start(self, size: int) -> None:
        self.source = Source("ticker", size)
        self.size = size
        self.written: list[float] = []
        self.readers: list[tuple[RingReader, list[int]]] = []

    def oldest(self) -> int:
        return max(0, len(self.written) - self.size)

    @rule(count=st.integers(1, 12))
    def write(self, count: int) -> None:
        for _ in range(count):
            self.written.append(float(len(self.written)))
            self.source.send(ticker(self.written[-1]))

    @rule()
    def open(self) -> None:
        self.readers.append((RingReader(self.source.ring), [self.oldest(), 0]))

    @rule(which=st.integers(0, 3), maximum=st.none() | st.integers(0, 10))
    def read(self, which: int, maximum: int | None) -> None:
        if not self.readers:
            return
        reader, state = self.readers[which % len(self.readers)]
        start = max(state[0], self.oldest())
        expected = self.written[start:][: len(self.written) if maximum is None else maximum]
        assert len(reader) == len(self.written) - start
        rows = reader.read(maximum)
        assert rows["price"].tolist() == expected
        assert rows["sequence"].tolist() == list(range(start, start + len(expected)))
        state[1] += start - state[0]
        state[0] = start + len(expected)
        assert (reader.sequence, reader.overrun) == tuple(state)

    @invariant()
    def agree(self) -> None:
        if hasattr(self, "source"):
            assert self.source.ring.sequence == len(self.written)
            assert self.source.ring.overrun == sum(state[1] for _, state in self.readers)


TestRingModel = RingModel.TestCase
TestRingModel.settings = examples(50, stateful_step_count=25)
