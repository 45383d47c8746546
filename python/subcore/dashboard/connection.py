"""One client: bytes to requests, answers to bytes, all of it bounded. It never lets an exception into the loop.

A request has so many seconds to be whole, an answer so many to be taken, and a connection that rests is closed. One
request is answered at a time; what a client sends behind it before the answer is not read. Nothing is read from a
client that has not yet taken what was written to it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Protocol, cast

from .answers import Answer, as_bytes, said, stream_head
from .requests import HEAD_LIMIT, BadRequest, Request, parse

__all__ = ["Connection", "Stream"]

HEAD_S = 5.0
"""From the first byte of a request to its last."""
REST_S = 30.0
"""Between two requests."""
DRAIN_S = 10.0
"""For a client to take what was written to it."""


class Stream:
    """The answer that does not end: the client is given what happens from now on."""


class Owner(Protocol):
    """What a connection needs of the server."""

    counts: Counter[str]

    def admit(self, connection: Connection) -> bool: ...
    def left(self, connection: Connection) -> None: ...
    def answer(self, request: Request) -> Answer | Stream | asyncio.Future[Answer]: ...
    def joined(self, connection: Connection) -> None: ...
    def failed(self, error: Exception) -> None: ...


class Connection(asyncio.Protocol):
    """Belongs to the loop's thread."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self._waits_for: asyncio.Future[Answer] | None = None
        self._asked: Request | None = None
        self._streams = self._closing = self._is_full = False

    # -- what asyncio calls --

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = made = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        made.set_write_buffer_limits(high=0)  # told of whatever is not taken at once
        if self._owner.admit(self):
            self._arm(HEAD_S)
        else:
            self._reply(
                said(503, "too many connections: close some, or come back", ("Retry-After", "5")), None
            )

    def data_received(self, data: bytes) -> None:
        if self._closing or self._streams:
            return
        waits = self._asked is not None or self._is_full  # what was under way as reading was paused
        if not self._buffer and not waits:
            self._arm(HEAD_S)
        self._buffer += data
        if not waits:
            self._guarded_take()

    def eof_received(self) -> bool:
        return False  # closes, once what was written is taken

    def pause_writing(self) -> None:
        assert self._transport is not None
        self._is_full = True
        self._transport.pause_reading()
        self._arm(DRAIN_S)

    def resume_writing(self) -> None:
        self._is_full = False
        self._disarm()
        if self._closing or self._transport is None:
            return
        self._transport.resume_reading()
        if self._asked is None:  # neither a stream nor an answer that is being made
            self._arm(HEAD_S if self._buffer else REST_S)
            if self._buffer:
                self._guarded_take()

    def connection_lost(self, error: Exception | None) -> None:
        self._closing = True
        self._disarm()
        self._buffer.clear()
        self._waits_for = None
        self._owner.left(self)

    # -- requests --

    def _guarded_take(self) -> None:
        try:
            self._take()
        except BadRequest as refused:
            self._owner.counts["bad_requests"] += 1
            allow = (("Allow", "GET, HEAD"),) if refused.status == 405 else ()
            self._reply(said(refused.status, str(refused), *allow), None)
        except Exception as error:
            self._owner.failed(error)
            self._reply(said(500, "this went wrong here: the log says how"), None)

    def _take(self) -> None:
        end = self._buffer.find(b"\r\n\r\n", 0, HEAD_LIMIT + 4)
        if end < 0:
            if len(self._buffer) > HEAD_LIMIT:
                raise BadRequest(431, f"the request is longer than {HEAD_LIMIT} bytes")
            return
        head, rest = bytes(self._buffer[:end]), len(self._buffer) - end - 4
        self._buffer.clear()
        request = parse(head)
        self._disarm()
        if rest:  # it did not wait for the answer, as all clients do that we know
            request = Request(request.method, request.path, request.query, request.headers, False)
        self._owner.counts["requests"] += 1
        self._asked = request
        answer = self._owner.answer(request)
        if isinstance(answer, Stream):
            self._begin_stream(request)
        elif isinstance(answer, Answer):
            self._reply(answer, request)
        else:
            assert self._transport is not None
            self._transport.pause_reading()
            self._waits_for = answer
            answer.add_done_callback(self._answered)

    def _answered(self, future: asyncio.Future[Answer]) -> None:
        error = None if future.cancelled() else future.exception()
        if isinstance(error, Exception):
            self._owner.failed(error)
        if self._closing or self._transport is None or self._asked is None:
            return  # the client has left, or the server ends
        self._waits_for = None
        self._transport.resume_reading()
        if future.cancelled():
            self._reply(said(503, "the dashboard is being closed"), None)
        elif error is not None:
            self._reply(said(500, "this went wrong here: the log says how"), None)
        else:
            self._reply(future.result(), self._asked)

    def _reply(self, answer: Answer, request: Request | None) -> None:
        """`None` closes after it."""
        transport = self._transport
        assert transport is not None
        self._disarm()
        self._asked = None
        keep_alive = request is not None and request.keep_alive
        with_body = request is None or request.method != "HEAD"
        self._closing = not keep_alive
        if answer.status >= 400:
            self._owner.counts["refused"] += 1
        transport.write(as_bytes(answer, keep_alive=keep_alive, with_body=with_body))
        if self._closing:
            self._buffer.clear()
            if not self._is_full:
                self._arm(DRAIN_S)
            transport.close()
        elif not self._is_full:
            self._arm(REST_S)

    # -- the stream --

    def _begin_stream(self, request: Request) -> None:
        assert self._transport is not None
        self._transport.write(stream_head())
        if request.method == "HEAD":
            self._closing = True
            self._transport.close()
            return
        self._streams = True
        self._owner.joined(self)

    def push(self, event: bytes) -> None:
        """Give it an event, unless it has not yet taken the one before: it gets a newer one later."""
        if self._closing or self._transport is None:
            return
        if self._is_full:
            self._owner.counts["skipped_events"] += 1
        else:
            self._transport.write(event)

    # -- time --

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._late)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        """It rested, sent too slowly, or does not read."""
        self._timer = None
        if self._transport is None:
            return
        if self._is_full or self._closing:
            self._owner.counts["slow_clients"] += 1
            self._transport.abort()
        elif self._buffer:
            self._owner.counts["slow_clients"] += 1
            self._reply(said(408, f"the request was not whole after {HEAD_S:g} s"), None)
        else:
            self._closing = True
            self._transport.close()

    def abort(self) -> None:
        """The server is closed."""
        self._closing = True
        if self._transport is not None:
            self._transport.abort()
