"""Instructions of the engine: a change of 20 topics, and the seconds after it in which it is proven."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench_planning import WARM, Planning


@cache
def planning(house: str) -> Planning:
    """Made once, before anything is counted."""
    made = Planning(house, 500)
    for _ in range(WARM):
        made.change()
    return made


def change(house: str, n: int) -> None:
    made = planning(house)
    for _ in range(n):
        made.change()


def bench_upbit(n: int = 60) -> None:
    """A unit is 20 topics for 20 beside 480, planned, written and sent; data for all of them, and ten ticks."""
    change("upbit", n)


def bench_binance(n: int = 60) -> None:
    """The same, with the message that takes the 20 off the wire."""
    change("binance", n)
