"""A recording in place of a connection: the same components, driven by frames at their recorded times."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import LinkError
from .recording import FrameReader

if TYPE_CHECKING:
    from picows import WSListener

    from .hub import Hub

log = logging.getLogger("subcore.replay")

CHUNK = 256  # frames between two turns of the loop
HANDLERS_POLL_S = 0.002


class ReplayConnection:
    """Connects to a file, once. What is sent to it is ignored; when the file ends, the components are closed.

    `speed` times recorded time; 0 = as fast as the components read: it waits while any queue is over half full, so
    that nothing is lost.
    """

    def __init__(self, path: Path, speed: float, *, hub: Hub) -> None:
        self._reader: FrameReader | None = FrameReader(path)
        self._speed = speed
        self._hub = hub
        self._task: asyncio.Task[None] | None = None
        self._over = asyncio.Event()

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
        while any(member.pumps.are_working for member in self._hub.members.values()):
            await asyncio.sleep(HANDLERS_POLL_S)  # what they are due is part of the replay
        for member in list(self._hub.members.values()):
            self._hub.close_member(member)

    async def _feed(self, reader: FrameReader) -> None:
        loop = asyncio.get_running_loop()
        began, first = loop.time(), 0
        for number, (receive_ns, payload) in enumerate(reader):
            first = first or receive_ns
            if self._speed > 0 and receive_ns:
                wait = began + (receive_ns - first) / 1e9 / self._speed - loop.time()
                if wait > 0:
                    await asyncio.sleep(wait)
            self._hub.feed.feed(0, payload, receive_ns)
            if number % CHUNK == CHUNK - 1:
                await self._room()

    async def _room(self) -> None:
        await asyncio.sleep(0)
        while self._speed == 0 and any(member.is_half_full for member in self._hub.members.values()):
            await asyncio.sleep(0)

    # -- link.Transport --

    def send(self, opcode: int, payload: bytes) -> None:
        """Ignored: the recording answers no requests."""

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
