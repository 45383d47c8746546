"""What a component is told beside its data, and how loudly."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

import subcore
from manager_rig import SOON, make, until
from subcore.manager import SubscriptionManager
from subcore.sim.server import SimServer
from subcore.types import Status, StatusKind


async def test_the_iteration_holds_statuses_only_if_asked_for(manager: SubscriptionManager) -> None:
    called: list[Status] = []
    told = make(manager, "told", include_status=True)
    plain = make(manager, "plain", on_status=called.append)
    for component in (told, plain):
        component.subscribe("ticker", ["KRW-BTC", "KRW-ETH"])
    await asyncio.gather(told.live(SOON), plain.live(SOON))
    items: list[Any] = []
    async with asyncio.timeout(SOON):
        async for item in told:
            items.append(item)
            if {s for i in items if isinstance(i, Status) for s in map(str, i.topics)} == {
                "ticker:KRW-BTC",
                "ticker:KRW-ETH",
            } and any(isinstance(i, subcore.Ticker) for i in items):
                break
        only = await plain.batch()
    statuses = [item for item in items if isinstance(item, Status)]
    assert StatusKind.OPEN in {status.kind for status in statuses}
    assert all(status.time_ns > 0 for status in statuses)
    assert {type(event) for event in only} == {subcore.Ticker}
    assert StatusKind.OPEN in {status.kind for status in called}


async def test_a_failing_handler_is_told_each_time_and_logged_once_a_minute(
    manager: SubscriptionManager,
    caplog: pytest.LogCaptureFixture,
) -> None:
    statuses: list[Status] = []

    def fail(event: Any) -> None:
        raise ValueError("mine")

    component = make(manager, "failing", on_status=statuses.append)
    with caplog.at_level(logging.ERROR, "subcore"):
        component.subscribe("ticker", ["KRW-BTC", "KRW-ETH"], fail)
        await until(lambda: len([s for s in statuses if s.kind is StatusKind.ERROR]) >= 3)
    errors = [status for status in statuses if status.kind is StatusKind.ERROR]
    assert [status.count for status in errors[:3]] == [1, 2, 3]
    assert "mine" in errors[0].reason
    assert len([record for record in caplog.records if "failing" in record.getMessage()]) == 1
    assert component.stats().handler_errors >= 3


async def test_a_class_comes_from_the_call_then_the_channel_then_the_component(server: SimServer) -> None:
    async with SubscriptionManager(
        "upbit", url=server.url, channel_priority={"trade": subcore.Priority.HIGH}
    ) as running:
        low = make(running, "low", priority=subcore.Priority.LOW)
        low.subscribe("ticker", "KRW-BTC")
        low.subscribe("trade", "KRW-BTC")
        low.subscribe("trade", "KRW-ETH", priority=subcore.Priority.CRITICAL)
        classes = {str(info.topic): info.priority for info in running.topics()}
        assert classes == {
            "ticker:KRW-BTC": subcore.Priority.LOW,
            "trade:KRW-BTC": subcore.Priority.HIGH,
            "trade:KRW-ETH": subcore.Priority.CRITICAL,
        }
        low.close()
