"""Histogram: percentiles against exact ones of numpy, and constant memory."""

from __future__ import annotations

import pickle
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import examples
from subcore._histogram import Histogram, restore
from traced import traced_bytes

MICROSECOND, HOUR = 1_000, 3_600_000_000_000
QS = [0, 0.1, 1, 10, 25, 50, 75, 90, 99, 99.9, 100]
EXAMPLES = examples(80)


def check(values: np.ndarray, histogram: Histogram) -> None:
    exact = np.percentile(values, QS, method="inverted_cdf")
    for q, wanted in zip(QS, exact, strict=True):
        found = histogram.percentile(q)
        assert found is not None
        assert abs(found - wanted) <= 0.02 * wanted, (q, wanted, found)


@EXAMPLES
@given(st.lists(st.integers(MICROSECOND, HOUR), min_size=1, max_size=300))
def test_percentiles_are_within_2_percent(values: list[int]) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    check(np.array(values), histogram)
    assert histogram.count == len(values)
    assert histogram.min == min(values)
    assert histogram.max == max(values)
    assert histogram.mean == pytest.approx(sum(values) / len(values))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", ["lognormal", "uniform", "bimodal"])
def test_distributions(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = {
        "lognormal": lambda: rng.lognormal(15, 2.5, 20_000),
        "uniform": lambda: rng.uniform(MICROSECOND, 5e9, 20_000),
        "bimodal": lambda: np.concatenate([rng.normal(2e5, 2e3, 15_000), rng.normal(8e9, 1e8, 5_000)]),
    }[kind]()
    values = np.clip(drawn, MICROSECOND, HOUR).astype(np.int64)
    histogram = Histogram()
    histogram.add_many(values)
    check(values, histogram)


def test_every_octave_edge_lies_in_its_own_bucket() -> None:
    edges, _ = Histogram().to_numpy()
    assert (np.diff(edges) > 0).all()
    for index in range(len(edges) - 1):
        histogram = Histogram()
        histogram.add(int(edges[index]))
        histogram.add(int(edges[index + 1]) - 1)
        assert np.flatnonzero(histogram.to_numpy()[1]).tolist() == [index]


def test_extremes() -> None:
    histogram = Histogram()
    for value in (-5, 0, 2**63 - 1):
        histogram.add(value)
    assert (histogram.count, histogram.min, histogram.max) == (3, 0, 2**63 - 1)
    _, counts = histogram.to_numpy()
    assert counts[0] == 2
    assert counts[-1] == 1
    with pytest.raises(OverflowError):
        histogram.add(2**63)


def test_empty() -> None:
    histogram = Histogram()
    assert histogram.percentile(50) is histogram.mean is histogram.min is histogram.max is None
    assert repr(histogram) == "Histogram(empty)"
    histogram.merge(Histogram())
    assert histogram.count == 0


@pytest.mark.parametrize("q", [-0.1, 100.1, float("nan")])
def test_refuses_what_is_no_percentage(q: float) -> None:
    with pytest.raises(ValueError, match="percentage"):
        Histogram().percentile(q)


def test_refuses_fractions() -> None:
    with pytest.raises(TypeError, match="whole nanoseconds"):
        Histogram().add_many([1.5])  # type: ignore[list-item]


LISTS = st.lists(st.integers(0, HOUR), max_size=50)


@EXAMPLES
@given(LISTS, LISTS)
def test_merge_is_as_if_added(one: list[int], other: list[int]) -> None:
    merged, second, whole = Histogram(), Histogram(), Histogram()
    merged.add_many(one)
    second.add_many(other)
    merged.merge(second)
    whole.add_many(one + other)
    assert merged.to_numpy()[1].tolist() == whole.to_numpy()[1].tolist()
    assert (merged.count, merged.min, merged.max, merged.mean) == (
        whole.count,
        whole.min,
        whole.max,
        whole.mean,
    )


def test_pickles() -> None:
    histogram = Histogram()
    histogram.add_many([5, 500, 10**12])
    again = pickle.loads(pickle.dumps(histogram))
    assert again.to_numpy()[1].tolist() == histogram.to_numpy()[1].tolist()
    assert (again.count, again.min, again.max, again.mean) == (3, 5, 10**12, histogram.mean)
    with pytest.raises(ValueError, match="no pickled histogram"):
        restore(1, 1, 1, 1, [1, 2])


def test_memory_is_constant_and_told() -> None:
    values = np.arange(10_000) * 1_000_003
    tracemalloc.start()
    try:
        traced_bytes()  # what a first call leaves behind and a later one frees is none of the histogram's
        before = traced_bytes()
        histogram = Histogram()
        for value in range(1000):
            histogram.add(value)
        traced = traced_bytes() - before
    finally:
        tracemalloc.stop()
    histogram.add_many(values)
    assert histogram.nbytes == sys.getsizeof(histogram)
    assert histogram.nbytes <= traced <= histogram.nbytes + 200
    assert histogram.nbytes < 10_000
