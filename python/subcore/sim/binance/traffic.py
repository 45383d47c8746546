"""What the markets send: each market that is listened to lives by its own random clock.

Nobody subscribed, nothing computed. Books are looked at on a grid, candles every other second; both only where they
changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from subcore.sim.durations import SECOND
from subcore.sim.markets import Market

from . import frames
from .coin import AggTrade, Coin, Trade
from .connection import BinanceConnection
from .requests import Stream
from .rules import BinanceDurations

__all__ = ["BinanceTraffic", "Listener"]

_MS = 1_000_000


class Listener:
    """One stream on one connection. Identity matters: a stream dropped and asked for again is another one."""

    __slots__ = ("conn", "stream")

    def __init__(self, conn: BinanceConnection, stream: Stream) -> None:
        self.conn = conn
        self.stream = stream


class _Feed:
    """One market and who listens to it."""

    def __init__(self, coin: Coin) -> None:
        self.coin = coin
        self.listeners: dict[str, dict[Listener, None]] = {}  # by kind
        self.running: set[str] = set()  # its clocks: "orders", "books", "fast books", "candles"
        self.told_best = coin.best
        self.told_update = {False: coin.update_id, True: coin.update_id}  # by speed

    def kinds(self, start: str) -> list[str]:
        """Kinds that somebody listens to."""
        return [kind for kind in self.listeners if kind.startswith(start)]


class BinanceTraffic:
    """All feeds. `schedule(at, function, *arguments)` and `send(listener, name, data, at)` are the exchange's."""

    def __init__(
        self,
        markets: Mapping[str, Market],
        seed: int,
        rate: float,
        durations: BinanceDurations,
        schedule: Callable[..., None],
        send: Callable[[Listener, str, bytes, int], None],
    ) -> None:
        self._markets = markets
        self._seed = seed
        self._rate = rate
        self._schedule = schedule
        self._send = send
        self._feeds: dict[str, _Feed] = {}
        self._grids = {
            "books": durations.ns("book_slow"),
            "fast books": durations.ns("book_fast"),
            "candles": durations.ns("candle_every"),
        }
        self._delay = durations.ns("frame_delay")

    def serves(self, stream: Stream) -> bool:
        """Whether the venue would ever send this."""
        return stream.code in self._markets

    def coin(self, symbol: str) -> Coin:
        """A market's moving parts."""
        return self._feed(symbol).coin

    def _feed(self, symbol: str) -> _Feed:
        feed = self._feeds.get(symbol)
        if feed is None:
            feed = self._feeds[symbol] = _Feed(Coin(symbol, self._markets[symbol], self._seed))
        return feed

    def add(self, listener: Listener, now: int) -> None:
        """Send the stream's events from now on."""
        stream = listener.stream
        feed = self._feed(stream.code)
        feed.listeners.setdefault(stream.kind, {})[listener] = None
        self._start(feed, "orders", now)
        if stream.type.startswith("depth"):
            self._start(feed, "fast books" if stream.is_fast else "books", now)
        elif stream.type.startswith("kline_"):
            feed.coin.kline(stream.type.removeprefix("kline_"), now // _MS)
            self._start(feed, "candles", now)

    def remove(self, listener: Listener) -> None:
        """Forget a listener; the market sleeps when it was the last."""
        feed = self._feeds.get(listener.stream.code)
        listeners = feed.listeners.get(listener.stream.kind) if feed is not None else None
        if feed is not None and listeners is not None:
            listeners.pop(listener, None)
            if not listeners:
                del feed.listeners[listener.stream.kind]

    def delist(self, symbol: str) -> None:
        """The market is no more."""
        feed = self._feeds.pop(symbol, None)
        if feed is not None:
            feed.listeners.clear()

    # -- the market's clocks -----------------------------------------------------------------------

    def _start(self, feed: _Feed, clock: str, now: int) -> None:
        if clock not in feed.running:
            feed.running.add(clock)
            self._again(feed, clock, now)

    def _again(self, feed: _Feed, clock: str, now: int) -> None:
        if clock == "orders":
            market = feed.coin.market
            gap = feed.coin.rng.expovariate((market.trade_rate + market.book_rate) * self._rate)
            self._schedule(now + max(1, int(gap * SECOND)), self._beat, feed, clock)
        else:
            grid = self._grids[clock]
            self._schedule((now // grid + 1) * grid, self._beat, feed, clock)

    def _beat(self, now: int, feed: _Feed, clock: str) -> None:
        if not self._is_needed(feed, clock):
            feed.running.discard(clock)
            return
        if clock == "orders":
            self._order(feed, now)
        elif clock == "candles":
            self._candles(feed, now)
        else:
            self._books(feed, now, is_fast=clock == "fast books")
        self._again(feed, clock, now)

    @staticmethod
    def _is_needed(feed: _Feed, clock: str) -> bool:
        if clock == "orders":
            return bool(feed.listeners)
        if clock == "candles":
            return any(kind.startswith("kline_") for kind in feed.listeners)
        is_fast = clock == "fast books"
        return any(kind.startswith("depth") and kind.endswith("@100ms") is is_fast for kind in feed.listeners)

    def _order(self, feed: _Feed, now: int) -> None:
        """Somebody trades, or an order changes the book."""
        coin, market = feed.coin, feed.coin.market
        if coin.rng.random() * (market.trade_rate + market.book_rate) < market.trade_rate:
            trades, aggregated = coin.take((now - self._delay) // _MS)
            self._tell_trades(feed, trades, aggregated, now)
        else:
            coin.change()
        if coin.best != feed.told_best:
            feed.told_best = coin.best
            if "bookTicker" in feed.listeners:
                self._emit(
                    feed, "bookTicker", frames.book_ticker(coin.symbol, coin.book, coin.update_id), now
                )

    def _tell_trades(self, feed: _Feed, trades: list[Trade], aggregated: list[AggTrade], now: int) -> None:
        symbol = feed.coin.symbol
        for one in trades if "trade" in feed.listeners else ():
            self._emit(feed, "trade", frames.trade(symbol, one, now // _MS), now)
        for each in aggregated if "aggTrade" in feed.listeners else ():
            self._emit(feed, "aggTrade", frames.agg_trade(symbol, each, now // _MS), now)

    def _books(self, feed: _Feed, now: int, *, is_fast: bool) -> None:
        coin = feed.coin
        if coin.update_id == feed.told_update[is_fast]:
            return
        feed.told_update[is_fast] = coin.update_id
        for kind in feed.kinds("depth"):
            if kind.endswith("@100ms") == is_fast:
                levels = int(kind.removeprefix("depth").partition("@")[0])
                self._emit(feed, kind, frames.depth(coin.book, levels, coin.update_id), now)

    def _candles(self, feed: _Feed, now: int) -> None:
        coin, now_ms = feed.coin, now // _MS
        for kind in feed.kinds("kline_"):
            interval = kind.removeprefix("kline_")
            for over in coin.finished(interval, now_ms):
                self._emit(feed, kind, frames.kline(coin.symbol, over, now_ms, closed=True), now)
            candle = coin.kline(interval, now_ms)
            if candle.changed:
                candle.changed = False
                self._emit(feed, kind, frames.kline(coin.symbol, candle, now_ms, closed=False), now)

    def _emit(self, feed: _Feed, kind: str, data: bytes, now: int) -> None:
        name = f"{feed.coin.symbol.lower()}@{kind}"
        for listener in list(feed.listeners.get(kind, ())):
            self._send(listener, name, data, now)
