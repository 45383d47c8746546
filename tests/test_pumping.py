"""Async handlers: each event once, in order, one call at a time; what ends them, and what does not."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import Any

import pytest

import subcore
from held_handler import Handler, nothing_kept, subscribed
from manager_rig import make
from subcore.component import Component
from subcore.errors import UsageError
from subcore.types import Status, StatusKind
from trades import BTC, ETH, handler_tasks, offline, send, turns

__all__ = ["nothing_kept"]  # a fixture


class NotAnException(BaseException):
    """What `except Exception` lets through."""


async def test_one_call_at_a_time_in_order() -> None:
    """A function, a partial, an object with an async __call__, and a bound method; from before the start on."""
    plain = Handler()

    async def function(event: Any) -> None:
        await plain.take(event)

    for handler, seen in (
        (function, plain),
        (functools.partial(function), plain),
        ((one := Handler()), one),
        ((bound := Handler()).take, bound),
    ):
        seen.begun.clear()
        manager = offline()
        component, _ = subscribed(manager, handler, [BTC, ETH])
        for number in range(6):
            send(manager, (BTC, ETH)[number % 2], number)
        assert seen.begun == [], "nothing is called inside the call that brings an event"
        assert component.stats().queued == 6
        await turns()
        assert seen.begun == [0], "one call in flight"
        assert component.stats().queued == 5
        await seen.go(6)
        assert seen.begun == seen.ended[-6:] == list(range(6))
        assert seen.most == 1
        assert handler_tasks() == ["subcore-handler-c"]
        await manager.close()
        assert handler_tasks() == []


async def test_losses_are_counted_and_told_where_they_happened() -> None:
    handler, manager = Handler(), offline()
    component, told = subscribed(manager, handler, delivery=subcore.Queue(3))
    order: list[Any] = []
    for number in range(8):
        send(manager, BTC, number)
        await turns()  # 0 is in flight; then 3 fit
    assert told == [], "the gap has not been reached"
    for _ in range(4):
        await handler.go()
        order.append((handler.begun[-1], [status.count for status in told]))
    assert handler.begun == [0, 5, 6, 7]
    assert [status.kind for status in told] == [StatusKind.LOSS]
    assert order[0] == (5, [4]), "told before what came after it"
    stats = component.stats()
    assert (stats.lost, sum(stats.losses.values()), stats.queued) == (4, 4, 0)
    await manager.close()


async def test_a_queue_that_fills_is_told_and_so_is_its_emptying() -> None:
    handler, manager, told = Handler(), offline(), list[Status]()
    component = make(manager, "c", on_status=told.append)
    component.subscribe("trade", BTC, handler, delivery=subcore.Queue(4))
    for number in range(4):
        send(manager, BTC, number)
        await turns()
    await handler.go(4)
    assert [(s.kind, [str(t) for t in s.topics]) for s in told] == [
        (StatusKind.SLOW, ["trade:KRW-BTC"]),
        (StatusKind.RECOVERED, ["trade:KRW-BTC"]),
    ]
    await manager.close()


async def test_a_queue_that_overflows_for_good_ends_its_handler_and_says_so() -> None:
    handler, manager = Handler(), offline()
    component, told = subscribed(manager, handler, delivery=subcore.Queue(2, overflow="close"))
    for number in range(5):
        send(manager, BTC, number)
    await turns()
    await handler.go(2)
    assert handler.ended == [0, 1]
    assert [(s.kind, s.count) for s in told] == [(StatusKind.LOSS, 3), (StatusKind.ERROR, 1)]
    assert "was full" in told[-1].reason
    assert handler_tasks() == []
    assert component.stats().lost == 3
    await manager.close()


async def test_errors_are_the_handlers_own_matter(caplog: pytest.LogCaptureFixture) -> None:
    """Counted, told, logged once a minute; a cancellation of what the handler waits for is one of them."""
    handler, manager = Handler(), offline()
    component, told = subscribed(manager, handler)
    for number in range(6):
        send(manager, BTC, number)
    await turns()
    with caplog.at_level(logging.ERROR, "subcore"):
        await handler.go(2, ValueError("mine"))
        handler._calls[0].cancel()
        await turns()
        await handler.go(1, NotAnException("rude"))
    assert [sink.errors_in_row for sink in manager._hub.router.failing_sinks()] == [4], "in a row"
    await handler.go()
    assert manager._hub.router.failing_sinks() == []
    await handler.go()
    assert handler.ended == [4, 5]
    assert [(s.kind, s.count) for s in told] == [(StatusKind.ERROR, n) for n in (1, 2, 3, 4)]
    assert "mine" in told[0].reason
    assert len(caplog.records) == 1
    assert (component.stats().handler_errors, manager.stats().handler_errors) == (4, 4)
    await manager.close()


async def test_close_cancels_the_call_and_drops_what_waits() -> None:
    handler, manager = Handler(), offline()
    component, told = subscribed(manager, handler)
    for number in range(3):
        send(manager, BTC, number)
    await turns()
    component.close()
    await turns()
    assert (handler.begun, handler.cancelled) == ([0], [0])
    assert handler_tasks() == []
    assert (component.stats().queued, told) == (0, [])
    await manager.close()


async def test_a_call_that_closes_its_own_component_may_finish() -> None:
    manager, steps = offline(), []
    component: list[Component] = []

    async def handler(event: Any) -> None:
        steps.append(event.id)
        component[0].close()
        await asyncio.sleep(0)
        steps.append("finished")

    component.append(subscribed(manager, handler)[0])
    send(manager, BTC, 1)
    send(manager, BTC, 2)
    await turns()
    assert steps == [1, "finished"]
    assert handler_tasks() == []
    await manager.close()


async def test_what_waits_is_handed_over_after_an_unsubscribe_and_the_task_ends() -> None:
    """Also where the topic goes to another handler; asked for again meanwhile, there is still one call at a time."""
    handler, manager = Handler(), offline()
    component, _ = subscribed(manager, handler)
    for number in range(3):
        send(manager, BTC, number)
    await turns()
    component.unsubscribe("trade")
    send(manager, BTC, 3)
    await handler.go()
    component.subscribe("trade", BTC, handler)
    send(manager, BTC, 4)
    await turns()
    assert handler.begun == [0, 1]
    await handler.go(2)
    assert (handler.begun, handler.most) == ([0, 1, 2, 4], 1)
    plain: list[int] = []
    send(manager, BTC, 5)
    component.replace("trade", BTC, lambda event: plain.append(event.id))
    send(manager, BTC, 6)
    await handler.go(2)
    assert (handler.begun, plain) == ([0, 1, 2, 4, 5], [6])
    await turns()
    assert handler_tasks() == []
    await manager.close()


async def test_another_queue_comes_after_what_waits_in_the_present_one() -> None:
    handler, manager = Handler(), offline()
    component, told = subscribed(manager, handler)
    for number in range(4):
        send(manager, BTC, number)
    component.subscribe("trade", BTC, handler, delivery=subcore.Queue(2))
    for number in range(4, 8):
        send(manager, BTC, number)
    await turns()
    await handler.go(6)
    assert handler.ended == [0, 1, 2, 3, 6, 7]
    assert [status.kind for status in told] == [StatusKind.LOSS]
    assert component.stats().lost == 2
    await manager.close()


async def test_one_async_handler_has_one_policy_and_a_call_that_would_split_it_is_refused() -> None:
    """It changes for all topics of the handler, by a call that names them all; handlers apart have queues apart."""
    handler, manager = Handler(), offline()
    component, _ = subscribed(manager, handler, delivery=subcore.Queue(10))
    refused = pytest.raises(
        UsageError, match=r"1 other topics go to this async handler by Queue\(10, .*partial"
    )
    with refused:
        component.subscribe("trade", ETH, handler, delivery=subcore.Queue(20))
    with refused:
        component.subscribe("ticker", BTC, handler, raw=True, delivery=subcore.Queue(20))
    assert [str(topic) for topic in component.topics] == [f"trade:{BTC}"]
    (pump,) = component._member.pumps
    assert pump.policy == subcore.Queue(10)
    component.subscribe("trade", ETH, handler)
    component.subscribe("ticker", BTC, handler, raw=True, delivery=subcore.Queue(10))
    with pytest.raises(UsageError, match="2 other topics"):
        component.subscribe("trade", BTC, handler, delivery=subcore.Queue(20))
    with manager.transaction():
        component.unsubscribe("ticker", BTC)
        component.subscribe("trade", [BTC, ETH], handler, delivery=subcore.Queue(20))
    assert pump.policy == subcore.Queue(20)
    component.replace("trade", ETH, handler, delivery=subcore.Queue(30))
    assert pump.policy == subcore.Queue(30)
    apart = functools.partial(handler)

    def split() -> None:
        with manager.transaction():
            for size, market in enumerate((BTC, ETH), 1):
                component.subscribe("ticker", market, apart, delivery=subcore.Queue(size))

    with pytest.raises(UsageError, match="one call gives an async handler"):
        split()
    component.subscribe("ticker", BTC, apart, delivery=subcore.Queue(40))
    assert [pump.policy.maxsize for pump in component._member.pumps] == [30, 40]
    await manager.close()


async def test_a_plain_handler_has_no_queue() -> None:
    manager = offline()
    component = make(manager, "c")
    with pytest.raises(UsageError, match="async"):
        component.subscribe("trade", BTC, print, delivery=subcore.Queue())
    await manager.close()


async def test_a_paused_component_is_handed_nothing_and_loses_nothing_that_waited() -> None:
    handler, manager = Handler(), offline()
    component, _ = subscribed(manager, handler)
    for number in range(3):
        send(manager, BTC, number)
    await turns()
    component.pause()
    send(manager, BTC, 3)
    await handler.go()
    assert handler.begun == [0]
    component.resume()
    send(manager, BTC, 4)
    await turns()
    await handler.go(3)
    assert handler.ended == [0, 1, 2, 4]
    await manager.close()


async def test_adopted_topics_may_go_to_an_async_handler(tmp_path: Any) -> None:
    first = offline(snapshot_path=tmp_path / "intent")
    async with first:
        make(first, "c").subscribe("trade", BTC)
    handler, second = Handler(), offline(snapshot_path=tmp_path / "intent")
    async with second:
        component = make(second, "c")
        assert component.adopt(handler) == 1
        send(second, BTC, 7)
        await turns()
        await handler.go()
        assert handler.ended == [7]
