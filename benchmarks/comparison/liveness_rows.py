"""What judging all components costs: one look at 10,000 that promised heartbeats, and get events."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping

import numpy as np
from bench_liveness import Tick

from .measure import Contest, Effort, Row, Sample, Target

__all__ = ["contests"]

COMPONENTS = 10_000
HUNG = 20
TICKS = 15
MOST_NS = 200_000


def contests() -> Iterator[Contest]:
    yield Contest(
        "one look at 10,000 components",
        [
            Row(
                "all is well, against comparing two columns", "well", "two columns", Target(MOST_NS, "value")
            ),
            Row("20 hang, and that is said each time", "hung", "two columns"),
        ],
        _open,
    )


def _open(effort: Effort) -> Mapping[str, Sample]:
    count = round(COMPONENTS * effort.scale)
    return {"well": _looks(count, 0), "hung": _looks(count, HUNG), "two columns": _columns(count)}


def _looks(count: int, hung: int) -> Sample:
    tick = Tick()
    tick.setup(count)
    for _ in range(TICKS):
        tick.tick(hung)
    return lambda: statistics.median(tick.tick(hung) for _ in range(TICKS))


def _columns(count: int) -> Sample:
    """The least it could be: which components have something left."""
    random = np.random.default_rng(1)
    due = random.integers(0, 50, count)
    done = due - (random.random(count) < 0.1)

    def once() -> float:
        start = time.thread_time_ns()
        np.flatnonzero(due > done)
        return time.thread_time_ns() - start

    return lambda: statistics.median(once() for _ in range(TICKS))
