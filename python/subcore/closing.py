"""The end of a manager: all is told to end in one go, so that a cancelled wait leaves nothing behind that holds on.

Only consumers at work may be given time before: async handlers to work off what waits, tasks that read to take it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from .tasks import running_task
from .types import CloseReport

if TYPE_CHECKING:
    from .hub import Hub
    from .members import Member

log = logging.getLogger("subcore.manager")

DRAIN_S = 1.0
LOOK_S = 0.005  # between two looks at who still works
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
        self._at_work: list[Member] = []  # still open: their async handlers work off what waits
        self._links = 0
        self._faults: list[str] = []
        self._done = False

    def begin(self, drain: float) -> None:
        """Tell everything to end, but for consumers at work where there is time to `drain`.

        Never waits or raises: what fails is reported, the rest is told all the same.
        """
        hub = self._hub
        self._members = list(hub.members.values())
        self._links = sum(link.is_up for link in hub.runtime.links.values())
        self._told("the snapshot's file", hub.saving.finish)
        for export in hub.exports:  # before what the last line would lack
            self._told(f"the figures in {export.path}", export.finish)
        for member in self._members:
            hub.waits.forget(member)  # nothing more is proven
            member.pumps.dropped = 0  # what a handler left behind as it went was not dropped here
            if drain > 0 and member.pumps.are_working:
                self._at_work.append(member)
            else:
                self._close(member)
        self._told("obligations", hub.obligations.end)
        self._told("what is due to components", hub.granting.end)
        self._told("alerts", hub.alerting.end)
        self._told("the links", hub.runtime.end)
        if hub.replaying is not None:
            self._told("the recording that is replayed", hub.replaying.end)
        self._told("the questions beside the links", hub.enquiries.end)
        for dashboard in hub.dashboards:
            self._told("the dashboard", dashboard.finish)
        hub.feed.recorder = None
        for recording in hub.recordings:
            self._told(f"the recording {recording.recorder.path}", recording.finish)

    def _close(self, member: Member) -> None:
        if not member.closed:
            self._told(f"component {member.name!r}", partial(self._hub.close_member, member))

    def _told(self, what: str, tell: Callable[[], object]) -> None:
        try:
            tell()
        except Exception as error:
            log.exception("closing: %s failed", what)
            self._faults.append(f"{what}: {type(error).__name__}: {error}")

    async def ended(self, timeout: float, drain: float) -> CloseReport:
        """Wait, for `timeout` seconds altogether, until nothing is left; a second time there is nothing to report."""
        if self._done:
            return CloseReport(0.0, 0)
        hub, began = self._hub, time.monotonic()

        def left() -> float:
            return max(0.0, began + timeout - time.monotonic())

        await self._drained(min(timeout, drain))
        unfinished = await hub.runtime.ended(left())
        unfinished += await hub.obligations.ended(left())
        running = {*hub.enquiries.under_way, *hub.pumping.tasks, *hub.alerting.tasks}
        running.discard(running_task())
        if running:
            _, pending = await asyncio.wait(running, timeout=left())
            unfinished += [_name_of(future) for future in pending]
        for dashboard in hub.dashboards:
            unfinished += await dashboard.ended(left())
        for recording in hub.recordings:
            unfinished += await recording.ended(left())
        for export in hub.exports:
            unfinished += await export.ended(left())
        unfinished += await hub.saving.ended(left())
        if self._done:  # another caller waited too, and has the report
            return CloseReport(0.0, 0)
        report = CloseReport(
            time.monotonic() - began, self._links, self._dropped(), (*self._faults, *unfinished)
        )
        self._done = True
        self._members.clear()
        hub.recordings.clear()
        hub.dashboards.clear()
        hub.exports.clear()
        return report

    async def _drained(self, seconds: float) -> None:
        """Until no consumer works on what waits, or the time is over; then, or if cancelled, the last are closed."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        try:
            while loop.time() < until and any(map(self._works, self._members)):
                await asyncio.sleep(LOOK_S)
        finally:
            for member in self._at_work:
                self._close(member)
            self._at_work.clear()

    def _works(self, member: Member) -> bool:
        if member in self._at_work and member.pumps.are_working:
            return True
        reader = member.reader
        if not len(member.inbox) or reader is None or reader is running_task():
            return False
        return not reader.done()

    def _dropped(self) -> dict[str, int]:
        """Events that nobody took, by component; those of async handlers are gone, which is told once."""
        dropped = {}
        for member in self._members:
            waited = member.pumps.dropped
            if waited:
                log.warning(
                    "closing: %d events of component %r were not handled in time", waited, member.name
                )
            if count := waited + len(member.inbox):
                dropped[member.name] = count
        return dropped


def _name_of(future: asyncio.Future[object]) -> str:
    return future.get_name() if isinstance(future, asyncio.Task) else "a call in a thread"
