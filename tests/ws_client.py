"""A WebSocket client on a plain socket, written from RFC 6455 alone: it shares no code with what it tests.

Blocking, with a timeout on every read; run it in a thread beside an event loop.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
import time
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class HandshakeFailed(Exception):
    """The server answered with another status than 101."""

    def __init__(self, status: int, headers: dict[str, str]) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.headers = headers


class Frame(NamedTuple):
    opcode: int
    payload: bytes
    fin: bool
    at: float


class Client:
    """`Client(url).frame()` gives frame after frame; EOFError on FIN, ConnectionResetError on RST."""

    def __init__(self, url: str, headers: dict[str, str] | None = None, timeout: float = 5.0) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self.sock = socket.create_connection((parts.hostname, parts.port or 80), timeout)
        self._buffer = b""
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {parts.path} HTTP/1.1", f"Host: {parts.netloc}", "Upgrade: websocket", "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13",
            *(f"{name}: {value}" for name, value in (headers or {}).items()),
        ]  # fmt: skip
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        try:
            status, self.headers = self._head()
            if status != 101:
                raise HandshakeFailed(status, self.headers)
        except BaseException:
            self.sock.close()
            raise

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.sock.close()

    def _head(self) -> tuple[int, dict[str, str]]:
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
        first, *rest = head.decode("latin-1").split("\r\n")
        pairs = (line.split(":", 1) for line in rest)
        return int(first.split()[1]), {name.lower(): value.strip() for name, value in pairs}

    def _more(self) -> None:
        data = self.sock.recv(1 << 16)
        if not data:
            raise EOFError("the server ended the TCP connection")
        self._buffer += data

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def frame(self) -> Frame:
        """The next frame as it is on the wire."""
        first, second = self._take(2)
        assert not second & 0x80, "a server must not mask"
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", self._take(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._take(8))
        payload = self._take(size)
        return Frame(first & 0x0F, payload, bool(first & 0x80), time.monotonic())

    def json(self) -> Any:
        """The next data frame, parsed."""
        frame = self.frame()
        assert frame.opcode == 2, frame
        return json.loads(frame.payload)

    def frames_for(self, seconds: float) -> list[Frame]:
        """Whatever comes within a time."""
        end = time.monotonic() + seconds
        found = []
        timeout = self.sock.gettimeout()
        while (left := end - time.monotonic()) > 0:
            self.sock.settimeout(left)
            try:
                found.append(self.frame())
            except TimeoutError:
                break
        self.sock.settimeout(timeout)
        return found

    def send(self, payload: Any, opcode: int = 1, *, fin: bool = True, rsv: int = 0) -> None:
        """One masked frame; anything but bytes is sent as JSON."""
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        mask = os.urandom(4)
        size = len(data)
        head = bytes([opcode | (0x80 if fin else 0) | rsv << 4])
        if size < 126:
            head += bytes([0x80 | size])
        elif size < 65536:
            head += bytes([0x80 | 126]) + struct.pack("!H", size)
        else:
            head += bytes([0x80 | 127]) + struct.pack("!Q", size)
        masked = (
            int.from_bytes(data, "big") ^ int.from_bytes((mask * (size // 4 + 1))[:size], "big")
        ).to_bytes(size, "big")
        self.sock.sendall(head + mask + masked)

    def ask(self, type_: str, codes: list[str], **options: Any) -> None:
        self.send([{"ticket": "t"}, {"type": type_, "codes": codes, **options}])

    def wait_end(self) -> str:
        """Read to the end: `close CODE`, `FIN` or `RST`."""
        try:
            while True:
                frame = self.frame()
                if frame.opcode == 8:
                    return f"close {int.from_bytes(frame.payload[:2], 'big')}"
        except EOFError:
            return "FIN"
        except ConnectionResetError:
            return "RST"


def get(url: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """A plain HTTP GET."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    with socket.create_connection((parts.hostname, parts.port or 80), 5.0) as sock:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        lines = [
            f"GET {target} HTTP/1.1",
            f"Host: {parts.netloc}",
            *(f"{k}: {v}" for k, v in (headers or {}).items()),
        ]
        sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        data = b""
        while chunk := sock.recv(1 << 16):
            data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), body
