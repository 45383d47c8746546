"""What a venue's client says and what its frames are about, typed from the venues' documents for the soak alone.

Nothing here comes from the engine's venues: a wrong reading of the documents there would show as a broken promise.
A stream is known by a key: (channel on the wire, symbol, grouping in units of 1e-8).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

Key = tuple[str, str, int]

UNIT = 100_000_000
WORDS = {"book_ticker": "bookTicker", "agg_trade": "aggTrade", "trade": "trade", "candle.1m": "kline_1m"}
# What grows from one message of a stream to the next; else timestamp, and of Binance's books lastUpdateId.
UPBIT_MARKS = {"trade": ("sequential_id", "sid")}
BINANCE_MARKS = {"trade": "t", "aggTrade": "a", "bookTicker": "u", "kline_1m": "E"}


@dataclass(slots=True)
class Said:
    """One message of the client: the whole set (`whole`), or what comes and goes. A listing says nothing of either."""

    whole: dict[Key, int] | None = None  # key to depth, 0 where there is none
    entries: list[list[Key]] = field(default_factory=list)  # as the message groups them
    adds: list[Key] = field(default_factory=list)
    removes: list[Key] = field(default_factory=list)
    listing: bool = False
    ident: str | None = None


class Grammar(Protocol):
    """One venue's."""

    windows: tuple[tuple[int, float], ...]  # messages a connection may send in any so many seconds
    connects: tuple[int, float]  # of one address
    counts_pings: bool
    restates: bool  # a request states all that a connection carries, and is answered with a snapshot of each

    def said(self, payload: bytes) -> Said: ...
    def about(self, payload: bytes) -> list[Key]: ...
    def marks(self, payload: bytes) -> list[tuple[Key, int | None]]: ...
    def listed(self, payload: bytes) -> set[Key] | None: ...
    def is_snapshot(self, payload: bytes) -> bool: ...
    def refuses(self, payload: bytes) -> str | None: ...
    def accepts(self, payload: bytes) -> str | None: ...
    def key(self, channel: str, symbol: str, depth: int | None, grouping: float | None) -> Key: ...


class Upbit:
    """ "one request replaces the whole subscription of its connection"; 5 a second and 100 a minute."""

    windows = ((5, 1.0), (100, 60.0))
    connects = (5, 1.0)
    counts_pings = False
    restates = True

    def said(self, payload: bytes) -> Said:
        """An array: ticket, then one object a type and level with its codes, perhaps a format; or a method."""
        items = json.loads(payload)
        if any("method" in item for item in items):
            return Said(listing=True)
        said = Said(whole={})
        assert said.whole is not None
        for item in items:
            if "codes" in item:
                said.entries.append([])
            for code in item.get("codes", ()):
                symbol, _, depth = code.partition(".")
                key = (item["type"], symbol, round(item.get("level", 0) * UNIT))
                if key in said.whole:
                    raise AssertionError(f"{key} stands twice in one message: {payload!r}")
                said.whole[key] = int(depth or 0)
                said.entries[-1].append(key)
        return said

    def about(self, payload: bytes) -> list[Key]:
        """Long or short names, alone or in a list."""
        return [key for key, _ in self._items(payload)]

    def marks(self, payload: bytes) -> list[tuple[Key, int | None]]:
        """By "timestamp"; trades by "sequential_id", since several share one. Ids are unique and need not come in
        order: one above all before was not there before."""
        found: list[tuple[Key, int | None]] = []
        for key, one in self._items(payload):
            long, short = UPBIT_MARKS.get(key[0], ("timestamp", "tms"))
            found.append((key, _number(one.get(long, one.get(short)))))
        return found

    def _items(self, payload: bytes) -> Iterator[tuple[Key, dict[str, Any]]]:
        found = _parsed(payload)
        for one in found if isinstance(found, list) else [found]:
            kind = one.get("type", one.get("ty")) if isinstance(one, dict) else None
            code = one.get("code", one.get("cd")) if isinstance(one, dict) else None
            if isinstance(kind, str) and isinstance(code, str) and ("stream_type" in one or "st" in one):
                level = one.get("level", one.get("lv", 0)) or 0
                yield (kind, code, round(level * UNIT)), one

    def listed(self, payload: bytes) -> set[Key] | None:
        """Long names (method, result, type, codes, level) or short ones (mthd, rslt, ty, cds, lv)."""
        found = _object(payload)
        if found is None or found.get("method", found.get("mthd")) != "LIST_SUBSCRIPTIONS":
            return None
        return {
            (
                row.get("type", row.get("ty")),
                code.partition(".")[0],
                round((row.get("level", row.get("lv")) or 0) * UNIT),
            )
            for row in found.get("result", found.get("rslt", ()))
            for code in row.get("codes", row.get("cds", ()))
        }

    def is_snapshot(self, payload: bytes) -> bool:
        """Sent because it was asked for; which request asked, no frame tells."""
        return b'"SNAPSHOT"' in payload

    def refuses(self, payload: bytes) -> str | None:
        """An error ends the connection here: there is nothing left to keep books of."""
        return None

    def accepts(self, payload: bytes) -> str | None:
        """Nothing is acknowledged."""
        return None

    def key(self, channel: str, symbol: str, depth: int | None, grouping: float | None) -> Key:
        """Its depth is no part of a stream: frames do not show it."""
        return (channel, symbol, round((grouping or 0) * UNIT))


class Binance:
    """SUBSCRIBE and UNSUBSCRIBE with ids; "5 incoming messages per second", pings and pongs among them."""

    windows = ((5, 1.0),)
    connects = (300, 300.0)
    counts_pings = True
    restates = False

    def said(self, payload: bytes) -> Said:
        found = json.loads(payload)
        keys = [_stream(name) for name in found.get("params", ())]
        if found["method"] == "SUBSCRIBE":
            return Said(adds=keys, ident=str(found["id"]))
        if found["method"] == "UNSUBSCRIBE":
            return Said(removes=keys, ident=str(found["id"]))
        return Said(listing=True)

    def about(self, payload: bytes) -> list[Key]:
        found = _object(payload)
        name = None if found is None else found.get("stream")
        return [_stream(name)] if isinstance(name, str) else []

    def marks(self, payload: bytes) -> list[tuple[Key, int | None]]:
        """Ids of trades and of changes of a book; a kline has the time at which it was told."""
        found = _object(payload) or {}
        data = found.get("data")
        word = data.get if isinstance(data, dict) else {}.get
        return [
            (key, _number(word(BINANCE_MARKS.get(key[0], "lastUpdateId")))) for key in self.about(payload)
        ]

    def listed(self, payload: bytes) -> set[Key] | None:
        """{"result": [names], "id": ...}"""
        found = _object(payload)
        result = None if found is None else found.get("result")
        return {_stream(name) for name in result} if isinstance(result, list) else None

    def is_snapshot(self, payload: bytes) -> bool:
        """This venue sends none."""
        return False

    def refuses(self, payload: bytes) -> str | None:
        """{"error": {"code", "msg"}, "id"} or {"code", "msg", "id"}: nothing of that request is in force."""
        found = _object(payload)
        return str(found.get("id")) if found is not None and ("error" in found or "code" in found) else None

    def accepts(self, payload: bytes) -> str | None:
        """{"result": null, "id"}"""
        found = _object(payload)
        said = found is not None and "result" in found and found["result"] is None
        return str(found.get("id")) if found is not None and said else None

    def key(self, channel: str, symbol: str, depth: int | None, grouping: float | None) -> Key:
        """Each depth is a stream of its own; 20 where nobody says."""
        return (f"depth{depth or 20}" if channel == "orderbook" else WORDS[channel], symbol, 0)


def _stream(name: str) -> Key:
    symbol, _, kind = name.partition("@")
    return (kind.partition("@")[0], symbol.upper(), 0)


def _number(value: Any) -> int | None:
    return value if type(value) is int else None


@lru_cache(maxsize=64)  # each frame is asked for what it is more than once
def _parsed(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return None


def _object(payload: bytes) -> dict[str, Any] | None:
    found = _parsed(payload)
    return found if isinstance(found, dict) else None
