"""How contestants are measured: in interleaved rounds, by the CPU time they use; medians are compared.

CPU time leaves out what other processes take from us, but not what they do to caches and clock rates. Those
disturb all contestants of a round alike, so only ratios from one run mean anything.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

__all__ = ["Contest", "Effort", "Result", "Row", "Target", "calibrated", "run_contest", "timed"]

Sample = Callable[[], float]
"""Measures once; returns nanoseconds (or what the contest's unit says) for one unit of work."""
MAX_SPREAD = 1.3
ATTEMPTS = 3


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    rounds: int = 15
    sample_seconds: float = 0.010  # CPU time of one sample of an in-process contestant
    socket_frames: int = 20_000  # frames of one sample of a socket contestant
    scale: float = 1.0  # of the sizes of populations that have to be built first


@dataclass(frozen=True)
class Target:
    """What a row promises. `ratio`: ours / reference at most; `value`: ours at most; `excess`: ours - reference
    at most. The last two are in the contest's unit."""

    limit: float
    of: Literal["ratio", "value", "excess"] = "ratio"

    def met(self, result: Result) -> bool:
        figure = {"ratio": result.ratio, "value": result.ours, "excess": result.excess}[self.of]
        return figure <= self.limit


@dataclass(frozen=True)
class Row:
    """One line of the table: two contestants of a contest, and what is promised (None = shown only)."""

    what: str
    ours: str
    reference: str
    target: Target | None = None


@dataclass
class Contest:
    """Contestants that do the same work. `open` builds them, `close` (if any) undoes it."""

    name: str
    rows: list[Row]
    open: Callable[[Effort], Mapping[str, Sample]]
    close: Callable[[], None] = lambda: None
    unit: str = "ns"
    exact: bool = False  # counts, not times: measured once


@dataclass
class Result:
    """A row as measured: medians, and how far the reference spread (90th by 10th percentile)."""

    contest: str
    what: str
    ours_name: str
    ours: float
    reference_name: str
    reference: float
    unit: str
    spread: float
    target: Target | None
    attempts: int
    samples: dict[str, list[float]] = field(repr=False)

    @property
    def ratio(self) -> float:
        """Median of the rounds' own ratios: what slows a whole round down is in both of its figures."""
        return statistics.median(ours / other for ours, other in self._rounds())

    @property
    def excess(self) -> float:
        """Median of the rounds' own differences."""
        return statistics.median(ours - other for ours, other in self._rounds())

    def _rounds(self) -> Iterable[tuple[float, float]]:
        return zip(self.samples[self.ours_name], self.samples[self.reference_name], strict=True)

    @property
    def met(self) -> bool | None:
        return self.target and self.target.met(self)

    @property
    def noisy(self) -> bool:
        return self.spread > MAX_SPREAD


def timed(work: Callable[[], object], units: float) -> float:
    """CPU nanoseconds of this thread for one of the `units` of work, the collector asleep."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        start = time.thread_time_ns()
        work()
        return (time.thread_time_ns() - start) / units
    finally:
        if enabled:
            gc.enable()


def calibrated(once: Callable[[int], object], units: float, effort: Effort) -> Sample:
    """A sample of `once(repeats)`, which does `repeats * units` units, long enough to be worth timing."""
    repeats = 1
    once(1)
    while (spent := timed(partial(once, repeats), 1)) < effort.sample_seconds * 1e9 / 4:
        repeats *= 4 if spent < effort.sample_seconds * 1e8 else 2
    repeats = max(1, round(repeats * effort.sample_seconds * 1e9 / spent))
    return lambda: timed(lambda: once(repeats), repeats * units)


def spread_of(samples: Iterable[float]) -> float:
    """90th by 10th percentile."""
    ordered = sorted(samples)
    cut = round(len(ordered) * 0.1)
    return ordered[-1 - cut] / max(ordered[cut], 1e-9)


def run_contest(contest: Contest, effort: Effort) -> list[Result]:
    """All rows of a contest. If a reference spread too far the contest is run again, and the calmest run
    counts."""
    best: list[Result] = []
    try:
        contestants = contest.open(effort)
        for attempt in range(1, ATTEMPTS + 1):
            samples = _play(contestants, 1 if contest.exact else effort.rounds)
            results = [_judge(contest, row, samples, attempt) for row in contest.rows]
            if not best or _worst_spread(results) < _worst_spread(best):
                best = results
            if _worst_spread(best) <= MAX_SPREAD:
                break
        for result in best:
            result.attempts = attempt
        return best
    finally:
        contest.close()


def _play(contestants: Mapping[str, Sample], rounds: int) -> dict[str, list[float]]:
    """Each round measures every contestant once, beginning with another one each time."""
    samples: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for number in range(rounds):
        gc.collect()
        start = number % len(names)
        for name in names[start:] + names[:start]:
            samples[name].append(contestants[name]())
    return samples


def _judge(contest: Contest, row: Row, samples: dict[str, list[float]], attempt: int) -> Result:
    ours, reference = samples[row.ours], samples[row.reference]
    return Result(
        contest.name, row.what, row.ours, statistics.median(ours), row.reference, statistics.median(reference),
        contest.unit, spread_of(reference), row.target, attempt, {row.ours: ours, row.reference: reference},
    )  # fmt: skip


def _worst_spread(results: list[Result]) -> float:
    return max((result.spread for result in results), default=1.0)
