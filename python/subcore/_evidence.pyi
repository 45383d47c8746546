"""Evidence: the first fitting frame of a stream that was asked for, on its link or on each of two."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from typing_extensions import disjoint_base

from subcore._stream_rows import StreamRows

@disjoint_base
class EvidenceRows(StreamRows):
    def await_evidence(
        self, link: int, streams: Sequence[int] | npt.NDArray[np.int32], realtime_not_before_ns: int = 0
    ) -> None: ...
    def take_evidence(self) -> list[tuple[int, npt.NDArray[np.int32], int]]: ...
    def arbitrate(self, streams: Sequence[int] | npt.NDArray[np.int32], on: bool) -> None: ...
    @property
    def awaiting(self) -> int: ...
    @property
    def arbitrated(self) -> int: ...
