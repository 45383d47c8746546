"""One HTTP request, read strictly: the bytes of its head in, a value or a refusal out. Pure.

Only what the page needs is understood: GET and HEAD without a body, a target that begins with a slash, and lines that
end in CR LF. All else is refused with the status that says why, and nothing of it is echoed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

__all__ = ["HEAD_LIMIT", "BadRequest", "Request", "parse"]

HEAD_LIMIT = 16 * 1024
"""Bytes of a request line and its headers. Cookies of other servers on the same host come along."""
TARGET_LIMIT = 2048
HEADER_LIMIT = 64
PARAMETER_LIMIT = 8

_LINE = re.compile(rb"([!-~]{1,32}) ([!-~]+) HTTP/([0-9])\.([0-9])")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*)")
_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_ONCE = {"host", "origin", "authorization", "content-length", "transfer-encoding"}


class BadRequest(Exception):
    """`status` and, in its text, what to do instead."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """`headers` by lower-case name, values of one name joined; `path` as it was sent, `query` decoded."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    keep_alive: bool


def parse(head: bytes) -> Request:
    """The request whose line and headers are `head`, without the empty line. Raises BadRequest. O(len(head))."""
    line, *fields = head.split(b"\r\n")
    matched = _LINE.fullmatch(line)
    if matched is None:
        raise BadRequest(400, "the request line is malformed")
    method, target, major, minor = matched.groups()
    if major != b"1":
        raise BadRequest(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
    if method not in (b"GET", b"HEAD"):
        raise BadRequest(405, "only GET and HEAD are answered: nothing can be changed from here")
    if len(target) > TARGET_LIMIT:
        raise BadRequest(414, f"the address is longer than {TARGET_LIMIT} bytes")
    if len(fields) > HEADER_LIMIT:
        raise BadRequest(431, f"there are more than {HEADER_LIMIT} headers")
    headers = _headers(fields)
    if headers.get("content-length", "0").strip("0") or "transfer-encoding" in headers:
        raise BadRequest(413, "a request may not have a body")
    path, query = _target(target)
    return Request(method.decode(), path, query, headers, _keeps_alive(headers, minor != b"0"))


def _headers(fields: list[bytes]) -> dict[str, str]:
    found: dict[str, str] = {}
    for field in fields:
        matched = _HEADER.fullmatch(field)
        if matched is None:
            raise BadRequest(400, "a header is malformed")
        name, value = matched[1].decode().lower(), matched[2].decode("latin-1").rstrip(" \t")
        if name not in found:
            found[name] = value
        elif name in _ONCE:
            raise BadRequest(400, f"there are two headers {name}")
        else:
            found[name] += ("; " if name == "cookie" else ", ") + value
    return found


def _target(target: bytes) -> tuple[str, dict[str, str]]:
    path, _, asked = target.partition(b"?")
    if not path.startswith(b"/") or b"#" in target:
        raise BadRequest(400, "the address must begin with / and have no #")
    parts = [part for part in asked.split(b"&") if part]
    if len(parts) > PARAMETER_LIMIT:
        raise BadRequest(400, f"the address has more than {PARAMETER_LIMIT} parameters")
    query: dict[str, str] = {}
    for part in parts:
        name, _, value = part.partition(b"=")
        if (key := _decoded(name)) in query:
            raise BadRequest(400, "a parameter is given twice")
        query[key] = _decoded(value)
    return path.decode(), query


def _decoded(escaped: bytes) -> str:
    if _ESCAPE.search(escaped):
        raise BadRequest(400, "a % in the address is not followed by two hexadecimal digits")
    try:
        return unquote_to_bytes(escaped.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise BadRequest(400, "the address is not UTF-8") from None


def _keeps_alive(headers: Mapping[str, str], is_1_1: bool) -> bool:
    asked = {word.strip().lower() for word in headers.get("connection", "").split(",")}
    return is_1_1 and "close" not in asked
