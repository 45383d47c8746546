"""What the markets send: each subscribed market lives by its own random clock, and its events go to its
subscribers.

Nobody subscribed, nothing computed: a sleeping market catches up in one step when it is asked for again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from .book import DEPTH
from .connection import Subscription
from .durations import SECOND, Durations
from .encode import candle_frame, orderbook_frame, style_of, ticker_frame, trade_frame, wrap
from .markets import Market
from .requests import Wanted
from .state import CANDLE_UNITS, Candle, MarketState, Trade

__all__ = ["MS", "Feed", "Traffic"]

MS = 1_000_000


class Feed:
    """One market and who listens to it."""

    __slots__ = (
        "asleep_since", "book_due", "candles_running", "market", "orders_running", "state", "subscribers",
        "traded",
    )  # fmt: skip

    def __init__(self, market: Market) -> None:
        self.market = market
        self.state: MarketState | None = None
        self.subscribers: dict[str, dict[Subscription, None]] = {}
        self.orders_running = False
        self.candles_running = False
        self.book_due = 0
        self.traded = False
        self.asleep_since = 0


class Traffic:
    """All feeds. `schedule(at, function, *arguments)` and `send(subscription, payload, at)` are the
    exchange's."""

    def __init__(
        self,
        markets: Iterable[Market],
        seed: int,
        rate: float,
        durations: Durations,
        schedule: Callable[..., None],
        send: Callable[[Subscription, bytes, int], None],
    ) -> None:
        self.feeds = {market.code: Feed(market) for market in markets}
        self.seed = seed
        self.rate = rate
        self._schedule = schedule
        self._send = send
        self._grid = max(1, round(durations.book_grid * SECOND / max(1.0, rate)))
        self._gap_min = durations.book_gap_min / max(1.0, rate)
        self._cadence = durations.ns("candle_cadence")
        self._frame_delay_ms = round(durations.frame_delay * 1000)

    def serves(self, wanted: Wanted) -> bool:
        """Whether the venue would ever send this stream: known code, and a grouping the market has."""
        feed = self.feeds.get(wanted.code)
        return feed is not None and wanted.level in feed.market.levels

    def add(self, subscription: Subscription, now: int) -> None:
        """Send the stream's events to a subscriber from now on (as far as it is `live`)."""
        wanted = subscription.wanted
        feed = self._awake(wanted.code, now)
        feed.subscribers.setdefault(wanted.type, {})[subscription] = None
        if not feed.orders_running:
            feed.orders_running = True
            self._schedule_order(feed, now)
        if wanted.type == "orderbook" and not feed.book_due:
            self._schedule_book(feed, self._next_book(feed, now))
        if wanted.type in CANDLE_UNITS:
            self._state(feed).candle(wanted.type)
            if not feed.candles_running:
                feed.candles_running = True
                self._schedule_candles(feed, now)

    def remove(self, subscription: Subscription, now: int) -> None:
        """Forget a subscriber; the market sleeps when it was the last."""
        feed = self.feeds.get(subscription.wanted.code)
        if feed is None:
            return
        listeners = feed.subscribers.get(subscription.wanted.type)
        if listeners is not None:
            listeners.pop(subscription, None)
            if not listeners:
                del feed.subscribers[subscription.wanted.type]
        if not feed.subscribers:
            feed.asleep_since = now

    def delist(self, code: str) -> None:
        """The market is no more."""
        feed = self.feeds.pop(code, None)
        if feed is not None:
            feed.subscribers.clear()

    def snapshot(self, wanted: Wanted, format: str, now: int) -> bytes | None:
        """The stream's SNAPSHOT frame, or None for a market that is no more."""
        if wanted.code not in self.feeds:
            return None
        feed = self._awake(wanted.code, now)
        state = self._state(feed)
        state.roll_day(now // MS)
        item: Any = state.last_trade if wanted.type == "trade" else None
        if wanted.type in CANDLE_UNITS:
            item = state.candle(wanted.type)
        return self._frame(feed, wanted, format, "SNAPSHOT", item, now)

    def newest(self, code: str, now: int) -> tuple[int, int, int]:
        """Times in ms of a market's last trade, of its figures and of its book, whoever was sent them."""
        state = self._state(self._awake(code, now))
        return state.last_trade.trade_ms, state.ticker_ms, state.book_ms

    def force(self, subscription: Subscription, now: int) -> None:
        """Make the market do now what it would do soon, so that a stream has a frame at a chosen time."""
        feed = self.feeds.get(subscription.wanted.code)
        if feed is None or feed.state is None:
            return
        if subscription.wanted.type == "orderbook":
            self._tell_book(feed, now)
        else:
            self._tell_order(feed, now)

    def _state(self, feed: Feed) -> MarketState:
        assert feed.state is not None
        return feed.state

    def _awake(self, code: str, now: int) -> Feed:
        feed = self.feeds[code]
        if feed.state is None:
            feed.state = MarketState(feed.market, self.seed, now // MS, self._frame_delay_ms)
            feed.asleep_since = now
        elif not feed.subscribers and now > feed.asleep_since:
            feed.state.catch_up(feed.asleep_since // MS, now // MS, self.rate)
            feed.asleep_since = now
        return feed

    # -- the market's clocks -----------------------------------------------------------------------

    def _schedule_order(self, feed: Feed, now: int) -> None:
        gap = self._state(feed).rng.expovariate(feed.market.trade_rate * self.rate)
        self._schedule(now + max(1, int(gap * SECOND)), self._order, feed)

    def _order(self, now: int, feed: Feed) -> None:
        if not feed.subscribers:
            feed.orders_running = False
            return
        self._tell_order(feed, now)
        self._schedule_order(feed, now)

    def _tell_order(self, feed: Feed, now: int) -> None:
        """A taker's order moves trade, ticker, candles and book together."""
        state = self._state(feed)
        told = state.taker_order(now // MS)
        feed.traded = True
        subscribers = feed.subscribers
        if "trade" in subscribers:
            for trade in told:
                self._emit(feed, "trade", now, trade)
        if "ticker" in subscribers:
            self._emit(feed, "ticker", now, None)
        if "orderbook" in subscribers and feed.market.quote == "KRW":
            soonest = self._grid_after(feed, now, 1)
            if soonest < feed.book_due:
                self._schedule_book(feed, soonest)

    def _grid_after(self, feed: Feed, now: int, steps: int) -> int:
        phase = int(feed.market.grid_phase * self._grid)
        return ((now - phase) // self._grid + steps) * self._grid + phase

    def _own_book_rate(self, market: Market) -> float:
        """Book changes a second that no trade causes."""
        return max(market.book_rate - market.trade_rate, 0.3 * market.book_rate) * self.rate

    def _next_book(self, feed: Feed, now: int) -> int:
        """KRW books lie on the market's grid; others keep a least gap."""
        market, rng = feed.market, self._state(feed).rng
        own = self._own_book_rate(market)
        if market.quote == "KRW":
            chance = min(0.98, own * self._grid / SECOND)
            steps = (
                1 + int(math.log(1.0 - rng.random()) / math.log(1.0 - chance)) if chance > 1e-12 else 10**9
            )
            return self._grid_after(feed, now, steps)
        rest = max(1.0 / own - self._gap_min, 0.1 * self._gap_min)
        return now + int((self._gap_min + rng.expovariate(1.0 / rest)) * SECOND)

    def _schedule_book(self, feed: Feed, due: int) -> None:
        feed.book_due = due
        self._schedule(due, self._book, feed)

    def _book(self, now: int, feed: Feed) -> None:
        if now != feed.book_due:
            return
        if "orderbook" not in feed.subscribers:
            feed.book_due = 0
            return
        self._tell_book(feed, now)
        self._schedule_book(feed, self._next_book(feed, now))

    def _tell_book(self, feed: Feed, now: int) -> None:
        self._state(feed).book_change(now // MS, traded=feed.traded)
        feed.traded = False
        self._emit(feed, "orderbook", now, None)

    def _schedule_candles(self, feed: Feed, now: int) -> None:
        self._schedule((now // self._cadence + 1) * self._cadence, self._candles, feed)

    def _candles(self, now: int, feed: Feed) -> None:
        """Once a second, each candle that a trade changed since."""
        units = [unit for unit in feed.subscribers if unit in CANDLE_UNITS]
        if not units:
            feed.candles_running = False
            return
        changed = self._state(feed).changed_candles
        for unit in units:
            for candle in changed.pop(unit, ()):
                self._emit(feed, unit, now, candle)
        changed.clear()
        self._schedule_candles(feed, now)

    # -- frames ------------------------------------------------------------------------------------

    def _emit(self, feed: Feed, type_: str, now: int, item: Trade | Candle | None) -> None:
        """One event to all its subscribers; each distinct spelling is made once."""
        listeners = feed.subscribers.get(type_)
        if not listeners:
            return
        made: dict[tuple[str, int, int], bytes] = {}
        for subscription in list(listeners):
            if not subscription.live:
                continue
            late = subscription.late_budget
            if late is not None:
                if not late[0]:
                    continue
                late[0] -= 1
            wanted, format = subscription.wanted, subscription.conn.format
            key = (format, wanted.depth, wanted.level)
            payload = made.get(key)
            if payload is None:
                payload = made[key] = self._frame(feed, wanted, format, "REALTIME", item, now)
            self._send(subscription, payload, now)

    def _frame(self, feed: Feed, wanted: Wanted, format: str, stream_type: str, item: Any, now: int) -> bytes:
        state, style = self._state(feed), style_of(format)
        if wanted.type == "orderbook":
            depth = wanted.depth or DEPTH
            frame = orderbook_frame(state, style, stream_type, state.book_ms, depth, wanted.level)
        elif wanted.type == "ticker":
            frame = ticker_frame(state, style, stream_type, state.ticker_ms)
        elif wanted.type == "trade":
            frame = trade_frame(wanted.code, item, style, stream_type)
        else:
            frame = candle_frame(wanted.code, wanted.type, item, style, stream_type, now // MS)
        return wrap(frame, format)
