"""One reader for several components, of one manager or of many: what waits comes in the order it was received."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from .checking import check_count, check_seconds
from .component import Component
from .errors import ComponentClosed, QueueOverflow, UsageError

if TYPE_CHECKING:
    from ._inbox import Inbox

__all__ = ["Merged", "merge"]

NOTHING = -1


def merge(*components: Component) -> Merged:
    """Read several components as one: `async for event in subcore.merge(a, b)`, or `.batch()`.

    They may belong to different managers and venues, on one event loop. Of what waits the event received first comes
    first, by `receive_time_ns`; each component's own order stays, and a Status or the news of a loss comes as soon as
    it is next in its component. A component that is closed or reaped, or whose manager is closed, ends for itself once
    what it had is read (with `include_status` its last Status says why), and the others go on; the iteration ends with
    the last. Nothing is taken before it is given: a cancelled call loses nothing, and each component can be read by
    itself before and after. One reader a component at a time: UsageError otherwise, and where one is named twice or
    none is. Belongs to the loop's thread. Cost of an event: one look at each component; in `batch`, one at its own.
    """
    for one in components:
        if not isinstance(one, Component):
            raise UsageError(f"merge takes components, not {one!r}")
    if len({id(one) for one in components}) != len(components):
        raise UsageError("merge was given a component twice: name each once")
    if not components:
        raise UsageError("merge needs a component: name at least one")
    return Merged(components)


class Merged:
    """What `merge` gives. It holds nothing of its own, so there is nothing to close."""

    def __init__(self, components: tuple[Component, ...]) -> None:
        self._sources = list(components)
        self._told_end = False  # by a batch of nothing

    @property
    def components(self) -> tuple[Component, ...]:
        """Those that did not end yet."""
        return tuple(self._sources)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        """The next event (or Status). Cancel-safe. Ends with the last component.

        QueueOverflow where a queue with overflow="close" was full and all is read that came before; that component has
        ended then, and another call goes on with the rest.
        """
        while not (taken := self._take(1)):
            if not await self._news():
                raise StopAsyncIteration
        return taken[0]

    async def batch(self, max: int = 256, timeout: float | None = None) -> list[Any]:
        """Up to `max` events at once, at least one; empty after `timeout` seconds, or once all have ended.

        Cancel-safe; errors as of iteration. The end is told by one empty list; from then on it raises ComponentClosed.
        """
        check_count("max", max)
        if timeout is not None:
            check_seconds("timeout", timeout)
        try:
            async with asyncio.timeout(timeout):
                while not (taken := self._take(max)) and await self._news():
                    pass
        except TimeoutError:
            return []
        if not taken:
            if self._told_end:
                raise ComponentClosed("all components that were merged are closed or ended: merge others")
            self._told_end = True
        return taken

    def _take(self, max: int) -> list[Any]:
        """What waits, the earliest first. Without an await: nothing comes in between."""
        inboxes = []
        for one in self._sources:
            one._check_thread()
            one._member.reads(asyncio.current_task())
            inboxes.append(one._member.inbox)
        ready = [
            (at, place) for place, inbox in enumerate(inboxes) if (at := inbox.first_time_ns()) != NOTHING
        ]
        heapq.heapify(ready)
        taken: list[Any] = []
        while ready and len(taken) < max:
            place = ready[0][1]
            item = inboxes[place].get_nowait()
            if item is not None:  # of a loss that nobody asked to hear of nothing is left
                taken.append(item)
            if (at := inboxes[place].first_time_ns()) == NOTHING:
                heapq.heappop(ready)
            else:
                heapq.heapreplace(ready, (at, place))
        return taken

    async def _news(self) -> bool:
        """Wait until there is something, or one ends. False where all have."""
        future = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not future.done():
                future.set_result(None)

        waiting: list[Inbox] = []
        try:
            for one in list(self._sources):
                if self._is_over(one):
                    continue
                if not _begin_wait(one, wake):
                    return True
                waiting.append(one._member.inbox)
            if waiting:
                await future
        finally:
            for inbox in waiting:
                inbox.end_wait(wake)
        return bool(self._sources)

    def _is_over(self, one: Component) -> bool:
        """Whether nothing comes from this one any more; it is called where nothing waits."""
        inbox = one._member.inbox
        if inbox.ended:
            self._sources.remove(one)
            raise QueueOverflow(
                f'component {one.name!r}: a queue with overflow="close" was full and is read to its end: '
                "close the component and ask its manager for a new one, with a larger queue or a faster reader"
            )
        if inbox.closed and inbox.first_time_ns() == NOTHING:
            self._sources.remove(one)
            return True
        return False


def _begin_wait(one: Component, wake: Any) -> bool:
    try:
        waits = one._member.inbox.begin_wait(wake)
    except RuntimeError as error:
        raise UsageError(f"component {one.name!r}: {error}") from None
    if waits:
        one._member.reads(asyncio.current_task())
    return waits
