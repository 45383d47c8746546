"""One market's order book: up to 30 levels a side, changed by orders and trades, cheap to spell again and
again.

Each level's text is kept and spelled anew only when that level changed: most books differ from the one before
in
one to three levels, so a full 30-level frame costs a join.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import lru_cache

from .markets import Market, tick_size
from .numbers import double, fixed, plain

__all__ = ["DEPTH", "Book"]

DEPTH = 30
_UNIT_TEXT = {
    "DEFAULT": '{{"ask_price":{},"bid_price":{},"ask_size":{},"bid_size":{}}}',
    "SIMPLE": '{{"ap":{},"bp":{},"as":{},"bs":{}}}',
}


_KEPT = 1 << 16


@lru_cache(_KEPT)
def _default_size(units: int) -> str:
    return plain(units) if units % 3 == 0 else fixed(units)


_SPELL: dict[str, tuple[Callable[[int], str], Callable[[int], str]]] = {
    "DEFAULT": (lru_cache(_KEPT)(double), _default_size),
    "SIMPLE": (lru_cache(_KEPT)(plain), lru_cache(_KEPT)(double)),
}
"""Price and size spelling by style. Kept, because a level that moves up or down is spelled again unchanged."""


def _rounded(size: int, digits: int) -> int:
    """People order round amounts: only the leading digits stay."""
    step: int = 10 ** max(0, len(str(size)) - digits)
    return size // step * step


class Book:
    """Prices and sizes in units of 1e-8, best first, bids below asks, sizes positive."""

    __slots__ = ("_dirty", "_texts", "ask_prices", "ask_sizes", "bid_prices", "bid_sizes", "market", "tick")

    def __init__(self, market: Market, rng: random.Random) -> None:
        self.market = market
        self.tick = tick_size(market.quote, market.price)
        self.ask_prices = [market.price + self.tick]
        self.bid_prices = [market.price]
        self.ask_sizes = [self._size(rng)]
        self.bid_sizes = [self._size(rng)]
        self._texts: dict[str, list[str]] = {}
        self._dirty: dict[str, set[int]] = {}
        self._fill(rng)

    def _size(self, rng: random.Random) -> int:
        typical = self.market.typical_size
        size = int(typical * rng.paretovariate(1.2)) if rng.random() < 0.9 else typical * rng.randint(1, 400)
        if rng.random() < 0.25:
            size = _rounded(size, rng.randint(1, 3))
        return max(1, size)

    def _fill(self, rng: random.Random) -> None:
        """Bring both sides back to their number of levels by orders at the far end."""
        tick = self.tick
        while len(self.ask_prices) < self.market.ask_depth:
            self.ask_prices.append(self.ask_prices[-1] + tick * self._gap(rng))
            self.ask_sizes.append(self._size(rng))
        while len(self.bid_prices) < self.market.bid_depth:
            price = self.bid_prices[-1] - tick * self._gap(rng)
            if price <= 0:
                break
            self.bid_prices.append(price)
            self.bid_sizes.append(self._size(rng))
        del self.ask_prices[DEPTH:], self.ask_sizes[DEPTH:], self.bid_prices[DEPTH:], self.bid_sizes[DEPTH:]

    @staticmethod
    def _gap(rng: random.Random) -> int:
        return 1 if rng.random() < 0.7 else rng.randint(2, 5)

    def change(self, rng: random.Random) -> None:
        """One to three levels get another size, nearer levels more often; now and then the best level
        moves."""
        draw = rng.random()
        if draw < 0.06:
            self._move_best(rng)
            return
        for _ in range(1 + (draw > 0.5) + (draw > 0.85)):
            index = int(DEPTH * rng.random() ** 2)
            sizes = self.ask_sizes if rng.random() < 0.5 else self.bid_sizes
            if index < len(sizes):
                sizes[index] = self._size(rng)
                self._touch(index)

    def _move_best(self, rng: random.Random) -> None:
        """A better order arrives inside the spread, or the best one is withdrawn."""
        asks = rng.random() < 0.5
        prices, sizes = (self.ask_prices, self.ask_sizes) if asks else (self.bid_prices, self.bid_sizes)
        better = prices[0] - self.tick if asks else prices[0] + self.tick
        if self.bid_prices[0] < better < self.ask_prices[0]:
            prices.insert(0, better)
            sizes.insert(0, self._size(rng))
        elif len(prices) > 1 and self._spread_in_ticks() < 6:
            del prices[0], sizes[0]
        self._shifted(rng)

    def _spread_in_ticks(self) -> int:
        return (self.ask_prices[0] - self.bid_prices[0]) // self.tick

    def take(self, side: str, size: int, rng: random.Random, limit: int) -> list[tuple[int, int]]:
        """A taker's order: `BID` buys from the asks. Returns at most `limit` fills (price, size), best
        first."""
        prices, sizes = (
            (self.ask_prices, self.ask_sizes) if side == "BID" else (self.bid_prices, self.bid_sizes)
        )
        fills: list[tuple[int, int]] = []
        while size > 0 and len(fills) < limit:
            price, there = prices[0], sizes[0]
            filled = min(size, max(1, int(there * rng.uniform(0.2, 1.0)))) if there > 1 else there
            fills.append((price, filled))
            size -= filled
            if filled < there:
                sizes[0] = there - filled
                self._touch(0)
            elif not self._exhausted(side, prices, sizes, rng):
                break
        return fills

    def _exhausted(self, side: str, prices: list[int], sizes: list[int], rng: random.Random) -> bool:
        """Drop the best level; False when the side had no other and got a fresh one in its place."""
        if len(prices) == 1:
            beyond = prices[0] + self.tick if side == "BID" else prices[0] - self.tick
            prices[0], sizes[0] = (beyond if beyond > 0 else prices[0]), self._size(rng)
            self._shifted(rng)
            return False
        del prices[0], sizes[0]
        self._shifted(rng)
        return True

    def drift(self, ticks: int, rng: random.Random) -> None:
        """Move the whole book, as happens unseen while nobody looks at the market."""
        shift = max(ticks, 1 - (self.bid_prices[-1] // self.tick)) * self.tick
        self.ask_prices = [p + shift for p in self.ask_prices]
        self.bid_prices = [p + shift for p in self.bid_prices]
        self._shifted(rng)

    def _touch(self, index: int) -> None:
        for dirty in self._dirty.values():
            dirty.add(index)

    def _shifted(self, rng: random.Random) -> None:
        self.tick = tick_size(self.market.quote, self.bid_prices[0])
        self._fill(rng)
        for dirty in self._dirty.values():
            dirty.update(range(DEPTH))

    def units(self, style: str, depth: int) -> str:
        """The text inside `orderbook_units` for the best `depth` levels; missing orders are zero price, zero
        size."""
        texts = self._texts.get(style)
        if texts is None:
            texts = self._texts[style] = [""] * DEPTH
            self._dirty[style] = set(range(DEPTH))
        dirty = self._dirty[style]
        if dirty:
            spell_price, spell_size = _SPELL[style]
            form = _UNIT_TEXT[style].format
            asks, bids = len(self.ask_prices), len(self.bid_prices)
            for i in dirty:
                texts[i] = form(
                    spell_price(self.ask_prices[i]) if i < asks else "0",
                    spell_price(self.bid_prices[i]) if i < bids else "0",
                    spell_size(self.ask_sizes[i]) if i < asks else "0",
                    spell_size(self.bid_sizes[i]) if i < bids else "0",
                )
            dirty.clear()
        return ",".join(texts if depth == DEPTH else texts[:depth])

    def grouped_units(self, style: str, depth: int, level: int) -> str:
        """As `units`, with orders summed into price steps of `level`: asks round up, bids down."""
        asks = self._grouped(self.ask_prices, self.ask_sizes, level, up=True)
        bids = self._grouped(self.bid_prices, self.bid_sizes, level, up=False)
        spell_price, spell_size = _SPELL[style]
        form = _UNIT_TEXT[style].format
        rows = []
        for i in range(depth):
            ask = asks[i] if i < len(asks) else (0, 0)
            bid = bids[i] if i < len(bids) else (0, 0)
            rows.append(
                form(
                    spell_price(ask[0]) if ask[0] else "0", spell_price(bid[0]) if bid[0] else "0",
                    spell_size(ask[1]) if ask[1] else "0", spell_size(bid[1]) if bid[1] else "0",
                )
            )  # fmt: skip
        return ",".join(rows)

    def _grouped(self, prices: list[int], sizes: list[int], level: int, *, up: bool) -> list[tuple[int, int]]:
        """Known orders by step; steps beyond the last known order hold a quiet, price-determined depth."""
        steps: dict[int, int] = {}
        for price, size in zip(prices, sizes, strict=True):
            step = -(-price // level) * level if up else price // level * level
            if step > 0:
                steps[step] = steps.get(step, 0) + size
        last = (max(steps) if up else min(steps)) if steps else 0
        full = len(prices) == DEPTH
        while full and len(steps) < DEPTH and last > 0:
            last += level if up else -level
            if last > 0:
                steps[last] = self.market.typical_size * (10 + last // level * 7919 % 60)
        return sorted(steps.items(), reverse=not up)
