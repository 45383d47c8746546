"""The dashboard of one manager: a port, its clients, and their end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..checking import check_seconds
from .access import Access
from .answers import Answer, said
from .assets import assets
from .connection import Connection, Stream
from .figures import Figures
from .requests import Request
from .routes import Routes

if TYPE_CHECKING:
    from ..looking import Looking

__all__ = ["Dashboard"]

log = logging.getLogger("subcore.dashboard")

CONNECTIONS = 64
"""At once; more are told to come back."""
REQUESTS_PER_S = 200
"""Of all clients together that may look, and as many of those that may not; more are told to wait."""
LOOK_S = 1.0
LOG_ERRORS_EVERY_S = 60.0


class Dashboard:
    """A web page about one manager, and the same as JSON. Made by `SubscriptionManager.serve_dashboard`.

    `url` is its address; `counts` what came: connections, requests, refused, bad_requests, slow_clients,
    skipped_events, too_many_connections, too_many_requests, errors. Ends with the manager.
    Belongs to the loop's thread.
    """

    def __init__(
        self, manager: Looking, host: str, port: int, token: str | None, hosts: Iterable[str]
    ) -> None:
        self._access = Access(host, token, hosts)
        self._manager = manager
        self.host = host
        self.port = port
        self.counts: Counter[str] = Counter()
        self._figures = Figures(manager, secrets.token_hex(8))
        self._routes = Routes(manager, self._figures)
        self._connections: set[Connection] = set()
        self._viewers: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._sent_at = self._logged_at = -LOG_ERRORS_EVERY_S
        self._second = 0
        self._in_second: Counter[bool] = Counter()  # by whether they may look
        self._closed = False

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it; a token is not part of it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self.host, self.host)
        return f"http://[{host}]:{self.port}/" if ":" in host else f"http://{host}:{self.port}/"

    @property
    def viewers(self) -> int:
        """Pages that are being kept up to date."""
        return len(self._viewers)

    async def start(self) -> None:
        """Listen. OSError where the port cannot be had."""
        assets()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(self), self.host, self.port)
        if self._closed:  # with the manager, meanwhile
            server.close()
            return
        self._server = server
        self.port = self._access.port = server.sockets[0].getsockname()[1]
        self._look()

    async def close(self, *, timeout: float = 5.0) -> None:
        """Stop listening, and end all connections and tasks, within `timeout` seconds. Idempotent."""
        self._manager.check_thread()
        check_seconds("timeout", timeout)
        self.finish()
        await self.ended(timeout)
        with contextlib.suppress(ValueError):
            self._manager._hub.dashboards.remove(self)

    def finish(self) -> None:
        """Tell everything to end. Never waits."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._server is not None:
            self._server.close()
        self._figures.cancel()
        for connection in list(self._connections):
            connection.abort()

    async def ended(self, timeout: float) -> list[str]:
        """Wait until nothing is left; what is left after `timeout` seconds, by name."""
        until = time.monotonic() + timeout
        tasks = self._figures.tasks()
        if tasks:
            await asyncio.wait(tasks, timeout=timeout)
        while self._connections and time.monotonic() < until:
            await asyncio.sleep(0)  # their transports end in the next turns
        left = [f"{len(self._connections)} connections of the dashboard"] if self._connections else []
        return [*left, *(task.get_name() for task in self._figures.tasks())]

    # -- what connections ask --

    def admit(self, connection: Connection) -> bool:
        """See connection.Owner."""
        self.counts["connections"] += 1
        self._connections.add(connection)
        if self._closed:  # it was being accepted as the port was closed
            connection.abort()
            return True
        if len(self._connections) > CONNECTIONS:
            self.counts["too_many_connections"] += 1
            return False
        return True

    def left(self, connection: Connection) -> None:
        """See connection.Owner."""
        self._connections.discard(connection)
        self._viewers.discard(connection)

    def answer(self, request: Request) -> Answer | Stream | asyncio.Future[Answer]:
        """See connection.Owner."""
        refusal = self._access.judge(request)
        second = int(time.monotonic())
        if second != self._second:
            self._second = second
            self._in_second.clear()
        may_look = refusal is None  # who may not is counted by himself: he keeps nobody out
        self._in_second[may_look] += 1
        if self._in_second[may_look] > REQUESTS_PER_S:
            self.counts["too_many_requests"] += 1
            return said(429, f"more than {REQUESTS_PER_S} requests a second", ("Retry-After", "1"))
        return self._routes.answer(request) if refusal is None else refusal

    def joined(self, connection: Connection) -> None:
        """See connection.Owner: it gets what is new at once, and then with the others."""
        self._viewers.add(connection)
        self._figures.live.get().add_done_callback(lambda made: self._push(made, [connection]))

    def failed(self, error: Exception) -> None:
        """See connection.Owner."""
        self.counts["errors"] += 1
        now = time.monotonic()
        if now - self._logged_at >= LOG_ERRORS_EVERY_S:
            self._logged_at = now
            log.error("an answer of the dashboard failed: %r", error, exc_info=error)

    # -- time --

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(LOOK_S, self._look)
        try:
            self._figures.look()
        except Exception as error:
            self.failed(error)
            return
        if self._viewers and loop.time() - self._sent_at >= self._figures.live.interval_s - LOOK_S / 2:
            self._sent_at = loop.time()
            live = self._figures.live.get(anew=True)
            live.add_done_callback(lambda made: self._push(made, list(self._viewers)))

    def _push(self, made: asyncio.Future[bytes], to: list[Connection]) -> None:
        if made.cancelled():
            return
        error = made.exception()
        if error is None:
            event = made.result()
            for connection in to:
                connection.push(event)
        elif isinstance(error, Exception):
            self.failed(error)
