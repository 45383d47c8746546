"""Fan-out: one frame to every sink of its stream."""

from collections import deque
from collections.abc import Callable
from typing import Self, final

from subcore._changes import RouteChanges
from subcore._events import Event
from subcore._ledger import Ledger

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
    ) -> Self: ...
    def send(self, stream: int, event: Event) -> None: ...
