"""Traffic for load: each stream repeats a cycle of its first frames with fresh times and trade ids.

Computed anew, one core of a slow shared machine makes about 25,000 tickers, 40,000 trades or 18,000 books of 30 levels
a second, scheduling and state included; patched, about 135,000 tickers, 120,000 trades or 100,000 books (the same core
needs 100 ms for a million additions in a Python loop). Markets live until each of their
streams has its cycle full and stand still from then on, but every frame remains valid, ids remain unique and times
remain true.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from .encode import clock_texts
from .requests import Wanted
from .traffic import MS, Feed, Traffic

__all__ = ["CyclingTraffic"]

_CHANGING = re.compile(
    r'"(timestamp|tms|trade_timestamp|ttms|sequential_id|sid|trade_date|tdt|td|trade_time|ttm)":("[^"]*"|\d+)'
)


class _Cycle:
    """The kept frames of one spelling of one stream: text with places for what changes."""

    __slots__ = ("frames", "next")

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.next = 0


class CyclingTraffic(Traffic):
    """`Traffic` that computes `variety` frames a stream and then repeats them."""

    def __init__(self, variety: int, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._variety = variety
        self._cycles: dict[tuple[str, str, str, int, int], _Cycle] = {}
        self._full: dict[str, set[str]] = {}
        self._last_id: dict[str, int] = {}

    def _tell_order(self, feed: Feed, now: int) -> None:
        full = self._full.get(feed.market.code)
        subscribers = feed.subscribers
        if full is None or not full >= subscribers.keys():
            super()._tell_order(feed, now)
            return
        if "trade" in subscribers:
            self._emit(feed, "trade", now, None)
        if "ticker" in subscribers:
            self._emit(feed, "ticker", now, None)

    def _tell_book(self, feed: Feed, now: int) -> None:
        if "orderbook" in self._full.get(feed.market.code, ()):
            self._emit(feed, "orderbook", now, None)
        else:
            super()._tell_book(feed, now)

    def _frame(self, feed: Feed, wanted: Wanted, format: str, stream_type: str, item: Any, now: int) -> bytes:
        if stream_type != "REALTIME" or wanted.type.startswith("candle"):
            return super()._frame(feed, wanted, format, stream_type, item, now)
        key = (wanted.code, wanted.type, format, wanted.depth, wanted.level)
        cycle = self._cycles.get(key)
        if cycle is None:
            cycle = self._cycles[key] = _Cycle()
        if len(cycle.frames) < self._variety:
            if wanted.type == "trade" and item is None:
                item = self._state(feed).last_trade
            frame = super()._frame(feed, wanted, format, stream_type, item, now)
            cycle.frames.append(_template(frame))
            if len(cycle.frames) == self._variety:
                self._full.setdefault(wanted.code, set()).add(wanted.type)
            return frame
        cycle.next = (cycle.next + 1) % self._variety
        template = cycle.frames[cycle.next]
        now_ms = now // MS
        if wanted.type == "orderbook":
            return template % now_ms
        trade_ms = now_ms - self._frame_delay_ms
        date, clock, dashed_date, colon_clock = _clock(trade_ms // 1000)
        if wanted.type == "ticker":
            return template % (date, clock, trade_ms, now_ms)
        ident = max(self._last_id.get(wanted.code, 0) + 1, trade_ms * 10_000 + 1)
        self._last_id[wanted.code] = ident
        return template % (now_ms, dashed_date, colon_clock, trade_ms, ident)


@lru_cache(maxsize=64)
def _clock(second: int) -> tuple[bytes, ...]:
    return tuple(text.encode() for text in clock_texts(second))


def _template(frame: bytes) -> bytes:
    """A frame with places for its times and ids, in the order in which the frames hold them."""

    def place(found: re.Match[str]) -> str:
        return f'"{found.group(1)}":"%b"' if found.group(2).startswith('"') else f'"{found.group(1)}":%d'

    return _CHANGING.sub(place, frame.decode().replace("%", "%%")).encode()
