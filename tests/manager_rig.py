"""What tests over real sockets share: an embedded exchange, and a manager that must leave nothing behind.

Times of the venue are divided by 20, so nothing here waits for more than a moment; nothing asserts a duration.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from subcore.component import Component
from subcore.manager import SubscriptionManager
from subcore.sim.durations import Durations
from subcore.sim.server import SimServer

SOON = 10.0
KEPT: list[Component] = []


def make(manager: SubscriptionManager, name: str, **options: Any) -> Component:
    """A component that lives as long as its manager, without being closed by the test."""
    component = manager.component(name, **options)
    KEPT.append(component)
    return component


@pytest.fixture
async def server() -> AsyncIterator[SimServer]:
    async with SimServer(seed=3, rate=5.0, durations=Durations().divided(20)) as running:
        yield running
        assert list(running.violations) == []


@pytest.fixture
async def manager(server: SimServer) -> AsyncIterator[SubscriptionManager]:
    async with SubscriptionManager("upbit", url=server.url, seed=1) as running:
        yield running
    KEPT.clear()
    names = [t.get_name() for t in asyncio.all_tasks() if t.get_name().startswith("subcore")]
    assert names == []
    assert [t.name for t in threading.enumerate() if t.name.startswith("subcore")] == []


async def until(condition: Any) -> None:
    async with asyncio.timeout(SOON):
        while not condition():
            await asyncio.sleep(0.005)
