"""Who keeps a component and its interests alive, and what goes when nobody does."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections import deque
from typing import Any

import pytest

from manager_rig import SOON, make, until
from subcore.component import Component
from subcore.manager import SubscriptionManager
from subcore.members import Member


async def test_a_handler_keeps_its_component_alive_while_the_transaction_is_open(
    manager: SubscriptionManager,
) -> None:
    got: list[Any] = []
    with manager.transaction():
        manager.component("unheld").subscribe("ticker", "KRW-BTC", got.append)
        gc.collect()
    assert set(manager.components) == {"unheld"}
    gc.collect()
    await until(lambda: got)
    assert {event.symbol for event in got} == {"KRW-BTC"}
    assert set(manager.components) == {"unheld"}


async def test_a_bound_method_goes_with_its_object(
    manager: SubscriptionManager, caplog: pytest.LogCaptureFixture
) -> None:
    class Strategy:
        def __init__(self) -> None:
            self.events: list[Any] = []

        def on_ticker(self, event: Any) -> None:
            self.events.append(event)

    alive = [Strategy()]
    component = make(manager, "method")
    component.subscribe("ticker", "KRW-BTC", alive[0].on_ticker)
    component.subscribe("ticker", "KRW-BTC", alive[0].on_ticker)
    await until(lambda: alive[0].events)
    with caplog.at_level(logging.WARNING, "subcore"):
        alive.clear()
        gc.collect()
        await until(lambda: component.topics == ())
    assert "method" in caplog.text


async def test_a_component_nobody_holds_dies_but_one_with_handlers_lives(
    manager: SubscriptionManager,
) -> None:
    got: list[Any] = []
    manager.component("handled").subscribe("ticker", "KRW-BTC", got.append)
    gc.collect()
    await until(lambda: got)
    assert set(manager.components) == {"handled"}
    lonely: Component | None = manager.component("lonely")
    assert lonely is not None
    lonely.subscribe("trade", "KRW-BTC")
    with pytest.warns(ResourceWarning, match="lonely"):  # noqa: PT031
        lonely = None
        gc.collect()
    await until(lambda: set(manager.components) == {"handled"})


async def test_an_owner_that_is_done_takes_its_component_along(manager: SubscriptionManager) -> None:
    work = asyncio.Event()
    task = asyncio.get_running_loop().create_task(work.wait())
    owned, other = make(manager, "owned", owner=task), make(manager, "other")
    owned.subscribe("ticker", ["KRW-BTC", "KRW-ETH"])
    other.subscribe("ticker", "KRW-ETH")
    await asyncio.gather(owned.live(SOON), other.live(SOON))
    work.set()
    await task
    await until(lambda: owned.closed)
    assert owned.topics == ()
    assert manager.components == {"other": other}
    assert [str(info.topic) for info in manager.topics()] == ["ticker:KRW-ETH"]
    await until(lambda: sum(manager.stats().streams.values()) == 1)
    make(manager, "owned")  # the name is free again


async def test_an_owner_that_is_collected_takes_its_component_along(
    manager: SubscriptionManager, caplog: pytest.LogCaptureFixture
) -> None:
    class Owner: ...

    owners = [Owner()]
    owned = make(manager, "owned", owner=owners[0])
    owned.subscribe("ticker", "KRW-BTC")
    gc.collect()
    manager.component("sweep").close()
    assert not owned.closed
    with caplog.at_level(logging.WARNING, "subcore"):
        owners.clear()
        gc.collect()
        await until(lambda: owned.closed)
    assert manager.components == {}
    assert manager.topics() == []
    assert "owned" in caplog.text


async def test_an_owner_that_lives_on_keeps_nothing_of_closed_components(
    manager: SubscriptionManager,
) -> None:
    class Thing:
        pass

    task, thing = asyncio.current_task(), Thing()
    assert task is not None
    before = len(task._callbacks or [])  # type: ignore[attr-defined]
    for number in range(50):
        for owner in (task, thing):
            component = manager.component(f"{number}", owner=owner)
            component.subscribe("ticker", "KRW-BTC")
            component.close()
    del component
    await asyncio.sleep(0)  # readers of a queue that was closed are woken
    gc.collect()
    assert len(task._callbacks or []) == before  # type: ignore[attr-defined]
    assert [one for one in gc.get_objects() if isinstance(one, Member) and one.name.isdigit()] == []
    assert manager._hub._left == deque()
