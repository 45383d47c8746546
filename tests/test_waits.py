"""Waiting for proof and for events: what is missing is named, and cancelling loses nothing."""

from __future__ import annotations

import asyncio

import pytest

from manager_rig import SOON, make, until
from subcore.errors import (
    ComponentClosed,
    SubscribeError,
    SubscribeTimeout,
    UsageError,
)
from subcore.manager import SubscriptionManager
from subcore.sim.server import SimServer
from subcore.types import StreamState, Topic


async def test_live_names_what_is_missing(server: SimServer) -> None:
    async with SubscriptionManager("upbit", url=server.url, markets=["KRW-BTC"]) as manager:
        component = make(manager, "hopeful")
        component.subscribe("ticker", ["KRW-BTC", "KRW-NOPE"])
        with pytest.raises(SubscribeError) as caught:
            await component.live(timeout=SOON)
        assert list(caught.value.reasons) == [Topic("ticker", "KRW-NOPE")]
        await until(lambda: manager.topic("ticker", "KRW-BTC").state is StreamState.OPEN)
        component.close()


async def test_live_times_out_and_can_be_cancelled(server: SimServer) -> None:
    manager = SubscriptionManager("upbit", url="ws://127.0.0.1:9")
    await manager.start()
    component = make(manager, "waiting")
    component.subscribe("ticker", "KRW-BTC")
    with pytest.raises(SubscribeTimeout, match="ticker:KRW-BTC") as caught:
        await component.live(timeout=0.05)
    assert isinstance(caught.value, TimeoutError)
    waiting = asyncio.get_running_loop().create_task(component.live())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    closing = asyncio.get_running_loop().create_task(component.live())
    await asyncio.sleep(0)
    component.close()
    with pytest.raises(ComponentClosed):
        await closing
    await manager.close()


async def test_one_reader_at_a_time_and_cancelling_loses_nothing(manager: SubscriptionManager) -> None:
    component = make(manager, "reading")
    reader = asyncio.get_running_loop().create_task(component.batch())
    await asyncio.sleep(0)
    with pytest.raises(UsageError, match="reader"):
        await component.batch()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert await component.batch(timeout=0.01) == []
    component.subscribe("ticker", "KRW-BTC")
    assert await component.batch(timeout=SOON)
