"""One HTTP answer as a value, and as bytes with the headers that every answer has. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec

__all__ = ["JSON", "Answer", "as_bytes", "json_answer", "json_bytes", "said", "stream_head"]

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
# Nothing from elsewhere, nothing inline; no page may frame this one, and none of another origin read it.
HEADERS = (
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options: nosniff",
    "X-Frame-Options: DENY",
    "Referrer-Policy: no-referrer",
    "Cross-Origin-Opener-Policy: same-origin",
    "Cross-Origin-Resource-Policy: same-origin",
    "Cache-Control: no-store",
)
_FIXED = "\r\n".join(HEADERS)


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` beside those that every answer has; names and values of our own making only."""

    status: int
    body: bytes = b""
    kind: str = TEXT
    headers: tuple[tuple[str, str], ...] = ()


def said(status: int, text: str, *headers: tuple[str, str]) -> Answer:
    """A line of text."""
    return Answer(status, f"{text}\n".encode(), TEXT, headers)


def json_bytes(value: Any) -> bytes:
    """Of plain JSON types; NaN and infinities become null."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # a name that UTF-8 cannot say; JSON can, in ASCII
        return json.dumps(value, allow_nan=False).encode("ascii")


def json_answer(value: Any, status: int = 200) -> Answer:
    """Of plain JSON types."""
    return Answer(status, json_bytes(value), JSON)


def _head(answer: Answer, *more: str) -> bytes:
    lines = [
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
        f"Content-Type: {answer.kind}",
        *(f"{name}: {value}" for name, value in answer.headers),
        *more,
        _FIXED,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def as_bytes(answer: Answer, *, keep_alive: bool, with_body: bool = True) -> bytes:
    """The whole answer; without its body for HEAD."""
    length = f"Content-Length: {len(answer.body)}"
    head = _head(answer, length, f"Connection: {'keep-alive' if keep_alive else 'close'}")
    return head + answer.body if with_body else head


def stream_head() -> bytes:
    """What begins a stream of events, which ends with the connection."""
    return _head(Answer(200, kind="text/event-stream"), "Connection: close")
