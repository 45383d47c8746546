"""What is a leak and what is not, from seeded courses of a process's memory."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from subcore.engine.clock import SECOND
from subcore.growth import MIB, Growth, memory_limit
from subcore.memory import resident_bytes

HOUR = 3600
LIMIT = 16_000 * MIB


class Seen:
    """What was told of a course, in MiB by the second, looked at each `step` seconds."""

    def __init__(
        self,
        mib: Callable[[float], float],
        hours: float,
        *,
        step: int = 30,
        limit: int | None = LIMIT,
        asleep_at: float = -1.0,
    ) -> None:
        now = 0
        self.growth = Growth(lambda: round(mib(now / SECOND) * MIB), limit)
        self.told: list[tuple[float, float]] = []
        while now < hours * HOUR * SECOND:
            self.told.append((now / SECOND, self.growth.look(now)))
            self.end = now
            now += step * SECOND
            if abs(now / SECOND - asleep_at) < step / 2:
                now += 8 * HOUR * SECOND

    @property
    def most(self) -> float:
        return max(rate for _, rate in self.told)

    @property
    def first(self) -> float:
        return next(second for second, rate in self.told if rate > 0)


@pytest.mark.parametrize("seed", range(3))
def test_a_steady_leak_is_told_with_its_rate_and_its_end(seed: int) -> None:
    rng = random.Random(seed)
    rate = rng.uniform(50, 500)
    seen = Seen(lambda second: 300 + rate * second / HOUR + rng.gauss(0, 1), 2.0)
    assert seen.first <= HOUR
    assert all(value == pytest.approx(rate, rel=0.2) for second, value in seen.told if second > HOUR)
    trend = seen.growth.trend(seen.end)
    assert trend is not None
    left = trend.seconds_to(LIMIT)
    assert left == pytest.approx((16_000 - 300 - 2 * rate) / rate * HOUR, rel=0.05)


def test_one_that_takes_all_soon_is_told_soon() -> None:
    seen = Seen(lambda second: 300 + 20 * second, 0.1, step=5)
    assert seen.first <= 120
    assert seen.most == pytest.approx(20 * HOUR, rel=0.01)
    assert Seen(lambda second: 300 + 20 * second, 0.1, step=5, limit=None).most == 0.0, (
        "where nobody knows how much there is"
    )


@pytest.mark.parametrize("seconds", [60, 300, 600])
def test_what_warms_up_is_no_leak(seconds: float) -> None:
    seen = Seen(lambda second: 100 + 400 * (1 - math.exp(-second / seconds)), 3.0)
    assert seen.most < 32


@pytest.mark.parametrize("at", range(600, 3600, 300))
def test_what_grows_once_is_no_leak(at: int) -> None:
    rng = random.Random(at)
    seen = Seen(lambda second: 300 + 200 * (second > at) + rng.gauss(0, 1), 2.0)
    assert seen.most == 0.0


def test_what_comes_and_goes_is_no_leak() -> None:
    seen = Seen(lambda second: 300 + 100 * ((second / 400) % 1.0), 3.0)
    assert seen.most < 32


def test_a_night_asleep_is_no_hour_of_growth() -> None:
    seen = Seen(
        lambda second: 100 + 400 * (1 - math.exp(-((second % (7 * HOUR)) / 600))), 12.0, asleep_at=2 * HOUR
    )
    assert seen.most < 32


def test_the_real_figures_are_there() -> None:
    limit, resident = memory_limit(), resident_bytes()
    assert limit is None or resident is None or 0 < resident < limit
