"""Carries the engine's questions about what is newest to the venue's REST, or to a function of the user.

A help, never a condition: where nothing comes back the engine judges by what its links bring. Questions are spaced over
the whole process, one at a time; a failure makes the next ones wait, longer each time.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from .clock import Clock
from .engine.actions import AskLatest
from .engine.clock import SECOND
from .engine.events import LatestKnown
from .engine.pacing import PROCESS_LIMITS, Pacer
from .latest import Latest, Question, take
from .pages import Pages
from .resolver import run_in_daemon
from .types import Int32Array, StreamColumns, Topic
from .venue import Counted, Venue

__all__ = ["LatestCall", "Newest", "RestPages", "UserCall"]

log = logging.getLogger("subcore.newest")

LatestCall = Callable[[Sequence[Topic]], Mapping[Topic, int] | Awaitable[Mapping[Topic, int]]]
Told = tuple[Int32Array, npt.NDArray[np.int64]]

DEADLINE_S = 3.0  # a whole request, or a call of the user's function
STALE_NS = 4 * SECOND  # a question that waited so long is dropped
WAIT_FIRST_S = 1.0  # after a failure, doubled each time
WAIT_MOST_S = 60.0
WAIT_429_S = 10.0  # where the answer names no time
WAIT_418_S = 120.0
WAIT_TOLD_MOST_S = 24 * 3600.0
UNKNOWN_NS = 3600 * SECOND  # a symbol that the venue does not know is left out for so long
UNKNOWN_KEPT = 4096
REFUSED_AT_MOST = 16  # more in a row than it takes to find one symbol among many


class Refused(OSError):
    """The venue answered with another status than 200."""

    def __init__(self, status: int, retry_after_s: float | None) -> None:
        super().__init__(f"HTTP status {status}")
        self.status = status
        self.retry_after_s = retry_after_s


class UserCall:
    """A function of the user, plain (then in a thread of its own) or async: topics -> exchange times in nanoseconds."""

    def __init__(self, call: LatestCall, venue: Venue) -> None:
        self._call = call
        self._venue = venue
        self._in_thread = not inspect.iscoroutinefunction(call)
        self.under_way: list[asyncio.Future[Any]] = []

    def can_ask(self, columns: StreamColumns) -> npt.NDArray[np.bool_]:
        """Of every stream."""
        return np.ones(len(columns.streams), np.bool_)

    async def answers(self, columns: StreamColumns) -> AsyncIterator[Told]:
        """What it says. Raises what the function raises, TimeoutError where nothing comes within `DEADLINE_S`, and
        ValueError where it says no mapping of topics to whole numbers.
        """
        topics = [self._topic(columns, row) for row in range(len(columns.streams))]
        said = await self._said(topics)
        if not isinstance(said, Mapping):
            raise ValueError(f"latest= gave {type(said).__name__}, not a mapping of topics to times")
        times = [said.get(topic, 0) for topic in topics]
        if not all(isinstance(time, int) and 0 <= time < 1 << 63 for time in times):
            raise ValueError("latest= gave a time that is not a whole number of nanoseconds since the epoch")
        yield columns.streams, np.array(times, np.int64)

    async def _said(self, topics: Sequence[Topic]) -> Any:
        """A thread cannot be stopped, nor a task that will not be cancelled: beside one that hangs, no other begins."""
        if self.under_way:
            raise TimeoutError("the function has not returned since an earlier question")
        task = self._watch(
            asyncio.get_running_loop().create_task(self._ask(topics), name="subcore-newest-call")
        )
        try:
            await asyncio.wait({task}, timeout=DEADLINE_S)
            if not task.done():
                raise TimeoutError(f"the function has not answered within {DEADLINE_S:g} s")
        finally:
            task.cancel()
        if task.cancelled():
            raise TimeoutError("the function was cancelled from inside")
        return task.result()

    async def _ask(self, topics: Sequence[Topic]) -> Any:
        said: Any
        if self._in_thread:
            thread = run_in_daemon("subcore-newest", lambda: self._call(topics))
            said = await asyncio.shield(self._watch(thread))
        else:
            said = self._call(topics)
        return await said if inspect.isawaitable(said) else said

    def _watch(self, future: asyncio.Future[Any]) -> asyncio.Future[Any]:
        self.under_way.append(future)
        future.add_done_callback(self._ended)
        return future

    def _ended(self, future: asyncio.Future[Any]) -> None:
        self.under_way.remove(future)
        if not future.cancelled():
            future.exception()  # nobody may wait any more, and asyncio would log it

    def _topic(self, columns: StreamColumns, row: int) -> Topic:
        channel = self._venue.channels[int(columns.channels[row])]
        shared = len(self._venue.channel_indexes(channel.name)) > 1
        depth = channel.depths[0] if shared and channel.depths else None
        return Topic(channel.name, columns.symbols[row], depth, float(columns.groupings[row]) or None)

    def close(self) -> None:
        """End what can be ended."""
        for future in list(self.under_way):
            future.cancel()


class RestPages:
    """The venue's own REST, over one connection that is kept."""

    def __init__(self, latest: Latest, clock: Clock) -> None:
        self._latest = latest
        self._clock = clock
        self._most = latest.symbols_at_most
        self._unknown: dict[str, int] = {}
        self._host = _host_of(latest.url)
        self._pacer = Pacer(latest.limits, self._host)
        self._pages = Pages(latest.url)
        self._refused = 0  # requests in a row
        self.under_way: tuple[asyncio.Future[Any], ...] = ()
        self.can_ask = latest.can_ask

    async def answers(self, columns: StreamColumns) -> AsyncIterator[Told]:
        """What each request brought. Raises OSError or ValueError where one failed; the rest is not asked then."""
        now = self._clock.monotonic_ns()
        known = [row for row, symbol in enumerate(columns.symbols) if self._unknown.get(symbol, now) <= now]
        for question in self._latest.questions(take(columns, np.array(known, np.intp)), self._most):
            await self._slot()
            try:
                body = await self._get(question.path)
            except Refused as refused:
                self._refused += 1
                if refused.status not in (400, 404) or self._refused > REFUSED_AT_MOST:
                    raise
                self._one_is_unknown(question)
                return
            self._refused = 0
            times = question.read(body)
            if len(set(question.symbols)) == self._most:
                self._most = min(2 * self._most, self._latest.symbols_at_most)
            yield question.streams, np.array([times.get(symbol, 0) for symbol in question.symbols], np.int64)

    async def _slot(self) -> None:
        while True:
            now = self._clock.monotonic_ns()
            told = (PROCESS_LIMITS.blocked_until(self._latest.url) or now) - now
            if told <= 0 and self._pacer.try_spend(Counted.CONNECT, now):
                return
            wait = max(told, self._pacer.next_allowed(Counted.CONNECT, now) - now)
            if wait > STALE_NS:
                raise OSError("the venue told this process to wait")
            await asyncio.sleep(max(0.001, wait / SECOND))

    async def _get(self, path: str) -> bytes:
        pages = self._pages
        try:
            async with asyncio.timeout(DEADLINE_S):  # wait_for of 3.11 may lose a cancellation
                status, told, body = await run_in_daemon("subcore-newest", lambda: pages.get(path))
        except BaseException:
            pages.close()  # its thread may still be in it
            self._pages = Pages(self._latest.url)
            raise
        if status != 200:
            raise Refused(status, told)
        return body

    def _one_is_unknown(self, question: Question) -> None:
        """ "One bad pair fails the whole call": ask of fewer until it is alone, and leave that one out."""
        symbols = set(question.symbols)
        if len(symbols) > 1:
            self._most = max(1, len(symbols) // 2)
            return
        if len(self._unknown) >= UNKNOWN_KEPT:
            self._unknown.clear()
        self._unknown[symbols.pop()] = self._clock.monotonic_ns() + UNKNOWN_NS
        self._most = self._latest.symbols_at_most

    def block(self, seconds: float, status: int) -> None:
        """No request of the process for so long. After a 418 the whole address is banned: no connect either."""
        key = self._host if status == 418 else self._latest.url
        PROCESS_LIMITS.block(key, self._clock.monotonic_ns() + round(seconds * SECOND))

    def close(self) -> None:
        """End the connection, and with it a request under way."""
        self._pages.close()


class Newest:
    """Asks one question after the other. Belongs to the loop's thread; `tell` gets the answers there."""

    def __init__(
        self, source: RestPages | UserCall, clock: Clock, tell: Callable[[LatestKnown], None]
    ) -> None:
        self.source = source
        self._clock = clock
        self._tell = tell
        self._waiting: list[tuple[int, StreamColumns, npt.NDArray[np.int64]]] = []
        self._works = False
        self._failures = 0
        self._not_before = 0

    def take(self, action: AskLatest, columns: StreamColumns) -> bool:
        """Keep a question; True = `work` is to be run. While it backs off, questions are dropped."""
        now = self._clock.monotonic_ns()
        if now < self._not_before:
            return False
        self._waiting.append((now, columns, action.serials))
        idle, self._works = not self._works, True
        return idle

    async def work(self) -> None:
        """Ask until nothing waits. Never raises but CancelledError."""
        try:
            while self._waiting:
                since, columns, serials = self._waiting.pop(0)
                if self._clock.monotonic_ns() - since <= STALE_NS:
                    await self._ask(columns, serials)
        finally:
            self._works = False

    async def _ask(self, columns: StreamColumns, serials: npt.NDArray[np.int64]) -> None:
        order = np.argsort(columns.streams)
        answers = aiter(self.source.answers(columns))
        while True:
            try:
                streams, times = await anext(answers)
            except StopAsyncIteration:
                break
            except Exception as error:  # a user's function may raise anything, and so may hostile bytes
                self._failed(error)
                return
            places = order[np.searchsorted(columns.streams, streams, sorter=order)]
            self._tell(LatestKnown(streams, serials[places], times))
        if self._failures:
            log.info("what is newest can be asked for again")
        self._failures = 0

    def _failed(self, error: Exception) -> None:
        wait = min(WAIT_MOST_S, WAIT_FIRST_S * 2.0 ** min(self._failures, 16))
        if isinstance(error, Refused) and error.status in (418, 429):
            least = WAIT_418_S if error.status == 418 else WAIT_429_S
            wait = max(wait, min(error.retry_after_s or least, WAIT_TOLD_MOST_S))
            if isinstance(self.source, RestPages):
                self.source.block(wait, error.status)
        if not self._failures:
            log.warning(
                "what is newest cannot be asked for (%s: %s): silent streams are judged by what others bring",
                type(error).__name__,
                error,
            )
        self._failures += 1
        self._waiting.clear()
        self._not_before = self._clock.monotonic_ns() + round(wait * SECOND)

    @property
    def under_way(self) -> list[asyncio.Future[Any]]:
        """Calls of the user's function that have not ended."""
        return list(self.source.under_way)

    def close(self) -> None:
        """Ask no more. A user's function that runs is cancelled where it can be."""
        self._waiting.clear()
        self.source.close()


def _host_of(url: str) -> str:
    """As links name it, so that what one of them is told holds for the other."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
