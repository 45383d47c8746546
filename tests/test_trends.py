"""Trends against an obvious computation of the same, and times to thresholds against series that are known."""

from __future__ import annotations

import random
import statistics

import numpy as np
import pytest

from subcore.engine.clock import SECOND
from subcore.engine.trends import POINTS, Course, Trend, theil_sen


def brute_slope(times: list[float], values: list[float]) -> float:
    slopes = []
    for i in range(len(times)):
        for j in range(i):
            if times[i] != times[j]:
                slopes.append((values[i] - values[j]) / (times[i] - times[j]))
    return statistics.median(slopes) if slopes else 0.0


@pytest.mark.parametrize("seed", range(20))
def test_the_slope_is_the_median_of_all_pairs(seed: int) -> None:
    rng = random.Random(seed)
    count = rng.randrange(2, 40)
    times = sorted(float(rng.randrange(50)) for _ in range(count))  # some twice
    values = [rng.choice([rng.gauss(0, 1), rng.gauss(0, 1000), 5.0]) for _ in range(count)]
    assert theil_sen(np.array(times), np.array(values))[0] == pytest.approx(brute_slope(times, values))


@pytest.mark.parametrize("seed", range(20))
def test_a_course_keeps_the_points_of_its_span_and_no_more(seed: int) -> None:
    rng = random.Random(seed)
    span = 100.0
    course, kept, now = Course(round(span * SECOND)), [], 0
    for _ in range(600):
        now += round(rng.uniform(0.1, 4.0) * SECOND)
        value = rng.random()
        taken = course.add(now, value)
        assert taken == (not kept or now - kept[-1][0] >= round(span * SECOND) // POINTS)
        if taken:
            kept.append((now, value))
    times, values = course.points(now)
    expected = [(t / SECOND, v) for t, v in kept if now - t <= span * SECOND][-POINTS:]
    assert times == pytest.approx([when for when, _ in expected])
    assert values.tolist() == [value for _, value in expected]


def fed(values: list[float], *, step_s: float = 10.0) -> tuple[Course, int]:
    course = Course(round(POINTS * step_s * SECOND))
    for place, value in enumerate(values):
        course.add(round(place * step_s * SECOND), value)
    return course, round((len(values) - 1) * step_s * SECOND)


@pytest.mark.parametrize("seed", range(20))
def test_the_time_to_a_threshold_is_that_of_the_line_in_spite_of_wild_points(seed: int) -> None:
    rng = random.Random(seed)
    slope, start = rng.uniform(0.01, 0.1), rng.uniform(0, 10)
    line = [start + slope * 10.0 * place for place in range(POINTS)]
    noisy = [value + rng.gauss(0, slope * 10) for value in line]
    for place in rng.sample(range(POINTS), POINTS // 5):
        noisy[place] += rng.choice([-1, 1]) * rng.uniform(10, 1000)
    course, now = fed(noisy)
    trend = course.trend(now)
    assert trend is not None
    assert trend.per_second == pytest.approx(slope, rel=0.1)
    threshold = line[-1] + 1000 * slope
    assert trend.seconds_to(threshold) == pytest.approx(1000, rel=0.15)
    assert trend.seconds_to(line[0] - 1) is None, "it moves away from there"


def test_what_falls_reaches_what_lies_below() -> None:
    assert Trend(10.0, -0.5).seconds_to(5.0) == pytest.approx(10.0)
    assert Trend(10.0, -0.5).seconds_to(15.0) is None
    assert Trend(10.0, 0.0).seconds_to(15.0) is None
    assert Trend(10.0, 1.0).seconds_to(float("inf")) is None


def test_noise_has_no_trend() -> None:
    rng = random.Random(7)
    told = 0
    for _ in range(500):
        course, now = fed([rng.gauss(0, 1) for _ in range(POINTS)])
        told += course.trend(now) is not None
    assert told <= 5, "three standard deviations are 1 in 370"


def test_nothing_is_told_of_few_points_or_of_what_stands_still() -> None:
    assert fed([1.0, 2.0, 3.0])[0].trend(round(20 * SECOND)) is None
    course, now = fed([3.0] * POINTS)
    assert course.trend(now) is None
