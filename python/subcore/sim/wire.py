"""WebSocket frames and HTTP replies as a server puts them on the wire (server frames carry no mask)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus

from .connection import CLOSE

__all__ = ["claimed_address", "close_frame", "frame_header", "http_reply", "server_frame"]


def claimed_address(headers: Mapping[str, str]) -> str:
    """The client that `X-Forwarded-For` names first, before the proxies on the way; "" without one."""
    return headers.get("X-Forwarded-For", "").partition(",")[0].strip()


def server_frame(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """One unmasked frame."""
    return frame_header(opcode, len(payload), fin) + payload


@lru_cache(maxsize=4096)
def frame_header(opcode: int, size: int, fin: bool) -> bytes:
    """What stands before a payload of `size` bytes."""
    first = opcode | (0x80 if fin else 0)
    if size < 126:
        return bytes((first, size))
    if size < 65536:
        return bytes((first, 126, size >> 8, size & 255))
    return bytes((first, 127)) + size.to_bytes(8, "big")


def close_frame(code: int) -> bytes:
    """A close frame; a code that may not be sent (1005, 1006, below 1000) becomes an empty one."""
    sendable = 1000 <= code < 5000 and code not in (1004, 1005, 1006, 1015)
    return server_frame(CLOSE, code.to_bytes(2, "big") if sendable else b"")


def http_reply(status: int, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """An HTTP/1.1 reply; a body's length is added for every status but 101."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    if status != 101:
        lines += [f"Content-Length: {len(body)}", "Connection: close"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace") + body
