"""Streams with two carriers: evidence of both, the way through feed and runtime, memory."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from arbiter_events import ticker, trade
from compiled import compiled
from subcore._meter import Meter
from subcore.engine import actions
from subcore.errors import CapacityError
from subcore.runtime import Runtime
from test_feed import Rig
from test_feed import trade as trade_frame
from traced import traced_bytes

offer = compiled("meter_feed").offer

# Evidence of both.


def test_both_links_are_proven_even_by_copies() -> None:
    meter = Meter(1)
    offer(meter, trade(1), 3)
    meter.await_evidence(3, [0])
    meter.arbitrate([0, 1], True)
    meter.await_evidence(4, [0, 1], 100)
    assert meter.awaiting == 3
    assert offer(meter, trade(1, snapshot=True), 4) == (True, True, True, False)
    assert offer(meter, trade(2, receive_time_ns=7), 3) == (True, False, False, False)
    assert not offer(meter, trade(2, receive_time_ns=99), 4, 1)[0]  # too early for a live one
    assert offer(meter, trade(2, receive_time_ns=100), 4, 1)[0]
    assert meter.awaiting == 0
    assert [(link, s.tolist(), at) for link, s, at in meter.take_evidence()] == [
        (4, [0, 1], 100),
        (3, [0], 7),
    ]


def test_the_meter_counts_what_both_links_bring() -> None:
    meter = Meter(1)
    meter.arbitrate([0], True)
    for link in (0, 1):
        offer(meter, trade(1), link)
    assert [meter.link(link).frames for link in (0, 1)] == [1, 1]
    assert (meter.streams()["frames"][0], meter.streams()["bytes"][0], meter.streams()["repeats"][0]) == (
        2,
        200,
        0,
    )


# The way through feed and runtime.


def test_a_feed_delivers_once_and_counts_the_copies() -> None:
    rig = Rig()
    seen: list[Any] = []
    gaps: list[int] = []
    rig.subscribe(seen.append)
    rig.feed.on_gap = gaps.append
    rig.send(trade_frame(number=1))
    rig.meter.arbitrate([0], True)
    rig.meter.await_evidence(1, [0])
    proofs: list[Any] = []
    rig.feed.on_evidence = lambda: proofs.extend(rig.meter.take_evidence())
    rig.send(trade_frame(number=1, snapshot=True), link=1)
    assert [(link, streams.tolist()) for link, streams, _ in proofs] == [(1, [0])]
    rig.send([trade_frame(number=2), trade_frame(number=3)], link=1)
    rig.send([trade_frame(number=2), trade_frame(number=3), trade_frame(number=4)], link=0)
    rig.send(trade_frame(number=9, snapshot=True), link=0)
    assert [event.id for event in seen] == [10_001, 10_002, 10_003, 10_004, 10_009]
    assert (rig.feed.duplicates, rig.feed.repeats, gaps) == (3, 0, [])
    rig.meter.arbitrate([0], False)
    rig.send(trade_frame(number=9, snapshot=True), link=1)
    assert (rig.feed.counters()["duplicates"], rig.feed.repeats, len(seen)) == (3, 1, 5)
    assert rig.meter.total().frames == rig.feed.events == 9


def test_the_runtime_hands_the_action_to_the_meter() -> None:
    class Script:
        def handle(self, event: object, now: int) -> Iterator[actions.Action]:
            yield actions.Arbitrate(np.array([3, 5], np.int32), on=event == "on")

        def deadline(self) -> None:
            return None

    class Clock:
        def monotonic_ns(self) -> int:
            return 0

    meter = Meter(1)
    unused: Any = None
    engine: Any = Script()
    clock: Any = Clock()
    runtime = Runtime(engine, unused, meter, owner=unused, connect=unused, clock=clock)
    for event, count in (("on", 2), ("on", 2), ("off", 0), ("off", 0)):
        runtime.handle(event)  # type: ignore[arg-type]
        assert meter.arbitrated == count


# Memory.


def use(meter: Meter, streams: int) -> None:
    meter.arbitrate(range(streams), True)
    for stream in range(0, streams, 2):
        for id in range(stream * 11 % 1500):
            offer(meter, TRADES[id], 0, stream)
        offer(meter, STATES[stream], 0, stream + 1)


TRADES = [trade(id) for id in range(1500)]
STATES = [ticker(id, id) for id in range(1500)]


def test_bytes_are_what_is_said_and_none_are_left_when_off() -> None:
    told: list[tuple[int, int]] = []
    tracemalloc.start()
    try:
        start = traced_bytes()
        meter = Meter(1, seed=1)

        def note() -> None:
            told.append((meter.nbytes, traced_bytes() - start))

        for stream in range(300):
            for id in range(70 if stream % 2 == 0 else 1):
                offer(meter, TRADES[id], 0, stream)
        note()
        use(meter, 300)
        note()
        meter.arbitrate(range(0, 300, 3), False)
        meter.reset_streams(range(1, 300, 3))
        note()
        meter.arbitrate(range(1000), False)
        note()
    finally:
        tracemalloc.stop()
    assert meter.arbitrated == 0
    (before, _), (full, _), _, (after, _) = told
    assert full - before > 300_000
    assert after <= before
    for stated, traced in told:
        assert stated == pytest.approx(traced, abs=1500)


def test_churn_never_grows() -> None:
    meter = Meter(1, max_streams=64)
    rng = random.Random(3)
    sizes = []
    for _ in range(200):
        streams = rng.sample(range(64), 40)
        meter.arbitrate(streams, True)
        for stream in streams:
            for _ in range(rng.randrange(30)):
                offer(meter, TRADES[rng.randrange(1500)], rng.randrange(2), stream)
        meter.arbitrate(streams[:20], False)
        meter.reset_streams(streams[20:])
        sizes.append(meter.nbytes)
        assert meter.arbitrated == 0
    assert max(sizes[50:]) <= max(sizes[:50])
    meter.reset_streams(range(64))
    assert meter.nbytes <= min(sizes)


def test_a_failed_call_changes_nothing() -> None:
    meter = Meter(1, max_streams=8)
    meter.arbitrate([1, 1], True)
    for streams in ([2, 3, 8], [2, -1]):
        with pytest.raises(CapacityError):
            meter.arbitrate(streams, True)
    meter.arbitrate([7, 8, -1, 2**31 - 1], False)
    assert meter.arbitrated == 1
    before = meter.nbytes
    meter.arbitrate([1], True)
    assert (meter.arbitrated, meter.nbytes) == (1, before)
