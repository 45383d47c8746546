"""The embedded exchange on a port: WebSocket and the REST market list, by picows and asyncio.

WebSocket and the page with the list of markets share the port.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from picows import WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener, ws_create_server

from .connection import Output
from .exchange import Exchange
from .limits import Violation
from .machine import Machine
from .peer import LaterReply, Peer
from .wire import claimed_address

__all__ = ["SimServer"]

_BATCH = 0.002
"""Seconds: frames due within this time of each other leave in one write."""
_SLICE_NS = 20_000_000
"""The pump lets at most this much time pass in one step, so that a flood cannot starve reads and pings."""
_SLICE_BYTES = 1 << 20
"""What one step should bring at most: the loop empties a client's write buffer once between two steps."""


def _steady_clock() -> Callable[[], int]:
    """Nanoseconds since the epoch that never jump: the wall clock once, the monotonic one from then on."""
    base = time.time_ns() - time.monotonic_ns()
    return lambda: base + time.monotonic_ns()


class SimServer:
    """`async with SimServer(seed=1, rate=1.0) as server:` serves until the block ends.

    Give an exchange, or the options of an `Exchange`. `port=0` takes a free one; `server.url` and `server.rest_url` say
    where it is.
    `clock` gives int nanoseconds since the epoch; after moving a clock of your own by hand, call `wake()`. A
    client's
    address is that of its socket, or what its `X-Forwarded-For` header says, so that one machine can play
    many.
    Use it from one event loop only. Raises OSError where the port cannot be had.
    """

    def __init__(
        self,
        exchange: Machine[Any] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Callable[[], int] | None = None,
        write_limit: int = 64 << 20,
        **options: Any,
    ) -> None:
        if exchange is not None and options:
            raise TypeError(f"give an exchange or its options, not both: {', '.join(options)}")
        self.exchange: Machine[Any] = exchange or Exchange(**options)
        self.clock = clock or _steady_clock()
        self.write_limit = write_limit
        """Bytes waiting for a client that does not read; beyond them it is reset (and counted)."""
        self.slow_readers = 0
        self.behind_ns = 0
        """How far the generated traffic lies behind the clock: more than a few ms means the machine is too
        slow."""
        self.peers: set[Peer] = set()
        self.by_conn: dict[int, Peer] = {}
        self.host = host
        self.port = port
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | asyncio.Handle | None = None
        self._timer_at = 0.0
        self._reached = 0
        self._slice_ns = _SLICE_NS

    @property
    def url(self) -> str:
        """Where to connect a WebSocket."""
        return f"ws://{self._authority}{self.exchange.paths[0]}"

    @property
    def rest_url(self) -> str:
        """Where REST is served."""
        return f"http://{self._authority}"

    @property
    def _authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def violations(self) -> deque[Violation]:
        """Breaches of the venue's limits so far."""
        return self.exchange.violations

    async def __aenter__(self) -> SimServer:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def start(self) -> None:
        """Begin to listen."""
        self._server = await ws_create_server(
            self._greet,
            self.host,
            self.port,
            websocket_handshake_timeout=5.0,
            enable_auto_ping=False,
            enable_auto_pong=False,
            max_frame_size=self.exchange.max_message + 1,
            use_aiofastnet=False,
            logger_name="sim",
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._reached = self.clock()
        self.exchange.advance(self._reached)
        self.wake()

    async def close(self) -> None:
        """Reset every client and stop listening. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        server, self._server = self._server, None
        if server is not None:
            server.close()
            for peer in list(self.peers):
                peer.reset()
            await server.wait_closed()

    def _greet(self, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        """Plain HTTP is answered here; a WebSocket's reply waits until the client's address is known."""
        target = request.path.decode("latin-1")
        if target.partition("?")[0] in self.exchange.rest_paths:
            ip = claimed_address(request.headers) or self.host  # picows tells no address before the reply
            status, headers, body = self.exchange.get(self.clock(), target, ip, request.headers)
            make = WSUpgradeResponse.create_error_response
            if status == 200:
                response = WSUpgradeResponse.create_ok_response(body, headers)
            else:
                response = make(status, body, headers)
            return WSUpgradeResponseWithListener(response, None)
        reply = LaterReply()
        return WSUpgradeResponseWithListener(reply, Peer(self, request, reply))

    # -- the pump ----------------------------------------------------------------------------------

    def wake(self) -> None:
        """Look at the exchange again soon: something came in, or the clock was moved."""
        if self._server is None:
            return
        due = self.exchange.deadline()
        if due is None:
            return
        loop = asyncio.get_running_loop()
        delay = max((due - self.clock()) / 1e9, 0.0)
        when = loop.time() + delay
        if self._timer is not None:
            if self._timer_at <= when:
                return
            self._timer.cancel()
        self._timer_at = when
        self._timer = loop.call_at(when, self._pump) if delay else loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Let the exchange's time pass and put out what is due."""
        self._timer = None
        now = self.clock()
        due = self.exchange.deadline()
        self._reached = min(now, max(self._reached, now if due is None else due) + self._slice_ns)
        before = self.exchange.stats.bytes
        self._put(self.exchange.advance(self._reached))
        brought = self.exchange.stats.bytes - before
        self._slice_ns = min(
            _SLICE_NS, max(1, self._slice_ns * _SLICE_BYTES // max(brought, _SLICE_BYTES // 2))
        )
        self.behind_ns = now - self._reached
        due = self.exchange.deadline()
        if self._server is None or due is None:
            return
        loop = asyncio.get_running_loop()
        delay = max((due - self.clock()) / 1e9, 0.0 if self.behind_ns else _BATCH)
        self._timer_at = loop.time() + delay
        self._timer = loop.call_at(self._timer_at, self._pump)

    def _put(self, outputs: list[Output]) -> None:
        by_peer: dict[int, list[Output]] = {}
        for output in outputs:
            by_peer.setdefault(output.conn, []).append(output)
        for conn, mine in by_peer.items():
            peer = self.by_conn.get(conn)
            if peer is not None:
                peer.put(mine)
