"""The garbage collector may run wherever an object is made, and a destructor may call anything: tables move, sinks go.

On CPython 3.11 it runs at the making itself, later at the next step of Python code. Each test lets it run at one of the
first moments of one call, one after the other; nothing may be read that is gone, nothing made twice.
"""

from __future__ import annotations

import gc
import json
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from compiled import compiled
from subcore import Orderbook, Ticker, _obliged
from subcore._delivery import WakeBatch
from subcore._feed import Feed
from subcore._intern import Interner
from subcore._ledger import Ledger
from subcore._meter import Meter
from subcore._queue import EventQueue
from subcore._route import Router
from subcore._scan import Scanner
from subcore._schema import Schema
from subcore._timing import CalledClock
from subcore.engine.owing import Owing
from subcore.types import Int32Array
from subcore.venues import venue

MOMENTS = range(8)


@pytest.fixture(autouse=True)
def _by_hand() -> Iterator[None]:
    before = gc.get_threshold()
    gc.collect()
    gc.disable()
    yield
    gc.set_threshold(*before)
    gc.enable()


class Garbage:
    """A cycle whose destructor acts once."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act, self.me = act, self

    def __del__(self) -> None:
        gc.disable()
        self.act()


def collect_at(moment: int, act: Callable[[], object]) -> None:
    """From now on the collector runs when so many more objects were made."""
    Garbage(act)
    gc.set_threshold(gc.get_count()[0] + moment, 1000, 1000)
    gc.enable()


def used_up() -> object:
    """While it is held, the interpreter has no list, tuple or dict left to use again: each is an allocation."""
    return [[] for _ in range(500)], [(n, object()) for n in range(5000)], [{} for _ in range(500)]  # type: ignore[var-annotated]


def some(*ids: int) -> Int32Array:
    return np.array(ids, np.int32)


class Routes:
    """A stream of books with two components on it: one whole, one cut to a level."""

    def __init__(self, **options: Any) -> None:
        self.ledger = Ledger()
        self.router = Router(self.ledger, gone=deque(), **options)
        self.components = self.ledger.open_component(), self.ledger.open_component()
        self.whole = self.ledger.topics(0, some(1))
        self.cut = self.ledger.topics(0, some(1), 0, 1)
        self.stream = self.ledger.topic_key(int(self.whole[0]))[0]

    def connect(self, which: int, target: object, topics: Int32Array) -> int:
        sink: int = self.router.new_sink(self.components[which], target)
        self.router.add(sink, topics)
        return sink


BOOK = Orderbook(venue="v", channel="o", symbol="A", bids=[(1.0, 2.0)] * 30, asks=[(2.0, 1.0)] * 30)


@pytest.mark.parametrize("kind", ["handler", "queue"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_component_closed_while_its_event_is_made_gets_nothing(kind: str, moment: int) -> None:
    routes = Routes()
    got: list[object] = []
    kept = []

    def first(_: object) -> None:
        kept.append(used_up())
        collect_at(moment, lambda: routes.router.release_sink(second))

    routes.connect(0, first, routes.whole)
    queue = EventQueue(wakes=WakeBatch(lambda _: None))
    second = routes.connect(1, got.append if kind == "handler" else queue, routes.cut)
    routes.router.send(routes.stream, BOOK)
    gc.disable()
    assert len(got) <= 1


@pytest.mark.parametrize("closes", [False, True])
@pytest.mark.parametrize("reading", range(1, 8))
def test_sinks_that_move_or_go_while_another_clock_is_read(reading: int, closes: bool) -> None:
    left, now, got = [-1], [0], []

    def read() -> int:
        now[0] += 1
        left[0] -= 1
        if left[0] == 0 and closes:
            routes.router.release_sink(last)
        elif left[0] == 0:
            for _ in range(5000):
                routes.router.new_sink(routes.components[0], print)
        return now[0]

    routes = Routes(clock=CalledClock(read))
    routes.router.frame_budget_ns = 0  # each call is timed after the first frame
    first = routes.connect(0, lambda _: None, routes.whole)
    last = routes.connect(1, got.append, routes.whole)
    routes.router.send(routes.stream, BOOK)
    routes.router.set_handler(first, lambda _: left.__setitem__(0, reading))
    routes.router.send(routes.stream, BOOK)
    assert len(got) in ((1, 2) if closes else (2,))


@pytest.mark.parametrize("moment", MOMENTS)
def test_topics_that_a_destructor_makes_or_frees_meanwhile_are_there_once(moment: int) -> None:
    ledger = Ledger()
    made: list[Int32Array] = []
    collect_at(moment, lambda: made.append(ledger.topics(0, some(2))))
    topics = ledger.topics(0, some(1, 2, 3))
    gc.disable()
    assert len(ledger.topics_of_stream(ledger.get_stream(0, 2))) == 1
    assert not made or made[0][0] == topics[1]

    full = Ledger()
    full.topics(0, np.arange(8, dtype=np.int32))

    def swap() -> None:
        full.release_stream(full.get_stream(0, 0))
        full.stream(0, 99)

    collect_at(moment, swap)
    cut = full.topics(0, some(0), 0, 5)
    gc.disable()
    keys = [full.stream_key(stream) for stream in range(full.stream_count)]
    assert len(set(keys)) == len(keys)
    assert full.stream_key(full.topic_key(int(cut[0]))[0]) == (0, 0, 0)


@pytest.mark.parametrize("moment", MOMENTS)
def test_lists_of_routes_that_end_meanwhile(moment: int) -> None:
    routes = Routes()
    topics = routes.ledger.topics(1, np.arange(20, dtype=np.int32))
    sinks = [routes.connect(which, print, topics) for which in (0, 1)]
    collect_at(moment, lambda: routes.router.remove(routes.components[0], topics))
    assert len(routes.router.topics_of_sink(sinks[0])) in range(21)
    gc.disable()

    crowd = [routes.ledger.open_component() for _ in range(200)]
    for component in crowd:
        routes.router.add(routes.router.new_sink(component, print), routes.whole)
    collect_at(moment, lambda: [routes.router.remove(component, routes.whole) for component in crowd])
    listed = routes.router.route(routes.stream)
    gc.disable()
    assert all(topic == int(routes.whole[0]) for _, topic, _, _ in listed)


def test_a_symbol_that_a_handler_of_the_same_frame_gives_up() -> None:
    made = venue("upbit")
    names = [channel.name for channel in made.channels]
    channel = next(place for place, channel in enumerate(made.channels) if not channel.needs_symbol)
    schema = Schema(made.load_fields(), [channel.wire_name for channel in made.channels], names)
    symbols, ledger = Interner(), Ledger()
    router = Router(ledger, gone=deque())
    feed = Feed("upbit", Scanner(schema, symbols), ledger, Meter(len(names)), router)
    feed.whole_channels = 1 << channel
    one, every = symbols.intern("KRW-BTC"), symbols.intern("")
    of_one, of_every = ledger.topics(channel, some(one, every))
    heard: list[str | None] = []

    def first(event: Any) -> None:
        heard.append(event.symbol)
        symbols.release(one)

    router.add(router.new_sink(ledger.open_component(), first), some(of_one))
    router.add(
        router.new_sink(ledger.open_component(), lambda event: heard.append(event.symbol)), some(of_every)
    )
    frame = {
        "type": made.channels[channel].wire_name,
        "code": "KRW-BTC",
        "uuid": "u",
        "state": "wait",
        "timestamp": 1,
    }
    feed.feed(0, json.dumps(frame).encode(), 5)
    assert heard == ["KRW-BTC", "KRW-BTC"]


@pytest.mark.parametrize("moment", range(40))
def test_a_component_added_while_all_are_looked_at(moment: int) -> None:
    rows = Owing()
    for component in range(64):
        rows.add(component)
    due, none = np.ones(64, np.int64), np.zeros(64, np.int64)
    collect_at(moment, lambda: rows.add(64))
    _obliged.age(rows, due, none, none, (10, 1, 5, 5, 5, 5, 5, 1), True)
    gc.disable()
    assert rows.owes[:64].all()
    assert (rows.mark[:64] == 1).all()


@pytest.mark.parametrize("moment", MOMENTS)
def test_evidence_taken_while_more_is_awaited(moment: int) -> None:
    feed = compiled("meter_feed").feed
    meter = Meter(1)
    event = Ticker(venue="v", channel="ticker", symbol="A", receive_time_ns=5, exchange_time_ns=3)
    for stream in range(12):
        meter.await_evidence(stream, some(stream))
        feed(meter, event, link=stream, stream=stream)
    many = np.arange(1000, 200_000, dtype=np.int32)
    kept = used_up()
    collect_at(moment, lambda: meter.await_evidence(0, many))
    taken = meter.take_evidence()
    gc.disable()
    del kept
    assert [(link, streams.tolist(), at) for link, streams, at in taken] == [(n, [n], 5) for n in range(12)]
    assert meter.take_evidence() == []


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_text_interned_meanwhile_has_one_id(moment: int) -> None:
    symbols = Interner()
    kept = used_up()
    texts = ["AAA", "BBB"]
    collect_at(moment, lambda: symbols.intern("BBB"))
    ids = symbols.intern_many(texts).tolist()
    gc.disable()
    del kept
    assert [symbols.text(id) for id in ids] == texts
    assert len(symbols) == 2
