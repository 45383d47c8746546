"""The named tuples inside events: one level of a book, one balance of an account."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Balance", "Level"]


class Level(NamedTuple):
    """One level of a book: `size` (base units) wanted or offered at `price`."""

    price: float
    size: float


class Balance(NamedTuple):
    """One currency of an account: free to use, and held by open orders; None where the venue does not say."""

    currency: str
    available: float | None
    locked: float | None
