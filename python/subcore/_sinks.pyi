"""The places that events are delivered to, and what happens when one of them fails."""

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, final

from typing_extensions import disjoint_base

from subcore._delivery import Box
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
    def release_sink(self, sink_id: int) -> None: ...
    def is_idle(self, sink_id: int) -> bool: ...
    def delivered(self, sink_id: int) -> int: ...
    def sink_info(self, sink_id: int) -> SinkInfo: ...
    def call_failed(self, sink_id: int, error: BaseException) -> None: ...
