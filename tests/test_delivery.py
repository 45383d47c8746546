"""Delivery policies and the bounded queue, against a plain list model."""

from __future__ import annotations

import pickle
import sys
import tracemalloc

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from subcore._delivery import Callback, Delivery, EventQueue, Queue, WakeBatch


class Turns:
    """A loop turn by hand: what was scheduled runs when the test says so."""

    def __init__(self) -> None:
        self.scheduled: list = []
        self.batch = WakeBatch(self.scheduled.append)

    def run(self) -> int:
        calls, self.scheduled[:] = list(self.scheduled), []
        for call in calls:
            call()
        return len(calls)


def make_queue(maxsize: int = 4, overflow: str = "drop_oldest", **hooks) -> tuple[EventQueue, Turns]:
    turns = Turns()
    return EventQueue(maxsize, overflow, wakes=turns.batch, **hooks), turns


def gap(count: int, topics: dict[int, int]) -> tuple[str, int, dict[int, int]]:
    return ("gap", count, dict(topics))


# --- policies


def test_policies_are_values() -> None:
    assert Queue() == Queue(8192, "drop_oldest") != Queue(8192, "close")
    assert hash(Queue(5)) == hash(Queue(5))
    assert Callback() == Callback() != Queue()
    assert pickle.loads(pickle.dumps(Queue(7, "close"))) == Queue(7, "close")
    assert repr(Queue(7, "close")) == "Queue(7, overflow='close')"
    assert repr(Callback()) == "Callback()"
    with pytest.raises(AttributeError):
        Queue().maxsize = 3  # type: ignore[misc]


@pytest.mark.parametrize("maxsize", [0, -1, 2**24 + 1])
def test_queue_refuses_a_bad_maxsize(maxsize: int) -> None:
    with pytest.raises(ValueError, match="maxsize must be 1 to 16777216"):
        Queue(maxsize)


def test_queue_refuses_a_bad_overflow() -> None:
    with pytest.raises(ValueError, match="drop_oldest, drop_newest, close"):
        Queue(1, "block")


def test_the_base_policy_is_not_one() -> None:
    with pytest.raises(TypeError, match="Callback"):
        Delivery()


# --- order, losses, statuses


def test_drop_oldest_puts_one_gap_where_the_events_stood() -> None:
    queue, _ = make_queue(2, on_loss=gap)
    for number in range(5):
        queue.put(number, topic=number % 2)
    assert queue.lost == 3
    assert queue.losses == {0: 2, 1: 1}
    assert queue.drain() == [gap(3, {0: 2, 1: 1}), 3, 4]


def test_drop_newest_puts_each_gap_between_its_neighbours() -> None:
    queue, _ = make_queue(2, "drop_newest", on_loss=gap)
    assert [queue.put(n, 7) for n in range(4)] == [True, True, False, False]
    assert queue.get_nowait() == 0
    queue.put(4, 7)
    queue.put(5, 7)
    assert queue.drain() == [1, gap(2, {7: 2}), 4, gap(1, {7: 1})]


def test_close_on_overflow_ends_after_what_is_queued() -> None:
    changes = []
    queue, turns = make_queue(2, "close", on_change=lambda q: changes.append((q.overflowed, q.is_high)))
    for number in range(4):
        queue.put(number)
    turns.run()
    assert queue.closed
    assert queue.lost == 2
    assert changes == [(True, True)]
    assert queue.drain() == [0, 1]
    assert queue.get_nowait() is None


def test_closed_by_its_owner_takes_nothing_and_loses_nothing() -> None:
    queue, _ = make_queue()
    queue.put("a")
    queue.close()
    queue.close()
    assert not queue.put("b")
    queue.put_status("closed")
    assert queue.lost == 0
    assert queue.drain() == ["a", "closed"]


def test_statuses_stand_between_the_events_they_came_between() -> None:
    queue, _ = make_queue()
    queue.put_status("open")
    queue.put(1)
    queue.put_status("suspect")
    queue.put(2)
    assert len(queue) == 2
    assert queue.get_many(2) == ["open", 1]
    assert queue.get_many(9) == ["suspect", 2]


def test_statuses_are_bounded_and_the_newest_stay() -> None:
    queue, _ = make_queue()
    for number in range(1030):
        queue.put_status(number)
    assert queue.statuses_lost == 6
    assert queue.drain() == list(range(6, 1030))


def test_a_gap_without_a_teller_is_only_counted() -> None:
    queue, _ = make_queue(1)
    queue.put(1)
    queue.put(2)
    assert queue.get_nowait() == 2
    assert queue.lost == 1


def test_get_many_wants_a_positive_maximum() -> None:
    queue, _ = make_queue()
    with pytest.raises(ValueError, match="max must be at least 1"):
        queue.get_many(0)


# --- waking


def test_one_wake_for_all_queues_of_a_turn() -> None:
    turns = Turns()
    queues = [EventQueue(wakes=turns.batch) for _ in range(3)]
    woken = []
    for number, queue in enumerate(queues):
        assert queue.begin_wait(lambda number=number: woken.append(number))
    for queue in queues:
        queue.put(1)
        queue.put(2)
    assert woken == []
    assert turns.run() == 1
    assert woken == [0, 1, 2]
    for queue in queues:
        queue.put(3)
    assert turns.run() == 0, "nobody waits, nobody is woken"


def test_waiting_is_refused_when_something_is_there() -> None:
    queue, _ = make_queue()
    queue.put(1)
    assert not queue.begin_wait(lambda: None)
    queue.drain()
    queue.close()
    assert not queue.begin_wait(lambda: None)


def test_a_second_reader_is_refused() -> None:
    queue, _ = make_queue()
    queue.begin_wait(lambda: None)
    assert queue.reader_waits
    with pytest.raises(RuntimeError, match="one reader"):
        queue.begin_wait(lambda: None)


def test_a_cancelled_reader_loses_nothing_and_another_can_follow() -> None:
    queue, turns = make_queue()
    woken = []
    queue.begin_wait(lambda: woken.append("first"))
    queue.put(1)
    queue.end_wait()
    turns.run()
    assert woken == []
    assert not queue.begin_wait(lambda: woken.append("second"))
    assert queue.get_nowait() == 1
    assert queue.begin_wait(lambda: woken.append("second"))
    queue.close()
    turns.run()
    assert woken == ["second"]


def test_a_reader_woken_for_what_another_took_is_not_called() -> None:
    queue, turns = make_queue()
    woken = []
    queue.begin_wait(lambda: woken.append(1))
    queue.put(1)
    assert queue.drain() == [1]
    turns.run()
    assert woken == []
    queue.put(2)
    turns.run()
    assert woken == [1]


def test_a_status_wakes_too() -> None:
    queue, turns = make_queue()
    woken = []
    queue.begin_wait(lambda: woken.append(1))
    queue.put_status("open")
    turns.run()
    assert woken == [1]


def test_a_wake_that_raises_does_not_keep_others_asleep() -> None:
    turns = Turns()
    bad, good = EventQueue(wakes=turns.batch), EventQueue(wakes=turns.batch)
    woken = []

    def fail() -> None:
        raise LookupError("no such task")

    bad.begin_wait(fail)
    good.begin_wait(lambda: woken.append(1))
    bad.put(1)
    good.put(1)
    with pytest.raises(LookupError, match="no such task"):
        turns.run()
    assert woken == [1]


def test_a_closed_loop_is_counted_and_tried_again() -> None:
    def refuse(call) -> None:
        raise RuntimeError("Event loop is closed")

    batch = WakeBatch(refuse)
    queue = EventQueue(wakes=batch)
    queue.begin_wait(lambda: None)
    queue.put(1)
    assert batch.failures == 1
    assert queue.get_nowait() == 1


def test_watermarks_have_hysteresis() -> None:
    seen = []
    queue, turns = make_queue(8, on_change=lambda q: seen.append((q.is_high, len(q))))
    for number in range(6):
        queue.put(number)
        turns.run()
    assert seen == [(True, 6)]
    queue.get_many(1)
    queue.put(9)
    turns.run()
    assert seen == [(True, 6)], "between the marks nothing is told"
    queue.get_many(2)
    turns.run()
    assert seen == [(True, 6), (False, 4)]
    for number in range(2):
        queue.put(number)
    queue.drain()
    turns.run()
    assert seen == [(True, 6), (False, 4)], "up and down within one turn is no news"


# --- memory


def test_references_are_balanced() -> None:
    event = object()
    before = sys.getrefcount(event)
    queue, turns = make_queue(3)
    for _ in range(10):
        queue.put(event)
    turns.run()
    assert sys.getrefcount(event) == before + 3
    got = queue.get_many(2)
    assert sys.getrefcount(event) == before + 3
    assert queue.get_nowait() is event
    del got
    assert sys.getrefcount(event) == before
    queue.put(event)
    turns.run()
    del queue
    assert sys.getrefcount(event) == before


def test_a_destructor_may_use_the_queue() -> None:
    queue, _ = make_queue(1)
    seen = []

    class Talkative:
        def __del__(self) -> None:
            seen.append(len(queue))
            queue.put("from the destructor")

    queue.put(Talkative())
    queue.put("last")
    assert seen == [1]
    assert queue.drain() == ["from the destructor"]


def test_bytes_are_as_reported_grow_with_need_and_shrink() -> None:
    queue, turns = make_queue(8192)
    sizes = [0, 1, 16, 17, 5000]
    reported, traced = [0] * len(sizes), [0] * len(sizes)
    tracemalloc.start()
    try:
        for step, size in enumerate(sizes):
            for _ in range(size - len(queue)):
                queue.put(turns)
            reported[step] = queue.nbytes
            traced[step] = tracemalloc.get_traced_memory()[0]
        queue.drain()
        drained = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert reported == [0, 16 * 12, 16 * 12, 32 * 12, 8192 * 12]
    noise = 200
    assert all(abs(t - traced[0] - r) <= noise for t, r in zip(traced, reported, strict=True))
    assert queue.nbytes == 256 * 12
    assert abs(drained - traced[0] - queue.nbytes) <= noise


def test_churn_never_grows() -> None:
    queue, turns = make_queue(8192)
    for _ in range(10_000):
        queue.put(turns)
        queue.get_nowait()
    assert queue.nbytes == 16 * 12


# --- against a model


class QueueModel(RuleBasedStateMachine):
    """Every put is numbered; the model keeps one plain list of events, statuses and gaps."""

    @initialize(maxsize=st.integers(1, 40), overflow=st.sampled_from(["drop_oldest", "drop_newest", "close"]))
    def start(self, maxsize: int, overflow: str) -> None:
        self.queue, self.turns = make_queue(maxsize, overflow, on_loss=gap, on_change=self.changed)
        self.maxsize, self.overflow = maxsize, overflow
        self.items: list[tuple] = []
        self.number = 0
        self.losses: dict[int, int] = {}
        self.closed = self.overflowed = self.high = self.told_high = False
        self.waiting = False
        self.woken = 0

    def changed(self, queue: EventQueue) -> None:
        assert (queue.is_high, queue.overflowed) == (self.high, self.overflowed)

    def events(self) -> list[tuple]:
        return [item for item in self.items if item[0] == "event"]

    def lose(self, place: int, topic: int) -> None:
        self.losses[topic] = self.losses.get(topic, 0) + 1
        if place and self.items[place - 1][0] == "gap":
            _, count, topics = self.items[place - 1]
            topics = {**topics, topic: topics.get(topic, 0) + 1}
            self.items[place - 1] = ("gap", count + 1, topics)
        else:
            self.items.insert(place, ("gap", 1, {topic: 1}))

    @rule(topic=st.integers(0, 3), times=st.integers(1, 30))
    def put(self, topic: int, times: int) -> None:
        for _ in range(times):
            self.put_one(topic)

    def put_one(self, topic: int) -> None:
        self.number += 1
        item = ("event", self.number, topic)
        kept = self.queue.put(item, topic)
        if self.closed and not self.overflowed:
            assert not kept
        elif not self.closed and len(self.events()) < self.maxsize:
            assert kept
            self.items.append(item)
        elif self.overflow == "drop_oldest":
            assert not kept
            oldest = self.events()[0]
            place = self.items.index(oldest)
            del self.items[place]
            self.lose(place, oldest[2])
            self.items.append(item)
        else:
            assert not kept
            self.lose(len(self.items), topic)
            if self.overflow == "close":
                self.closed = self.overflowed = True
        if len(self.events()) >= self.maxsize - self.maxsize // 4:
            self.high = True

    @rule()
    def status(self) -> None:
        self.number += 1
        self.items.append(("status", self.number))
        self.queue.put_status(("status", self.number))

    def taken(self) -> None:
        if len(self.events()) <= self.maxsize // 2:
            self.high = False

    @rule(maximum=st.integers(1, 50))
    def get_many(self, maximum: int) -> None:
        assert self.queue.get_many(maximum) == self.items[:maximum]
        del self.items[:maximum]
        self.taken()

    @rule()
    def get_one(self) -> None:
        assert self.queue.get_nowait() == (self.items.pop(0) if self.items else None)
        self.taken()

    @precondition(lambda self: not self.waiting)
    @rule()
    def wait(self) -> None:
        def wake() -> None:
            assert self.items or self.closed
            self.woken += 1
            self.waiting = False

        self.waiting = self.queue.begin_wait(wake)
        assert self.waiting == (not self.items and not self.closed)

    @rule()
    def cancel(self) -> None:
        self.queue.end_wait()
        self.waiting = False

    @rule()
    def turn(self) -> None:
        assert self.turns.run() <= 1
        assert not (self.waiting and (self.items or self.closed)), "a reader sleeps beside its events"

    @rule()
    def close(self) -> None:
        self.queue.close()
        self.closed = True

    @invariant()
    def agree(self) -> None:
        if not hasattr(self, "queue"):
            return
        assert len(self.queue) == len(self.events())
        assert self.queue.losses == self.losses
        assert self.queue.lost == sum(self.losses.values())
        assert self.queue.closed == self.closed
        assert self.queue.is_high == self.high
        assert len(self.turns.scheduled) <= 1


TestQueueModel = QueueModel.TestCase
TestQueueModel.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
