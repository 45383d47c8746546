"""The table of duties: boxes count what is due and what was taken, against plain sums."""

from __future__ import annotations

import random
import tracemalloc

import numpy as np
import pytest

from queues import Turns
from subcore._delivery import Box
from subcore._duties import DutyTable
from subcore._latest import LatestBox
from subcore._queue import EventQueue
from traced import traced_bytes


def waiting(table: DutyTable, component: int) -> int:
    due, done, _ = table.row(component)
    return due - done


def test_waiting_is_due_less_done_whatever_happens() -> None:
    table, turns, rng = DutyTable(), Turns(), random.Random(4)
    kinds = ("drop_oldest", "drop_newest", "close")
    queues = [
        EventQueue(5, kinds[n % 3], wakes=turns.batch, duties=table, component=700 * n) for n in range(9)
    ]
    given, lost = [0] * 9, [0] * 9
    for _ in range(3000):
        at = rng.randrange(9)
        if rng.random() < 0.6:
            given[at] += 1
            lost[at] += not queues[at].put("event")
        elif rng.random() < 0.5:
            queues[at].get_nowait()
        else:
            queues[at].get_many(rng.randint(1, 4))
        assert waiting(table, 700 * at) == len(queues[at])
    columns = table.columns()
    assert len(columns.due) == 6 * 1024
    assert columns.due[::700][:9].tolist() == given
    assert columns.lost[::700][:9].tolist() == lost
    assert int((columns.due - columns.done).sum()) == sum(map(len, queues))
    assert columns.due.dtype == np.uint64


def test_an_event_taken_by_calls_is_done_when_the_call_returned() -> None:
    table, turns = DutyTable(), Turns()
    queue = EventQueue(4, wakes=turns.batch, duties=table, component=2, calls_done=True)
    queue.put(1)
    queue.put(2)
    assert queue.get_nowait() == 1
    assert waiting(table, 2) == 2, "in hand is not done"
    queue.returned()
    assert waiting(table, 2) == 1
    queue.returned()
    assert waiting(table, 2) == 1, "nothing was in hand"
    assert queue.get_nowait() == 2
    queue.close()
    assert waiting(table, 2) == 0
    queue.returned()
    assert table.row(2) == (2, 2, 1)


def test_what_nobody_will_take_is_lost_and_said_with_the_losses_not_told_yet() -> None:
    table, turns, told = DutyTable(), Turns(), []
    queue = EventQueue(
        3,
        wakes=turns.batch,
        duties=table,
        component=2,
        on_loss=lambda *gap: told.append(gap),
        calls_done=True,
    )
    for number in range(4):
        queue.put(number, 7)
    assert queue.get_nowait() == 1
    assert told == [(1, {7: 1})]
    for topic in (8, 8, 9):
        queue.put("event", topic)
    assert queue.lose_all() == {7: 2, 8: 2, 9: 1}  # those of topic 7 were lost as the last two came
    assert (len(queue), queue.lost, queue.losses) == (0, 6, {7: 3, 8: 2, 9: 1})
    assert (waiting(table, 2), table.row(2)) == (1, (7, 6, 6)), "what is in hand is owed still"
    assert queue.lose_all() == {7: 2}, "the gap is still to be told"


def test_the_newest_of_each_topic_is_never_due() -> None:
    table, turns = DutyTable(), Turns()
    box = LatestBox(wakes=turns.batch, duties=table, component=1)
    for number in range(5):
        box.put(number, number % 2)
    box.get_nowait()
    assert table.row(1) == (0, 0, 0)


@pytest.mark.parametrize("end", ["close", "drop"])
def test_a_box_that_goes_leaves_nothing_due(end: str) -> None:
    table, turns = DutyTable(), Turns()
    queue: Box | None = EventQueue(4, wakes=turns.batch, duties=table, component=0)
    assert queue is not None
    queue.put(1)
    queue.put(2)
    if end == "close":
        queue.close()
        table.reset(0)
        queue.drain()
        assert table.row(0) == (0, 0, 0), "the id may be another component's by now"
    del queue
    assert waiting(table, 0) == 0


def test_ids_are_bounded_and_memory_is_as_reported() -> None:
    with pytest.raises(IndexError, match="0 to 65535"):
        DutyTable().row(65536)
    with pytest.raises(IndexError):
        DutyTable().add(-1)
    tracemalloc.start()
    try:
        before = traced_bytes()
        table = DutyTable()
        for component in (0, 1, 1023, 1024, 5000):
            table.add(component, due=3, done=2, lost=1)
        held = traced_bytes() - before
        assert abs(held - table.nbytes) < 1500
        del table
        assert traced_bytes() - before < 300
    finally:
        tracemalloc.stop()
