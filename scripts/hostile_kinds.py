"""Every kind of component that breaks an obligation: it crashes, hangs, raises, does not read, leaves, is slow."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from hostile_member import Hostile

import subcore

BEAT_S = 1.0
SMALL = subcore.Queue(64)  # full at once: what waits beyond is lost, and told


def crashes(it: Hostile) -> None:
    """The task that owns it raises; its topics stay."""

    async def work() -> None:
        component = it.component(owner=asyncio.current_task(), delivery=SMALL)
        component.subscribe("trade", it.topics)
        async for _ in component:
            it.did["crashed"] += 1
            raise ValueError("crashed")

    it.spawn(work())


def hangs(it: Hostile) -> None:
    """Its async handler waits for what never comes."""

    async def handler(event: Any) -> None:
        it.did["hung"] += 1
        await asyncio.get_running_loop().create_future()

    it.component().subscribe("trade", it.topics, handler, delivery=SMALL)


def raises(it: Hostile) -> None:
    """Its handler raises on every call."""

    def handler(event: Any) -> None:
        it.did["raised"] += 1
        raise ValueError("no good")

    it.component().subscribe("trade", it.topics, handler)


def beats_but_does_not_read(it: Hostile) -> None:
    """It says it is well, and takes nothing."""
    component = it.component(heartbeat=BEAT_S, delivery=SMALL)
    component.subscribe("trade", it.topics)

    async def beat() -> None:
        while not component.closed:
            component.heartbeat()
            it.did["beat"] += 1
            await asyncio.sleep(BEAT_S / 2)

    it.spawn(beat())


def reads_but_does_not_beat(it: Hostile) -> None:
    """It takes all, and breaks its promise to say that it is well."""
    component = it.component(heartbeat=BEAT_S)
    component.subscribe("trade", it.topics)

    async def read() -> None:
        async for _ in component:
            it.did["read"] += 1

    it.spawn(read())


def is_a_zombie(it: Hostile) -> None:
    """Its queue is nobody's."""
    it.component(delivery=SMALL).subscribe("trade", it.topics)


def leaves(it: Hostile) -> None:
    """Its task is cancelled wherever it waits, and closes nothing."""

    async def work() -> None:
        component = it.component(owner=asyncio.current_task())
        component.subscribe("trade", it.topics)
        await component.live()
        while not component.closed:
            await component.batch(16, timeout=0.01)
            await asyncio.sleep(0)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.01):
                    async for _ in component:
                        await asyncio.sleep(0)

    async def cancel() -> None:
        task = it.spawn(work())
        await asyncio.sleep(it.rng.uniform(0.001, 0.5))
        it.did["left"] += task.cancel()

    it.spawn(cancel())


def is_collected(it: Hostile) -> None:
    """Nobody holds it, nor the object of its handler, from some moment on."""

    class Strategy:
        def take(self, event: Any) -> None:
            self.latest = event

    async def hold() -> None:
        strategy = Strategy()
        component = it.component(keep=False)
        component.subscribe("trade", it.topics, strategy.take)
        await asyncio.sleep(it.rng.uniform(0.001, 0.5))
        it.did["let go"] += 1
        del strategy, component

    it.spawn(hold())


def is_slow(it: Hostile) -> None:
    """Its async handler takes longer than events take to come."""

    async def handler(event: Any) -> None:
        it.did["took its time"] += 1
        await asyncio.sleep(0.2)

    it.component().subscribe("trade", it.topics, handler, delivery=SMALL)
