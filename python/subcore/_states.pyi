"""What happens to many streams at once: a look-up of each in a table of what follows."""

from typing import Any

import numpy as np
import numpy.typing as npt

_Ids = npt.NDArray[np.int32]

NO_IDS: _Ids

def largest(streams: npt.ArrayLike) -> int: ...
def step(
    follows: npt.NDArray[np.uint8],
    event: int,
    keep: int,
    late: int,
    values: npt.NDArray[np.uint8],
    since: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    streams: npt.ArrayLike,
    now: int,
) -> tuple[_Ids, _Ids, int]: ...
def turn(
    follows: npt.NDArray[np.uint8],
    event: int,
    doubt: int,
    good: int,
    values: npt.NDArray[np.uint8],
    streams: npt.ArrayLike,
) -> tuple[_Ids, _Ids]: ...
def chosen(values: npt.NDArray[np.uint8], streams: npt.ArrayLike, *wanted: int) -> _Ids: ...
def split(marks: npt.NDArray[np.bool_], streams: npt.ArrayLike) -> tuple[_Ids, _Ids]: ...
def fill(column: npt.NDArray[Any], streams: npt.ArrayLike, value: int) -> None: ...
def clear(streams: npt.ArrayLike, *columns: npt.NDArray[Any]) -> None: ...
def mark(marks: npt.NDArray[np.bool_], streams: npt.ArrayLike) -> _Ids: ...
def alike(values: npt.NDArray[np.int32] | npt.NDArray[np.int64]) -> bool: ...
def without(streams: npt.ArrayLike, left: npt.ArrayLike, right: npt.ArrayLike) -> _Ids: ...
def places(column: _Ids, streams: npt.ArrayLike) -> _Ids: ...
def unset(times: npt.NDArray[np.int64], rows: npt.ArrayLike) -> _Ids: ...
