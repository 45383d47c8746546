"""A manager with a desk of three CRITICAL streams, and its dashboard."""

from __future__ import annotations

import pytest

import subcore
from manager_rig import make
from subcore.component import Component
from subcore.dashboard import Dashboard
from subcore.manager import SubscriptionManager

WANTED = {"ticker": ["KRW-BTC", "KRW-ETH"], "trade": ["KRW-BTC"]}


@pytest.fixture
async def desk(manager: SubscriptionManager) -> Component:
    component = make(manager, "desk", priority=subcore.Priority.CRITICAL, heartbeat=None)
    for channel, symbols in WANTED.items():
        component.subscribe(channel, symbols, lambda event: None)
    await component.live(timeout=10.0)
    return component


@pytest.fixture
async def dashboard(manager: SubscriptionManager, desk: Component) -> Dashboard:
    return await manager.serve_dashboard()
