"""The pass over all components refuses columns that are none; what it does is judged by test_liveness."""

from __future__ import annotations

import numpy as np
import pytest

from subcore import _obliged
from subcore.engine.owing import Owing

LIMITS = (10, 1, 2, 3, 4, 5, 6, 7)
NONE = np.zeros(0, np.int64)


def test_columns_of_another_kind_and_limits_that_are_missing_are_refused() -> None:
    rows = Owing()
    rows.add(3, 0, 3)
    with pytest.raises(ValueError, match="mismatch"):
        _obliged.age(rows, np.zeros(8, np.int32), NONE, NONE, LIMITS, True)
    with pytest.raises(ValueError, match="values to unpack"):
        _obliged.age(rows, NONE, NONE, NONE, LIMITS[:-1], True)
    rows.used = 1000
    with pytest.raises(ValueError, match="fewer rows"):
        _obliged.age(rows, NONE, NONE, NONE, LIMITS, True)


def test_who_is_beyond_the_columns_owes_nothing() -> None:
    rows = Owing()
    for component in (0, 70):
        rows.add(component, 0, 3)
    for _ in range(9):
        found = _obliged.age(rows, np.full(4, 5), np.zeros(4, np.int64), np.zeros(4, np.int64), LIMITS, True)
    assert found == [0]
