"""The columns of legs: two rows a stream, and the ways in which streams are picked out of those given."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

_Ids = npt.NDArray[np.int32]

NO_IDS: _Ids
KINDS: dict[str, np.dtype[Any]]

class LegTable:
    def __new__(cls, *args: Any) -> Self: ...
    @property
    def link(self) -> npt.NDArray[np.int16]: ...
    @property
    def turned(self) -> npt.NDArray[np.int64]: ...
    @property
    def width(self) -> _Ids: ...
    @property
    def evidence(self) -> npt.NDArray[np.uint8]: ...
    @property
    def request(self) -> _Ids: ...
    @property
    def answered(self) -> _Ids: ...
    @property
    def left(self) -> npt.NDArray[np.int64]: ...
    def take(self, columns: Mapping[str, npt.NDArray[Any]]) -> None: ...
