"""A program that is cancelled at each of its awaits in turn, or interrupted: nothing of the manager is left behind.

It has an async handler at work with more waiting, a reader, a `live()` that waits, a snapshot file and a recording.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from manager_rig import KEPT, SOON
from subcore import hub
from subcore.engine.engine import Engine
from subcore.errors import ComponentClosed
from subcore.manager import SubscriptionManager
from subcore.sim.durations import Durations
from subcore.sim.server import SimServer
from trades import BTC, ETH, XRP, send

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from faster import faster_settings

LONGEST = 400  # awaits of the program


class CancelledAt:
    """Awaits a coroutine, and cancels the task that does as it waits for the `at`-th time."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], at: int) -> None:
        self.waited = 0
        self._at = at
        self._inner = coroutine.__await__()

    def __await__(self) -> Generator[Any, Any, Any]:
        go_on: Callable[[Any], Any] = self._inner.send
        value: Any = None
        while True:
            try:
                future = go_on(value)
            except StopIteration as done:
                return done.value
            self.waited += 1
            if self.waited == self._at:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            try:
                value = yield future
                go_on = self._inner.send
            except BaseException as error:
                value, go_on = error, self._inner.throw


class Program:
    """What a user might write. `handled`: ids its async handler was done with."""

    def __init__(self, manager: SubscriptionManager, folder: Path) -> None:
        self.manager = manager
        self.folder = folder
        self.handled: list[int] = []
        self.read = 0
        self.whole = False

    async def run(self) -> None:
        async with self.manager as manager:
            manager.record(self.folder / "frames.jsonl")
            works, reads, asks = (manager.component(name) for name in ("works", "reads", "asks"))
            works.subscribe("trade", BTC, self._handle)
            reads.subscribe("ticker", ETH)
            asks.subscribe("trade", XRP)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(reads), name="reader")
                group.create_task(self._wait(asks), name="waiter")
                await works.live(SOON)
                for number in range(4):
                    send(manager, BTC, number)
                await asyncio.sleep(0.001)
                await reads.live()
                await manager.restore(manager.snapshot())
                await manager.rotate()
                asks.close()
                reads.close()
            with contextlib.suppress(ComponentClosed):
                await reads.batch(timeout=0.01)
            for number in range(4, 8):
                send(manager, BTC, number)  # the end of the block gives time for them
        self.whole = True

    async def _handle(self, event: Any) -> None:
        await asyncio.sleep(0.004)
        if event.receive_time_ns == 1:  # sent by hand
            self.handled.append(event.id)

    async def _read(self, component: Any) -> None:
        async for _ in component:
            self.read += 1

    async def _wait(self, component: Any) -> None:
        with contextlib.suppress(ComponentClosed):
            for symbol in itertools.cycle((XRP, BTC)):
                await component.live(evidence="data")
                component.replace("trade", symbol)
                await asyncio.sleep(0.001)


def descriptors() -> set[tuple[str, str]]:
    """Open ones of this process, with what they are open to."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.add((name, os.readlink(f"/proc/self/fd/{name}")))
    return found


def left_behind(before: set[tuple[str, str]], tasks: set[asyncio.Task[Any]] | None = None) -> list[str]:
    """`tasks`: those that may be there; None = outside of any loop."""
    left = [t.name for t in threading.enumerate() if t.name.startswith("subcore")]
    if tasks is not None:
        left += [t.get_name() for t in asyncio.all_tasks() - tasks]
    return left + [to for _, to in descriptors() - before if "/proc/" not in to]


async def quiet(before: set[tuple[str, str]], tasks: set[asyncio.Task[Any]]) -> None:
    """Until nothing is left; in real time, as threads end in it."""
    until = time.monotonic() + SOON
    while left := left_behind(before, tasks):
        assert time.monotonic() < until, left
        await asyncio.sleep(0.001)
        time.sleep(0.0002)


async def walk(make: Callable[[int], SubscriptionManager], folder: Path) -> int:
    """Cancel at the first await, the second, ... until there are no more; how many there were."""
    tasks = asyncio.all_tasks()
    for at in itertools.count(1):
        assert at < LONGEST
        before = descriptors()
        program = Program(make(at), folder)
        steps = CancelledAt(program.run(), at)

        async def main(steps: CancelledAt = steps) -> None:
            await steps

        task = asyncio.create_task(main(), name="program")
        await asyncio.wait([task])
        assert program.whole == (not task.cancelled()), (at, "a cancellation was swallowed")
        assert "closed" in repr(program.manager), at
        assert program.manager.components == {}, at
        await quiet(before, tasks)
        handled = len(program.handled)
        await asyncio.sleep(0.02)
        assert len(program.handled) == handled, (at, "a call after the end")
        assert (await program.manager.close()).unfinished == (), at
        if program.whole:
            assert program.handled == list(range(8)), "worked off"
            return at
    raise AssertionError


async def test_cancelled_at_each_await(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each manager at an address of its own, since limits are counted for each. The engine's times are a twentieth as
    well, or `rotate()` would be at the same await for seconds, each time."""
    monkeypatch.setattr(hub, "Engine", partial(Engine, settings=faster_settings()))
    async with SimServer(seed=3, rate=20.0, durations=Durations().divided(20), host="0.0.0.0") as server:
        port = server.url.rpartition(":")[2].partition("/")[0]
        path = server.url.split(port)[1]

        def make(at: int) -> SubscriptionManager:
            url = f"ws://127.0.{at // 200}.{at % 200 + 2}:{port}{path}"
            return SubscriptionManager("upbit", url=url, seed=1, snapshot_path=tmp_path / "intent")

        assert await walk(make, tmp_path) > 12


@pytest.fixture
def own_interrupts() -> Iterator[None]:
    """Ctrl-C as a program of its own has it."""
    kept = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, kept)


@pytest.mark.parametrize("turns", [1, 2, 5, 20, 60])
def test_interrupted(turns: int, tmp_path: Path, own_interrupts: None) -> None:
    """Ctrl-C after so many turns of the loop, wherever the program is then."""
    before = descriptors()
    programs: list[Program] = []

    async def main() -> None:
        async with SimServer(seed=3, rate=20.0, durations=Durations().divided(20)) as server:
            manager = SubscriptionManager("upbit", url=server.url, seed=1, snapshot_path=tmp_path / "intent")
            programs.append(Program(manager, tmp_path))
            running = asyncio.create_task(programs[0].run(), name="program")
            try:
                for _ in range(turns):
                    await asyncio.sleep(0)
                signal.raise_signal(signal.SIGINT)
                await running
            finally:
                running.cancel()
                await asyncio.wait([running])

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    until = time.monotonic() + SOON
    while left := left_behind(before):
        assert time.monotonic() < until, left
        time.sleep(0.001)
    assert not programs[0].whole
    assert "closed" in repr(programs[0].manager)
    KEPT.clear()
