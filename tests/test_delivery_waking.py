"""The bounded queue: when its reader and its owner are told."""

from __future__ import annotations

import pytest

from queues import Turns, make_queue
from subcore._delivery import WakeBatch
from subcore._queue import EventQueue


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


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_could_not_be_scheduled_is_by_the_next_put(error: type[BaseException]) -> None:
    """Into the same queue: its reader was never woken again. What asks the process to end is seen all the same."""
    errors, calls, woken = [error], [], []

    def schedule(call) -> None:
        if errors:
            raise errors.pop()
        calls.append(call)

    batch = WakeBatch(schedule)
    queue = EventQueue(wakes=batch)
    queue.begin_wait(lambda: woken.append(1))
    queue.put(1)
    assert (batch.failures, calls) == (1, [])
    queue.put(2)
    queue.put(3)
    assert len(calls) == 1
    calls.pop()()
    assert woken == [1]
    assert calls == []


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
