"""The exchange's markets: 855 of them, with prices, tick sizes and activity like those of the real venue.

Prices and sizes are ints in units of 1e-8 everywhere in this package, so that no rounding ever happens.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["COUNTS", "UNIT", "Market", "generate_markets", "markets_for", "supported_levels", "tick_size"]

UNIT = 100_000_000
"""One in the exchange's int units."""
COUNTS = {"KRW": 289, "BTC": 328, "USDT": 238}
"""Markets by quote currency as counted on 2026-09-23."""
BOOK_FRAMES = {"KRW": 590.0, "BTC": 60.0, "USDT": 150.0}
"""Book frames a second of all markets of a quote: together the measured 800."""

_KRW_PER_USD = 1450.0
_KNOWN = {  # base: (US dollars, name); order = activity
    "BTC": (80370.0, "Bitcoin"), "XRP": (1.41, "XRP"), "ETH": (2410.0, "Ethereum"), "SOL": (98.2, "Solana"),
    "DOGE": (0.104, "Dogecoin"), "USDT": (1.0, "Tether"), "ADA": (0.3, "Cardano"), "SUI": (1.12, "Sui"),
    "LINK": (10.4, "Chainlink"), "AVAX": (10.9, "Avalanche"), "TRX": (0.291, "TRON"), "DOT": (1.62,
    "Polkadot"),
    "BCH": (492.0, "Bitcoin Cash"), "ETC": (9.33, "Ethereum Classic"), "XLM": (0.171, "Stellar Lumens"),
    "HBAR": (0.102, "Hedera"), "SHIB": (0.00000612, "Shiba Inu"), "PEPE": (0.00000351, "Pepe"),
    "NEAR": (1.29, "NEAR Protocol"), "AAVE": (118.0, "Aave"), "ATOM": (2.01, "Cosmos"), "APT": (1.11,
    "Aptos"),
    "ARB": (0.112, "Arbitrum"), "SEI": (0.071, "Sei"), "STX": (0.29, "Stacks"), "WLD": (0.42, "Worldcoin"),
    "ONDO": (0.28, "Ondo Finance"), "ENA": (0.121, "Ethena"), "TRUMP": (3.4, "OFFICIAL TRUMP"),
    "BONK": (0.0000066, "Bonk"), "UNI": (3.9, "Uniswap"), "ALGO": (0.098, "Algorand"), "VET": (0.0081,
    "VeChain"),
    "ICP": (2.75, "Internet Computer"), "IMX": (0.18, "Immutable"), "SAND": (0.088, "The Sandbox"),
    "MANA": (0.101, "Decentraland"), "AXS": (1.31, "Axie Infinity"), "GRT": (0.028, "The Graph"),
    "THETA": (0.21, "Theta"), "XTZ": (0.41, "Tezos"), "QTUM": (1.02, "Qtum"), "NEO": (2.9, "Neo"),
    "CRO": (0.077, "Cronos"), "BAT": (0.11, "Basic Attention Token"), "ZIL": (0.0041, "Zilliqa"),
    "ANKR": (0.0049, "Ankr"), "CHZ": (0.035, "Chiliz"), "STORJ": (0.11, "Storj"), "ENS": (6.2, "ENS"),
    "1INCH": (0.098, "1inch Network"), "0G": (0.66, "Zero Gravity"), "2Z": (0.081, "DoubleZero"),
    "BTT": (0.00000035, "BitTorrent"), "KAITO": (0.34, "Kaito"), "WAL": (0.079, "Walrus"),
    "ME": (0.16, "Magic Eden"),
    "VIRTUAL": (0.67, "Virtuals"), "PENGU": (0.0071, "Pudgy Penguins"), "W": (0.021, "Wormhole"),
}  # fmt: skip
_KRW_TICKS = (  # from this price (won): tick (won)
    (1_000_000, 1000.0), (500_000, 500.0), (100_000, 100.0), (50_000, 50.0), (10_000, 10.0), (5_000, 5.0),
    (100, 1.0), (10, 0.1), (1, 0.01), (0.1, 0.001), (0.01, 0.0001), (0.001, 0.00001), (0.0001, 0.000001),
    (0.00001, 0.0000001),
)  # fmt: skip
_USDT_TICKS = ((10, 0.01), (1, 0.001), (0.1, 0.0001), (0.01, 0.00001), (0.001, 0.000001), (0.0001, 0.0000001))


@dataclass(frozen=True)
class Market:
    """What never changes about a market. Prices and sizes in units of 1e-8, rates in events a second at rate
    1."""

    code: str
    quote: str
    base: str
    english_name: str
    korean_name: str
    price: int
    book_rate: float
    trade_rate: float
    """Taker orders a second (each makes one or more trades); frames follow from it."""
    grid_phase: float
    """Phase of the book grid as a share of it; KRW markets only lie on a grid."""
    ask_depth: int
    bid_depth: int
    """Orders to be had on a side: below 30 the book is padded with zeros."""
    typical_size: int
    levels: tuple[int, ...]
    """Price groupings that an orderbook request may name, 0 = none."""
    caution: bool = False


def tick_size(quote: str, price: int) -> int:
    """Price step of a market quoted in `quote` at `price`, both in units of 1e-8; never 0."""
    if quote == "BTC":
        return 1
    table = _KRW_TICKS if quote == "KRW" else _USDT_TICKS
    for floor, tick in table:
        if price >= floor * UNIT:
            return max(1, round(tick * UNIT))
    return 1


def supported_levels(quote: str, price: int) -> tuple[int, ...]:
    """Groupings of a market: none but 0 outside KRW; else 10, 100, ... ticks as long as they stay a small
    part."""
    if quote != "KRW":
        return (0,)
    tick = tick_size(quote, price)
    return (0, *(tick * 10**n for n in range(1, 6) if tick * 10**n <= price // 5))


def generate_markets(seed: int = 1, counts: dict[str, int] | None = None) -> tuple[Market, ...]:
    """All markets of the exchange, the same for the same seed. Well-known coins first, then invented ones."""
    rng = random.Random(f"markets {seed}")
    wanted = counts or COUNTS
    bases = _bases(rng, max(wanted.values()) + 40)
    markets: list[Market] = []
    for quote, count in wanted.items():
        known = [b for b in bases[: len(_KNOWN)] if b != quote][:count]
        others = rng.sample(bases[len(_KNOWN) :], count - len(known)) if count > len(known) else []
        chosen = known + others
        rates = _heavy_tail(rng, len(chosen), BOOK_FRAMES[quote] * len(chosen) / COUNTS[quote], quote)
        markets += [_market(rng, quote, base, rate) for base, rate in zip(chosen, rates, strict=True)]
    return tuple(markets)


def markets_for(codes: Iterable[str], seed: int = 1) -> tuple[Market, ...]:
    """Markets with exactly these codes; those that are not among the generated ones are invented on the
    spot."""
    known = {m.code: m for m in generate_markets(seed)}
    rng = random.Random(f"further markets {seed}")
    found = []
    for code in dict.fromkeys(codes):
        quote, _, base = code.partition("-")
        if quote not in COUNTS or not base:
            raise ValueError(f"market code {code!r} is not QUOTE-BASE with a quote of {', '.join(COUNTS)}")
        found.append(known.get(code) or _market(rng, quote, base, rng.lognormvariate(-1.0, 1.0)))
    return tuple(found)


def _bases(rng: random.Random, count: int) -> list[str]:
    """Names of coins: the known ones in order of activity, then pronounceable inventions."""
    bases = list(_KNOWN)
    seen = set(bases)
    while len(bases) < count:
        syllables = rng.choice((1, 2, 2, 2))
        base = "".join(rng.choice("BCDFGKLMNPRSTVXZ") + rng.choice("AEIOUY") for _ in range(syllables))
        base += rng.choice(("", "N", "X", "R", "T", "S"))
        if len(base) >= 3 and base not in seen:
            seen.add(base)
            bases.append(base)
    return bases


def _heavy_tail(rng: random.Random, count: int, total: float, quote: str) -> list[float]:
    """Book rates that sum to `total`: a power law over ranks with scatter, bent down at the venue's grid
    (10/s)."""
    exponent = {"KRW": 0.9, "USDT": 1.8, "BTC": 2.3}[quote]
    ceiling = 8.0 if quote == "KRW" else 4.2
    weights = [rng.lognormvariate(0.0, 0.7) / (rank + 3.0) ** exponent for rank in range(count)]
    weights[0] = max(weights) * 1.5
    low, high = 0.0, 1e9
    for _ in range(80):
        scale = (low + high) / 2
        made = sum(ceiling * w * scale / (1 + w * scale) for w in weights)
        low, high = (scale, high) if made < total else (low, scale)
    return [ceiling * w * low / (1 + w * low) for w in weights]


def _market(rng: random.Random, quote: str, base: str, book_rate: float) -> Market:
    usd, name = _KNOWN.get(base) or (math.exp(rng.gauss(-3.2, 2.2)), base.capitalize())
    in_quote = usd * {"KRW": _KRW_PER_USD, "BTC": 1 / _KNOWN["BTC"][0], "USDT": 1.0}[quote]
    price = max(40, round(in_quote * UNIT))
    tick = tick_size(quote, price)
    price = max(tick * 40, price // tick * tick)
    thin = rng.random() < {"KRW": 0.02, "BTC": 0.7, "USDT": 0.3}[quote]
    return Market(
        code=f"{quote}-{base}", quote=quote, base=base, english_name=name, korean_name=f"{name} 코인",
        price=price, book_rate=book_rate,
        trade_rate=book_rate * min(0.6, rng.lognormvariate(-2.0, 0.6)),
        grid_phase=rng.randrange(100) / 100,
        ask_depth=rng.randint(1, 29) if thin else 30,
        bid_depth=rng.randint(1, 29) if thin and rng.random() < 0.7 else 30,
        typical_size=max(1000, round(rng.lognormvariate(5.5, 1.0) / usd * UNIT)),
        levels=supported_levels(quote, price),
        caution=rng.random() < 0.02,
    )  # fmt: skip
