"""Components that break no obligation, but change all they can at the worst time: in callbacks, in flight, from several
tasks, from threads. They must be free of blame, and what they did must have happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from typing import Any

from hostile_member import Hostile

import subcore
from subcore import errors

POLICIES = (
    subcore.Queue(4096),
    subcore.Latest(),
    subcore.Queue(2048, overflow="drop_newest"),
    subcore.Ring(256),
)
EACH_S = 0.05
PATIENCE_S = 30.0


def meddles(it: Hostile) -> None:
    """Its handler makes and closes others, and changes what it wants, in the middle of a fan-out."""
    others: list[subcore.Component] = []
    count = itertools.count(1)
    component = it.component()

    def handler(event: Any) -> None:
        turn = next(count)
        if turn % 10 == 0:
            it.did["founded"] += 1
            others.append(_found(it, turn, handler))
        if len(others) > 3 or turn % 25 == 0:
            for other in others:
                other.close()
                it.did["closed another"] += 1
            others.clear()
        if turn % 7 == 0 and not component.closed:
            it.did["let go"] += 1
            component.unsubscribe("trade", it.topics[0])
        if turn % 7 == 3 and not component.closed:
            it.did["asked again"] += 1
            component.subscribe("trade", it.topics[0], handler, priority=subcore.Priority(turn % 3))

    component.subscribe("trade", it.topics, handler)


def _found(it: Hostile, turn: int, handler: Any) -> subcore.Component:
    """Another one, which must not be called once it is closed."""
    other = it.other(str(turn))

    def take(event: Any) -> None:
        if other.closed:
            it.faults.append(f"{other.name} was called after it was closed")
        handler(event)

    other.subscribe("trade", it.topics[:2], take)
    return other


def changes_policy(it: Hostile) -> None:
    """What it asked for goes another way at each turn, while events are under way."""
    component, other = it.component(), it.other("handler")

    async def change() -> None:
        for turn, policy in enumerate(itertools.cycle(POLICIES)):
            rate = it.rng.choice((None, None, 2.0))
            component.subscribe("trade", it.topics, delivery=policy, max_rate=rate)
            if isinstance(policy, subcore.Ring):
                component.ring("trade").read()
            size = 512 << turn % 3
            with contextlib.suppress(errors.CapacityError):  # many queues may not be worked off yet
                other.subscribe("trade", it.topics[:3], handler, delivery=subcore.Queue(size))
            it.did["changed"] += 1
            await asyncio.sleep(EACH_S)

    async def handler(event: Any) -> None:
        it.did["handled"] += 1
        await asyncio.sleep(0)

    async def read() -> None:
        async for _ in component:
            it.did["read"] += 1

    it.spawn(change())
    it.spawn(read())


def is_of_several_tasks(it: Hostile) -> None:
    """Several tasks read it, want, let go and pause at once, and are cancelled and begun anew."""
    component = it.component()
    component.subscribe("trade", it.topics)

    async def read() -> None:
        while not component.closed:
            try:
                it.did["read"] += len(await component.batch(8, timeout=0.02))
            except errors.UsageError:  # another one reads
                it.did["turned away"] += 1
                await asyncio.sleep(0.01)

    async def want(symbol: str) -> None:
        while True:
            component.unsubscribe("trade", symbol)
            await asyncio.sleep(it.rng.uniform(0.0, EACH_S))
            component.subscribe("trade", symbol)
            with contextlib.suppress(errors.SubscribeTimeout):
                await component.live(timeout=EACH_S)
            it.did["wanted again"] += 1
            await asyncio.sleep(it.rng.uniform(0.0, EACH_S))

    async def cancel() -> None:
        readers = [it.spawn(read()) for _ in range(3)]
        while True:
            await asyncio.sleep(it.rng.uniform(0.0, 3 * EACH_S))
            at = it.rng.randrange(len(readers))
            it.did["cancelled"] += readers[at].cancel()
            readers[at] = it.spawn(read())
            it.tasks[:] = [task for task in it.tasks if not task.done()]

    for symbol in it.topics[:2]:
        it.spawn(want(symbol))
    it.spawn(cancel())


def is_of_a_thread(it: Hostile) -> None:
    """A thread has the loop change what it wants, reads figures, and calls what it must not."""
    component, manager, symbol = it.component(), it.manager, it.topics[0]

    def ignore(event: Any) -> None:
        it.did["was called"] += 1

    component.subscribe("trade", it.topics, ignore)

    def work() -> None:
        while not component.closed:
            manager.call_threadsafe(component.unsubscribe, "trade", symbol).result(PATIENCE_S)
            manager.call_threadsafe(component.subscribe, "trade", symbol, ignore).result(PATIENCE_S)
            it.did["had it called"] += 1
            component.stats()
            manager.stats(components=False)
            it.did["read figures"] += 1
            try:
                component.unsubscribe("trade")
            except errors.WrongThread:
                it.did["was refused"] += 1
            else:
                it.faults.append(f"{it.name} was let in by a thread that is not the loop's")
            time.sleep(EACH_S)

    def until_closed() -> None:
        try:
            work()
        except errors.UsageError:  # it is closed
            pass
        except Exception as error:
            it.faults.append(f"a thread of {it.name} was told {error!r}")

    threading.Thread(target=until_closed, name=it.name, daemon=True).start()
