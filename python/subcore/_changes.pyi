"""How interests enter and leave routes."""

import numpy.typing as npt
from typing_extensions import disjoint_base

from subcore._routes import RouteTable

@disjoint_base
class RouteChanges(RouteTable):
    @property
    def nbytes(self) -> int: ...
    def add(self, sink_id: int, topics: npt.ArrayLike, cls: int = 1, *, keep: bool = False) -> int: ...
    def connect(self, sink_id: int, topics: npt.ArrayLike) -> None: ...
    def disconnect(self, component: int, topics: npt.ArrayLike) -> None: ...
