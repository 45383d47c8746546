"""The memory of scenario 5: 120 components of 600 topics each, with 1,000 events queued in each of ten slow ones.

Each manager is measured in a process of its own. Frames are made, and everything is imported, before tracing begins;
the exchange is gone by then. The core's arrays are numpy's or come from PyMem_Raw: tracemalloc sees them all.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import tracemalloc
from collections import deque
from collections.abc import Callable
from typing import Any

from subcore.scenarios.changes import markets
from subcore.scenarios.stage import WatchedExchange, market_values
from subcore.sim.encode import PUBLIC_TYPES

__all__ = ["COMPONENTS", "QUEUED", "SLOW", "TOPICS", "child", "in_a_process", "plain_bytes", "subcore_bytes"]

COMPONENTS, TOPICS, SLOW, QUEUED = 120, 600, 10, 1000
CHANNELS = ("ticker", "trade", "orderbook")
START_NS = 1_790_000_000_000_000_000
STEP_NS = 100_000_000
Measured = tuple[int, int]
"""(traced bytes, events that wait in all)"""


def _frames(codes: list[str], count: int) -> list[bytes]:
    """So many frames of these markets' three channels, as the exchange sends them; the first are snapshots."""
    exchange = WatchedExchange(1, markets=market_values(codes), rate=1.0)
    conn = exchange.connect(START_NS)
    assert isinstance(conn, int)
    assert set(CHANNELS) <= set(PUBLIC_TYPES)
    request = [{"ticket": "memory"}, *({"type": channel, "codes": codes} for channel in CHANNELS)]
    exchange.receive(conn, 1, json.dumps(request).encode(), START_NS)
    frames: list[bytes] = []
    now = START_NS
    while len(frames) < count:
        now += STEP_NS
        frames += [output.payload for output in exchange.advance(now) if output.kind == "frame"]
    return frames[:count]


def _traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def plain_bytes(components: int, topics: int, slow: int, queued: int) -> Measured:
    """What the plain manager takes; the slow ones keep what they have not come to in a deque of their own."""
    from subcore.scenarios.plain_manager import PlainManager
    from subcore.scenarios.sides import PlainComponent

    codes = markets(topics // len(CHANNELS))
    frames = _frames(codes, queued)
    PlainManager().connected(_swallow)
    tracemalloc.start()
    before = _traced()
    manager = PlainManager()
    queues: list[deque[Any]] = [deque() for _ in range(slow)]
    made = [PlainComponent(manager) for _ in range(components)]
    for component, queue in zip(made, queues, strict=False):
        component.on_data = _keeper(queue)
    for component in made:
        for channel in CHANNELS:
            manager.subscribe(component, channel, codes)
    manager.connected(_swallow)
    for frame in frames:
        manager.on_frame(frame)
    return _traced() - before, sum(map(len, queues))


def _keeper(queue: deque[Any]) -> Callable[[str, str, dict[str, Any]], None]:
    return lambda channel, symbol, data: queue.append(data)


def _swallow(payload: bytes) -> None:
    """A link that takes everything."""


class _Silent:
    """A connection on which nothing comes; see link.Transport."""

    write_queue_bytes = 0

    def __init__(self) -> None:
        self._closed = asyncio.Event()

    def send(self, opcode: int, payload: bytes) -> None:
        """Into the void."""

    def ping(self, payload: bytes = b"") -> None:
        """No pong comes."""

    def close(self, code: int, reason: str) -> None:
        """Gone."""
        self._closed.set()

    def abort(self) -> None:
        """Gone."""
        self._closed.set()

    async def wait_closed(self) -> None:
        """Until it is closed."""
        await self._closed.wait()


def subcore_bytes(components: int, topics: int, slow: int, queued: int) -> Measured:
    """What subcore takes; nobody reads the slow ones, so that their events wait in queues of the core."""
    from subcore.testing.clock import VirtualClock
    from subcore.testing.world import VirtualLoop

    codes = markets(topics // len(CHANNELS))
    frames = _frames(codes, queued)
    clock = VirtualClock(epoch=START_NS)
    loop = VirtualLoop(clock)
    try:
        return loop.run_until_complete(_measure(clock, codes, frames, components, slow))
    finally:
        loop.close()


async def _measure(clock: Any, codes: list[str], frames: list[bytes], components: int, slow: int) -> Measured:
    from subcore.manager import SubscriptionManager

    async def connect(url: str, headers: Any, listener: Any) -> Any:
        return _Silent()

    def make() -> SubscriptionManager:
        return SubscriptionManager(
            "upbit", url="ws://memory", clock=clock, connect=connect, seed=1, obligations=None
        )

    async with make() as first:  # what is loaded late is loaded now
        first.component("first").subscribe("ticker", codes[:1], _ignore)
        await asyncio.sleep(0.1)
    tracemalloc.start()
    before = _traced()
    async with make() as manager:
        made = [manager.component(f"component {number}") for number in range(components)]
        for number, component in enumerate(made):
            for channel in CHANNELS:
                component.subscribe(channel, codes, None if number < slow else _ignore)
        await asyncio.sleep(0.1)
        for frame in frames:
            manager._hub.feed.feed(0, frame, clock.time_ns())
        await asyncio.sleep(0.1)
        taken = _traced() - before
        tracemalloc.stop()
        waiting = [len(await component.batch(1 << 20, timeout=0.0)) for component in made[:slow]]
        return taken, sum(waiting)


def _ignore(event: Any) -> None:
    """A handler without anything to do."""


def child(which: str, sizes: tuple[int, int, int, int]) -> None:
    """In a process of its own: measure and print."""
    taken, waiting = (plain_bytes if which == "plain" else subcore_bytes)(*sizes)
    print(json.dumps([taken, waiting]))


def in_a_process(
    which: str, sizes: tuple[int, int, int, int] = (COMPONENTS, TOPICS, SLOW, QUEUED)
) -> Measured:
    """Measure `plain` or `subcore`; RuntimeError with what it said where the process fails."""
    code = f"from subcore.scenarios.memory import child; child({which!r}, {sizes!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode:
        raise RuntimeError(f"measuring the memory of {which} failed:\n{done.stderr}")
    taken, waiting = json.loads(done.stdout)
    return taken, waiting
