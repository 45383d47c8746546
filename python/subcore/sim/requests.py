"""What a client may ask, as the venue reads it: one JSON array in, a `Request` or a `Refused` out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .book import DEPTH
from .encode import FORMATS, PUBLIC_TYPES
from .markets import UNIT
from .private_frames import PRIVATE_TYPES

__all__ = ["DEPTHS", "Refused", "Request", "Wanted", "parse_request"]

DEPTHS = {"1": 1, "5": 5, "15": 15, "30": 30}
_ONLY_SNAPSHOT = ("is_only_snapshot", "isOnlySnapshot")
_ONLY_REALTIME = ("is_only_realtime", "isOnlyRealtime")


@dataclass(frozen=True)
class Wanted:
    """One stream of a request. The frames show no depth, so two depths of a code differ only in their
    units."""

    type: str
    code: str
    depth: int = 0
    """Book levels; 0 for other types."""
    level: int = 0
    """Price grouping in units of 1e-8; 0 = none."""

    @property
    def listed_code(self) -> str:
        """The code with its depth suffix, as the client wrote it (30 is the default and left out)."""
        return f"{self.code}.{self.depth}" if self.depth not in (0, DEPTH) else self.code


@dataclass(frozen=True)
class Request:
    """An acceptable request. `streams` maps each wanted stream to (snapshot, realtime); None =
    LIST_SUBSCRIPTIONS."""

    ticket: str
    format: str | None
    streams: dict[Wanted, tuple[bool, bool]] | None


class Refused(Exception):
    """The request is refused: error frame, then close. `name` as on the wire, the text as the venue words
    it."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def parse_request(payload: bytes, types: tuple[str, ...] = PUBLIC_TYPES) -> Request:
    """Read a request; `types` are those of the path. Raises `Refused` for anything else than a good
    request."""
    try:
        items = json.loads(payload.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise Refused("WRONG_FORMAT", "Format 이 맞지 않습니다.") from None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Refused("WRONG_FORMAT", "Format 이 맞지 않습니다.")
    ticket = _ticket(items)
    format = _format(items)
    if any(item.get("method") == "LIST_SUBSCRIPTIONS" for item in items):
        return Request(ticket, format, None)
    if any("method" in item for item in items):
        raise Refused("INVALID_PARAM", "지원하지 않는 method 입니다.")
    asked = [item for item in items if "type" in item]
    if not asked:
        raise Refused("NO_TYPE", "타입이 존재하지 않습니다.")
    streams: dict[Wanted, tuple[bool, bool]] = {}
    for item in asked:
        _read_type(item, types, streams)
    return Request(ticket, format, streams)


def _ticket(items: list[dict[str, Any]]) -> str:
    for item in items:
        ticket = item.get("ticket")
        if isinstance(ticket, str) and ticket:
            return ticket
    raise Refused("NO_TICKET", "티켓이 존재하지 않거나, 유효하지 않습니다.")


def _format(items: list[dict[str, Any]]) -> str | None:
    """The last format named holds; none named leaves the choice to the connection."""
    format: str | None = None
    for item in items:
        if "format" in item:
            value = item["format"]
            if value not in FORMATS:
                raise Refused("INVALID_PARAM", "지원하지 않는 format 입니다.")
            format = value
    return format


def _read_type(
    item: dict[str, Any], types: tuple[str, ...], streams: dict[Wanted, tuple[bool, bool]]
) -> None:
    type_ = item["type"]
    if type_ not in types:
        shown = type_ if isinstance(type_, str) and len(type_) < 64 and type_.isprintable() else "type"
        shown = shown.replace("\\", "").replace('"', "")
        raise Refused("INVALID_PARAM", f"{shown} 은 지원하지 않는 타입입니다.")
    if type_ in PRIVATE_TYPES:
        _read_private(item, streams)
        return
    if "codes" not in item:
        raise Refused("NO_CODES", "코드가 존재하지 않습니다.")
    codes = item["codes"]
    if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
        raise Refused("WRONG_FORMAT", "Format 이 맞지 않습니다.")
    if not codes:
        raise Refused("INVALID_PARAM", "코드가 비어 있습니다.")
    only_snapshot, only_realtime = _flag(item, _ONLY_SNAPSHOT), _flag(item, _ONLY_REALTIME)
    level = _level(item)
    for code in codes:
        wanted = Wanted(type_, code)
        if type_ == "orderbook":
            market, _, suffix = code.partition(".")
            wanted = Wanted(type_, market, DEPTHS.get(suffix, DEPTH), level)
        streams[wanted] = (not only_realtime, not only_snapshot)


def _read_private(item: dict[str, Any], streams: dict[Wanted, tuple[bool, bool]]) -> None:
    """ "codes optional for myOrder: missing or [] = all markets"; "must not be sent" for myAsset. No snapshots."""
    codes = item.get("codes", [])
    if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
        raise Refused("WRONG_FORMAT", "Format 이 맞지 않습니다.")
    if item["type"] == "myAsset" and "codes" in item:
        raise Refused("WRONG_FORMAT", "Format 이 맞지 않습니다.")
    for code in codes or [""]:
        streams[Wanted(item["type"], code)] = (False, True)


def _flag(item: dict[str, Any], spellings: tuple[str, str]) -> bool:
    value = False
    for spelling in spellings:
        if spelling in item:
            value = item[spelling]
            if not isinstance(value, bool):
                raise Refused("INVALID_PARAM", f"{spelling} 값이 올바르지 않습니다.")
    return value


def _level(item: dict[str, Any]) -> int:
    level = item.get("level", 0)
    if isinstance(level, bool) or not isinstance(level, int | float) or not 0 <= level <= 10**12:
        raise Refused("INVALID_PARAM", "level 값이 올바르지 않습니다.")
    return round(level * UNIT)
