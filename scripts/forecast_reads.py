"""How often a socket has something to read, on which an exchange sends: counted by a client that does nothing else."""

from __future__ import annotations

import base64
import os
import selectors
import socket
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

__all__ = ["reads_a_second"]

MOST = 1 << 20
GAP_S = 0.35  # between two messages of one connection, which any venue allows
PATIENCE_S = 10.0


def reads_a_second(
    url: str, path: str, requests: Sequence[Sequence[tuple[int, bytes]]], seconds: float
) -> float:
    """Of all these connections together: each sends its messages (opcode, payload), and then they are read at once."""
    with selectors.DefaultSelector() as selector:
        for messages in requests:
            selector.register(_connected(url, path), selectors.EVENT_READ, list(messages))
        try:
            while any(key.data for key in selector.get_map().values()):
                _send_one_each(selector)
                _read(selector, GAP_S)
            _read(selector, 1.0)
            return _read(selector, seconds) / seconds
        finally:
            for key in list(selector.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]


def _connected(url: str, path: str) -> socket.socket:
    parts = urlsplit(url)
    peer = socket.create_connection((parts.hostname, parts.port), PATIENCE_S)
    key = base64.b64encode(os.urandom(16)).decode()
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
    )
    peer.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode())
    said = b""
    while b"\r\n\r\n" not in said:
        more = peer.recv(4096)
        if not more:
            raise OSError(f"{url} ended the handshake: {said[:200]!r}")
        said += more
    if b" 101 " not in said.partition(b"\r\n")[0]:
        raise OSError(f"{url} refused the handshake: {said[:200]!r}")
    return peer


def _send_one_each(selector: selectors.BaseSelector) -> None:
    for key in selector.get_map().values():
        if key.data:
            key.fileobj.sendall(_masked(*key.data.pop(0)))  # type: ignore[union-attr]


def _read(selector: selectors.BaseSelector, seconds: float) -> int:
    """For so long; how often there was something."""
    reads, ends = 0, time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0:
        ready = selector.select(left)
        reads += bool(ready)
        for key, _ in ready:
            if not key.fileobj.recv(MOST):  # type: ignore[union-attr]
                raise OSError("the exchange closed a connection while its pieces were counted")
    return reads


def _masked(opcode: int, payload: bytes) -> bytes:
    size, mask = len(payload), os.urandom(4)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    if size >= 1 << 16:
        length = b"\xff" + size.to_bytes(8, "big")
    return bytes((0x80 | opcode,)) + length + mask + bytes(b ^ mask[at % 4] for at, b in enumerate(payload))
