"""What each component was given to take and what it took."""

from typing import NamedTuple, Self, final

import numpy as np
import numpy.typing as npt

from subcore._delays import DelayTable

class DutyColumns(NamedTuple):
    due: npt.NDArray[np.uint64]
    done: npt.NDArray[np.uint64]
    lost: npt.NDArray[np.uint64]

@final
class DutyTable:
    @property
    def delays(self) -> DelayTable | None: ...
    @property
    def nbytes(self) -> int: ...
    def __new__(cls, delays: DelayTable | None = None) -> Self: ...
    def columns(self) -> DutyColumns: ...
    def row(self, component: int) -> tuple[int, int, int]: ...
    def add(self, component: int, due: int = 0, done: int = 0, lost: int = 0) -> None: ...
    def reset(self, component: int) -> None: ...
