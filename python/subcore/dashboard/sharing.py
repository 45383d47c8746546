"""What is made at most once an interval, whoever asks and how many do, and never for long at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Generic, TypeVar

__all__ = ["Shared", "Turns", "then"]

T = TypeVar("T")
R = TypeVar("R")

TURN_S = 0.0005
"""The loop goes on after so long."""


class Turns:
    """Lets the loop go on now and then within one piece of work, and adds up what the work itself cost."""

    def __init__(self) -> None:
        self._spent = 0.0
        self._since, self._cpu = time.perf_counter(), time.thread_time()

    async def breathe(self) -> None:
        """Call this often: others run once this turn was long enough."""
        if time.perf_counter() - self._since >= TURN_S:
            self._spent += time.thread_time() - self._cpu
            await asyncio.sleep(0)
            self._since, self._cpu = time.perf_counter(), time.thread_time()

    @property
    def spent_s(self) -> float:
        """CPU seconds: on a busy machine others run meanwhile."""
        return self._spent + time.thread_time() - self._cpu


class Shared(Generic[T]):
    """One result for all who ask within `interval_s`, which grows so that making it takes at most `share` of the time.

    Belongs to the loop's thread. Never cancel what `get` returns: others wait for it too.
    """

    def __init__(
        self, name: str, make: Callable[[Turns], Coroutine[None, None, T]], share: float, least_s: float = 1.0
    ) -> None:
        self._name = name
        self._make = make
        self._share = share
        self._least_s = least_s
        self._task: asyncio.Task[T] | None = None
        self._made_at = 0.0
        self.interval_s = least_s

    def get(self, *, anew: bool = False) -> asyncio.Future[T]:
        """The result, which may be under way or ready; `anew` takes none that is ready."""
        loop = asyncio.get_running_loop()
        is_old = anew or loop.time() - self._made_at >= self.interval_s
        if self._task is None or (self._task.done() and is_old):
            self._task = loop.create_task(self._run(), name=f"subcore dashboard {self._name}")
        return self._task

    async def _run(self) -> T:
        turns = Turns()
        try:
            return await self._make(turns)
        finally:
            self._made_at = asyncio.get_running_loop().time()
            self.interval_s = max(self._least_s, turns.spent_s / self._share)

    def cancel(self) -> None:
        """The server is closed."""
        if self._task is not None:
            self._task.cancel()

    @property
    def task(self) -> asyncio.Task[T] | None:
        """To wait for its end."""
        return self._task


def then(made: asyncio.Future[T], use: Callable[[T], R]) -> asyncio.Future[R]:
    """What `use` makes of it once it is there; its failure, or its cancellation."""
    answer: asyncio.Future[R] = made.get_loop().create_future()

    def settle(done: asyncio.Future[T]) -> None:
        if answer.done():
            return
        if done.cancelled():
            answer.cancel()
            return
        try:
            answer.set_result(use(done.result()))
        except Exception as error:
            answer.set_exception(error)

    made.add_done_callback(settle)
    return answer
