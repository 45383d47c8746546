"""What delivery once got wrong where destructors, gaps, policies and endings met; each of these failed before."""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import Any

import pytest

import subcore
from manager_rig import KEPT, make
from subcore._delivery import WakeBatch
from subcore._inbox import Inbox
from subcore._queue import EventQueue
from subcore.errors import CapacityError, UsageError
from subcore.types import Status, StatusKind
from trades import BTC, ETH, XRP, offline, send, turns

WAKES = WakeBatch(lambda flush: None)


@pytest.fixture(autouse=True)
def nothing_kept() -> Any:
    yield
    KEPT.clear()


class Garbage:
    """In a cycle: the collector runs what it was given."""

    def __init__(self, last: Any) -> None:
        self.me, self.last = self, last

    def __del__(self) -> None:
        self.last()


def test_a_destructor_that_empties_a_full_queue_while_a_loss_is_counted() -> None:
    """Counting a loss allocates, and on that the collector may run: a reference must not be given back twice."""
    events = [object() for _ in range(4)]
    counts = [len(gc.get_referrers(event)) for event in events]
    queue = EventQueue(2, wakes=WAKES)
    queue.put(events[0], 1)
    queue.put(events[1], 1)
    taken: list[Any] = []

    def empty() -> None:
        queue.close()
        taken.extend(queue.drain())

    threshold = gc.get_threshold()
    gc.collect()
    try:
        gc.set_threshold(1, 1, 1)
        gc.disable()
        Garbage(empty)
        gc.enable()
        queue.put(events[2], 1)
    finally:
        gc.set_threshold(*threshold)
        gc.enable()
    gc.collect()
    taken.extend(queue.drain())
    assert queue.lost + len([event for event in taken if event in events]) == 3
    taken.clear()
    queue.drain()
    assert [len(gc.get_referrers(event)) for event in events] == counts


def test_after_a_gap_that_nobody_is_told_of_it_may_be_another_boxes_turn() -> None:
    for read in (lambda inbox: [inbox.get_nowait() for _ in range(4)], lambda inbox: inbox.get_many()):
        inbox, small, large = Inbox(), EventQueue(2, wakes=WAKES), EventQueue(8, wakes=WAKES)
        inbox.add(small)
        inbox.add(large)
        for number, box in enumerate((small, small, large, large, small, small), start=1):
            box.put(number, 1)
        assert read(inbox) == [3, 4, 5, 6]


def test_one_who_ends_to_wait_leaves_a_later_reader_waiting() -> None:
    inbox, woken = Inbox(), []
    queue = EventQueue(2, wakes=WAKES)
    inbox.add(queue)

    def first() -> None:
        woken.append("first")

    def second() -> None:
        woken.append("second")

    assert inbox.begin_wait(first)
    inbox.end_wait(first)
    assert inbox.begin_wait(second)
    inbox.end_wait(first)
    queue.put(1, 1)
    WAKES.flush()
    assert woken == ["second"]


async def test_a_batch_that_finds_but_a_gap_keeps_to_its_timeout() -> None:
    async with offline() as manager:
        component = make(manager, "a", delivery=subcore.Queue(4, "drop_newest"))
        component.subscribe("trade", BTC)
        await turns()
        for number in range(6):
            send(manager, BTC, number)
        assert len(await component.batch(4)) == 4
        async with asyncio.timeout(5.0):
            assert await component.batch(4, timeout=0.01) == []


async def test_a_handler_of_a_new_object_is_not_taken_for_one_of_an_object_that_went() -> None:
    got: list[tuple[int, int]] = []

    class Owner:
        def __init__(self, number: int) -> None:
            self.number = number

        async def take(self, event: Any) -> None:
            got.append((self.number, event.id))

    async with offline() as manager:
        component = make(manager, "a")
        component.subscribe("trade", ETH, print)
        for number in range(20):  # some of them get the address of the one before
            owner = Owner(number)
            component.subscribe("trade", BTC, owner.take)
            await turns()
            send(manager, BTC, number)
            send(manager, BTC, 1000 + number)
            component.unsubscribe("trade", BTC)
            del owner
            new = Owner(100 + number)
            component.subscribe("trade", BTC, new.take)
            await turns()
            send(manager, BTC, 2000 + number)
            await turns()
            assert got[-1] == (100 + number, 2000 + number)
            component.unsubscribe("trade", BTC)
            del new


@pytest.mark.parametrize("give_up", ["close", "unsubscribe"])
def test_an_exit_of_a_handler_that_gave_itself_up_still_ends_the_manager(give_up: str) -> None:
    async def main() -> None:
        async def handler(event: Any) -> None:
            if give_up == "close":
                component.close()
            else:
                component.unsubscribe("trade")
            raise SystemExit(3)

        async with offline() as manager:
            component = make(manager, "a")
            component.subscribe("trade", BTC, handler)
            await turns()
            send(manager, BTC, 1)
            await turns()

    with pytest.raises(SystemExit):
        asyncio.run(main())


async def test_a_closed_component_is_told_nothing_more_of_its_queue() -> None:
    told: list[Status] = []
    async with offline() as manager:
        component = make(manager, "a", delivery=subcore.Queue(4), on_status=told.append)
        component.subscribe("trade", BTC)
        await turns()
        for number in range(4):
            send(manager, BTC, number)
        component.close()
        so_far = len(told)
        await turns()
        assert len([event async for event in component]) == 4
        await turns()
        assert len(told) == so_far


async def test_a_handler_whose_queue_was_too_small_can_be_subscribed_anew() -> None:
    got: list[int] = []

    async def handler(event: Any) -> None:
        await asyncio.sleep(0)
        got.append(event.id)

    async with offline() as manager:
        component = make(manager, "a")
        component.subscribe("trade", BTC, handler, delivery=subcore.Queue(3, "close"))
        await turns()
        for number in range(6):
            send(manager, BTC, number)
        await turns(40)
        assert got == [0, 1, 2]
        assert component.stats().lost == 3
        component.subscribe("trade", BTC, handler, delivery=subcore.Queue(50), image=False)
        await turns()
        send(manager, BTC, 30)
        await turns(40)
        assert got == [0, 1, 2, 30]


async def test_a_handler_whose_task_was_cancelled_is_told_and_can_be_subscribed_anew() -> None:
    got: list[int] = []
    told: list[Status] = []

    async def handler(event: Any) -> None:
        got.append(event.id)

    async with offline() as manager:
        component = make(manager, "a", on_status=told.append)
        component.subscribe("trade", BTC, handler)
        await turns()
        send(manager, BTC, 1)
        await turns()
        for task in asyncio.all_tasks():
            if task.get_name().startswith("subcore-handler"):
                task.cancel()
        await turns()
        assert [s.reason for s in told if s.kind is StatusKind.ERROR and "cancelled the task" in s.reason]
        component.subscribe("trade", BTC, handler, image=False)
        await turns()
        send(manager, BTC, 2)
        await turns()
        assert got == [1, 2]


async def test_an_async_handler_is_told_that_it_is_slow_and_that_it_is_not_any_more() -> None:
    told: list[StatusKind] = []
    go_on = asyncio.Event()

    async def handler(event: Any) -> None:
        await go_on.wait()

    async with offline() as manager:
        component = make(manager, "a", on_status=lambda status: told.append(status.kind))
        component.subscribe("trade", BTC, handler, delivery=subcore.Queue(8))
        component.subscribe("trade", ETH, delivery=subcore.Queue(5))
        await turns()
        for number in range(8):
            send(manager, BTC, number)
        await turns()
        component.unsubscribe("trade", ETH)  # another policy goes meanwhile
        go_on.set()
        await turns(60)
    assert [kind for kind in told if kind in (StatusKind.SLOW, StatusKind.RECOVERED)] == [
        StatusKind.SLOW,
        StatusKind.RECOVERED,
    ]


async def test_what_a_replaced_handler_held_may_close_the_component() -> None:
    async with offline() as manager:
        component = make(manager, "a")

        class Held:
            def __del__(self) -> None:
                component.close()

        def handler(held: Held) -> Any:
            return lambda event: held

        component.subscribe("trade", BTC, handler(Held()))
        component.subscribe("trade", ETH, print)
        component.subscribe("trade", BTC, lambda event: None)
        assert component.closed
        assert "a" not in manager.components


async def test_a_call_that_fails_leaves_the_policy_of_a_handler_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def handler(event: Any) -> None: ...

    def full(wish: Any) -> Any:
        raise CapacityError("full")

    async with offline() as manager:
        component = make(manager, "a")
        component.subscribe("trade", BTC, handler)
        (pump,) = component._member.pumps
        before = pump.policy
        with monkeypatch.context() as patch:
            patch.setattr(manager._hub.intent, "topics", full)
            with pytest.raises(CapacityError):
                component.subscribe("trade", XRP, handler, delivery=subcore.Queue(7))
        assert pump.policy == before
        component.subscribe("trade", BTC, handler, delivery=subcore.Queue(7))
        assert pump.policy == subcore.Queue(7)


async def test_policies_changed_again_and_again_pile_nothing_up() -> None:
    async def handler(event: Any) -> None: ...

    async with offline() as manager:
        component = make(manager, "a")
        component.subscribe("trade", BTC, handler)
        component.pause()
        for number in range(200):
            component.subscribe("trade", BTC, handler, delivery=subcore.Queue(10 + number % 2))
        (pump,) = component._member.pumps
        assert len(pump._queues) <= 3


async def test_a_reader_that_is_always_behind_gets_its_time_when_the_manager_closes() -> None:
    got: list[int] = []

    async def read() -> None:
        async for event in component:
            got.append(event.id)
            await asyncio.sleep(0)

    manager = offline()
    await manager.start()
    component = make(manager, "a")
    component.subscribe("trade", BTC)
    await turns()
    for number in range(100):
        send(manager, BTC, number)
    task = asyncio.create_task(read())
    await turns(2)
    report = await manager.close(drain=5.0)
    assert report.dropped == {}
    await task
    assert len(got) == 100


async def test_topics_that_stay_where_they_are_ask_for_no_policy() -> None:
    async with offline() as manager:
        a = make(manager, "a", delivery=subcore.Latest())
        a.subscribe("trade", BTC, print)
        a.subscribe("trade", BTC, priority=subcore.Priority.HIGH)
        with pytest.raises(UsageError, match="Latest"):
            a.subscribe("trade", [BTC, ETH])


async def test_a_reader_of_a_ring_says_when_nothing_comes_any_more() -> None:
    async with offline() as manager:
        component = make(manager, "a", delivery=subcore.Ring(8))
        component.subscribe("trade", BTC)
        old = component.ring("trade")
        send(manager, BTC, 1)
        assert (len(old), old.closed) == (1, False)
        component.unsubscribe("trade")
        component.subscribe("trade", BTC)
        send(manager, BTC, 2)
        assert (len(old.read()), old.closed) == (1, True)
        assert not component.ring("trade").closed


def test_resuming_before_the_loop_runs_works_with_async_handlers() -> None:
    async def handler(event: Any) -> None: ...

    component = offline().component("a")
    component.subscribe("trade", BTC, handler)
    component.pause()
    component.resume()
    assert not component.paused
    logging.getLogger("subcore").debug("closed by nobody")
    component.close()
