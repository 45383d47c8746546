"""Every kind of component that harms others where it can: it crashes, hangs, raises, does not read, leaves, meddles.

A hostile component is given topics that others hold too, and one of its own. It is *named* by the first Status of the
ladder that it is told, or the first line of the log that has its name.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import subcore
from subcore import StatusKind

LADDER = frozenset([StatusKind.SLOW, StatusKind.QUARANTINED, StatusKind.REAPED, StatusKind.ERROR])
BEAT_S = 1.0
SMALL = subcore.Queue(64)  # full at once: what waits beyond is lost, and told
_numbers = itertools.count(1)


@dataclass
class Hostile:
    """One component of a kind. `named`: seconds after its first due event, and by what."""

    kind: str
    name: str
    topics: Sequence[str]
    manager: subcore.SubscriptionManager
    rng: random.Random
    began: float = 0.0
    named: tuple[float, str] | None = None
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)
    kept: list[Any] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)

    def on_status(self, status: subcore.Status) -> None:
        self.steps.append(status.kind.name)
        if status.kind in LADDER:
            self.name_it(f"Status {status.kind.name}")

    def name_it(self, what: str) -> None:
        if self.named is None and self.began:
            self.named = time.monotonic() - self.began, what

    def component(self, **options: Any) -> subcore.Component:
        """The one by its name."""
        self.began = time.monotonic()
        made = self.manager.component(self.name, on_status=self.on_status, **options)
        self.kept.append(made)
        return made

    def spawn(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.create_task(work, name=self.name)
        self.tasks.append(task)
        return task

    async def end(self) -> None:
        """The segment is over: whatever is left of it goes."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for component in self.kept:
            if isinstance(component, subcore.Component):
                with contextlib.suppress(subcore.SubcoreError):
                    component.close()
        self.kept.clear()


def crashes(it: Hostile) -> None:
    """The task that owns it raises; its topics stay."""

    async def work() -> None:
        component = it.component(owner=asyncio.current_task(), delivery=SMALL)
        component.subscribe("trade", it.topics)
        async for _ in component:
            raise ValueError("crashed")

    it.spawn(work())


def hangs(it: Hostile) -> None:
    """Its async handler waits for what never comes."""

    async def handler(event: Any) -> None:
        await asyncio.get_running_loop().create_future()

    it.component().subscribe("trade", it.topics, handler, delivery=SMALL)


def raises(it: Hostile) -> None:
    """Its handler raises on every call."""

    def handler(event: Any) -> None:
        raise ValueError("no good")

    it.component().subscribe("trade", it.topics, handler)


def beats_but_does_not_read(it: Hostile) -> None:
    """It says it is well, and takes nothing."""
    component = it.component(heartbeat=BEAT_S, delivery=SMALL)
    component.subscribe("trade", it.topics)

    async def beat() -> None:
        while not component.closed:
            component.heartbeat()
            await asyncio.sleep(BEAT_S / 2)

    it.spawn(beat())


def reads_but_does_not_beat(it: Hostile) -> None:
    """It takes all, and breaks its promise to say that it is well."""
    component = it.component(heartbeat=BEAT_S)
    component.subscribe("trade", it.topics)

    async def read() -> None:
        async for _ in component:
            pass

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
        while True:
            await component.batch(16, timeout=0.01)
            await asyncio.sleep(0)

    async def cancel() -> None:
        task = it.spawn(work())
        await asyncio.sleep(it.rng.uniform(0.0, 0.5))
        task.cancel()

    it.spawn(cancel())


def is_collected(it: Hostile) -> None:
    """Nobody holds the object of its handler."""

    class Strategy:
        def take(self, event: Any) -> None:
            self.latest = event

    strategy = Strategy()
    it.component().subscribe("trade", it.topics, strategy.take)


def is_slow(it: Hostile) -> None:
    """Its async handler takes longer than events take to come."""

    async def handler(event: Any) -> None:
        await asyncio.sleep(0.2)

    it.component().subscribe("trade", it.topics, handler, delivery=SMALL)


def meddles(it: Hostile) -> None:
    """Its handler makes and closes others, and changes what it wants, in the middle of a fan-out: nothing forbidden."""
    others: list[subcore.Component] = []
    count = itertools.count(1)
    component = it.component()

    def handler(event: Any) -> None:
        turn = next(count)
        if turn % 10 == 0:
            other = it.manager.component(f"{it.name}-{turn}")
            other.subscribe("trade", it.topics[:2], handler)
            others.append(other)
        if len(others) > 3 or turn % 25 == 0:
            for other in others:
                other.close()
            others.clear()
        if turn % 7 == 0 and not component.closed:
            component.unsubscribe("trade", it.topics[0])
        if turn % 7 == 3 and not component.closed:
            component.subscribe("trade", it.topics[0], handler, priority=subcore.Priority(turn % 3))

    it.kept.append(others)
    component.subscribe("trade", it.topics, handler)


@dataclass(frozen=True)
class Kind:
    """`is_named`: whether it breaks an obligation, and has to be found."""

    name: str
    start: Callable[[Hostile], None]
    is_named: bool = True


KINDS = (
    Kind("its task crashes", crashes),
    Kind("its async handler hangs", hangs),
    Kind("its handler raises", raises),
    Kind("beats, does not read", beats_but_does_not_read),
    Kind("reads, does not beat", reads_but_does_not_beat),
    Kind("a queue nobody reads", is_a_zombie),
    Kind("leaves at any await", leaves),
    Kind("is collected", is_collected),
    Kind("its handler is slow", is_slow),
    Kind("meddles in callbacks", meddles, is_named=False),
)


class Crowd:
    """The hostile components of one segment."""

    def __init__(
        self, manager: subcore.SubscriptionManager, topics: Sequence[str], own: Sequence[str], seed: str
    ) -> None:
        self._rng = random.Random(seed)
        self.members: list[Hostile] = []
        self._names = _NamesInLog(self.members)
        logging.getLogger("subcore").addHandler(self._names)
        for place, mine in enumerate(own):
            kind = KINDS[place % len(KINDS)]
            shared = self._rng.sample(list(topics), 5)
            name = f"hostile-{next(_numbers):04}"
            hostile = Hostile(kind.name, name, [*shared, mine], manager, random.Random(f"{seed} {place}"))
            self.members.append(hostile)
            kind.start(hostile)

    async def end(self) -> None:
        logging.getLogger("subcore").removeHandler(self._names)
        for hostile in self.members:
            await hostile.end()


class _NamesInLog(logging.Handler):
    """The first warning that has a component's name."""

    def __init__(self, members: list[Hostile]) -> None:
        super().__init__(logging.WARNING)
        self._members = members

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        for hostile in self._members:
            if f"{hostile.name!r}" in text:
                hostile.name_it(f"log: {text[:60]}")
