"""Calls of handlers: who is being called now, and how long calls take."""

from typing import NamedTuple

from typing_extensions import disjoint_base

from subcore._changes import RouteChanges
from subcore._delays import DelayTable
from subcore._histogram import Histogram
from subcore._timing import CallTimes

class LongCall(NamedTuple):
    component: int
    sink_id: int
    duration_ns: int
    at_ns: int
    names: tuple[str, str] | None = None

@disjoint_base
class CallMark:
    @property
    def component(self) -> int: ...
    @property
    def sink_id(self) -> int: ...
    @property
    def names(self) -> tuple[str, str]: ...

@disjoint_base
class RouteCalls(RouteChanges):
    frame_budget_ns: int
    delays: DelayTable | None
    @property
    def fan_outs(self) -> int: ...
    @property
    def calls(self) -> int: ...
    @property
    def calling(self) -> tuple[int, int]: ...
    @property
    def called_names(self) -> tuple[str, str] | None: ...
    @property
    def call_number(self) -> int: ...
    def take_long_calls(self) -> list[LongCall]: ...
    def set_budget(self, component: int, budget_ns: int) -> None: ...
    def call_times(self, component: int) -> CallTimes: ...
    def timed_so_far(self, component: int) -> tuple[int, int]: ...
    def fan_out_times(self) -> Histogram: ...
