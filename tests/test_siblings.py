"""The circles of streams of one symbol, against a list for each symbol."""

from __future__ import annotations

import numpy as np
import pytest

from subcore._siblings import partners


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("count", [1, 3])
def test_partners_are_the_next_streams_of_the_symbol_in_a_circle(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    streams = int(rng.integers(0, 60))
    symbols = rng.integers(0, max(1, streams // 3), streams)
    places = partners(symbols, count)
    assert places.shape == (count, streams)
    for stream, symbol in enumerate(symbols.tolist()):
        circle = np.flatnonzero(symbols == symbol).tolist()
        after = circle[circle.index(stream) + 1 :] + circle[: circle.index(stream)]
        assert places[:, stream].tolist() == (after + [streams] * count)[:count]


def test_a_symbol_that_there_cannot_be_is_refused() -> None:
    for wrong in ([0, 2], [-1, 0]):
        with pytest.raises(IndexError, match="numbered from 0 to 1"):
            partners(np.array(wrong), 2)
    with pytest.raises(ValueError, match="at least 1"):
        partners(np.array([0]), 0)
