"""The hot path from a link's bytes to handlers: order, counters, refusals, re-entrancy."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from subcore._events import Event
from subcore._feed import Feed
from subcore._intern import Interner
from subcore._ledger import Ledger
from subcore._meter import Meter
from subcore._route import Router
from subcore._scan import Scanner
from subcore._schema import Schema
from subcore.venues.upbit_fields import CHANNELS, schema


def trade(symbol: str = "KRW-BTC", number: int = 1, snapshot: bool = False) -> dict[str, Any]:
    return {
        "type": "trade",
        "code": symbol,
        "timestamp": 1_700_000_000_000 + number,
        "trade_price": 100.5,
        "trade_volume": 0.25,
        "ask_bid": "BID",
        "sequential_id": 10_000 + number,
        "stream_type": "SNAPSHOT" if snapshot else "REALTIME",
    }


class Rig:
    """Everything between a link and handlers, put together as a manager would."""

    def __init__(self) -> None:
        self.interner = Interner()
        self.ledger = Ledger()
        self.router = Router(self.ledger, gone=deque())
        self.meter = Meter(len(CHANNELS))
        self.feed = Feed(
            "upbit", Scanner(Schema(schema()), self.interner), self.ledger, self.meter, self.router
        )
        self.controls: list[tuple[int, bytes]] = []
        self.feed.on_control = lambda link, payload: self.controls.append((link, payload))

    def subscribe(
        self, handler: Callable[[Event], object], symbol: str = "KRW-BTC", *, raw: bool = False
    ) -> int:
        component = self.ledger.open_component()
        stream = self.ledger.stream(CHANNELS.index("trade"), self.interner.intern(symbol))
        topics = [self.ledger.topic(stream)]
        self.ledger.add(component, topics)
        sink = self.router.new_sink(component, handler, raw=raw)
        self.router.connect(sink, topics)
        return sink

    def send(self, *frames: object, link: int = 0, at: int = 5) -> None:
        for frame in frames:
            payload = frame if isinstance(frame, bytes) else json.dumps(frame).encode()
            self.feed.feed(link, payload, at)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_frame_becomes_an_event_of_its_stream(rig: Rig) -> None:
    seen: list[Any] = []
    rig.subscribe(seen.append, raw=True)
    rig.send(trade(), at=77)
    (event,) = seen
    assert (event.venue, event.channel, event.symbol) == ("upbit", "trade", "KRW-BTC")
    assert (event.price, event.size, event.id, event.receive_time_ns) == (100.5, 0.25, 10_001, 77)
    assert event.raw == json.dumps(trade()).encode()
    assert rig.feed.frames == rig.feed.events == 1


def test_a_list_is_several_events_of_one_frame(rig: Rig) -> None:
    seen: list[Any] = []
    rig.subscribe(seen.append)
    rig.send([trade(number=1), trade(number=2)])
    assert [event.id for event in seen] == [10_001, 10_002]
    assert (rig.feed.frames, rig.feed.events) == (1, 2)
    assert rig.meter.link(0).bytes == rig.feed.bytes


def test_controls_come_in_order_with_the_data(rig: Rig) -> None:
    order: list[object] = []
    rig.subscribe(lambda event: order.append(event.id))  # type: ignore[attr-defined]
    rig.feed.on_control = lambda link, payload: order.append((link, payload))
    rig.send(trade(number=1), {"status": "UP"}, trade(number=2), link=3)
    assert order == [10_001, (3, b'{"status": "UP"}'), 10_002]
    assert rig.feed.controls == 1


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "bad_json"),
        (b'{"type":"trade"', "bad_json"),
        (b'{"type":"trade","code":"KRW-BTC"}', "missing_field"),
        (b'{"type":"comet"}', "unknown_channel"),
        (json.dumps(trade()).encode() + b"x", "trailing_bytes"),
        (b"[1]", "wrong_type"),
    ],
)
def test_what_cannot_be_read_is_counted_and_kept(rig: Rig, frame: bytes, reason: str) -> None:
    rig.subscribe(lambda event: None)
    rig.send(frame, link=2, at=9)
    (bad,) = rig.feed.bad_frames()
    assert (bad.reason, bad.link, bad.receive_time_ns, bad.size, bad.head) == (
        reason,
        2,
        9,
        len(frame),
        frame,
    )
    assert 0 <= bad.position <= len(frame)
    assert rig.feed.bad == 1
    assert rig.feed.counters()[reason] == 1


def test_the_sample_of_bad_frames_is_bounded(rig: Rig) -> None:
    for number in range(100):
        rig.send(b"%d" % number + b"x" * 10_000)
    kept = rig.feed.bad_frames()
    assert rig.feed.bad == 100
    assert len(kept) == 32
    assert kept[-1].head.startswith(b"99x")
    assert {(len(bad.head), bad.size) for bad in kept} == {(4096, 10_002)}


def test_late_frames_and_unknown_symbols_are_told_apart(rig: Rig) -> None:
    rig.subscribe(lambda event: None)
    rig.interner.intern("KRW-ETH")
    rig.send(trade("KRW-ETH"), trade("KRW-XYZ"))
    assert (rig.feed.unknown_streams, rig.feed.unknown_symbols) == (1, 1)


def test_a_repeated_snapshot_is_not_delivered(rig: Rig) -> None:
    seen: list[Any] = []
    rig.subscribe(seen.append)
    rig.send(trade(number=1), trade(number=1, snapshot=True), trade(number=2))
    assert [event.id for event in seen] == [10_001, 10_002]
    assert rig.feed.repeats == 1


def test_a_snapshot_with_an_unseen_trade_is_delivered_and_tells_a_gap(rig: Rig) -> None:
    seen: list[Any] = []
    gaps: list[int] = []
    rig.feed.on_gap = gaps.append
    rig.subscribe(seen.append)
    rig.send(trade(number=1), trade(number=5, snapshot=True))
    assert [event.id for event in seen] == [10_001, 10_005]
    assert len(gaps) == 1


def test_evidence_wakes_once_a_frame(rig: Rig) -> None:
    woken: list[int] = []
    rig.feed.on_evidence = lambda: woken.append(1)
    rig.subscribe(lambda event: None)
    rig.meter.await_evidence(0, [0])
    rig.send([trade(number=1, snapshot=True), trade(number=2)])
    assert woken == [1]
    assert len(rig.meter.take_evidence()) == 1


def test_the_recorder_gets_every_payload_first(rig: Rig) -> None:
    order: list[object] = []
    rig.feed.recorder = lambda at, payload: order.append((at, payload))
    rig.subscribe(lambda event: order.append("event"))
    frame = json.dumps(trade()).encode()
    rig.send(frame, b"{", at=4)
    assert order == [(4, frame), "event", (4, b"{")]


def test_another_format_than_asked_for_is_counted_and_decoded(rig: Rig) -> None:
    seen: list[Any] = []
    rig.subscribe(seen.append)
    rig.feed.expected_format = 1 - rig.feed.scanner.format if rig.feed.scanner.format >= 0 else 1
    rig.send(trade())
    assert len(seen) == 1
    assert rig.feed.format_mismatches == 1


def test_a_handler_that_feeds_frames_gets_them_after_this_one(rig: Rig) -> None:
    order: list[tuple[str, int]] = []

    def first(event: Any) -> None:
        order.append(("first", event.id))
        if event.id == 10_001:
            rig.send(trade(number=2))

    rig.subscribe(first)
    rig.subscribe(lambda event: order.append(("second", event.id)))  # type: ignore[attr-defined]
    rig.send(trade(number=1))
    assert order == [("first", 10_001), ("second", 10_001), ("first", 10_002), ("second", 10_002)]
    assert rig.feed.deferred == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_request_to_stop_is_raised_by_feed_after_everyone_was_served(
    rig: Rig, error: type[BaseException]
) -> None:
    seen: list[Event] = []

    def stop(event: Event) -> None:
        raise error

    rig.subscribe(stop)
    rig.subscribe(seen.append)
    with pytest.raises(error):
        rig.send(trade())
    assert len(seen) == 1
    told: list[BaseException] = []
    rig.feed.on_fatal = told.append
    rig.send(trade(number=2))
    assert isinstance(told[0], error)


def test_a_muted_sink_gets_nothing_until_unmuted(rig: Rig) -> None:
    seen: list[Any] = []
    sink = rig.subscribe(seen.append)
    rig.router.mute_sink(sink)
    rig.send(trade(number=1))
    rig.router.mute_sink(sink, False)
    rig.send(trade(number=2))
    assert [event.id for event in seen] == [10_002]
    assert rig.router.topics_of_sink(sink).tolist() == [0]


@pytest.mark.parametrize("kept", [False, True])
def test_an_event_that_is_written_over_has_its_own_symbol(rig: Rig, kept: bool) -> None:
    """A stream of all symbols: the one before it was released, and its id is another's by now."""
    seen: list[tuple[str | None, int]] = []
    sink = rig.subscribe(lambda event: seen.append((event.symbol, event.id)), symbol="")  # type: ignore[attr-defined]
    before = rig.interner.intern("KRW-BTC")
    rig.send(trade("KRW-BTC", number=1))
    rig.interner.release(before)
    assert rig.interner.intern("KRW-ETH") == before
    if kept:  # nobody takes the event: the record goes to the image alone
        rig.router.disconnect(0, [0])
    rig.send(trade("KRW-ETH", number=2))
    if kept:
        rig.router.connect(sink, [0])
        rig.router.give_images()
    assert seen == [("KRW-BTC", 10_001), ("KRW-ETH", 10_002)]
