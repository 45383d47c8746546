"""Rates against a plain recount: every event with its time, in a list."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from subcore.engine.clock import SECOND
from subcore.engine.monitor import WINDOWS_NS, Monitor

# (time until the next sample, how much each counter grows, an id that is given to another or -1)
STEPS = st.lists(
    st.tuples(
        st.integers(0, 15 * SECOND),
        st.lists(st.integers(0, 1 << 31), min_size=1, max_size=4),
        st.integers(-1, 3),
    ),
    max_size=60,
)


class Recount:
    """All samples there ever were, as dicts of exact numbers."""

    def __init__(self) -> None:
        self.samples: list[tuple[int, dict[int, int]]] = []

    def sample(self, now: int, counters: dict[int, int]) -> None:
        if not self.samples or now - self.samples[-1][0] >= 0.75 * SECOND:
            self.samples.append((now, dict(counters)))

    def forget(self, id: int) -> None:
        for _, counters in self.samples:
            counters[id] = 0

    def bounds(self, id: int, window: int) -> tuple[float, float]:
        """Of the rates over the window, or up to five seconds and a sample more where it is long: least and most."""
        now, newest = self.samples[-1]
        old = [(when, counters) for when, counters in self.samples if now - when >= window]
        if not old:
            old = self.samples[:1]
        youngest = old[-1][0]
        slack = 6 * SECOND if window > 10 * SECOND else 0
        spans = [(when, counters) for when, counters in old if youngest - when <= slack]
        rates = [
            (newest.get(id, 0) - counters.get(id, 0)) / ((now - when) / SECOND) if now > when else 0.0
            for when, counters in spans
        ]
        return min(rates), max(rates)


@given(steps=STEPS, narrow=st.booleans())
@example(steps=[(SECOND, [1], -1)] * 60, narrow=True)
@example(steps=[(SECOND, [5, 5], -1), (SECOND, [5, 5], 1), (SECOND, [5, 5], -1)], narrow=False)
def test_rates_are_those_of_a_recount(steps: list[tuple[int, list[int], int]], narrow: bool) -> None:
    monitor, recount = Monitor(np.uint32 if narrow else np.uint64), Recount()
    now, counters = 0, dict.fromkeys(range(4), 0)
    used = 1
    for gap, grown, gone in steps:
        now += gap
        used = max(used, len(grown))
        for id, more in enumerate(grown):
            counters[id] += more >> 8 if narrow else more  # in a minute less than wraps around
        monitor.sample(now, np.array([counters[id] for id in range(used)], np.uint64))
        recount.sample(now, counters)
        if 0 <= gone < used:
            monitor.forget(np.array([gone], np.int32))
            recount.forget(gone)
            counters[gone] = 0
            continue
        rates = monitor.rates(np.arange(5, dtype=np.int32))
        assert not rates[:, 4].any()
        assert [monitor.of(id) for id in range(5)] == [tuple(rates[:, id].tolist()) for id in range(5)]
        for row, window in enumerate(WINDOWS_NS):
            for id in range(used):
                least, most = recount.bounds(id, window)
                assert least * 0.999 - 0.01 <= rates[row, id] <= most * 1.001 + 0.01


def test_what_is_kept_is_bounded() -> None:
    monitor, most = Monitor(np.uint32), 0
    for second in range(1000):
        monitor.sample(second * SECOND * 3 // 4, np.full(1000, second, np.uint32))
        most = max(most, monitor.nbytes)
    assert most <= 32 * 4 * 1000 + 3 * 4 * 1000
    assert monitor.nbytes > 20 * 4 * 1000


def test_an_id_given_to_another_inherits_nothing() -> None:
    monitor = Monitor()
    for second in range(20):
        monitor.sample(second * SECOND, np.array([100 * second]))
    assert monitor.rates()[:, 0].tolist() == pytest.approx([100.0] * 3)
    monitor.forget(np.array([0], np.int32))
    assert monitor.rates()[:, 0].tolist() == [0.0] * 3
    monitor.sample(20 * SECOND, np.array([7]))
    assert monitor.rates()[0, 0] == pytest.approx(7.0)
    assert monitor.rates()[1, 0] == pytest.approx(0.7)


def test_samples_that_come_too_soon_are_passed_over() -> None:
    monitor = Monitor()
    assert monitor.sample(0, np.array([0]))
    assert not monitor.sample(SECOND // 2, np.array([1000]))
    assert monitor.sample(SECOND, np.array([10]))
    assert monitor.rates()[0, 0] == 10.0
