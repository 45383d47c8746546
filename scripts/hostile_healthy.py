"""The healthy components: each way to be given events, and what each got of each market, summed up in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from hostile_exchange import checksum

import subcore
from subcore._histogram import Histogram

WAYS = ("a handler", "an async handler", "async for", "batch")


class Got:
    """One component's trades of one market."""

    __slots__ = ("count", "sum")

    def __init__(self) -> None:
        self.count = self.sum = 0


class Healthy:
    """One component that takes all it is given."""

    def __init__(self, manager: subcore.SubscriptionManager, number: int, topics: Sequence[str]) -> None:
        self.name = f"healthy-{number:03}"
        self.topics = topics
        self.way = WAYS[number % len(WAYS)]
        self.delays = Histogram()
        self.got = {code: Got() for code in topics}
        self.statuses: list[subcore.Status] = []
        self.component = manager.component(self.name, on_status=self.statuses.append)
        self.task: asyncio.Task[None] | None = None
        handler = {"a handler": self._take, "an async handler": self._take_later}.get(self.way)
        self.component.subscribe("trade", topics, handler)
        if handler is None:
            work = self._iterate() if self.way == "async for" else self._batch()
            self.task = asyncio.create_task(work, name=self.name)

    def _take(self, event: Any) -> None:
        if not event.is_snapshot:  # which has the time of an older trade
            self.delays.add(max(0, time.time_ns() - event.exchange_time_ns))
        got = self.got[event.symbol]
        got.count += 1
        got.sum = checksum(got.sum, event.id)

    async def _take_later(self, event: Any) -> None:
        self._take(event)

    async def _iterate(self) -> None:
        async for event in self.component:
            self._take(event)

    async def _batch(self) -> None:
        while events := await self.component.batch():
            for event in events:
                self._take(event)

    def missing(self, account: dict[str, list[int]]) -> list[str]:
        """What it did not get as it was sent, market by market."""
        return [
            f"{self.name} ({self.way}), {code}: got {got.count} of {account.get(code, [0])[0]}"
            for code, got in self.got.items()
            if [got.count, got.sum] != account.get(code, [0, 0])
        ]

    @property
    def accused(self) -> tuple[list[str], list[str]]:
        """What it was told that only those who break an obligation should be; and apart from it SLOW alone, which a
        loop that is overloaded makes of anybody."""
        kinds = (
            subcore.StatusKind.SLOW,
            subcore.StatusKind.QUARANTINED,
            subcore.StatusKind.REAPED,
            subcore.StatusKind.LOSS,
            subcore.StatusKind.ERROR,
        )
        told = [s for s in self.statuses if s.kind in kinds]
        said: tuple[list[str], list[str]] = [], []
        for status in told:
            said[status.kind is kinds[0]].append(f"{self.name}: {status.kind.name} {status.reason}")
        return said
