"""One hostile component: what it was told and did, when it was named, and what must be so once it was reaped.

*Named* is who was told a step of the ladder, which is about a component as a whole and has no topics; the SLOW of a
queue's watermark, which has some, names nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import subcore
from subcore import StatusKind, errors

LADDER = frozenset([StatusKind.SLOW, StatusKind.QUARANTINED, StatusKind.REAPED])


@dataclass
class Hostile:
    """One component of a kind. `topics`: shared with others, but for the last. `named`: seconds from its beginning to
    its name, and by what. `did`: how often it did what it is there for."""

    kind: str
    name: str
    topics: Sequence[str]
    manager: subcore.SubscriptionManager
    rng: random.Random
    began: float = 0.0
    named: tuple[float, str] | None = None
    did: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)
    kept: list[subcore.Component] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)

    def on_status(self, status: subcore.Status) -> None:
        if status.topics:
            return
        self.steps.append(status.kind.name)
        if self.named is None and status.kind in LADDER:
            self.named = time.monotonic() - self.began, status.kind.name

    def component(self, *, keep: bool = True, **options: Any) -> subcore.Component:
        """The one by its name."""
        self.began = time.monotonic()
        made = self.manager.component(self.name, on_status=self.on_status, **options)
        if keep:
            self.kept.append(made)
        return made

    def other(self, name: str) -> subcore.Component:
        """One more, which is no less to be free of blame."""
        made = self.manager.component(f"{self.name}-{name}", on_status=self.on_status)
        self.kept.append(made)
        return made

    def spawn(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.create_task(work, name=self.name)
        self.tasks.append(task)
        return task

    async def still_there(self, wanted: frozenset[str]) -> list[str]:
        """What is left of it though it was reaped. `wanted`: symbols that somebody wants."""
        left = []
        if self.name in self.manager.components:
            left.append("is among the components")
        else:
            self.manager.component(self.name).close()  # its name is free
        if self.topics[-1] in wanted:
            left.append("is still one who wants its topic")
        for component in self.kept:
            left += ["has interests"] * bool(component.topics)
            left += ["has events"] * bool(component.stats().queued)
            left += [f"{call} raises no ComponentReaped" for call in await _calls_that_work(component)]
        return [f"{self.name} ({self.kind}) was reaped and {what}" for what in left]

    async def end(self) -> None:
        """The segment is over: whatever is left of it goes."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for component in self.kept:
            component.close()
        self.kept.clear()


async def _calls_that_work(component: subcore.Component) -> list[str]:
    work = []
    for name in ("pause", "resume", "subscribe", "batch"):
        with contextlib.suppress(errors.ComponentReaped):
            if name == "batch":
                await component.batch(1, timeout=0.0)
            else:
                getattr(component, name)(*(["trade", "KRW-S000"] if name == "subscribe" else ()))
            work.append(name)
    return work
