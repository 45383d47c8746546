"""One WebSocket connection at a time, with every trap of the transport handled: the only file that awaits a socket.

A link is told what to do (`connect`, `send`, `ping`, `disconnect`) and tells its owner what became of it. Each attempt
carries the generation that asked for it; nothing of an older one reaches the owner. Belongs to the loop's thread.
Attempts run in a context of their own, and with them all that a connection brings: who had it opened may be a caller
of `rotate` or `restore`, whose trace id or session is not of the handlers that are called for as long as it lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from .errors import LinkError

if TYPE_CHECKING:
    from picows import WSListener

log = logging.getLogger("subcore.link")

MAX_WRITE_QUEUE_BYTES = 1024 * 1024
MAX_RETRY_AFTER_S = 24 * 3600.0
GOODBYE_S = 1.0  # how long a peer may take over our close before the socket is dropped


class HandshakeRefused(Exception):
    """The venue answered the handshake with an HTTP status; `retry_after_s` is what it told, if it makes sense."""

    def __init__(self, status: int, retry_after_s: float | None = None) -> None:
        if retry_after_s is not None:
            makes_sense = 0.0 <= retry_after_s < math.inf  # the venue's word, and nan is a float, too
            retry_after_s = min(retry_after_s, MAX_RETRY_AFTER_S) if makes_sense else None
        told = "" if retry_after_s is None else f", to be tried again after {retry_after_s:g} s"
        super().__init__(f"the venue refused the connection with HTTP status {status}{told}")
        self.status = status
        self.retry_after_s = retry_after_s


class NoToken(LinkError):
    """No login could be had for the handshake. The venue was not asked."""


class Transport(Protocol):
    """What an open connection can do. Calls after its end do nothing."""

    def send(self, opcode: int, payload: bytes) -> None: ...
    def ping(self, payload: bytes = b"") -> None: ...
    def close(self, code: int, reason: str) -> None: ...
    def abort(self) -> None: ...
    async def wait_closed(self) -> None: ...
    @property
    def write_queue_bytes(self) -> int: ...


Connect = Callable[[str, Mapping[str, str], "WSListener"], Awaitable[Transport]]


class LinkOwner(Protocol):
    """Who is told. Called from the loop, never from inside a call to the link."""

    def link_up(self, link: int, generation: int, rtt_ns: int) -> None: ...
    def link_down(
        self,
        link: int,
        generation: int,
        reason: str,
        *,
        code: int | None = None,
        http_status: int | None = None,
        retry_after_s: float | None = None,
        no_token: bool = False,
    ) -> None: ...
    def make_listener(self, link: Link, generation: int) -> WSListener: ...


class Link:
    """One slot for a connection. Idle until `connect`; idle again after a loss, and may be told to connect anew."""

    def __init__(self, number: int, owner: LinkOwner, connect: Connect) -> None:
        self.number = number
        self.generation = 0
        self._owner = owner
        self._connect = connect
        self._task: asyncio.Task[None] | None = None
        self._transport: Transport | None = None
        self._goodbyes: set[asyncio.Task[None]] = set()
        self._early: tuple[str, int | None] | None = None  # an end told before the attempt itself was through
        self._ended = asyncio.Event()
        self._ended.set()

    @property
    def is_up(self) -> bool:
        """True between link_up and link_down."""
        return self._transport is not None

    def connect(self, generation: int, url: str, headers: Mapping[str, str]) -> None:
        """Begin an attempt; link_up or link_down follows, once."""
        self._drop_current()
        self.generation = generation
        self._early = None
        self._ended.clear()
        name = f"subcore-link-{self.number}"
        self._task = asyncio.get_running_loop().create_task(
            self._attempt(generation, url, headers), name=name, context=Context()
        )

    def send(self, generation: int, opcode: int, payload: bytes) -> bool:
        """Queue one message; False where that connection is gone. Drops a link whose peer stopped reading."""
        transport = self._transport
        if transport is None or generation != self.generation:
            return False
        transport.send(opcode, payload)
        self.look_at_queue()
        return True

    def look_at_queue(self) -> None:
        """Drop a connection whose peer stopped reading. The transport writes, too: a pong for each ping that comes."""
        transport = self._transport
        if transport is not None and transport.write_queue_bytes > MAX_WRITE_QUEUE_BYTES:
            self._say_goodbye(transport, None)
            self._end(
                self.generation,
                f"the venue stopped reading: over {MAX_WRITE_QUEUE_BYTES} bytes wait to be sent",
            )

    def ping(self, generation: int) -> None:
        """Send a protocol ping."""
        if self._transport is not None and generation == self.generation:
            self._transport.ping()

    def disconnect(self, generation: int, reason: str, code: int = 1000) -> None:
        """End the connection or the attempt of `generation`; link_down follows at the next turn of the loop."""
        if generation != self.generation or self._ended.is_set():
            return
        if self._transport is not None:
            self._say_goodbye(self._transport, code)
        self._end(generation, reason)

    def end(self) -> None:
        """End whatever runs; link_down does not follow."""
        if self._transport is not None:
            self._say_goodbye(self._transport, 1000)
        self.generation += 1
        self._ended.set()
        self._drop_current()

    async def ended(self, timeout: float) -> str:
        """After `end`: wait at most `timeout` seconds; "" or what did not end. Cancelling ends only the waiting."""
        running = {one for one in self._goodbyes if not one.done()}
        if running:
            _, running = await asyncio.wait(running, timeout=timeout)
        return f"link {self.number}" if running else ""

    async def close(self, timeout: float) -> str:
        """`end`, and wait as `ended` does."""
        self.end()
        return await self.ended(timeout)

    # -- what the listener tells --

    def received_close(self, generation: int, code: int, reason: str) -> None:
        """The venue sent CLOSE: picows neither answers nor closes, so we do."""
        if generation != self.generation:
            return
        text = f"the venue closed the connection ({code} {reason})".replace(" )", ")")
        if self._transport is None:
            self._early = (text, code)
            return
        self._say_goodbye(self._transport, _answer_to(code))
        self._end(generation, text, code=code)

    def lost(self, generation: int, reason: str) -> None:
        """The connection ended without CLOSE (FIN, RST, protocol error)."""
        if generation == self.generation and self._transport is None:
            self._early = self._early or (reason, 1006)
            return
        self._end(generation, reason, code=1006)

    # -- inside --

    async def _attempt(self, generation: int, url: str, headers: Mapping[str, str]) -> None:
        began_ns = (
            time.perf_counter_ns()
        )  # a loop's own clock may stand still for a millisecond (uvloop's does)
        try:
            listener = self._owner.make_listener(self, generation)
            transport = await self._connect(url, headers, listener)
        except HandshakeRefused as refused:
            self._end(
                generation, str(refused), http_status=refused.status, retry_after_s=refused.retry_after_s
            )
        except (LinkError, OSError, TimeoutError) as error:
            no_token = isinstance(error, NoToken)
            self._end(generation, f"cannot connect to {_host(url)}: {error}", no_token=no_token)
        except Exception as error:
            log.exception("link %d: connecting failed in an unforeseen way", self.number)
            self._end(generation, f"cannot connect to {_host(url)}: {type(error).__name__}: {error}")
        else:
            self._established(generation, transport, time.perf_counter_ns() - began_ns)

    def _established(self, generation: int, transport: Transport, rtt_ns: int) -> None:
        if generation != self.generation or self._ended.is_set():
            self._say_goodbye(transport, 1000)
            return
        if self._early is not None:  # CLOSE or FIN came in the same read as the 101
            text, code = self._early
            self._say_goodbye(transport, _answer_to(code))
            self._end(generation, text, code=code)
            return
        self._transport = transport
        self._owner.link_up(self.number, generation, rtt_ns)

    def _end(
        self,
        generation: int,
        reason: str,
        *,
        code: int | None = None,
        http_status: int | None = None,
        retry_after_s: float | None = None,
        no_token: bool = False,
    ) -> None:
        if generation != self.generation or self._ended.is_set():
            return
        self._drop_current()
        self._ended.set()

        def tell() -> None:
            self._owner.link_down(
                self.number,
                generation,
                reason,
                code=code,
                http_status=http_status,
                retry_after_s=retry_after_s,
                no_token=no_token,
            )

        asyncio.get_running_loop().call_soon(tell, context=Context())

    def _drop_current(self) -> None:
        task, self._task = self._task, None
        if task is not None and not task.done() and task is not asyncio.current_task():
            task.cancel()
            self._goodbyes.add(task)
            task.add_done_callback(self._goodbyes.discard)
        if self._transport is not None:
            self._say_goodbye(self._transport, None)
            self._transport = None

    def _say_goodbye(self, transport: Transport, code: int | None) -> None:
        """Close with `code` (None: no close frame); the socket goes even if the peer does not answer."""
        self._transport = None
        if code is None:
            transport.abort()
        else:
            transport.close(code, "")
        task = asyncio.get_running_loop().create_task(
            _until_closed(transport), name=f"subcore-goodbye-{self.number}"
        )
        self._goodbyes.add(task)
        task.add_done_callback(self._goodbyes.discard)


def _answer_to(code: int | None) -> int:
    """The code our close frame echoes; those that may not be sent become 1000."""
    return code if code is not None and 1000 <= code < 5000 and code not in (1005, 1006) else 1000


async def _until_closed(transport: Transport) -> None:
    with contextlib.suppress(Exception):  # it raises why the connection ended, which was told already
        try:
            await asyncio.wait_for(transport.wait_closed(), GOODBYE_S)
        except TimeoutError:
            transport.abort()
            await transport.wait_closed()


def _host(url: str) -> str:
    with contextlib.suppress(ValueError):
        return urlsplit(url).hostname or url
    return url
