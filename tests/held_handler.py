"""An async handler whose calls a test lets go one by one, and who is subscribed with it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from manager_rig import KEPT, make
from subcore.component import Component
from subcore.manager import SubscriptionManager
from subcore.types import Status, StatusKind
from trades import BTC, turns


@pytest.fixture(autouse=True)
def nothing_kept() -> Any:
    yield
    KEPT.clear()


class Handler:
    """Takes ids; each call waits until the test lets it go."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.cancelled: list[int] = []
        self.most = 0
        self._calls: list[asyncio.Future[None]] = []

    async def __call__(self, event: Any) -> None:
        await self.take(event)

    async def take(self, event: Any) -> None:
        self.begun.append(event.id)
        call: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._calls.append(call)
        self.most = max(self.most, len(self._calls))
        try:
            await call
        except asyncio.CancelledError:
            self.cancelled.append(event.id)
            raise
        else:
            self.ended.append(event.id)
        finally:
            self._calls.remove(call)

    async def go(self, calls: int = 1, error: BaseException | None = None) -> None:
        """Let the present call end, and the next ones."""
        for _ in range(calls):
            if error is None:
                self._calls[0].set_result(None)
            else:
                self._calls[0].set_exception(error)
            await turns()


def subscribed(
    manager: SubscriptionManager, handler: Any, symbols: Any = BTC, **options: Any
) -> tuple[Component, list[Status]]:
    """Also what it is told, but for queues that fill."""
    told: list[Status] = []

    def tell(status: Status) -> None:
        if status.kind not in (StatusKind.SLOW, StatusKind.RECOVERED):
            told.append(status)

    component = make(manager, "c", on_status=tell)
    component.subscribe("trade", symbols, handler, **options)
    return component, told
