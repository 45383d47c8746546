"""Fan-out: one frame to every sink of its stream."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Self, final

import numpy.typing as npt

from subcore._calls import RouteCalls
from subcore._events import Event
from subcore._ledger import Ledger
from subcore._timing import CallClock

@final
class Router(RouteCalls):
    def __new__(
        cls,
        ledger: Ledger,
        *,
        gone: deque[int],
        on_error: Callable[[int, int, BaseException], object] | None = None,
        clock: CallClock | None = None,
    ) -> Self: ...
    def limit(
        self, component: int, topics: npt.ArrayLike, interval_ns: int, sinks: Iterable[int]
    ) -> None: ...
    def on_limit_due(self, callback: Callable[[int], object]) -> None: ...
    def flush_limits(self, now_ns: int) -> int: ...
    def give_images(self) -> None: ...
    @property
    def images_due(self) -> bool: ...
    def send(self, stream: int, event: Event) -> None: ...
