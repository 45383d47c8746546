"""Promises that only a whole manager keeps: what a removal leaves behind, what a failed group does, who calls when."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from typing import Any

import numpy as np
import pytest

from manager_rig import make, until
from subcore import _columns
from subcore.errors import CapacityError
from subcore.manager import SubscriptionManager
from subcore.sim.server import SimServer
from subcore.types import StatusKind


def trade(number: int) -> bytes:
    return json.dumps(
        {
            "type": "trade",
            "code": "KRW-BTC",
            "timestamp": 1_788_000_000_000 + number,
            "trade_price": 5.0,
            "trade_volume": 0.1,
            "ask_bid": "BID",
            "sequential_id": 17880000000000000 + number,
            "stream_type": "REALTIME",
        }
    ).encode()


def idle() -> SubscriptionManager:
    """A manager that was never started: frames are fed to it by hand."""
    return SubscriptionManager("upbit", url="ws://127.0.0.1:9", seed=1)


def live_streams(manager: SubscriptionManager) -> int:
    return len(_columns.live_streams(manager._hub.ledger))


async def test_who_lets_go_of_a_stream_that_others_hold_gets_no_more_of_it() -> None:
    manager = idle()
    leaving, staying = manager.component("leaving"), manager.component("staying")
    got: dict[str, list[Any]] = {"leaving": [], "staying": []}
    for component in (leaving, staying):
        component.subscribe("trade", "KRW-BTC", got[component.name].append)
    manager._hub.feed.feed(0, trade(1), 1)
    leaving.unsubscribe("trade", "KRW-BTC")
    manager._hub.feed.feed(0, trade(2), 2)
    assert {name: len(events) for name, events in got.items()} == {"leaving": 1, "staying": 2}
    await manager.close()


async def test_a_closed_component_is_forgotten(manager: SubscriptionManager) -> None:
    component = manager.component("with a handler")
    component.subscribe("ticker", "KRW-BTC", lambda event: None)
    component.close()
    forgotten = weakref.ref(component)
    del component
    gc.collect()
    assert forgotten() is None
    await until(lambda: live_streams(manager) == 0)


async def test_coming_and_going_leaves_no_ids_behind(manager: SubscriptionManager) -> None:
    component = make(manager, "restless")
    for turn in range(20):
        component.subscribe("ticker", [f"KRW-T{turn}X{number}" for number in range(50)])
        component.unsubscribe("ticker")
        await asyncio.sleep(0)
    await until(lambda: live_streams(manager) == 0)
    assert manager.stats().messages_sent == 0


async def test_a_group_that_fails_half_way_changes_nothing_and_leaves_nothing(
    manager: SubscriptionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    component = make(manager, "careful")
    component.subscribe("ticker", ["KRW-BTC", "KRW-ETH"])
    before = set(component.topics)
    monkeypatch.setattr(
        manager._hub.intent, "_groupings", list(np.arange(1024.0))
    )  # there is room for no more,
    monkeypatch.setattr(manager._hub.intent, "_unused_variant", lambda: -1)  # and all are in use
    with pytest.raises(CapacityError), manager.transaction():  # noqa: PT012
        component.unsubscribe("ticker", "KRW-BTC")
        component.subscribe("trade", "KRW-XRP")
        component.subscribe("orderbook", "KRW-BTC", grouping=5000.0)
    assert set(component.topics) == before
    await until(lambda: live_streams(manager) == len(before))


async def test_no_status_is_told_inside_the_call_that_causes_it(server: SimServer) -> None:
    told: list[tuple[bool, StatusKind]] = []
    inside = False
    async with SubscriptionManager("upbit", url=server.url, markets=["KRW-BTC"]) as manager:
        component = make(manager, "asking", on_status=lambda status: told.append((inside, status.kind)))
        component.subscribe("ticker", "KRW-NOSUCH")
        await until(lambda: (False, StatusKind.REFUSED) in told)
        count = len(told)
        inside = True
        component.subscribe("ticker", "KRW-NOSUCH")
        inside = False
        await until(lambda: len(told) > count)
    assert not any(was_inside for was_inside, _ in told)
