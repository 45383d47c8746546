"""Generated frames: real shapes and the venue's mixed number spellings, from the embedded exchange's markets.

Frames of one kind come from many markets and many moments, so that neither a branch predictor nor a cache of
any contestant learns one frame by heart.
"""

from __future__ import annotations

import random
from functools import cache

from subcore.sim.encode import candle_frame, orderbook_frame, ticker_frame, trade_frame
from subcore.sim.markets import Market, generate_markets
from subcore.sim.state import MarketState, Trade

__all__ = ["KINDS", "STYLES", "frames", "home_markets", "renamed"]

KINDS = ("ticker", "trade", "candle.1m", "orderbook.15", "orderbook.30")
STYLES = ("DEFAULT", "SIMPLE")
SEED = 7
START_MS = 1_790_000_000_000
DELAY_MS = 40
SYMBOLS = 32


def home_markets(count: int = SYMBOLS) -> tuple[Market, ...]:
    """The busiest markets of the home currency."""
    home = [market for market in generate_markets(SEED) if market.quote == "KRW"]
    return tuple(sorted(home, key=lambda market: -market.trade_rate)[:count])


@cache
def frames(kind: str, style: str, count: int = 256, symbols: int = SYMBOLS) -> tuple[bytes, ...]:
    """`count` realtime frames of one kind: `symbols` markets in turn, as they trade on."""
    rng = random.Random(f"{SEED} {kind} {style}")
    states = [MarketState(market, SEED, START_MS, DELAY_MS) for market in home_markets(symbols)]
    if kind.startswith("candle"):
        for state in states:
            state.candle(kind)
    made = []
    for index in range(count):
        state, now_ms = states[index % symbols], START_MS + 1000 + index * 137
        state.book_change(now_ms, traded=True)
        trades = [trade for _ in range(rng.randint(1, 3)) for trade in state.taker_order(now_ms)]
        made.append(_frame(kind, style, state, trades[-1], now_ms))
    return tuple(made)


def _frame(kind: str, style: str, state: MarketState, trade: Trade, now_ms: int) -> bytes:
    code = state.market.code
    match kind.partition("."):
        case ("ticker", _, _):
            return ticker_frame(state, style, "REALTIME", now_ms)
        case ("trade", _, _):
            return trade_frame(code, trade, style, "REALTIME")
        case ("orderbook", _, depth):
            return orderbook_frame(state, style, "REALTIME", now_ms, int(depth))
        case _:
            return candle_frame(code, kind, state.candle(kind), style, "REALTIME", now_ms)


def renamed(frame: bytes, code: str) -> bytes:
    """The same frame for another market; equally long codes give equally long frames."""
    before, key, rest = frame.partition(b'"code":"' if b'"code":"' in frame else b'"cd":"')
    return before + key + code.encode() + rest[rest.index(b'"') :]
