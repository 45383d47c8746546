"""The bounded queue of a component."""

from collections.abc import Callable
from typing import Self, final

from typing_extensions import disjoint_base

from subcore._delays import DelayTable
from subcore._delivery import Box, WakeBatch
from subcore._duties import DutyTable

@disjoint_base
class Mark: ...

@final
class EventQueue(Box):
    maxsize: int
    lost: int
    statuses_lost: int
    overflowed: bool
    is_high: bool
    def __new__(
        cls,
        maxsize: int = 8192,
        overflow: str = "drop_oldest",
        *,
        wakes: WakeBatch,
        on_loss: Callable[[int, dict[int, int]], object | None] | None = None,
        on_change: Callable[[EventQueue], object] | None = None,
        duties: DutyTable | None = None,
        component: int = -1,
        calls_done: bool = False,
        delays: DelayTable | None = None,
        owner: int = -1,
    ) -> Self: ...
    def put_status(self, status: object) -> None: ...
    def lose_all(self) -> dict[int, int]: ...
    def rename(self, ids: dict[int, int]) -> None: ...
    def first_time_ns(self) -> int: ...
    @property
    def losses(self) -> dict[int, int]: ...
    @property
    def nbytes(self) -> int: ...
