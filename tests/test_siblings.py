"""The circles of streams of one symbol, against a list for each symbol."""

from __future__ import annotations

import numpy as np
import pytest

from subcore._siblings import circles


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("same_low_bits", [False, True])
def test_the_next_streams_of_the_symbol_in_a_circle(seed: int, count: int, same_low_bits: bool) -> None:
    rng = np.random.default_rng(seed)
    streams = int(rng.integers(0, 60))
    names = rng.integers(0, max(1, streams // 3), streams)
    keys = names << 24 if same_low_bits else names
    symbols, places = circles(keys.astype(np.uint32), count)
    first = list(dict.fromkeys(names.tolist()))
    assert symbols.tolist() == [first.index(name) for name in names.tolist()]
    assert places.shape == (count, streams)
    for stream, name in enumerate(names.tolist()):
        circle = np.flatnonzero(names == name).tolist()
        after = circle[circle.index(stream) + 1 :] + circle[: circle.index(stream)]
        assert places[:, stream].tolist() == (after + [streams] * count)[:count]


def test_a_circle_of_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        circles(np.zeros(1, np.uint32), 0)
