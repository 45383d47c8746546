"""Counts of late against lists of all that happened."""

from __future__ import annotations

import random

import numpy as np
import pytest

from subcore.engine.clock import SECOND
from subcore.engine.tally import PARTS, Tally


@pytest.mark.parametrize("seed", range(10))
def test_counts_are_those_of_the_last_span_and_up_to_a_twelfth_more(seed: int) -> None:
    rng = random.Random(seed)
    span = 60 * SECOND
    tally, happened, now = Tally(span), [], rng.randrange(10**18)
    for _ in range(400):
        now += round(rng.expovariate(1.0) * SECOND) + (300 * SECOND if rng.random() < 0.01 else 0)
        if rng.random() < 0.5:
            ids = rng.sample(range(300), rng.randrange(4))
            counts = [rng.randrange(1, 50) for _ in ids]
            tally.add(now, np.array(ids, np.int64), np.array(counts, np.int64))
            happened += [(now, id, count) for id, count in zip(ids, counts, strict=True)]
        if rng.random() < 0.05 and happened:
            gone = happened[-1][1]
            tally.forget(gone)
            happened = [one for one in happened if one[1] != gone]
        part = span // PARTS
        since = (now // part - PARTS) * part
        expected: dict[int, int] = {}
        for when, id, count in happened:
            if when >= since:
                expected[id] = expected.get(id, 0) + count
        ids_found, counts_found = tally.counts(now)
        assert dict(zip(ids_found.tolist(), counts_found.tolist(), strict=True)) == expected
        assert since <= now - span, "never less than the span"
