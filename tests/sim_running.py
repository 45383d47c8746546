"""The embedded exchange in a thread of its own, for tests that are plain blocking clients."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from subcore.sim import Durations, Fault
from subcore.sim.server import SimServer
from ws_client import Client

FAST = Durations().divided(20)


class Running:
    """A server in a thread of its own, so that a test can be a plain blocking client."""

    def __init__(self, **options: Any) -> None:
        self._ready = threading.Event()
        self.loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self.errors: list[str] = []
        self.loop.set_exception_handler(lambda _, context: self.errors.append(str(context)))
        self.server = SimServer(**options)
        self._thread = threading.Thread(target=self.loop.run_until_complete, args=(self._main(),))
        self._thread.start()
        assert self._ready.wait(10)

    async def _main(self) -> None:
        async with self.server:
            self._ready.set()
            await self._stop.wait()

    def call(self, function: Callable[[], Any]) -> Any:
        """Run something on the server's loop and wait for it."""

        async def run() -> Any:
            result = function()
            self.server.wake()
            return result

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(5)

    def inject(self, fault: Fault) -> None:
        self.call(lambda: self.server.exchange.inject(fault, self.server.clock()))

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()
        self.loop.close()
        assert not self.errors


@pytest.fixture
def serve() -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(**options: Any) -> Running:
        started.append(Running(**options))
        return started[-1]

    yield start
    for running in started:
        running.close()


def open_client(running: Running, **options: Any) -> Client:
    return Client(running.server.url, **options)


def parsed(frames: list[Any]) -> list[Any]:
    return [json.loads(f.payload) for f in frames if f.opcode == 2]
