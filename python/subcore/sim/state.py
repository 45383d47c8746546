"""One market as it lives: trades move the last price, the day's figures, the candles and the book
together."""

from __future__ import annotations

import math
import random
from typing import NamedTuple

from .book import Book
from .markets import Market

__all__ = ["CANDLE_UNITS", "Candle", "MarketState", "Trade"]

CANDLE_UNITS = {
    "candle.1s": 1, "candle.1m": 60, "candle.3m": 180, "candle.5m": 300, "candle.10m": 600, "candle.15m": 900,
    "candle.30m": 1800, "candle.60m": 3600, "candle.240m": 14400,
}  # fmt: skip
"""Candle types and their length in seconds."""
_DAY_MS = 86_400_000
_MAX_FILLS = 50
_COUNTED_MS = 5_000  # a trade may carry the whole second before it, and must not take the id of another one


class Trade(NamedTuple):
    """One fill. Prices and sizes in units of 1e-8, times in epoch milliseconds."""

    price: int
    size: int
    side: str
    trade_ms: int
    frame_ms: int
    sequential_id: int
    best_ask: int
    best_ask_size: int
    best_bid: int
    best_bid_size: int
    previous_close: int


class Candle:
    """One candle in the making."""

    __slots__ = ("close", "high", "low", "open", "start_s", "turnover", "volume")

    def __init__(self, start_s: int, price: int) -> None:
        self.start_s = start_s
        self.open = self.high = self.low = self.close = price
        self.volume = 0
        self.turnover = 0
        """In units of 1e-16: price times size, exactly."""

    def add(self, price: int, size: int) -> None:
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price
        self.volume += size
        self.turnover += price * size


class MarketState:
    """A market's moving parts. Driven by its own random numbers, so one market never disturbs another."""

    def __init__(self, market: Market, seed: int, now_ms: int, frame_delay_ms: int) -> None:
        self.market = market
        self.rng = rng = random.Random(f"{seed} {market.code}")
        self.book = Book(market, rng)
        self.frame_delay_ms = frame_delay_ms
        self.day = now_ms // _DAY_MS
        self.previous_close = (
            max(1, int(market.price * math.exp(rng.gauss(0, 0.02))) // self.book.tick) * self.book.tick
        )
        self.opening = self.high = self.low = self.price = market.price
        self.year_high = int(market.price * rng.uniform(1.1, 4.0)) // self.book.tick * self.book.tick
        self.year_low = max(1, int(market.price * rng.uniform(0.2, 0.9)) // self.book.tick) * self.book.tick
        self.ask_volume = market.typical_size * rng.randint(10, 4000)
        self.bid_volume = market.typical_size * rng.randint(10, 4000)
        self.turnover = (self.ask_volume + self.bid_volume) * market.price
        self.day_before_volume = market.typical_size * rng.randint(10, 9000)
        self.day_before_turnover = self.day_before_volume * market.price
        self.candles: dict[str, Candle] = {}
        self.changed_candles: dict[str, list[Candle]] = {}
        self.held: Trade | None = None
        self.trades = 0
        self._counters: dict[int, int] = {}
        self._counted_from = 0
        quiet_ms = int(min(rng.expovariate(1.0) / max(market.trade_rate, 1e-4), 6 * 3600) * 1000)
        self.last_trade = self._trade(
            market.price, self._taker_size(), "BID", max(1, now_ms - quiet_ms), now_ms - quiet_ms
        )
        self.ticker_ms = self.last_trade.frame_ms
        book_quiet_ms = int(min(rng.expovariate(1.0) / max(market.book_rate, 1e-3), 150.0) * 1000)
        self.book_ms = max(1, now_ms - book_quiet_ms)
        self.frame_ms = max(self.ticker_ms, self.book_ms)

    def _taker_size(self) -> int:
        return max(1, int(self.market.typical_size * 0.05 * self.rng.paretovariate(0.9)))

    def _trade(self, price: int, size: int, side: str, trade_ms: int, frame_ms: int) -> Trade:
        book = self.book
        count = self._counters.get(trade_ms, 0) + 1
        if trade_ms >= self._counted_from + 2 * _COUNTED_MS:
            self._counted_from = trade_ms - _COUNTED_MS
            self._counters = {ms: n for ms, n in self._counters.items() if ms >= self._counted_from}
        self._counters[trade_ms] = count
        return Trade(
            price, size, side, trade_ms, frame_ms, trade_ms * 10_000 + count,
            book.ask_prices[0], book.ask_sizes[0], book.bid_prices[0], book.bid_sizes[0], self.previous_close,
        )  # fmt: skip

    def taker_order(self, now_ms: int) -> list[Trade]:
        """A taker's order told at `now_ms`: one trade or several with the same time and running ids.

        About 3 % carry the last whole second as their trade time, and now and then one of several is told
        only
        with the next order: the venue does not promise trade order, and markets share ids on such seconds.
        """
        rng = self.rng
        self.roll_day(now_ms)
        away = (self.market.price - self.price) / (0.3 * self.market.price)
        side = "BID" if rng.random() < 0.5 + max(-0.45, min(0.45, 0.4 * away)) else "ASK"
        trade_ms = now_ms - self.frame_delay_ms
        if rng.random() < 0.03:
            trade_ms = trade_ms // 1000 * 1000
        frame_ms = max(self.frame_ms, now_ms)
        limit = min(_MAX_FILLS, int(rng.paretovariate(1.3)))
        fills = self.book.take(side, self._taker_size() * limit, rng, limit)
        told = [self._record(price, size, side, trade_ms, frame_ms) for price, size in fills]
        if self.held is not None:
            told.insert(-1, self.held._replace(frame_ms=frame_ms))
            self.held = None
        elif rng.random() < 0.04 and len(told) > 1:
            self.held = told.pop(0)
        self.frame_ms = self.ticker_ms = frame_ms
        self.last_trade = told[-1]
        return told

    def _record(self, price: int, size: int, side: str, trade_ms: int, frame_ms: int) -> Trade:
        self.trades += 1
        self.price = price
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.year_high = max(self.year_high, price)
        self.year_low = min(self.year_low, price)
        if side == "ASK":
            self.ask_volume += size
        else:
            self.bid_volume += size
        self.turnover += price * size
        for unit, candle in self.candles.items():
            self._add_to_candle(unit, candle, price, size, trade_ms)
        return self._trade(price, size, side, trade_ms, frame_ms)

    def _add_to_candle(self, unit: str, candle: Candle, price: int, size: int, trade_ms: int) -> None:
        length = CANDLE_UNITS[unit]
        start = trade_ms // 1000 // length * length
        if start > candle.start_s:
            candle = self.candles[unit] = Candle(start, price)
        candle.add(price, size)
        changed = self.changed_candles.setdefault(unit, [])
        if candle not in changed:
            changed.append(candle)

    def candle(self, unit: str) -> Candle:
        """The market's newest candle of a unit; the first call makes it from the last trade."""
        candle = self.candles.get(unit)
        if candle is None:
            length = CANDLE_UNITS[unit]
            trade = self.last_trade
            candle = Candle(trade.trade_ms // 1000 // length * length, trade.price)
            candle.add(trade.price, trade.size)
            self.candles[unit] = candle
        return candle

    def book_change(self, now_ms: int, *, traded: bool) -> None:
        """Orders come and go; one time in 500 the same book is told again, but never over a trade."""
        if traded or self.rng.random() >= 0.002:
            self.book.change(self.rng)
            self.book_ms = max(self.book_ms, now_ms)

    def roll_day(self, now_ms: int) -> None:
        """Daily figures begin anew at UTC 00:00."""
        day = now_ms // _DAY_MS
        if day <= self.day:
            return
        self.day = day
        self.day_before_volume = self.ask_volume + self.bid_volume
        self.day_before_turnover = self.turnover
        self.previous_close = self.opening = self.high = self.low = self.price
        self.ask_volume = self.bid_volume = self.turnover = 0

    def catch_up(self, since_ms: int, now_ms: int, rate: float) -> None:
        """Let unseen time pass at once: the price has wandered and trades were made while nobody was
        subscribed."""
        elapsed = (now_ms - since_ms) / 1000
        orders = elapsed * self.market.trade_rate * rate
        if self.rng.random() < orders:
            self.book.drift(round(self.rng.gauss(0, 1) * min(20.0, math.sqrt(orders))), self.rng)
            ago = min(elapsed, self.rng.expovariate(self.market.trade_rate * rate)) * 1000
            self.taker_order(max(self.last_trade.trade_ms, int(now_ms - ago)))
        if self.rng.random() < elapsed * self.market.book_rate * rate:
            ago = min(elapsed, self.rng.expovariate(self.market.book_rate * rate), 150.0) * 1000
            self.book_change(int(now_ms - ago), traded=False)

    @property
    def change_units(self) -> int:
        """Signed change of the last price against the day before, in units of 1e-8."""
        return self.price - self.previous_close

    def check(self) -> None:
        """Raise AssertionError if the market contradicts itself; for tests."""
        book = self.book
        assert book.bid_prices[0] < book.ask_prices[0], f"{self.market.code}: crossed book"
        assert sorted(set(book.ask_prices)) == book.ask_prices, f"{self.market.code}: asks out of order"
        assert sorted(set(book.bid_prices))[::-1] == book.bid_prices, f"{self.market.code}: bids out of order"
        lowest = min(*book.ask_sizes, *book.bid_sizes, *book.bid_prices)
        assert lowest > 0, f"{self.market.code}: a price or size of {lowest}"
        assert self.low <= self.price <= self.high, f"{self.market.code}: last price outside the day's range"
