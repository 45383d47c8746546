"""A recording in place of a connection: the same components, driven by frames at their recorded times."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import LinkError
from .recording import FrameReader
from .types import Listing, Topic

if TYPE_CHECKING:
    from picows import WSListener

    from .hub import Hub

log = logging.getLogger("subcore.replay")

CHUNK = 256  # frames between two turns of the loop, at most
HANDLERS_POLL_S = 0.002


class ReplayConnection:
    """Connects to a file, once. What is sent to it is ignored; when the file ends, the components are closed.

    `speed` times recorded time; 0 = as fast as the components read: no frame is fed before all that it may bring fits
    half of every queue, or the queue is empty. So nothing is lost but where one frame brings more than a queue holds.
    """

    def __init__(self, path: Path, speed: float, *, hub: Hub) -> None:
        self._reader: FrameReader | None = FrameReader(path)
        self._speed = speed
        self._hub = hub
        self._task: asyncio.Task[None] | None = None
        self._over = asyncio.Event()
        self._is_asked = False
        # Of one object of a frame: for each depth, for all of the book, and for those who asked for all symbols.
        self._copies = 2 + max(len(channel.depths) for channel in hub.venue.channels)

    async def __call__(self, url: str, headers: Mapping[str, str], listener: WSListener) -> ReplayConnection:
        """See link.Connect."""
        reader, self._reader = self._reader, None
        if reader is None:
            raise LinkError("the recording was replayed already")
        self._task = asyncio.get_running_loop().create_task(self._play(reader), name="subcore-replay")
        return self

    async def _play(self, reader: FrameReader) -> None:
        try:
            await self._feed(reader)
        except Exception:
            log.exception("the replay of %s stopped", reader.path)
        finally:
            reader.close()
            self._over.set()
        # What the last frames prove is told before: who waits for it goes on, and reads.
        await asyncio.sleep(0)
        while any(member.pumps.are_working for member in self._hub.members.values()):
            await asyncio.sleep(HANDLERS_POLL_S)  # what they are due is part of the replay
        for member in list(self._hub.members.values()):
            if not member.closed:  # letting go of another's handler may close it
                self._hub.close_member(member)

    async def _feed(self, reader: FrameReader) -> None:
        loop = asyncio.get_running_loop()
        began, first = loop.time(), 0
        feed, room = self._hub.feed, 0
        for number, (receive_ns, payload) in enumerate(reader):
            first = first or receive_ns
            if self._speed > 0 and receive_ns:
                wait = began + (receive_ns - first) / 1e9 / self._speed - loop.time()
                if wait > 0:
                    await asyncio.sleep(wait)
            if number % CHUNK == CHUNK - 1:
                await asyncio.sleep(0)
                room = 0
            if self._speed == 0 and (most := payload.count(b"{") * self._copies) > room:
                room = await self._room(most)
            before = feed.events
            feed.feed(0, payload, receive_ns)
            room -= (feed.events - before) * self._copies

    async def _room(self, most: int) -> int:
        """Wait until so many events fit half of every queue, or it is empty; how many fit each half then."""
        while (room := self._room_now(most)) is None:
            if self._is_asked:
                self._list_all()
            await asyncio.sleep(0)
        return room

    def _room_now(self, most: int) -> int | None:
        """How many events fit half of every queue; None where one is to be read first. O(queues)."""
        least = sys.maxsize
        for member in self._hub.members.values():
            if member.paused or member.stopped:
                continue  # nothing comes to it, and that may last
            for queue in member.queues:
                waiting = len(queue)
                room = queue.maxsize // 2 - waiting
                if waiting and room < most:
                    return None
                least = min(least, room)
        return least

    def _list_all(self) -> None:
        """Say that all that is wanted is carried, if that was asked: the engine asks when it is silent for some time.

        Who awaits `live()` before he reads would wait for ever else, for what comes later in the file.
        """
        self._is_asked = False
        runtime, channels = self._hub.runtime, self._hub.venue.channels
        everything = tuple(Topic(channel.wire_name, "") for channel in channels)
        runtime.control(0, runtime.links[0].generation, Listing(everything))

    def end(self) -> None:
        """The manager closes: a file that nobody connected to is let go."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    # -- link.Transport --

    def send(self, opcode: int, payload: bytes) -> None:
        """Ignored, until readers hold it up: see _list_all."""
        self._is_asked = True

    def ping(self, payload: bytes = b"") -> None:
        """Answered at once."""
        link = self._hub.runtime.links[0]
        asyncio.get_running_loop().call_soon(self._hub.runtime.pong, 0, link.generation, 0)

    def close(self, code: int, reason: str) -> None:
        """Stop playing."""
        self.abort()

    def abort(self) -> None:
        """Stop playing."""
        if self._task is not None:
            self._task.cancel()

    async def wait_closed(self) -> None:
        """Until the playing has stopped."""
        if self._task is not None:
            await asyncio.wait([self._task])

    @property
    def write_queue_bytes(self) -> int:
        """Nothing is ever queued."""
        return 0
