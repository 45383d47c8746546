"""The meter's rows: what is counted and remembered of each stream."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import disjoint_base

@disjoint_base
class StreamRows:
    def streams(self) -> npt.NDArray[Any]: ...
    def frames(self) -> npt.NDArray[np.uint32]: ...
    def count_gaps(self) -> int: ...
    def heard(
        self, streams: Sequence[int] | npt.NDArray[np.int32]
    ) -> tuple[
        npt.NDArray[np.int64],
        npt.NDArray[np.int64],
        npt.NDArray[np.int64],
        npt.NDArray[np.int64],
    ]: ...
