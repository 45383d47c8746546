"""How long events wait for who takes them, against a plain recount."""

from __future__ import annotations

import gc
import random
from collections import deque
from typing import Any

import pytest

from subcore._delays import NOTHING_MEASURED, DelayTable
from subcore._delivery import WakeBatch
from subcore._duties import DutyTable
from subcore._events import Ticker
from subcore._latest import LatestBox
from subcore._queue import EventQueue


def exact(values: list[int], share: float) -> int:
    return sorted(values)[max(0, -(-len(values) * round(share * 100) // 100) - 1)]


@pytest.mark.parametrize("seed", range(5))
def test_percentiles_are_within_two_percent(seed: int) -> None:
    rng, table = random.Random(seed), DelayTable()
    values = [int(rng.lognormvariate(rng.choice([9, 13, 18]), 1.5)) + 1000 for _ in range(5000)]
    for value in values:
        table.count(7, value)
    said = table.figures(7)
    assert (said.events, said.worst_ns, said.mean_ns) == (5000, max(values), sum(values) // 5000)
    for share, value in ((0.5, said.p50_ns), (0.9, said.p90_ns), (0.99, said.p99_ns)):
        assert value == pytest.approx(exact(values, share), rel=0.02)


def test_extremes_count_in_the_first_and_the_last_bucket() -> None:
    table = DelayTable()
    for value in (-5, 0, 1023, 1024, (1 << 42) - 1, 1 << 42, 1 << 61):
        table.count(0, value)
    said = table.figures(0)
    assert (said.events, said.worst_ns) == (7, 1 << 61)
    assert table.figures(1) == table.figures(-1) == NOTHING_MEASURED


def test_recent_figures_are_of_the_last_one_to_two_turns() -> None:
    table, spans = DelayTable(), []
    for turn in range(6):
        spans.append([1_000_000 * (turn + 1)] * (10 + turn))
        for value in spans[-1]:
            table.count(3, value)
        kept = [value for span in spans[-2:] for value in span]
        said = table.recent(3)
        assert (said.events, said.mean_ns) == (len(kept), sum(kept) // len(kept))
        assert said.p50_ns == pytest.approx(exact(kept, 0.5), rel=0.02)
        assert said.worst_ns == pytest.approx(max(kept), rel=0.02)
        table.turn()
    assert table.figures(3).events == sum(map(len, spans))
    table.turn()
    table.turn()
    assert table.recent(3) == NOTHING_MEASURED


def test_what_is_forgotten_leaves_nothing() -> None:
    table = DelayTable()
    table.count(5, 1000)
    empty = table.nbytes
    for component in range(5):
        for value in (1, 10**4, 10**9):
            table.count(component, value)
        table.turn()
    assert table.nbytes > empty
    for component in range(6):
        table.forget(component)
    assert table.figures(2) == table.recent(2) == NOTHING_MEASURED
    assert table.nbytes == 6 * 8
    table.count(2, 50)
    assert table.figures(2).events == 1


def new_ticker(receive_time_ns: int, **options: Any) -> Ticker:
    return Ticker(
        venue="venue",
        channel="ticker",
        symbol="KRW-BTC",
        price=1.0,
        receive_time_ns=receive_time_ns,
        **options,
    )


class Taking:
    """A box of one component, and a clock."""

    def __init__(self, kind: Any, every: int = 1) -> None:
        self.now = 1_000_000_000
        self.table = DelayTable(lambda: self.now)
        self.table.every = every
        options = {"delays": self.table, "owner": 4} if kind is LatestBox else {}
        if kind is EventQueue:
            options = {"duties": DutyTable(self.table), "component": 4}
        self.box = kind(wakes=WakeBatch(lambda flush: None), **options)


@pytest.mark.parametrize("kind", [EventQueue, LatestBox])
@pytest.mark.parametrize("at_once", [1, 7, 100])
def test_every_event_taken_is_measured_where_that_is_asked_for(kind: Any, at_once: int) -> None:
    rng, one, waits = random.Random(at_once), Taking(kind), deque[int]()
    delays: list[int] = []
    for number in range(500):
        one.now += rng.randrange(1000, 50_000)
        one.box.put(new_ticker(receive_time_ns=one.now), number)
        waits.append(one.now)
        if rng.random() < 0.2:
            one.now += rng.randrange(1_000_000)
            taken = [one.box.get_nowait()] if at_once == 1 else one.box.get_many(at_once)
            delays += [one.now - waits.popleft() for _ in taken]
    said = one.table.figures(4)
    assert (said.events, said.worst_ns, said.mean_ns) == (
        len(delays),
        max(delays),
        sum(delays) // len(delays),
    )
    assert said.p50_ns == pytest.approx(exact(delays, 0.5), rel=0.02)
    assert one.box.oldest_ns() == (waits[0] if waits else -1)


@pytest.mark.parametrize("at_once", [1, 3, 64])
def test_measured_by_lot_all_count_alike(at_once: int) -> None:
    one = Taking(EventQueue, every=8)
    delays = []
    for number in range(0, 40_000, at_once):
        for _ in range(at_once):
            one.now += 1000
            one.box.put(new_ticker(receive_time_ns=one.now), 0)
        one.now += 10_000 + number % 977 * 100
        delays += [one.now - event.receive_time_ns for event in one.box.get_many(at_once)]
    said = one.table.figures(4)
    assert said.events == pytest.approx(len(delays), rel=0.05)
    assert said.mean_ns == pytest.approx(sum(delays) / len(delays), rel=0.05)
    assert said.p99_ns == pytest.approx(exact(delays, 0.99), rel=0.05)


def test_images_and_what_is_no_event_are_not_measured() -> None:
    one = Taking(EventQueue)
    one.box.put(new_ticker(receive_time_ns=5, is_image=True), 0)
    one.box.put("something else", 0)
    assert one.box.get_nowait().is_image
    assert one.box.get_nowait() == "something else"
    assert one.table.figures(4) == NOTHING_MEASURED


def test_a_closed_box_measures_nothing_any_more() -> None:
    one = Taking(EventQueue)
    one.box.put(new_ticker(receive_time_ns=one.now), 0)
    one.box.close()
    assert one.box.get_nowait() is not None
    assert one.table.figures(4) == NOTHING_MEASURED


def test_a_destructor_that_closes_the_component_as_its_figures_are_read_harms_nothing() -> None:
    """The collector runs wherever a list is made; what it frees may close the component, and with it the row."""
    table = DelayTable()

    class Closes:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            table.forget(0)

    seen = set()
    was = gc.get_threshold()
    for _ in range(8):
        for ns in range(1000, 2000):
            table.count(0, ns * 1000)
        gc.collect()
        Closes()
        gc.set_threshold(1)
        try:
            seen.add(table.figures(0))
        finally:
            gc.set_threshold(*was)
        gc.collect()
    expected = DelayTable()
    for ns in range(1000, 2000):
        expected.count(0, ns * 1000)
    assert seen <= {expected.figures(0), NOTHING_MEASURED}


def test_times_of_another_age_do_not_spoil_the_mean() -> None:
    """A frame that says it came in 1970 has waited for longer than sums can hold."""
    table = DelayTable()
    for _ in range(40):
        table.count(0, 1 << 62)
    table.count(0, 1000)
    figures = table.figures(0)
    assert figures.events == 41
    assert figures.worst_ns == 1 << 62
    assert 1 << 41 < (figures.mean_ns or 0) <= 1 << 42
