"""Repeated snapshots: what the meter calls known, against dicts and deques."""

from __future__ import annotations

import random
from collections import defaultdict, deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiled import compiled
from examples import examples
from meter_events import HEAD, ticker, trade
from subcore._events import Asset, Candle, Event, Order, Orderbook, Ticker
from subcore._meter import Meter

judge = compiled("meter_feed").judge

EXAMPLES = examples(80)


STATES = st.builds(
    ticker,
    exchange=st.sampled_from([None, 1, 2]),
    receive=st.integers(0, 3),
    snapshot=st.booleans(),
    price=st.sampled_from([None, 1.0, 2.0]),
    low_52w=st.sampled_from([None, 3.0]),
    change=st.sampled_from([None, "RISE", "FALL", "RISING"]),
    side=st.sampled_from([None, 1, 2]),
) | st.builds(
    lambda **values: Orderbook(**HEAD, channel="orderbook", **values),
    exchange_time_ns=st.sampled_from([1, 2]),
    is_snapshot=st.booleans(),
    bids=st.lists(st.tuples(st.sampled_from([1.0, 2.0]), st.just(1.0)), max_size=3),
    asks=st.lists(st.tuples(st.sampled_from([1.0, 2.0]), st.just(1.0)), max_size=3),
    total_bid_size=st.sampled_from([None, 1.0]),
)


def content(event: Event) -> tuple[Any, ...]:
    told = event.to_dict()
    for name in ("receive_time_ns", "is_snapshot", "is_realtime", "is_image"):
        del told[name]
    return repr(told), type(event)


@EXAMPLES
@given(st.lists(st.tuples(st.integers(0, 2), STATES, st.integers(0, 255)), max_size=60))
def test_state_repeats_are_a_dict(events: list[tuple[int, Event, int]]) -> None:
    meter, last = Meter(1), {}
    repeats = 0
    for stream, event, stale in events:
        wanted = event.is_snapshot and last.get(stream) == content(event)
        assert judge(meter, event, stream, stale=stale) == (wanted, False)
        last[stream] = content(event)
        repeats += wanted
    assert meter.total().repeats == repeats == meter.streams()["repeats"].sum()


@EXAMPLES
@given(
    st.lists(
        st.tuples(
            st.integers(0, 1), st.none() | st.integers(-2, 90) | st.sampled_from(["a", "b"]), st.booleans()
        ),
        max_size=250,
    ),
    st.integers(0, 200),
)
def test_trade_repeats_are_a_deque(events: list[tuple[int, Any, bool]], run: int) -> None:
    meter = Meter(1)
    seen: dict[int, deque[Any]] = defaultdict(lambda: deque(maxlen=64))
    gaps = 0
    for stream, id, snapshot in [*((0, 1000 + i, False) for i in range(run)), *events]:
        known = seen[stream]
        repeat = snapshot and id is not None and (id in known)
        gap = snapshot and id is not None and not repeat and len(known) > 0
        assert judge(meter, trade(id, snapshot), stream) == (repeat, gap)
        if id is not None and not repeat:
            known.append(id)
        gaps += gap
    assert meter.streams()["gaps"].sum() == gaps


def test_the_last_64_trades_are_known_and_no_more() -> None:
    meter = Meter(1)
    for id in range(65):
        judge(meter, trade(id))
    assert judge(meter, trade(1, snapshot=True)) == (True, False)
    assert judge(meter, trade(0, snapshot=True)) == (False, True)


@pytest.mark.parametrize(
    "text", [None, "R", "RISE", "SEVEN77", "EIGHT888", "NINE99999", "FOURTEEN141414", 15 * "X"]
)
def test_what_lies_behind_a_text_does_not_count(text: str | None) -> None:
    meter = Meter(1)
    event = ticker(exchange=1, snapshot=True, change=text, trade_date=text)
    assert judge(meter, event, stale=1) == (False, False)
    for stale in (2, 255):
        assert judge(meter, event, stale=stale) == (True, False)
    if text and len(text) < 15:
        longer = ticker(exchange=1, snapshot=True, change=text + "Y", trade_date=text)
        assert judge(meter, longer) == (False, False)


def test_every_value_of_a_state_counts() -> None:
    rng = random.Random(5)
    for cls in (Ticker, Orderbook, Candle):
        base = {**HEAD, "channel": "c", "is_snapshot": True, "exchange_time_ns": 5}
        docs = {name: vars(cls)[name].__doc__ or "" for name in vars(cls)}
        for name, doc in docs.items():
            other: Any = {"float": rng.random(), "int": 7, "str": "x", "bool": True, "Side": 2}.get(
                doc.split(" |")[0]
            )
            if other is None or "| None: " not in doc or name in ("best_bid", "best_ask"):
                continue
            meter = Meter(1)
            assert judge(meter, cls(**base)) == (False, False)
            assert judge(meter, cls(**base, **{name: other})) == (False, False), name
            assert judge(meter, cls(**base, **{name: other})) == (True, False), name


def test_orders_and_balances_are_never_repeats() -> None:
    meter = Meter(1)
    for event in (
        Order(**HEAD, channel="o", is_snapshot=True),
        Asset(venue="v", channel="a", is_snapshot=True),
    ):
        assert [judge(meter, event) for _ in range(3)] == 3 * [(False, False)]


def test_live_events_are_never_repeats() -> None:
    meter = Meter(1)
    for event in (ticker(price=1), trade(5)):
        assert [judge(meter, event, stream=event.channel == "trade") for _ in range(3)] == 3 * [
            (False, False)
        ]
