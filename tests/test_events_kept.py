"""An event that somebody keeps stays as it was; one that nobody has any more may serve for the stream's next frame."""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from subcore import decode
from subcore._events import Event, Orderbook
from subcore._feed import Feed
from subcore._intern import Interner
from subcore._ledger import Ledger
from subcore._meter import Meter
from subcore._route import Router
from subcore._scan import Scanner
from subcore._schema import Schema
from subcore.venues.upbit_fields import CHANNELS, schema

SYMBOLS = ("KRW-BTC", "KRW-ETH")


class Rig:
    """A feed, and handlers of two symbols' trades and books."""

    def __init__(self) -> None:
        self.interner, self.ledger = Interner(), Ledger()
        self.router = Router(self.ledger, gone=deque())
        self.feed = Feed(
            "upbit", Scanner(Schema(schema()), self.interner), self.ledger, Meter(len(CHANNELS)), self.router
        )

    def subscribe(self, handler: Callable[[Event], object], *, cut: int = 0, raw: bool = False) -> None:
        component = self.ledger.open_component()
        sink = self.router.new_sink(component, handler, raw=raw)
        for channel in ("trade", "orderbook"):
            for symbol in SYMBOLS:
                stream = self.ledger.stream(CHANNELS.index(channel), self.interner.intern(symbol))
                self.router.add(sink, [self.ledger.topic(stream, cut if channel == "orderbook" else 0)])


def trade(symbol: str, number: int) -> dict[str, Any]:
    return {
        "type": "trade",
        "code": symbol,
        "timestamp": 1_700_000_000_000 + number,
        "trade_price": 100.5 + number,
        "trade_volume": 0.25,
        "ask_bid": "BID",
        "sequential_id": 10_000 + number,
        "stream_type": "REALTIME",
    }


def book(symbol: str, number: int, levels: int) -> dict[str, Any]:
    units = [
        {"ask_price": 200 + at, "bid_price": 100 - at, "ask_size": number + at, "bid_size": number * 2 + at}
        for at in range(levels)
    ]
    return {
        "type": "orderbook",
        "code": symbol,
        "timestamp": 1_700_000_000_000 + number,
        "total_ask_size": 5.5,
        "total_bid_size": float(number),
        "orderbook_units": units,
        "stream_type": "REALTIME",
    }


def what_is_kept(event: Event, chance: random.Random) -> tuple[object, object] | None:
    """Nothing, the event, or something that was got from it; and how it is now."""
    part = chance.randrange(6)
    if part == 0:
        return event, event.to_dict()
    if part == 1 and isinstance(event, Orderbook):
        return event.bid_array, event.bid_array.tolist()
    if part == 2 and isinstance(event, Orderbook):
        return event.bids, list(event.bids)
    return None


def as_it_is(thing: Any) -> object:
    return (
        thing.to_dict() if isinstance(thing, Event) else [*thing] if type(thing) is tuple else thing.tolist()
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("others", [(), ({"raw": True},), ({"cut": 2}, {"raw": True, "cut": 3})])
def test_what_is_kept_stays_as_it_was(seed: int, others: tuple[dict[str, Any], ...]) -> None:
    rig, chance = Rig(), random.Random(seed)
    kept: list[tuple[object, object]] = []
    seen: list[dict[str, Any]] = []

    def handle(event: Event) -> None:
        seen.append(event.to_dict())
        if (keeping := what_is_kept(event, chance)) is not None:
            kept.append(keeping)
        if kept and chance.random() < 0.3:
            kept.pop(chance.randrange(len(kept)))

    rig.subscribe(handle)
    for options in others:
        rig.subscribe(lambda event: kept.append((event, event.to_dict())), **options)
    for number in range(300):
        symbol = chance.choice(SYMBOLS)
        frame = (
            book(symbol, number, chance.choice((3, 5))) if chance.random() < 0.5 else trade(symbol, number)
        )
        payload = json.dumps(frame).encode()
        rig.feed.feed(0, payload, number)
        event = decode("upbit", payload, receive_time_ns=number)
        assert isinstance(event, Event)
        assert seen[-1] == event.to_dict(), f"seed {seed}, frame {number}"
        assert all(as_it_is(thing) == before for thing, before in kept[-40:]), f"seed {seed}, frame {number}"
    assert len(seen) == 300
    assert kept
    assert all(as_it_is(thing) == before for thing, before in kept)


def test_an_event_that_nobody_keeps_serves_again_and_no_other_is_made() -> None:
    rig, numbers = Rig(), []

    def handle(event: Event) -> None:
        numbers.append(id(event))

    rig.subscribe(handle)
    held = []
    for number in range(6):
        for symbol in SYMBOLS:
            rig.feed.feed(0, json.dumps(trade(symbol, number)).encode(), number)
        held.append(Orderbook(venue="v", channel="c"))
    assert len(set(numbers)) == 2
    assert numbers[::2] == [numbers[0]] * 6
