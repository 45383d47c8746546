"""The box that keeps the newest event of each topic."""

from collections.abc import Callable
from typing import Self, final

from subcore._delays import DelayTable
from subcore._delivery import Box, WakeBatch
from subcore._duties import DutyTable

@final
class LatestBox(Box):
    conflated: int
    lost: int
    def __new__(
        cls,
        *,
        wakes: WakeBatch,
        on_change: Callable[[Box], object] | None = None,
        duties: DutyTable | None = None,
        component: int = -1,
        calls_done: bool = False,
        delays: DelayTable | None = None,
        owner: int = -1,
    ) -> Self: ...
    def rename(self, ids: dict[int, int]) -> None: ...
    def first_time_ns(self) -> int: ...
    @property
    def conflations(self) -> dict[int, int]: ...
    @property
    def losses(self) -> dict[int, int]: ...
    @property
    def nbytes(self) -> int: ...
