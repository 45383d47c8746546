"""What it costs to keep an event for later, and to read it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any

from bare.build import load

import subcore
from subcore._delivery import WakeBatch
from subcore._events import Ticker
from subcore._latest import LatestBox
from subcore._queue import EventQueue
from subcore._ring import RecordRing

from .measure import Contest, Effort, Row, Sample, Target, calibrated, timed

__all__ = ["contests"]

EVENTS = 4096
TOPICS = 200
BATCH = 256


def contests() -> Iterator[Contest]:
    yield Contest(
        f"keeping an event for later ({EVENTS} of {TOPICS} markets, then all are taken at once)",
        [
            Row("in a queue, against a deque's append from Cython", "queue", "deque", Target(4)),
            Row("the newest of its market", "latest", "deque", Target(3)),
            Row("as a row of a ring", "ring", "deque", Target(1.5)),
        ],
        _open_puts,
    )
    yield Contest(
        f"reading {EVENTS} events that wait, against asyncio.Queue.get",
        [
            Row(f"batch({BATCH})", "batch", "asyncio.Queue", Target(1 / 4.5)),
            Row("async for", "async for", "asyncio.Queue", Target(1 / 2)),
        ],
        _open_reads,
    )


def _events() -> list[Ticker]:
    return [
        Ticker(venue="upbit", channel="ticker", symbol=f"KRW-{n % TOPICS}", price=float(n), receive_time_ns=n)
        for n in range(EVENTS)
    ]


def _wakes() -> WakeBatch:
    return WakeBatch(lambda flush: None)


def _open_puts(effort: Effort) -> Mapping[str, Sample]:
    bare, events, waiting = load("boxes"), _events(), deque[object]()
    queue, latest = EventQueue(2 * EVENTS, wakes=_wakes()), LatestBox(wakes=_wakes())
    ring = RecordRing("ticker", 1024)
    return {
        "deque": calibrated(lambda n: bare.append_each(waiting, events, n), EVENTS, effort),
        "queue": calibrated(lambda n: bare.put_each(queue, events, TOPICS, n), EVENTS, effort),
        "latest": calibrated(lambda n: bare.put_each(latest, events, TOPICS, n), EVENTS, effort),
        "ring": calibrated(lambda n: bare.put_records(ring, events, n), EVENTS, effort),
    }


def _open_reads(effort: Effort) -> Mapping[str, Sample]:
    """A component before its manager's start: its own reading calls, on a queue filled by hand."""
    manager = subcore.SubscriptionManager("upbit", url="ws://127.0.0.1:9", markets=None)
    component = manager.component("reader", delivery=subcore.Queue(2 * EVENTS))
    queue = component._member.boxes.box(component._member.delivery)
    theirs: asyncio.Queue[object] = asyncio.Queue()
    events, loop = _events(), asyncio.new_event_loop()

    async def by_batch() -> None:
        left = EVENTS
        while left:
            left -= len(await component.batch(BATCH))

    async def one_by_one() -> None:
        left = EVENTS
        async for _ in component:
            left -= 1
            if not left:
                return

    async def from_theirs() -> None:
        for _ in range(EVENTS):
            await theirs.get()

    def reading(work: Callable[[], Coroutine[Any, Any, None]], put: Callable[[Any], object]) -> Sample:
        def once() -> float:
            for event in events:
                put(event)
            return timed(lambda: loop.run_until_complete(work()), EVENTS)

        repeats = max(1, round(effort.sample_seconds / 0.002))
        return lambda: sum(once() for _ in range(repeats)) / repeats

    return {
        "batch": reading(by_batch, queue.put),
        "async for": reading(one_by_one, queue.put),
        "asyncio.Queue": reading(from_theirs, theirs.put_nowait),
    }
