"""The newest of each topic: order, counting, waking, memory."""

from __future__ import annotations

import sys
import tracemalloc

from queues import Turns
from subcore._latest import LatestBox
from traced import traced_bytes


def make_box() -> tuple[LatestBox, Turns]:
    turns = Turns()
    return LatestBox(wakes=turns.batch), turns


def test_a_topic_with_a_newer_event_stands_last() -> None:
    box, _ = make_box()
    for event, topic in (("a1", 1), ("b1", 2), ("c1", 3), ("a2", 1), ("c2", 3)):
        assert box.put(event, topic), "conflating loses nothing"
    assert len(box) == 3
    assert box.conflated == 2
    assert box.conflations == {1: 1, 3: 1}
    assert box.get_many(2) == ["b1", "a2"]
    assert box.get_nowait() == "c2"
    assert box.get_nowait() is None
    assert box.put("a3", 1)
    assert box.drain() == ["a3"]
    assert box.conflations == {1: 1, 3: 1}, "what was read is not conflated"


def test_closed_takes_nothing_and_what_waits_can_be_read() -> None:
    box, _ = make_box()
    box.put("a", 1)
    box.close()
    assert not box.put("b", 1)
    assert box.drain() == ["a"]


def test_a_reader_is_woken_once() -> None:
    box, turns = make_box()
    woken: list[int] = []
    assert box.begin_wait(lambda: woken.append(len(box)))
    for number in range(3):
        box.put(number, 7)
    assert turns.run() == 1
    assert woken == [1]
    assert not box.begin_wait(lambda: None)


def test_references_are_balanced() -> None:
    event = object()
    before = sys.getrefcount(event)
    box, _ = make_box()
    for topic in (1, 2, 1, 3, 2, 1):
        box.put(event, topic)
    assert sys.getrefcount(event) == before + 3
    assert box.get_nowait() is event
    got = box.get_many(1)
    assert sys.getrefcount(event) == before + 2
    del got, box
    assert sys.getrefcount(event) == before


def test_a_destructor_may_use_the_box() -> None:
    box, _ = make_box()

    class Talkative:
        def __del__(self) -> None:
            for topic in range(100):
                box.put(("from the destructor", topic), topic)

    box.put(Talkative(), 5)
    box.put("last", 5)
    assert len(box) == 100
    assert box.get_nowait() == ("from the destructor", 0)


def test_bytes_are_as_reported_and_bounded_by_topics() -> None:
    box, turns = make_box()
    sizes = (0, 1, 8, 9, 3000)
    reported, traced = [0] * len(sizes), [0] * len(sizes)
    tracemalloc.start()
    try:
        for step, size in enumerate(sizes):
            for topic in range(size):
                box.put(turns, topic)
            reported[step] = box.nbytes
            traced[step] = traced_bytes()
        for _ in range(5):
            for topic in range(0, 3000, 7):
                box.put(turns, topic)
            box.drain()
        churned = traced_bytes()
        assert box.nbytes == reported[-1]
        del box
        left = traced_bytes()
    finally:
        tracemalloc.stop()
    assert all(abs(t - traced[0] - r) <= 500 for t, r in zip(traced, reported, strict=True))
    assert abs(churned - traced[-1]) <= 500
    assert abs(left - traced[0]) <= 500  # the box itself was there before
    assert reported[-1] / 3000 < 100


def test_of_a_topic_that_comes_and_goes_the_newest_event_waits() -> None:
    """However often it gets another id, and whoever else has its id in between."""
    box, _ = make_box()
    for number in range(1, 101):
        box.put(("a", number), number % 3)
        box.put(("b", number), 3 + number % 2)
        box.rename({number % 3: -2, 3 + number % 2: -3})
        assert len(box) == 2
    assert box.conflations == {-2: 99, -3: 99}
    assert box.conflated == 198
    assert box.drain() == [("a", 100), ("b", 100)]
    assert len(box) == 0
