"""The end of a manager: all is told to end in one go, so that a cancelled wait leaves nothing behind that holds on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from .types import CloseReport

if TYPE_CHECKING:
    from .hub import Hub
    from .members import Member

log = logging.getLogger("subcore.manager")

END_S = 1.0  # for a thread that has said its last to be gone


class ThreadEnd:
    """A thread's last word, which the loop waits for without standing still. Made in the loop's thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._said = self._loop.create_future()

    def tell(self) -> None:
        """In the thread, as the last thing it does."""
        with contextlib.suppress(RuntimeError):  # the loop did not wait
            self._loop.call_soon_threadsafe(self._settle)

    async def wait(self, timeout: float) -> bool:
        """Whether it was told within `timeout` seconds. Cancelling ends only the waiting."""
        await asyncio.wait([self._said], timeout=timeout)
        return self._said.done()

    def _settle(self) -> None:
        if not self._said.done():
            self._said.set_result(None)


class Closing:
    """Ends one manager. `begin` once; `ended` as often as somebody waits."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._members: list[Member] = []
        self._links = 0
        self._faults: list[str] = []
        self._done = False

    def begin(self) -> None:
        """Tell everything to end. Never waits or raises: what fails is reported, the rest is told all the same."""
        hub = self._hub
        self._members = list(hub.members.values())
        self._links = sum(link.is_up for link in hub.runtime.links.values())
        self._told("the snapshot's file", hub.saving.finish)
        for member in self._members:
            self._told(f"component {member.name!r}", partial(hub.close_member, member))
        self._told("the links", hub.runtime.end)
        for task in hub.tasks:
            task.cancel()
        if hub.newest is not None:
            self._told("the questions about what is newest", hub.newest.close)
        hub.feed.recorder = None
        for recording in hub.recordings:
            self._told(f"the recording {recording.recorder.path}", recording.finish)

    def _told(self, what: str, tell: Callable[[], object]) -> None:
        try:
            tell()
        except Exception as error:
            log.exception("closing: %s failed", what)
            self._faults.append(f"{what}: {type(error).__name__}: {error}")

    async def ended(self, timeout: float) -> CloseReport:
        """Wait, for `timeout` seconds altogether, until nothing is left; a second time there is nothing to report."""
        if self._done:
            return CloseReport(0.0, 0)
        hub, began = self._hub, time.monotonic()

        def left() -> float:
            return max(0.0, began + timeout - time.monotonic())

        unfinished = await hub.runtime.ended(left())
        running = {*hub.tasks, *(() if hub.newest is None else hub.newest.under_way)}
        if running:
            _, pending = await asyncio.wait(running, timeout=left())
            unfinished += [_name_of(future) for future in pending]
        for recording in hub.recordings:
            unfinished += await recording.ended(left())
        unfinished += await hub.saving.ended(left())
        dropped = {
            member.name: len(queue)
            for member in self._members
            if (queue := member.queue_in_use) is not None and len(queue)
        }
        report = CloseReport(time.monotonic() - began, self._links, dropped, (*self._faults, *unfinished))
        self._done = True
        self._members.clear()
        hub.recordings.clear()
        return report


def _name_of(future: asyncio.Future[object]) -> str:
    return future.get_name() if isinstance(future, asyncio.Task) else "a call in a thread"
