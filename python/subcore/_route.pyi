"""Fan-out: one frame to every sink of its stream."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Self, final

from subcore._changes import RouteChanges
from subcore._events import Event
from subcore._histogram import Histogram
from subcore._ledger import Ledger
from subcore._timing import CallClock, CallTimes

class LongCall(NamedTuple):
    component: int
    sink_id: int
    duration_ns: int
    at_ns: int

@final
class Frame: ...

@final
class Router(RouteChanges):
    def __new__(
        cls,
        ledger: Ledger,
        *,
        gone: deque[int],
        on_error: Callable[[int, int, BaseException], object] | None = None,
        clock: CallClock | None = None,
    ) -> Self: ...
    frame_budget_ns: int
    @property
    def fan_outs(self) -> int: ...
    @property
    def calls(self) -> int: ...
    @property
    def calling(self) -> tuple[int, int]: ...
    def take_long_calls(self) -> list[LongCall]: ...
    def set_budget(self, component: int, budget_ns: int) -> None: ...
    def call_times(self, component: int) -> CallTimes: ...
    def fan_out_times(self) -> Histogram: ...
    def send(self, stream: int, event: Event) -> None: ...
