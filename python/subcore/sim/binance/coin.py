"""One market as it lives: orders move its book, trades and candles together. Ids of a market rise by one."""

from __future__ import annotations

import calendar
import random
import time
from typing import NamedTuple

from subcore.sim.book import Book
from subcore.sim.markets import Market

__all__ = ["AggTrade", "Coin", "Kline", "Trade", "bounds"]

_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_WEEK_MS = 7 * 86_400_000
_MONDAY_MS = 4 * 86_400_000  # the first one after 1970-01-01
_MOST_FILLS = 20


class Trade(NamedTuple):
    """One trade. Price and size in units of 1e-8."""

    id: int
    price: int
    size: int
    buyer_is_maker: bool
    at_ms: int


class AggTrade(NamedTuple):
    """What one taker took at one price."""

    id: int
    price: int
    size: int
    buyer_is_maker: bool
    at_ms: int
    first: int
    last: int


def bounds(interval: str, at_ms: int) -> tuple[int, int]:
    """First and last millisecond of the candle that `at_ms` lies in; weeks begin on Monday, months on their first."""
    if interval == "1M":
        moment = time.gmtime(at_ms // 1000)
        year, month = moment.tm_year, moment.tm_mon
        start = calendar.timegm((year, month, 1, 0, 0, 0)) * 1000
        following = (year + month // 12, month % 12 + 1, 1, 0, 0, 0)
        return start, calendar.timegm(following) * 1000 - 1
    if interval == "1w":
        start = (at_ms - _MONDAY_MS) // _WEEK_MS * _WEEK_MS + _MONDAY_MS
        return start, start + _WEEK_MS - 1
    length = int(interval[:-1]) * _UNITS[interval[-1]]
    start = at_ms // length * length
    return start, start + length - 1


class Kline:
    """One candle in the making. Turnovers in units of 1e-16: price times size, exactly."""

    def __init__(self, interval: str, at_ms: int, price: int) -> None:
        self.interval = interval
        self.start_ms, self.end_ms = bounds(interval, at_ms)
        self.open = self.high = self.low = self.close = price
        self.volume = self.turnover = self.bought = self.bought_turnover = self.trades = 0
        self.first = self.last = -1
        self.changed = False

    def add(self, trade: Trade) -> None:
        """A trade of its time was made."""
        if not self.trades:
            self.open = self.high = self.low = trade.price
            self.first = trade.id
        self.high, self.low, self.close = max(self.high, trade.price), min(self.low, trade.price), trade.price
        self.volume += trade.size
        self.turnover += trade.price * trade.size
        if not trade.buyer_is_maker:
            self.bought += trade.size
            self.bought_turnover += trade.price * trade.size
        self.trades += 1
        self.last = trade.id
        self.changed = True


class Coin:
    """A market's moving parts, driven by random numbers of its own."""

    def __init__(self, symbol: str, market: Market, seed: int) -> None:
        self.symbol = symbol
        self.market = market
        self.rng = rng = random.Random(f"{seed} {symbol}")
        self.book = Book(market, rng)
        self.price = market.price
        self.trade_id = rng.randrange(10**6, 10**9)
        self.agg_id = rng.randrange(10**5, 10**8)
        self.update_id = rng.randrange(10**8, 10**11)
        self.klines: dict[str, Kline] = {}
        self._over: dict[str, list[Kline]] = {}

    @property
    def best(self) -> tuple[int, int, int, int]:
        """What a book ticker tells."""
        book = self.book
        return book.bid_prices[0], book.bid_sizes[0], book.ask_prices[0], book.ask_sizes[0]

    def change(self) -> None:
        """Orders come and go."""
        self.book.change(self.rng)
        self.update_id += self.rng.randint(1, 5)

    def take(self, at_ms: int) -> tuple[list[Trade], list[AggTrade]]:
        """A taker's order: its trades, and the same by price."""
        rng = self.rng
        away = (self.market.price - self.price) / (0.3 * self.market.price)
        buys = rng.random() < 0.5 + max(-0.45, min(0.45, 0.4 * away))
        limit = min(_MOST_FILLS, int(rng.paretovariate(1.3)))
        size = max(1, int(self.market.typical_size * 0.05 * rng.paretovariate(0.9))) * limit
        trades: list[Trade] = []
        aggregated: list[AggTrade] = []
        for price, filled in self.book.take("BID" if buys else "ASK", size, rng, limit):
            made = [self._trade(price, part, buys, at_ms) for part in self._parts(filled)]
            self.agg_id += 1
            ends = made[0].id, made[-1].id
            aggregated.append(AggTrade(self.agg_id, price, filled, not buys, at_ms, *ends))
            trades += made
        self.update_id += rng.randint(1, 5)
        return trades, aggregated

    def _parts(self, size: int) -> list[int]:
        """What one taker gets at one price may come from several makers."""
        if size < 4 or self.rng.random() < 0.6:
            return [size]
        first = self.rng.randrange(1, size)
        return [first, size - first]

    def _trade(self, price: int, size: int, buys: bool, at_ms: int) -> Trade:
        self.trade_id += 1
        self.price = price
        made = Trade(self.trade_id, price, size, not buys, at_ms)
        for interval in self.klines:
            self._turn(interval, at_ms)
            self.klines[interval].add(made)
        return made

    def kline(self, interval: str, at_ms: int) -> Kline:
        """The candle of that length which is in the making; made by the first who asks."""
        candle = self.klines.get(interval)
        if candle is None:
            candle = self.klines[interval] = Kline(interval, at_ms, self.price)
        return candle

    def _turn(self, interval: str, at_ms: int) -> None:
        """A candle whose time is over makes room for another, which begins at its last price."""
        candle = self.klines[interval]
        if at_ms > candle.end_ms:
            self._over.setdefault(interval, []).append(candle)
            self.klines[interval] = Kline(interval, at_ms, self.price)

    def finished(self, interval: str, at_ms: int) -> list[Kline]:
        """Candles of that length that ended by now and were not asked for yet."""
        self._turn(interval, at_ms)
        return self._over.pop(interval, [])
