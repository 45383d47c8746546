"""Delivery policies and the bounded queue: order, losses, statuses, memory."""

from __future__ import annotations

import pickle
import sys
import tracemalloc

import numpy as np
import pytest

from queues import gap, make_queue
from subcore._delivery import Callback, Delivery, Queue, Ring
from subcore.errors import UsageError, WrongType
from traced import traced_bytes

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
    with pytest.raises(UsageError, match="maxsize must be 1 to 16777216"):
        Queue(maxsize)


@pytest.mark.parametrize("amount", [1.5, True, "9", None, np.float64(3)])
def test_a_part_of_an_event_is_no_amount(amount: object) -> None:
    with pytest.raises(WrongType, match="maxsize must be a whole number, 1 to 16777216, not"):
        Queue(amount)  # type: ignore[arg-type]
    with pytest.raises(WrongType, match="size must be a whole number, 1 to 1048576, not"):
        Ring(amount)  # type: ignore[arg-type]


def test_an_amount_may_be_a_number_of_numpy() -> None:
    assert Queue(np.int64(7)) == Queue(7)
    assert type(Ring(np.uint8(9)).size) is int


def test_queue_refuses_a_bad_overflow() -> None:
    with pytest.raises(UsageError, match="drop_oldest, drop_newest, close"):
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
            traced[step] = traced_bytes()
        queue.drain()
        drained = traced_bytes()
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
