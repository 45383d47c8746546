"""Looking ahead: it speeds up the look-ups of a frame and must never decide one."""

from __future__ import annotations

import json
import random
from collections import deque
from typing import Any

import pytest

from subcore._events import Event
from subcore._feed import Feed
from subcore._intern import Interner
from subcore._ledger import Ledger
from subcore._lookout import Lookout
from subcore._meter import Meter
from subcore._route import Router
from subcore._scan import Scanner
from subcore._schema import Schema
from subcore._stream_lookout import StreamLookout
from subcore.venues.upbit_fields import CHANNELS, schema

MANY, FEW = 1_500, 1_000
TRADE, TICKER = CHANNELS.index("trade"), CHANNELS.index("ticker")


def trade(symbol: str, number: int = 0) -> dict[str, Any]:
    """Long enough behind the symbol for every step: texts that nobody wants stand there too."""
    return {
        "type": "trade",
        "code": symbol,
        "timestamp": 1_700_000_000_000 + number,
        "first_of_no_use": "x" * 140,
        "trade_price": 100.5,
        "trade_volume": 0.25,
        "ask_bid": "BID",
        "second_of_no_use": "y" * 140,
        "sequential_id": 10_000 + number,
        "stream_type": "REALTIME",
    }


def symbol_last(symbol: str, number: int = 0) -> dict[str, Any]:
    frame = trade(symbol, number)
    return {key: value for key, value in frame.items() if key != "code"} | {"code": symbol}


class Rig:
    """A feed over many symbols, of which every third has a stream somebody wants."""

    def __init__(
        self, symbols: int, scanner: Scanner | None = None, interner: Interner | None = None
    ) -> None:
        self.names = [f"KRW-{number:05d}" for number in range(symbols)]
        self.interner = interner or Interner()
        ids = self.interner.intern_many(self.names)
        self.ledger = Ledger(seed=5)
        self.router = Router(self.ledger, gone=deque())
        self.meter = Meter(len(CHANNELS))
        self.scanner = scanner or Scanner(Schema(schema()), self.interner)
        self.feed = Feed("upbit", self.scanner, self.ledger, self.meter, self.router)
        self.events: list[Event] = []
        self.component = self.ledger.open_component()
        self.topics = self.ledger.topics(TRADE, ids[::3])
        self.ledger.add(self.component, self.topics)
        self.router.connect(self.router.new_sink(self.component, self.events.append), self.topics)

    def send(self, *frames: object) -> None:
        for frame in frames:
            self.feed.feed(0, json.dumps(frame, separators=(",", ":")).encode(), 1)

    def got(self) -> list[tuple[str, int]]:
        return [(event.symbol, event.id) for event in self.events]  # type: ignore[attr-defined]


def test_each_frame_reaches_its_own_stream_and_was_foreseen() -> None:
    rig = Rig(MANY)
    wanted = [random.Random(7).choice(rig.names[::3]) for _ in range(5_000)]
    rig.send(*(trade(symbol, number) for number, symbol in enumerate(wanted)))
    assert rig.got() == [(symbol, 10_000 + number) for number, symbol in enumerate(wanted)]
    # A run of slots that is longer than a guess looks at, or a tag that two keys share, is looked up as ever.
    assert rig.feed.foreseen >= 0.98 * len(wanted)


def test_few_symbols_are_near_anyway() -> None:
    rig = Rig(FEW)
    rig.send(*(trade(symbol) for symbol in rig.names[::3]))
    assert [event.symbol for event in rig.events] == rig.names[::3]
    assert rig.feed.foreseen == 0


def test_what_nobody_wants_goes_to_nobody() -> None:
    rig = Rig(MANY)
    rig.send(trade(rig.names[0]), trade(rig.names[1]), trade("KRW-NOSUCH"), trade("K" * 300), trade(""))
    assert rig.got() == [(rig.names[0], 10_000)]
    assert rig.feed.unknown_streams == 1
    assert rig.feed.unknown_symbols == 3


def test_the_guess_of_one_record_is_not_taken_for_the_next() -> None:
    rig = Rig(MANY)
    rig.send([trade(rig.names[3], 1), symbol_last(rig.names[6], 2), symbol_last(rig.names[3], 3)])
    assert rig.got() == [(rig.names[3], 10_001), (rig.names[6], 10_002), (rig.names[3], 10_003)]
    assert rig.feed.foreseen == 1


def test_a_symbol_that_comes_twice_is_refused_though_the_first_was_looked_for() -> None:
    rig = Rig(MANY)
    text = json.dumps(trade(rig.names[3]))[:-1] + f', "code": "{rig.names[6]}"}}'
    rig.feed.feed(0, text.encode(), 1)
    rig.send(trade(rig.names[9], 4))
    assert rig.got() == [(rig.names[9], 10_004)]
    assert rig.scanner.counters()["duplicate_key"] == 1


def test_a_symbol_spelt_with_escapes_is_the_same_symbol() -> None:
    rig = Rig(MANY)
    text = json.dumps(trade("@", 8), separators=(",", ":")).replace("@", rig.names[3].replace("K", "\\u004b"))
    rig.feed.feed(0, text.encode(), 1)
    assert rig.got() == [(rig.names[3], 10_008)]
    assert rig.feed.foreseen == 1


def test_another_channel_of_the_symbol_is_another_stream() -> None:
    rig = Rig(MANY)
    ticker = rig.ledger.stream(TICKER, rig.interner.get(rig.names[3]))
    assert ticker != rig.ledger.get_stream(TRADE, rig.interner.get(rig.names[3]))
    rig.send(trade(rig.names[3], 1))
    assert rig.got() == [(rig.names[3], 10_001)]
    assert rig.meter.streams()["frames"].sum() == 1


def test_tables_that_grow_while_an_event_is_delivered_are_looked_at_anew() -> None:
    rig = Rig(MANY)

    def grow(event: Event) -> None:
        fresh = rig.interner.intern_many([f"BTC-{event.symbol}-{number}" for number in range(MANY)])
        rig.ledger.add(rig.component, rig.ledger.topics(TRADE, fresh))

    rig.router.connect(rig.router.new_sink(rig.component, grow), rig.topics[:2])
    rig.send([trade(rig.names[0], 1), trade(rig.names[3], 2), trade(rig.names[6], 3)])
    assert rig.got() == [(rig.names[6], 10_003)]
    assert rig.feed.events == 3
    assert len(rig.interner) == 3 * MANY


def test_a_scanner_without_texts_finds_none() -> None:
    interner = Interner()
    scanner = Scanner(Schema(schema()), interner)
    feed = Feed("upbit", scanner, Ledger(), Meter(len(CHANNELS)), Router(Ledger(), gone=deque()))
    feed.feed(0, json.dumps(trade("KRW-BTC")).encode(), 1)
    assert feed.unknown_symbols == 1


def test_two_feeds_of_one_scanner_each_deliver_their_own() -> None:
    first = Rig(MANY)
    second = Rig(MANY, scanner=first.scanner, interner=first.interner)
    first.send(trade(first.names[3], 1))
    second.send(trade(second.names[6], 2))
    first.send(trade(first.names[9], 3))
    assert first.got() == [(first.names[3], 10_001), (first.names[9], 10_003)]
    assert second.got() == [(second.names[6], 10_002)]


def test_a_frame_too_short_for_every_step_is_looked_up_at_its_end() -> None:
    rig = Rig(MANY)
    frame = {
        "ty": "trade",
        "cd": rig.names[3],
        "tms": 1,
        "tp": 1.0,
        "tv": 1.0,
        "ab": "BID",
        "sid": 5,
        "st": "REALTIME",
    }
    rig.send(frame)
    assert rig.got() == [(rig.names[3], 5)]
    assert rig.feed.foreseen == 0


def test_a_lookout_needs_what_it_looks_at() -> None:
    interner = Interner()
    assert Lookout(interner).interner is interner
    with pytest.raises(TypeError):
        Lookout(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        StreamLookout(interner, None, Meter(1), Router(Ledger(), gone=deque()))  # type: ignore[arg-type]
