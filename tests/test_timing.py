"""How long handlers take: in virtual time, beside what they are made to take."""

from __future__ import annotations

import random
import statistics
from collections import deque
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiled import compiled
from examples import examples
from manager_rig import make
from routing import ticker
from subcore._delivery import WakeBatch
from subcore._events import Event
from subcore._ledger import Ledger
from subcore._queue import EventQueue
from subcore._route import Router
from subcore._timing import CallClock, CalledClock, CallTimes
from virtual_manager import World

US, MS = 1_000, 1_000_000


class Rig:
    """One stream whose handlers take virtual time."""

    def __init__(self, tick: int = 0) -> None:
        """Of a system whose coarse clock ticks so seldom."""
        self.now = 1_000
        self.ledger = Ledger()
        self.router = Router(self.ledger, gone=deque(), clock=CalledClock(lambda: self.now, tick))
        self.topics = self.ledger.topics(0, [0])

    def add(self, handler: Callable[[Event], object]) -> tuple[int, int]:
        component = self.ledger.open_component()
        sink = self.router.new_sink(component, handler)
        self.router.add(sink, self.topics)
        return component, sink

    def taking(self, ns: Callable[[], int]) -> tuple[int, int]:
        def handle(event: Event) -> None:
            self.now += ns()

        return self.add(handle)

    def send(self, frames: int = 1, gap: int = 0) -> None:
        for _ in range(frames):
            self.router.send(self.ledger.get_stream(0, 0), ticker())
            self.now += gap


def test_sampled_figures_are_those_of_all_calls() -> None:
    rig, chance = Rig(), random.Random(5)
    taken: dict[int, list[int]] = {}
    for mean in (1 * US, 3 * US, 200):
        times: list[int] = []

        def spend(mean: int = mean, times: list[int] = times) -> int:
            times.append(round(mean * chance.uniform(0.5, 1.5)))
            return times[-1]

        component, _ = rig.taking(spend)
        taken[component] = times
    rig.send(20_000, gap=5 * US)
    for component, times in taken.items():
        found = rig.router.call_times(component)
        assert found.mean_ns == pytest.approx(statistics.mean(times), rel=0.05)
        assert found.p50_ns == pytest.approx(statistics.median(times), rel=0.15)
        assert found.p99_ns == pytest.approx(statistics.quantiles(times, n=100)[98], rel=0.15)
        assert found.loop_share == pytest.approx(sum(times) / rig.now, rel=0.15)
        assert max(times) * 0.95 <= found.worst_ns <= max(times)


@pytest.mark.parametrize("all_timed", [False, True])
@pytest.mark.parametrize("most", [6 * MS, 14 * MS, 19 * MS, 40 * MS])
def test_calls_of_a_few_ticks_of_the_coarse_clock_count_for_as_many_as_there_are(
    most: int, all_timed: bool
) -> None:
    """A coarse clock sees them now and then, according to where in a tick they begin; half of all calls are short."""
    rig, chance = Rig(4 * MS), random.Random(most)
    if not all_timed:
        rig.router.frame_budget_ns = 1_000 * MS
    times: list[int] = []

    def spend() -> int:
        times.append(round(chance.choice([0.4, 0.8, 1.0]) * most) if chance.random() < 0.6 else 50 * US)
        return times[-1]

    component, _ = rig.taking(spend)
    for _ in range(20_000):
        rig.send(gap=chance.randrange(5 * MS))
    found = rig.router.call_times(component)
    assert found.mean_ns == pytest.approx(statistics.mean(times), rel=0.08)
    assert found.p50_ns == pytest.approx(statistics.median(times), rel=0.15)
    assert found.p99_ns == pytest.approx(statistics.quantiles(times, n=100)[98], rel=0.15)


def test_after_frames_of_which_all_calls_were_timed_the_next_is_chosen_by_lot() -> None:
    """The first call of a route would stand for too many, if it were the one each time."""
    rig, frame = Rig(), [0]
    first, _ = rig.taking(lambda: 10 * US if frame[0] % 40 == 33 else US)
    rig.taking(lambda: 2 * MS if frame[0] % 40 == 0 else US)
    for frame[0] in range(20_000):
        rig.send()
    assert rig.router.call_times(first).mean_ns == pytest.approx(US * 49 / 40, rel=0.1)


def test_every_sink_is_sampled_however_many_there_are() -> None:
    """1 in 32 by counting would meet the same one of 32 each time."""
    rig = Rig()
    components = [rig.taking(lambda: US)[0] for _ in range(32)]
    rig.send(400)
    assert all(rig.router.call_times(component).worst_ns == US for component in components)


@given(long=st.sets(st.integers(0, 299), max_size=4), who=st.integers(0, 2))
@examples(40)
def test_a_long_call_is_named_each_time_and_counts_once(long: set[int], who: int) -> None:
    rig, frame = Rig(), [0]
    members = []
    for number in range(3):

        def spend(number: int = number) -> int:
            return 50 * MS if number == who and frame[0] in long else US

        members.append(rig.taking(spend))
    rig.router.set_budget(members[who][0], 10 * MS)
    ends = []
    for frame[0] in range(300):
        rig.send()
        if frame[0] in long:
            ends.append(rig.now - (2 - who) * US)
    calls = rig.router.take_long_calls()
    assert [tuple(call) for call in calls] == [(*members[who], 50 * MS, at, None) for at in ends]
    assert rig.router.take_long_calls() == []
    for number, (component, _) in enumerate(members):
        found = rig.router.call_times(component)
        is_it = number == who and bool(long)
        assert (found.worst_ns or 0) >= 50 * MS if is_it else (found.worst_ns or US) == US
        assert found.over_budget == (len(long) if is_it else 0)


def test_all_calls_are_timed_while_frames_are_over_budget() -> None:
    rig = Rig()
    component, _ = rig.taking(lambda: 2 * MS)  # over the frame's budget, and no long call
    rig.router.set_budget(component, 1 * MS)
    rig.send(1)
    for frames in (1, 5, 10):
        before = rig.router.call_times(component).over_budget
        rig.send(frames)
        assert rig.router.call_times(component).over_budget == before + frames


def test_budgets_are_counted_by_estimate() -> None:
    rig, chance = Rig(), random.Random(1)
    slow = [chance.random() < 0.3 for _ in range(20_000)]
    calls = iter(slow)
    component, _ = rig.taking(lambda: 30 * US if next(calls) else US)
    rig.router.set_budget(component, 10 * US)
    rig.send(len(slow))
    assert rig.router.call_times(component).over_budget == pytest.approx(sum(slow), rel=0.15)


def test_nothing_is_kept_of_a_component_that_closed() -> None:
    rig = Rig()
    component, sink = rig.taking(lambda: 50 * MS)
    rig.send()
    assert rig.router.call_times(component).worst_ns == 50 * MS
    before = rig.router.nbytes
    rig.router.release_sink(sink)
    rig.router.close_component(component)
    assert rig.router.call_times(component) == CallTimes()
    assert rig.router.nbytes < before
    again = rig.ledger.open_component()
    assert again == component
    assert rig.router.call_times(again) == CallTimes()


def test_a_handler_that_closes_its_component_leaves_no_time_to_the_next_of_its_id() -> None:
    rig, made = Rig(), []

    def close(event: Event) -> None:
        rig.now += 50 * MS
        rig.router.release_sink(sink)
        rig.router.close_component(component)
        made.append(rig.add(lambda event: None)[0])

    component, sink = rig.add(close)
    rig.send()
    assert made == [component]
    assert rig.router.call_times(component) == CallTimes()
    assert [(call.component, call.duration_ns) for call in rig.router.take_long_calls()] == [(-1, 50 * MS)]


def test_the_time_of_a_call_that_raised_counts_too() -> None:
    rig = Rig()

    def fail(event: Event) -> None:
        rig.now += 50 * MS
        raise ValueError

    component, _ = rig.add(fail)
    rig.send()
    assert rig.router.call_times(component).worst_ns == 50 * MS


def test_puts_are_no_calls() -> None:
    rig = Rig()
    component, _ = rig.add(EventQueue(wakes=WakeBatch(lambda call: None)))
    rig.send(100)
    assert rig.router.call_times(component) == CallTimes()
    assert rig.router.fan_outs == rig.router.fan_out_times().count == 100


def test_whole_fan_outs_are_timed() -> None:
    rig = Rig()
    for _ in range(3):
        rig.taking(lambda: 100 * US)
    rig.send(7, gap=MS)
    times = rig.router.fan_out_times()
    assert (times.count, times.min, times.max) == (7, 300 * US, 300 * US)


@pytest.mark.parametrize(("component", "budget"), [(-1, 5), (0, -1)])
def test_a_budget_that_makes_no_sense(component: int, budget: int) -> None:
    with pytest.raises(ValueError, match="budget is 0 or more"):
        Rig().router.set_budget(component, budget)


def test_the_machines_clock() -> None:
    clock = CallClock()
    first = clock.now_ns()
    assert 0 < first <= clock.now_ns()
    assert 0 < clock.tick_ns <= 20 * MS


def test_a_component_shows_what_its_handlers_took_also_when_it_is_closed() -> None:
    world = World()

    async def main(world: World) -> None:
        async with world.manager() as manager:
            component = make(manager, "slow")

            def handle(event: Event) -> None:
                world.clock.now += 20 * MS

            component.subscribe("ticker", "KRW-BTC", handle)
            await component.live(evidence="data")
            for end in (lambda: None, component.close):
                end()
                stats = component.stats()
                assert stats.calls == stats.delivered >= 1
                assert stats.mean_ns == stats.worst_ns == 20 * MS
                assert 0 < stats.loop_share <= 1

    world.run(main)


def test_of_strategies_looked_at_together_the_long_one_is_named_the_second_time() -> None:
    """They are cheaper than the clock. Alone in a stream one is named at once."""
    for beside in (0, 20):
        rig = Rig()
        slow = [-1]

        def spend(
            component: int, sink: int, error: BaseException, rig: Rig = rig, slow: list[int] = slow
        ) -> None:
            rig.now += 50 * MS if component == slow[0] else 0

        rig.router = Router(
            rig.ledger, gone=deque(), on_error=spend, clock=CalledClock(lambda rig=rig: rig.now)
        )
        members = [rig.add(compiled("strategies").Told(ValueError())) for _ in range(beside + 1)]
        slow[0] = members[beside // 2][0]
        rig.router.frame_budget_ns = 1_000 * MS  # which would have all timed
        rig.send(3)
        named = [(call.component, call.sink_id, call.duration_ns) for call in rig.router.take_long_calls()]
        assert named == [(*members[beside // 2], 50 * MS)] * (2 if beside else 3)
