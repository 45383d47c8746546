"""Restless markets: events of all channels of many markets, drawn in columns, so that a week takes minutes.

The figures are those of 107 s of ten Upbit markets, trades and books, by day: a fifth of the trades come within 5 ms
of another; in half a second the trades' variance is 3 to 6 times their mean, in 10 s up to 8 times, that of the books
about 0.5 to 1.3 times; nine of ten trades have a book within 0.3 s; of looks each quarter second, 2 to 6 with a book
lie between two with trades, at most 30, and at most 3 with trades between two with books. What such a minute cannot
show is assumed, and made hard: moods that all share, moods of hours and of minutes of each market's own, books and
trades each with moods of their own beside that, sudden outbreaks, halts of a market, and nights with an eighth of the
trades.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from subcore.sim.markets import Market

__all__ = ["CHANNELS", "Restless"]

Reals = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

CHANNELS = ("ticker", "trade", "orderbook")
HOUR = 3600.0
CHUNK_S = 300.0  # drawn at a time
MOOD_S = 5.0  # between two steps of the moods
FOLLOWERS = 0.55  # further orders that an order draws after it, on average; so clusters of 2.2
AFTER_S = (1.0, 15.0)  # how much later, on average; either is as likely
TRADES_OF_AN_ORDER = 1.7
BOOK_OF_AN_ORDER = 0.93
BOOKS_AT_MOST = 10.0  # a second: the venue's grid
TICKERS_BESIDE = 0.1  # for each book: tickers that no trade brings
OUTBREAKS = 1 / (48 * HOUR)  # a second and market, thirty times as busy for some minutes
HALTS = 1 / (96 * HOUR)  # a second and market: all of it is still for ten to sixty minutes


@dataclass(slots=True, eq=False)
class _Mood:
    """A log-activity that returns to 0 over about `memory` seconds, one for each market."""

    rng: np.random.Generator
    value: Reals
    spread: float
    memory: float

    def step(self) -> Reals:
        keep = float(np.exp(-MOOD_S / self.memory))
        push = self.spread * float(np.sqrt(1 - keep**2))
        self.value = self.value * keep + self.rng.normal(0.0, push, len(self.value))
        return self.value


class Restless:
    """Draws what happens, `step_s` seconds at a time. The same for the same generator."""

    def __init__(self, markets: Sequence[Market], rng: np.random.Generator, step_s: float) -> None:
        self._rng, self._count, self._step_s = rng, len(markets), step_s
        self._orders = np.array([m.trade_rate for m in markets])
        self._books = np.array([m.book_rate for m in markets])
        self._shared = self._mood(0.4, 600.0, 1)
        self._hours = self._mood(0.7, 4 * HOUR)
        self._minutes = self._mood(0.6, 180.0)
        self._traders = self._mood(0.5, 1200.0)  # of trades alone
        self._quoters = self._mood(0.5, 300.0)  # of books alone
        self._outbreak_ends, self._halt_ends = np.zeros(self._count), np.zeros(self._count)
        self._steps = round(CHUNK_S / step_s)
        self._spill: Counts = np.zeros((self._steps, self._count), np.int64)  # followers in the next chunk
        self._at = self._steps
        self._ticks: Counts = np.zeros((0, 3 * self._count), np.int64)
        self._together: Counts = self._ticks

    def _mood(self, spread: float, memory: float, count: int | None = None) -> _Mood:
        size = self._count if count is None else count
        return _Mood(self._rng, self._rng.normal(0.0, spread, size), spread, memory)

    def step(self, seconds: float) -> tuple[Counts, Counts]:
        """(frames, those of them that came together with another): all tickers, all trades, all books."""
        if self._at == self._steps:
            self._draw(seconds)
            self._at = 0
        self._at += 1
        return self._ticks[self._at - 1], self._together[self._at - 1]

    def _draw(self, seconds: float) -> None:
        rng, shape = self._rng, (self._steps, self._count)
        trading, quoting = self._paces(seconds)
        parents = rng.poisson(self._orders * (1 - FOLLOWERS) * trading * self._step_s)
        orders = self._with_followers(parents)
        trades = orders + rng.negative_binomial(np.maximum(orders, 1), 1 / TRADES_OF_AN_ORDER, shape) * (
            orders > 0
        )
        quotes = rng.poisson(self._books * quoting * self._step_s)
        caused = rng.binomial(orders, BOOK_OF_AN_ORDER)
        books = np.minimum(quotes + np.minimum(caused, 2), round(BOOKS_AT_MOST * self._step_s))
        tickers = trades + rng.binomial(books, TICKERS_BESIDE)
        self._ticks = np.concatenate([tickers, trades, books], axis=1)
        bursts = trades - orders
        self._together = np.concatenate([bursts, bursts, np.zeros_like(books)], axis=1)

    def _paces(self, seconds: float) -> tuple[Reals, Reals]:
        """Activity of trades and of books for each step of the chunk and each market; 1 = by day, on average."""
        trading, quoting = [], []
        for n in range(round(CHUNK_S / MOOD_S)):
            at = seconds + n * MOOD_S
            night = 0.5 - 0.5 * np.cos(2 * np.pi * (at / HOUR - 15.0) / 24.0)  # deepest at 3
            own = self._hours.step() + self._minutes.step()
            pace = self._shared.step() + own - 2.1 * night
            busy = np.where(self._outbreaks(at), np.log(30.0), 0.0)
            awake = ~self._halts(at)
            trading.append(np.exp(pace + self._traders.step() + busy - 0.3) * awake)
            quoting.append(np.exp(0.5 * (pace + busy) + self._quoters.step() - 0.2) * awake)
        repeat = round(MOOD_S / self._step_s)
        return np.repeat(np.array(trading), repeat, axis=0), np.repeat(np.array(quoting), repeat, axis=0)

    def _outbreaks(self, at: float) -> npt.NDArray[np.bool_]:
        begins = self._rng.random(self._count) < OUTBREAKS * MOOD_S
        self._outbreak_ends[begins] = at + self._rng.exponential(400.0, int(begins.sum()))
        over: npt.NDArray[np.bool_] = self._outbreak_ends > at
        return over

    def _halts(self, at: float) -> npt.NDArray[np.bool_]:
        begins = self._rng.random(self._count) < HALTS * MOOD_S
        self._halt_ends[begins] = at + self._rng.uniform(600.0, 3600.0, int(begins.sum()))
        over: npt.NDArray[np.bool_] = self._halt_ends > at
        return over

    def _with_followers(self, parents: Counts) -> Counts:
        """Every order may draw others after it."""
        steps = self._steps
        fresh = np.concatenate([parents, np.zeros_like(parents)])
        orders = fresh + np.concatenate(
            [self._spill, np.zeros_like(parents)]
        )  # those had their followers drawn
        while fresh.any():
            step, market = np.nonzero(fresh)
            born = self._rng.poisson(FOLLOWERS * fresh[step, market])
            step, market = np.repeat(step, born), np.repeat(market, born)
            mean = np.where(self._rng.random(len(step)) < 0.5, *AFTER_S)
            step = step + np.floor(self._rng.exponential(mean) / self._step_s).astype(np.int64)
            kept = step < 2 * steps
            fresh = np.zeros_like(orders)
            np.add.at(fresh, (step[kept], market[kept]), 1)
            orders += fresh
        self._spill = orders[steps:]
        now: Counts = orders[:steps]
        return now
