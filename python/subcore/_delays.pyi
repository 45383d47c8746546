"""How long events waited between being received and being handed over, by component."""

from collections.abc import Callable
from typing import NamedTuple, Self, final

class DelayTimes(NamedTuple):
    events: int = 0
    mean_ns: int | None = None
    p50_ns: int | None = None
    p90_ns: int | None = None
    p99_ns: int | None = None
    worst_ns: int | None = None

NOTHING_MEASURED: DelayTimes

@final
class DelayTable:
    every: int
    @property
    def nbytes(self) -> int: ...
    def __new__(cls, read: Callable[[], int] | None = None) -> Self: ...
    def count(self, component: int, ns: int, weight: int = 1) -> None: ...
    def turn(self) -> None: ...
    def figures(self, component: int) -> DelayTimes: ...
    def recent(self, component: int) -> DelayTimes: ...
    def forget(self, component: int) -> None: ...
