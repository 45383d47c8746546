"""How a component's events are read: by `async for`, in batches, and from rings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from ._inbox import Inbox
from ._reading import Reading
from .checking import check_count, check_seconds
from .errors import QueueOverflow, UsageError
from .tasks import running_task

if TYPE_CHECKING:
    from .manager import SubscriptionManager
    from .members import Member


class Reader:
    """The reading half of a component. One reader at a time, in the loop's thread."""

    _manager: SubscriptionManager
    _member: Member
    _told_end = False  # by a batch of nothing

    def _check_thread(self) -> None:
        self._manager.check_thread()

    def __aiter__(self) -> AsyncIterator[Any]:
        self._check_thread()
        self._member.reads(running_task())
        return Reading(self._member.inbox, self.__anext__)

    async def __anext__(self) -> Any:
        """The next event (or Status, where asked for). Cancel-safe. Ends after `close()` when all is read.

        QueueOverflow when all is read that came before a queue that ends on overflow did; ComponentReaped once it was
        reaped, whatever waited.
        """
        self._check_thread()
        inbox = self._member.inbox
        while (item := inbox.get_nowait()) is None:
            if self._is_over(inbox):
                raise StopAsyncIteration
            await self._news(inbox)
        return item

    async def batch(self, max: int = 256, timeout: float | None = None) -> list[Any]:
        """Up to `max` events at once, at least one; empty after `timeout` seconds, or once closed and all is read.

        Much cheaper an event than `async for`. Cancel-safe. After `close()` it gives what is queued, then one empty
        list, and from then on raises ComponentClosed: neither `while events := await component.batch()` nor a loop
        without an end goes on for ever. QueueOverflow and ComponentReaped as for iteration.
        """
        self._check_thread()
        inbox = self._member.inbox
        check_count("max", max)
        if timeout is not None:
            check_seconds("timeout", timeout)
        self._member.reads(asyncio.current_task())
        if items := inbox.get_many(max):
            return items
        try:
            async with asyncio.timeout(timeout):
                while not (items := inbox.get_many(max)) and not self._is_over(inbox):
                    await self._news(inbox)
        except TimeoutError:
            return items
        if not items:
            if self._told_end:
                raise self._member.closed_error()
            self._told_end = True
        return items

    def _is_over(self, inbox: Inbox) -> bool:
        if self._member.reaped is not None:
            raise self._member.closed_error()
        if inbox.ended:
            raise QueueOverflow(
                f'component {self._member.name!r}: a queue with overflow="close" was full and is read to its end: '
                "close the component and ask the manager for a new one, with a larger queue or a faster reader"
            )
        return inbox.closed

    async def _news(self, inbox: Inbox) -> None:
        """Wait until there is something to read, or reading ends. One reader at a time, else UsageError."""
        future = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not future.done():
                future.set_result(None)

        try:
            waits = inbox.begin_wait(wake)
        except RuntimeError as error:
            raise UsageError(f"component {self._member.name!r}: {error}") from None
        if waits:
            self._member.reads(asyncio.current_task())
            try:
                await future
            finally:
                inbox.end_wait(wake)
