"""What a client may ask, as the venue reads it: one JSON object in, a `Request` or a `Refused` out."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

__all__ = ["DEPTHS", "KLINES", "Refused", "Request", "Stream", "parse_request", "parse_stream"]

METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
KEYS = ("method", "params", "id")
DEPTHS = (5, 10, 20)
KLINES = (
    "1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M",
)  # fmt: skip
_KINDS = re.compile(
    r"(bookTicker|aggTrade|trade|kline_(?:" + "|".join(KLINES) + r")|depth(?:5|10|20))(@100ms)?"
)
_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
UNKNOWN_PROPERTY, INVALID_TYPE, INVALID_REQUEST, INVALID_JSON, TOO_MANY = range(5)


class Refused(Exception):
    """A request the venue answers with an error."""

    def __init__(self, code: int, message: str, ident: int | str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.ident = ident


@dataclass(frozen=True)
class Stream:
    """One stream by what it is about. `kind` is its name behind the symbol, speed and all."""

    code: str
    type: str
    """Kind without speed: `depth5`."""
    kind: str

    @property
    def is_fast(self) -> bool:
        """Whether a book is looked at ten times a second."""
        return self.kind.endswith("@100ms")


@dataclass(frozen=True)
class Request:
    """An acceptable request; `params` are names of streams, or of a property and its value."""

    method: str
    params: tuple[Any, ...]
    ident: int | str | None


def parse_stream(name: str) -> Stream | None:
    """The stream of that name; None for one that the venue would never send: misspelt, or in upper case."""
    symbol, _, kind = name.partition("@")
    found = _KINDS.fullmatch(kind)
    if found is None or not symbol or symbol != symbol.lower():
        return None
    if found[2] and not found[1].startswith("depth"):
        return None
    return Stream(symbol.upper(), found[1], kind)


def parse_request(payload: bytes) -> Request:
    """Read a request. Raises `Refused`, with the request's id where it could be read."""
    try:
        said = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise Refused(INVALID_JSON, f"Invalid JSON: {type(error).__name__}") from None
    if not isinstance(said, dict):
        raise Refused(INVALID_REQUEST, "Invalid request: not an object")
    ident = said.get("id")
    if isinstance(ident, bool) or not (
        ident is None
        or (isinstance(ident, int) and 0 <= ident < 1 << 63)
        or (isinstance(ident, str) and _ID.fullmatch(ident))
    ):
        raise Refused(INVALID_REQUEST, "Invalid request: request ID must be an unsigned integer")
    for key in said:
        if key not in KEYS:
            raise Refused(UNKNOWN_PROPERTY, f"Unknown property: {key!r}", ident)
    method = said.get("method")
    if method is None:
        raise Refused(INVALID_REQUEST, "Invalid request: missing field `method`", ident)
    if method not in METHODS:
        expected = ", ".join(f"`{name}`" for name in METHODS)
        raise Refused(INVALID_REQUEST, f"Invalid request: unknown variant, expected one of {expected}", ident)
    return Request(method, _params(method, said.get("params"), ident), ident)


def _params(method: str, params: Any, ident: int | str | None) -> tuple[Any, ...]:
    if method == "LIST_SUBSCRIPTIONS":
        return ()
    if not isinstance(params, list) or not params:
        raise Refused(INVALID_REQUEST, "Invalid request: missing field `params`", ident)
    if method == "SET_PROPERTY":
        if len(params) != 2 or params[0] != "combined" or not isinstance(params[1], bool):
            raise Refused(INVALID_TYPE, "Invalid value type: expected Boolean", ident)
    elif method == "GET_PROPERTY":
        if params != ["combined"]:
            raise Refused(UNKNOWN_PROPERTY, "Unknown property", ident)
    elif not all(isinstance(name, str) and name for name in params):
        raise Refused(INVALID_REQUEST, "Invalid request: invalid stream", ident)
    return tuple(params)
