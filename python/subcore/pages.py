"""Pages of one host over HTTP/1.1: one kept connection, everything bounded, and ended from another thread."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from urllib.parse import urlsplit

__all__ = ["Pages"]

STEP_S = 2.0  # each step of a request on the socket
MAX_BODY_BYTES = 4 * 1024 * 1024


class Pages:
    """GETs over one connection, in one thread at a time. No `Origin` is sent: "1 request per 10 s" with it."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._connection: http.client.HTTPConnection | None = None
        self._socket: socket.socket | None = (
            None  # its own: http.client forgets it where a reply ends the connection
        )
        self._lock = threading.Lock()
        self._busy = self._closed = False

    def get(self, path: str) -> tuple[int, float | None, bytes]:
        """(status, seconds that it says to wait, body). Blocks; raises OSError or ValueError."""
        with self._lock:
            if self._closed:
                raise OSError("closed")
            self._busy = True
        try:
            return self._get(path)
        finally:
            with self._lock:
                self._busy = False
                if self._closed:
                    self._drop()

    def _get(self, path: str) -> tuple[int, float | None, bytes]:
        kept = self._connection is not None
        try:
            return self._once(path)
        except (http.client.HTTPException, OSError) as error:
            self._drop()
            if not kept or isinstance(error, TimeoutError) or self._closed:
                raise OSError(str(error) or type(error).__name__) from error
        try:
            return self._once(path)  # what was kept was closed by the other side
        except http.client.HTTPException as error:
            self._drop()
            raise OSError(str(error) or type(error).__name__) from error

    def _once(self, path: str) -> tuple[int, float | None, bytes]:
        connection = self._connection
        if connection is None:
            connection = self._connection = self._connect()
            connection.connect()
            with self._lock:
                self._socket = connection.sock
                if self._closed:
                    raise OSError("closed")
        connection.request("GET", path, headers={"Accept": "application/json", "User-Agent": "subcore"})
        with contextlib.closing(connection.getresponse()) as reply:
            body, missing = reply.read(MAX_BODY_BYTES + 1), reply.length
        if len(body) > MAX_BODY_BYTES:
            self._drop()
            raise ValueError(f"the answer is over {MAX_BODY_BYTES} bytes")
        if missing:
            self._drop()
            raise OSError("the answer broke off")
        if reply.will_close:
            self._drop()
        return reply.status, _seconds(reply.headers.get("Retry-After")), body

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=STEP_S)
        return http.client.HTTPSConnection(host, port, timeout=STEP_S, context=ssl.create_default_context())

    def _drop(self) -> None:
        connection, self._connection, self._socket = self._connection, None, None
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """From another thread: what is under way fails, and its thread drops the connection."""
        with self._lock:
            self._closed = True
            if not self._busy:
                self._drop()
            elif self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)


def _seconds(text: str | None) -> float | None:
    try:
        return max(0.0, float(text)) if text is not None else None
    except ValueError:
        return None
