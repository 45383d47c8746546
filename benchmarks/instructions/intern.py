"""Instructions of the interner: one look-up, one text interned and released again."""

from __future__ import annotations

from subcore._intern import Interner

SYMBOLS = [f"KRW-{number:04d}" for number in range(1_000)]


def filled() -> Interner:
    interner = Interner(seed=1)
    interner.intern_many(SYMBOLS)
    return interner


def bench_get_many_hit(n: int = 200) -> None:
    """A unit is 1,000 known texts in one call."""
    interner = filled()
    for _ in range(n):
        interner.get_many(SYMBOLS)


def bench_get_miss(n: int = 20_000) -> None:
    interner = filled()
    for _ in range(n):
        interner.get("USDT-BTC")


def bench_intern_release(n: int = 20_000) -> None:
    interner = filled()
    for _ in range(n):
        interner.release(interner.intern("USDT-BTC"))
