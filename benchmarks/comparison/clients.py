"""The clients of the socket rows: each connects, receives everything, and is charged the CPU time of the process.

A client does what its users would write: parse, look four values up, call the market's handler, which does
nothing. The handler of the market END ends the measurement.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import orjson
from bare.build import load
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from .sender import END

__all__ = ["CLIENTS", "Bill", "Client"]


class Bill:
    """CPU time of the process from `start` to `stop`."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.all_seen: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._before = 0

    def start(self) -> None:
        """Connected; the sender waits a little before it begins."""
        self._before = time.process_time_ns()

    def stop(self, *_: object) -> None:
        """The last frame was handled."""
        if not self.all_seen.done():
            self.all_seen.set_result(time.process_time_ns() - self._before)


Client = Callable[[str, Bill], Awaitable[object]]
"""Connects to a URL, calls `start`, takes part until cancelled or `all_seen`."""
Handler = Callable[[str, float, float, int], object]


def ignore(*_: object) -> None:
    """What every market's handler does."""


class Handlers(dict[str, Handler]):
    """Market -> handler, with END's stopping the bill."""

    def __init__(self, bill: Bill) -> None:
        self[END] = bill.stop

    def __missing__(self, code: str) -> Handler:
        self[code] = handler = lambda code, price, size, time_ms: None
        return handler


async def bare_listener(url: str, bill: Bill) -> None:
    """Cython, counts frames, looks at nothing."""
    listener_type = load("listener").CountingListener
    transport, _ = await ws_connect(lambda: listener_type(bill.count + 1, bill.stop), url)
    bill.start()
    await bill.all_seen
    transport.disconnect()


class _Untouched(WSListener):
    def __init__(self, bill: Bill) -> None:
        self._left = bill.count + 1
        self._stop = bill.stop

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self._left -= 1
        if not self._left:
            self._stop()


class _Parsing(WSListener):
    def __init__(self, bill: Bill) -> None:
        self._handlers = Handlers(bill)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.BINARY:
            data = orjson.loads(frame.get_payload_as_memoryview())
            code = data["code"]
            self._handlers[code](code, data["trade_price"], data["trade_volume"], data["timestamp"])


async def _picows(listener: Callable[[Bill], WSListener], url: str, bill: Bill) -> None:
    transport, _ = await ws_connect(lambda: listener(bill), url)
    bill.start()
    await bill.all_seen
    transport.disconnect()


async def picows_untouched(url: str, bill: Bill) -> None:
    """A Python listener that leaves the payload alone."""
    await _picows(_Untouched, url, bill)


async def picows_orjson(url: str, bill: Bill) -> None:
    """The fastest that is written in pure Python today."""
    await _picows(_Parsing, url, bill)


async def aiohttp_orjson(url: str, bill: Bill) -> None:
    """aiohttp's client."""
    import aiohttp

    handlers = Handlers(bill)
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        bill.start()
        async for message in socket:
            data = orjson.loads(message.data)
            code = data["code"]
            handlers[code](code, data["trade_price"], data["trade_volume"], data["timestamp"])
            if bill.all_seen.done():
                break


async def websockets_orjson(url: str, bill: Bill) -> None:
    """websockets' asyncio client."""
    from websockets.asyncio.client import connect

    handlers = Handlers(bill)
    async with connect(url, compression=None, max_queue=None) as socket:
        bill.start()
        async for message in socket:
            data = orjson.loads(message)
            code = data["code"]
            handlers[code](code, data["trade_price"], data["trade_volume"], data["timestamp"])
            if bill.all_seen.done():
                break


CLIENTS: dict[str, Client] = {
    "bare Cython listener": bare_listener,
    "picows, payload untouched": picows_untouched,
    "picows + orjson": picows_orjson,
    "aiohttp + orjson": aiohttp_orjson,
    "websockets + orjson": websockets_orjson,
}


def sample(client: Client, url: str, count: int, timeout: float = 60.0) -> float:
    """CPU nanoseconds a frame of one connection."""

    async def once() -> int:
        bill = Bill(count)
        task = asyncio.ensure_future(client(url, bill))
        await asyncio.wait((task, bill.all_seen), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if not bill.all_seen.done():
            task.cancel()
            await asyncio.gather(task)  # raises what ended the client
            raise TimeoutError(f"{count} frames did not come within {timeout:.0f} s")
        await asyncio.wait((task,), timeout=5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return await bill.all_seen

    return asyncio.run(once()) / count
