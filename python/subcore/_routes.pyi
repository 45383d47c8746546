"""Which sinks each stream has."""

import numpy as np
import numpy.typing as npt
from typing_extensions import disjoint_base

from subcore._ledger import Ledger
from subcore._sinks import SinkTable

@disjoint_base
class RouteTable(SinkTable):
    @property
    def ledger(self) -> Ledger: ...
    @property
    def interest_count(self) -> int: ...
    @property
    def searches(self) -> int: ...
    def topics_of_sink(self, sink_id: int) -> npt.NDArray[np.int32]: ...
    def route(self, stream: int) -> list[tuple[int, int, int, int]]: ...
