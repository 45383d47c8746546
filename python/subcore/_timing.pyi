"""How long handlers take: clocks, and per component a few figures and a coarse histogram."""

from collections.abc import Callable
from typing import NamedTuple, Self

from typing_extensions import disjoint_base

class CallTimes(NamedTuple):
    mean_ns: int | None = None
    p50_ns: int | None = None
    p99_ns: int | None = None
    worst_ns: int | None = None
    loop_share: float = 0.0
    over_budget: int = 0

NOTHING_TIMED: CallTimes

@disjoint_base
class CallClock:
    @property
    def tick_ns(self) -> int: ...
    def now_ns(self) -> int: ...

@disjoint_base
class CalledClock(CallClock):
    def __new__(cls, read: Callable[[], int], tick_ns: int = 0) -> Self: ...

@disjoint_base
class TimeTable: ...
