"""Several boxes read as one, in the order in which things arrived."""

from __future__ import annotations

import asyncio
import sys
import tracemalloc
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from examples import examples
from inbox_model import NEWEST, PlainInbox
from queues import Turns, gap
from subcore._delivery import Box
from subcore._inbox import Inbox
from subcore._latest import LatestBox
from subcore._queue import EventQueue
from subcore._reading import Reading
from subcore.errors import CapacityError
from traced import traced_bytes


def make(*kinds: object) -> tuple[Inbox, Turns, list[Any]]:
    """An inbox with a queue of so many places for each number, or a box of the newest for None."""
    turns, inbox = Turns(), Inbox()
    boxes: list[Any] = [
        LatestBox(wakes=turns.batch) if kind is None else EventQueue(kind, wakes=turns.batch, on_loss=gap)
        for kind in kinds
    ]
    for box in boxes:
        inbox.add(box)
    return inbox, turns, boxes


def test_what_arrived_first_is_read_first() -> None:
    inbox, _, (queue, latest, other) = make(8, None, 8)
    for number, box in enumerate((queue, other, latest, queue, latest, other)):
        box.put(number, 1)
    queue.put_status("status")
    other.put(6, 1)
    assert len(inbox) == 6
    assert inbox.get_nowait() == 0
    assert inbox.get_many(4) == [1, 3, 4, 5]
    assert inbox.get_many() == ["status", 6]
    assert inbox.get_nowait() is None
    assert inbox.get_many() == []


def test_what_waited_before_a_second_box_came_is_read_before_it() -> None:
    inbox, turns, (queue,) = make(3)
    for number in range(5):
        queue.put(number, 1)
    queue.put_status("status")
    latest = LatestBox(wakes=turns.batch)
    inbox.add(latest)
    latest.put("new", 2)
    queue.put(5, 1)
    assert inbox.get_many() == [gap(3, {1: 3}), 3, 4, "status", "new", 5]


def test_a_gap_stands_where_its_first_event_was_lost() -> None:
    inbox, _, (small, large) = make(2, 9)
    large.put("a")
    small.put(1, 7)
    large.put("b")
    small.put(2, 7)
    large.put("c")
    small.put(3, 7)
    small.put(4, 7)
    assert inbox.get_many() == ["a", gap(2, {7: 2}), "b", "c", 3, 4]
    assert (inbox.lost, inbox.losses) == (2, {7: 2})


def test_a_box_that_leaves_is_read_first_and_then_it_is_gone_but_for_its_figures() -> None:
    inbox, _, (queue, latest) = make(8, None)
    latest.put("old", 1)
    latest.put("newer", 1)
    queue.put("q", 1)
    inbox.leave(latest)
    inbox.leave(latest)
    assert inbox.box_count == 2
    assert inbox.get_many(1) == ["newer"]
    assert (inbox.box_count, inbox.conflated, inbox.conflations) == (1, 1, {1: 1})
    assert not inbox.stay(latest)
    assert inbox.get_many() == ["q"]
    inbox.leave(queue)
    assert (inbox.box_count, len(inbox), inbox.nbytes) == (0, 0, 0)
    inbox.add(queue)
    inbox.leave(queue)
    assert inbox.box_count == 0


def test_boxes_are_bounded() -> None:
    inbox, turns, boxes = make(*[4] * 16)
    with pytest.raises(CapacityError, match="read before"):
        inbox.add(LatestBox(wakes=turns.batch))
    boxes[3].put(1)
    inbox.leave(boxes[3])
    with pytest.raises(CapacityError, match="read before"):
        inbox.add(LatestBox(wakes=turns.batch))
    inbox.get_nowait()
    inbox.add(LatestBox(wakes=turns.batch))
    assert inbox.box_count == 16


def test_one_wake_whichever_box_has_news_also_one_that_comes_meanwhile() -> None:
    inbox, turns, boxes = make(4, None)
    woken: list[int] = []
    assert inbox.begin_wait(lambda: woken.append(1))
    with pytest.raises(RuntimeError, match="one reader"):
        inbox.begin_wait(print)
    for box in boxes:
        box.put("x")
    turns.run()
    assert woken == [1]
    inbox.get_many()
    assert inbox.begin_wait(lambda: woken.append(2))
    late = EventQueue(4, wakes=turns.batch)
    inbox.add(late)
    late.put("y")
    turns.run()
    assert woken == [1, 2]
    assert inbox.get_nowait() == "y"
    assert inbox.begin_wait(lambda: woken.append(3))
    inbox.end_wait()
    late.put("z")
    turns.run()
    assert woken == [1, 2]


def test_an_empty_inbox_that_closes_wakes_its_reader() -> None:
    inbox = Inbox()
    woken: list[int] = []
    assert inbox.begin_wait(lambda: woken.append(1))
    inbox.close()
    assert woken == [1]
    assert not inbox.begin_wait(print)
    _, turns, _ = make()
    late = EventQueue(4, wakes=turns.batch)
    inbox.add(late)
    assert not late.put("too late")


def test_reading_ends_where_a_queue_that_closes_on_overflow_does() -> None:
    turns, inbox = Turns(), Inbox()
    ends = EventQueue(2, "close", wakes=turns.batch, on_loss=gap)
    other = EventQueue(9, wakes=turns.batch)
    inbox.add(ends)
    inbox.add(other)
    other.put("a")
    for number in range(3):
        ends.put(number, 4)
    other.put("b")
    assert not inbox.ended
    assert inbox.get_many() == ["a", 0, 1, gap(1, {4: 1})]
    assert inbox.ended
    ends.put(9, 4)
    other.put("c")
    assert inbox.get_nowait() is None
    assert inbox.get_many() == []
    assert not inbox.begin_wait(print)


def test_bytes_of_numbered_boxes_are_as_reported() -> None:
    inbox, turns, (queue, latest) = make(8192, None)
    tracemalloc.start()
    try:
        before = traced_bytes()
        for number in range(3000):
            queue.put(turns, 1)
            latest.put(turns, number % 100)
        held = traced_bytes() - before
        assert abs(held - inbox.nbytes) < 600
        assert queue.nbytes == 4096 * 20
        inbox.get_many(10_000)
        assert queue.nbytes == 256 * 20
        del inbox, queue, latest
        assert traced_bytes() - before < 800
    finally:
        tracemalloc.stop()


# --- iteration


def iterate(inbox: Inbox) -> Reading:
    async def wait() -> Any:
        await asyncio.sleep(0)
        if (item := inbox.get_nowait()) is None:
            raise StopAsyncIteration
        return item

    return Reading(inbox, wait)


async def test_iteration_takes_one_after_the_other_and_waits_for_more() -> None:
    inbox, _, (queue, _) = make(8, None)
    items: list[Any] = [1, (2, 3), StopIteration(4), None, [5]]
    for item in items:
        if item is not None:
            queue.put(item)
    found = [item async for item in iterate(inbox)]
    assert found == [item for item in items if item is not None]


def test_a_step_taken_by_hand_says_its_item_however_long_its_exception_is_kept() -> None:
    inbox, _, (queue,) = make(8)
    steps, kept = iterate(inbox), []
    for number in range(6):
        queue.put([number])
        with pytest.raises(StopIteration) as stop:
            next(steps.__anext__())  # type: ignore[call-overload]
        if number % 3:
            kept.append((number, stop.value))
        del stop
    assert [stop.value for _, stop in kept] == [[number] for number, _ in kept]


async def test_an_item_that_was_read_is_held_no_longer_than_till_the_next_step() -> None:
    inbox, _, (queue,) = make(8)
    steps, items = iterate(inbox), [object() for _ in range(3)]
    before = [sys.getrefcount(item) for item in items]
    while len(inbox) < len(items):
        queue.put(items[len(inbox)])
    while inbox:
        await steps.__anext__()
    with pytest.raises(StopAsyncIteration):
        await steps.__anext__()
    assert [sys.getrefcount(item) for item in items] == before


async def test_a_step_that_is_given_up_takes_nothing() -> None:
    inbox, _, (queue,) = make(8)
    queue.put("x")
    step = iterate(inbox).__anext__()
    step.close()
    task = asyncio.ensure_future(iterate(inbox).__anext__())
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert len(inbox) == 1
    assert await iterate(inbox).__anext__() == "x"


async def test_a_step_whose_item_another_took_waits() -> None:
    inbox, _, (queue,) = make(8)
    queue.put("x")
    step = iterate(inbox).__anext__()
    assert inbox.get_nowait() == "x"
    task = asyncio.ensure_future(step)
    await asyncio.sleep(0)
    queue.put("y")
    assert await task == "y"
    queue.put("z")
    step = iterate(inbox).__anext__()
    assert inbox.get_nowait() == "z"
    with pytest.raises(StopAsyncIteration):
        await step


# --- against a plain list


class InboxModel(RuleBasedStateMachine):
    """Boxes come and go, and are put into, read and waited for in any order."""

    @initialize()
    def start(self) -> None:
        self.turns, self.inbox, self.plain = Turns(), Inbox(), PlainInbox()
        self.boxes: list[tuple[Any, int | None]] = []
        self.leaving: set[int] = set()
        self.waiting = False

    def staying(self, which: int) -> int | None:
        able = [i for i in range(len(self.boxes)) if i not in self.leaving]
        return able[which % len(able)] if able else None

    @precondition(lambda self: len(self.boxes) < 12)
    @rule(size=st.just(NEWEST) | st.integers(1, 6) | st.integers(-6, -1))
    def add(self, size: int | None) -> None:
        box: Box
        if size is NEWEST:
            box = LatestBox(wakes=self.turns.batch)
        else:
            overflow = "drop_newest" if size < 0 else "drop_oldest"
            box = EventQueue(abs(size), overflow, wakes=self.turns.batch, on_loss=gap)
        self.inbox.add(box)
        self.boxes.append((box, size))

    @rule(which=st.integers(0, 5), topics=st.lists(st.integers(0, 4), min_size=1, max_size=12))
    def put(self, which: int, topics: list[int]) -> None:
        at = self.staying(which)
        if at is not None:
            box, size = self.boxes[at]
            for topic in topics:
                event = ("event", self.plain.number)
                box.put(event, topic)
                self.plain.put(at, size, topic, event)

    @rule(which=st.integers(0, 5))
    def status(self, which: int) -> None:
        at = self.staying(which)
        if at is not None and self.boxes[at][1] is not NEWEST:
            status = ("status", self.plain.number)
            self.boxes[at][0].put_status(status)
            self.plain.put_status(at, status)

    @rule(which=st.integers(0, 5))
    def leave(self, which: int) -> None:
        at = self.staying(which)
        if at is not None:
            self.inbox.leave(self.boxes[at][0])
            self.leaving.add(at)

    @rule(which=st.integers(0, 5))
    def stay(self, which: int) -> None:
        if self.leaving:
            at = sorted(self.leaving)[which % len(self.leaving)]
            assert self.inbox.stay(self.boxes[at][0]) == self.plain.holds(at)
            if self.plain.holds(at):
                self.leaving.discard(at)

    def expected(self, count: int) -> list[Any]:
        return [
            gap(sum(content.values()), content) if what == "gap" else content
            for what, content in self.plain.take(count)
        ]

    @rule(maximum=st.integers(1, 30))
    def get_many(self, maximum: int) -> None:
        assert self.inbox.get_many(maximum) == self.expected(maximum)

    @rule()
    def get_one(self) -> None:
        item = self.inbox.get_nowait()
        assert ([] if item is None else [item]) == self.expected(1)

    @precondition(lambda self: not self.waiting)
    @rule()
    def wait(self) -> None:
        def wake() -> None:
            self.waiting = False

        self.waiting = self.inbox.begin_wait(wake)
        assert self.waiting == (not self.plain.items)

    @rule()
    def turn(self) -> None:
        self.turns.run()
        assert not (self.waiting and self.plain.items), "a reader sleeps beside its events"

    def teardown(self) -> None:
        """However short a run was, a box leaves with an event in it and stays after all."""
        if not hasattr(self, "inbox"):
            return
        self.add(3)
        self.put(-1, [1])
        self.leave(-1)
        self.stay(-1)
        self.put(-1, [2])
        self.get_many(1000)
        self.agree()

    @invariant()
    def agree(self) -> None:
        if hasattr(self, "inbox"):
            assert len(self.inbox) == self.plain.events
            kept = [at for at in range(len(self.boxes)) if at not in self.leaving or self.plain.holds(at)]
            assert self.inbox.box_count == len(kept)


TestInboxModel = InboxModel.TestCase
TestInboxModel.settings = examples(50, stateful_step_count=30)
