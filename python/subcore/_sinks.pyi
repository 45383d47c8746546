"""The places that events are delivered to, and what happens when one of them fails."""

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, final

import numpy as np
import numpy.typing as npt
from typing_extensions import disjoint_base

from subcore._delivery import Box
from subcore._limits import LimitTable
from subcore._ring import RecordRing
from subcore._strategy import Strategy

class HandlerError(NamedTuple):
    exception: str
    text: str
    where: str

class SinkInfo(NamedTuple):
    component: int
    interests: int
    delivered: int
    errors: int
    last_error: HandlerError | None
    calls: int = 0
    errors_in_row: int = 0
    withheld: int = 0
    blocked: bool = False
    trying: bool = False

class FailingSink(NamedTuple):
    component: int
    sink_id: int
    errors_in_row: int

@final
class GoneNote:
    def __call__(self, reference: object) -> None: ...

@disjoint_base
class SinkTable:
    @property
    def gone(self) -> deque[int]: ...
    @property
    def sink_count(self) -> int: ...
    @property
    def failures(self) -> int: ...
    @property
    def limits(self) -> LimitTable: ...
    @property
    def running(self) -> bool: ...
    def new_sink(
        self,
        component: int,
        target: Callable[[Any], object] | Box | RecordRing | Strategy,
        *,
        raw: bool = False,
    ) -> int: ...
    def set_handler(
        self, sink_id: int, target: Callable[[Any], object] | Box | RecordRing | Strategy
    ) -> None: ...
    def mute_sink(self, sink_id: int, flag: bool = True) -> None: ...
    def block_sink(self, sink_id: int, on: bool = True) -> None: ...
    def try_sink(self, sink_id: int) -> None: ...
    def failing_sinks(self, limit: int = 1) -> list[FailingSink]: ...
    def handler_of(self, sink_id: int) -> Callable[[Any], object] | Box | RecordRing | Strategy: ...
    def release_sink(self, sink_id: int) -> None: ...
    def is_idle(self, sink_id: int) -> bool: ...
    def sink_info(self, sink_id: int) -> SinkInfo: ...
    def counts(
        self, components: int
    ) -> tuple[
        npt.NDArray[np.uint64], npt.NDArray[np.uint64], npt.NDArray[np.uint64], npt.NDArray[np.uint64]
    ]: ...
    def call_failed(self, sink_id: int, error: BaseException) -> None: ...
    def count_failure(self) -> None: ...
    def call_returned(self, sink_id: int) -> None: ...
