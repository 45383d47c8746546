"""Traffic for load: each stream repeats a cycle of its first frames with fresh times and trade ids.

Computing a frame anew, with its scheduling and state, costs several times what patching a kept one does;
`benchmarks/sim_rate.py` prints what a machine can put on a socket. Markets live until each of their streams has its
cycle full, then stand still and beat together (see `bulk`); every frame remains valid, ids remain unique and times
remain true.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any

from .bulk import BulkClock
from .connection import Subscription
from .durations import SECOND
from .encode import clock_texts
from .requests import Wanted
from .traffic import MS, Feed, Traffic

__all__ = ["CyclingTraffic"]

_CHANGING = re.compile(
    rb'"(timestamp|tms|trade_timestamp|ttms|sequential_id|sid|trade_date|tdt|td|trade_time|ttm)":("?)([^",}]+)'
)
_DEPENDS = {"ticker", "trade"}  # what an order moves, besides candles


class Cycle:
    """The kept frames of one spelling of one stream: each is the pieces between what changes."""

    __slots__ = ("format", "frames", "full", "last", "next", "told_ms")

    def __init__(self, format: str) -> None:
        self.format = format
        self.frames: list[list[bytes]] = []
        self.next = 0
        self.full = False
        self.last = b""  # the last trade that went out
        self.told_ms = 0  # time of the last frame


class CyclingTraffic(Traffic):
    """`Traffic` that computes `variety` frames a stream and then repeats them."""

    def __init__(self, variety: int, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._variety = variety
        self._cycles: dict[tuple[str, str, str, int, int], Cycle] = {}
        self._full: dict[str, set[str]] = {}
        self._last_id: dict[str, int] = {}
        seed = self.seed
        self._orders = BulkClock(
            f"orders {seed}",
            self._schedule,
            self._tell_orders,
            lambda feed: feed.market.trade_rate * self.rate,
        )
        self._books = BulkClock(f"books {seed}", self._schedule, self._tell_books, self._books_a_second)

    # -- into the common beat and out of it --------------------------------------------------------

    def add(self, subscription: Subscription, now: int) -> None:
        """See Traffic; a stream whose cycle is not full brings its market back to life."""
        wanted = subscription.wanted
        feed = self.feeds[wanted.code]
        if feed in self._orders and wanted.type not in self._full.get(wanted.code, ()):
            self._orders.leave(feed)
            feed.orders_running = False
        super().add(subscription, now)

    def _order(self, now: int, feed: Feed) -> None:
        if not feed.subscribers or not self._is_full(feed):
            super()._order(now, feed)
        elif feed.subscribers.keys() & _DEPENDS:
            self._orders.join(feed, now)
        else:
            feed.orders_running = False  # its books beat by themselves, and nothing else shows an order

    def _book(self, now: int, feed: Feed) -> None:
        is_kept = "orderbook" in self._full.get(feed.market.code, ())
        if now == feed.book_due and is_kept and "orderbook" in feed.subscribers:
            feed.book_due = -1
            self._books.join(feed, now)
        else:
            super()._book(now, feed)

    def _is_full(self, feed: Feed) -> bool:
        full = self._full.get(feed.market.code)
        return full is not None and full >= feed.subscribers.keys()

    def _tell_orders(self, feeds: list[Feed], now: int) -> None:
        for feed in feeds:
            subscribers = feed.subscribers
            if not subscribers.keys() & _DEPENDS:
                self._orders.leave(feed)
                feed.orders_running = False
                continue
            if "trade" in subscribers:
                self._repeat(feed, "trade", now)
            if "ticker" in subscribers:
                self._repeat(feed, "ticker", now)

    def _tell_books(self, feeds: list[Feed], now: int) -> None:
        for feed in feeds:
            if "orderbook" in feed.subscribers:
                self._repeat(feed, "orderbook", now)
            else:
                self._books.leave(feed)
                feed.book_due = 0

    def _books_a_second(self, feed: Feed) -> float:
        """What `_next_book` and the orders that move a KRW book come to in the mean."""
        own = self._own_book_rate(feed.market)
        if feed.market.quote == "KRW":
            step = self._grid / SECOND
            still = (1.0 - min(0.98, own * step)) * math.exp(-feed.market.trade_rate * self.rate * step)
            return (1.0 - still) / step
        return 1.0 / max(1.0 / own, 1.1 * self._gap_min)

    # -- frames ------------------------------------------------------------------------------------

    def _tell_order(self, feed: Feed, now: int) -> None:
        if not self._is_full(feed):
            super()._tell_order(feed, now)
            return
        for type_ in ("trade", "ticker"):
            self._emit(feed, type_, now, None)

    def _tell_book(self, feed: Feed, now: int) -> None:
        if "orderbook" in self._full.get(feed.market.code, ()):
            self._emit(feed, "orderbook", now, None)
        else:
            super()._tell_book(feed, now)

    def _repeat(self, feed: Feed, type_: str, now: int) -> None:
        """`_emit` of a kept frame, by the short way where one subscriber is all there is."""
        listeners = feed.subscribers[type_]
        if len(listeners) == 1:
            (subscription,) = listeners
            cycle = subscription.cycle
            is_plain = subscription.live and subscription.late_budget is None
            if is_plain and cycle is not None and cycle.full and cycle.format == subscription.conn.format:
                self._send(subscription, self._patched(cycle, type_, feed.market.code, now), now)
                return
        self._emit(feed, type_, now, None)
        for subscription in listeners:
            subscription.cycle = self._cycle(subscription.wanted, subscription.conn.format)

    def newest(self, code: str, now: int) -> tuple[int, int, int]:
        """See Traffic; a market that stands still is as new as its last kept frame."""
        trade, ticker, book = super().newest(code, now)
        for (market, type_, *_), cycle in self._cycles.items():
            if market == code and cycle.told_ms:
                if type_ == "orderbook":
                    book = max(book, cycle.told_ms)
                else:
                    trade = max(trade, cycle.told_ms - self._frame_delay_ms)
                    ticker = max(ticker, cycle.told_ms)
        return trade, ticker, book

    def snapshot(self, wanted: Wanted, format: str, now: int) -> bytes | None:
        """See Traffic; of trades it is the last one that went out, which the market itself never had."""
        cycle = self._cycles.get((wanted.code, wanted.type, format, 0, 0))
        if wanted.type == "trade" and wanted.code in self.feeds and cycle is not None and cycle.last:
            return cycle.last.replace(b'"REALTIME"', b'"SNAPSHOT"')
        return super().snapshot(wanted, format, now)

    def _cycle(self, wanted: Wanted, format: str) -> Cycle:
        key = (wanted.code, wanted.type, format, wanted.depth, wanted.level)
        cycle = self._cycles.get(key)
        if cycle is None:
            cycle = self._cycles[key] = Cycle(format)
        return cycle

    def _frame(self, feed: Feed, wanted: Wanted, format: str, stream_type: str, item: Any, now: int) -> bytes:
        if stream_type != "REALTIME" or wanted.type.startswith("candle"):
            return super()._frame(feed, wanted, format, stream_type, item, now)
        cycle = self._cycle(wanted, format)
        if cycle.full:
            return self._patched(cycle, wanted.type, wanted.code, now)
        if wanted.type == "trade":
            item = item or self._state(feed).last_trade
            last = self._last_id.get(wanted.code, 0)
            self._last_id[wanted.code] = max(last, item.sequential_id)  # kept frames go on from there
        frame = super()._frame(feed, wanted, format, stream_type, item, now)
        cycle.frames.append(_pieces(frame))
        if len(cycle.frames) == self._variety:
            cycle.full = True
            self._full.setdefault(wanted.code, set()).add(wanted.type)
        return frame

    def _patched(self, cycle: Cycle, type_: str, code: str, now: int) -> bytes:
        """The next kept frame, with this time (and id) in its places."""
        place = cycle.next + 1
        cycle.next = place = 0 if place == self._variety else place
        pieces = cycle.frames[place]
        cycle.told_ms = now_ms = now // MS
        if type_ == "orderbook":
            pieces[1] = _number(now_ms)
            return b"".join(pieces)
        trade_ms = now_ms - self._frame_delay_ms
        date, clock, dashed_date, colon_clock = _clock(trade_ms // 1000)
        if type_ == "ticker":
            pieces[1::2] = date, clock, _number(trade_ms), _number(now_ms)
            return b"".join(pieces)
        ident = max(self._last_id.get(code, 0) + 1, trade_ms * 10_000 + 1)
        self._last_id[code] = ident
        pieces[1::2] = _number(now_ms), dashed_date, colon_clock, _number(trade_ms), b"%d" % ident
        cycle.last = b"".join(pieces)
        return cycle.last


@lru_cache(maxsize=64)
def _clock(second: int) -> tuple[bytes, ...]:
    return tuple(text.encode() for text in clock_texts(second))


@lru_cache(maxsize=64)
def _number(value: int) -> bytes:
    return b"%d" % value


def _pieces(frame: bytes) -> list[bytes]:
    """A frame cut before and after each of its times and ids, which stand at the odd places."""
    pieces = []
    end = 0
    for found in _CHANGING.finditer(frame):
        pieces += [frame[end : found.start(3)], found.group(3)]
        end = found.end(3)
    return [*pieces, frame[end:]]
