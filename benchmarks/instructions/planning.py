"""Instructions of the engine: a change of 20 topics, and the seconds after it in which it is proven.

And of planning it alone, on a link of few streams and of very many: a plan takes no step for what stays as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench_planning import SIZES, WARM, Cost, Planning

from subcore._wire_set import WireSet
from subcore.engine import actions, events
from subcore.types import Int32Array, StreamColumns
from subcore.venue import Out

AT_MOST = {
    "planning.of_many": ("planning.of_few", 1.02)
}  # 1.5 is the goal for time, which caches are part of


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


class Alone(Planning):
    """Collected is what `Cost.planning` is the time of."""

    def __init__(self, size: int, toggle: Callable[[], object]) -> None:
        self.toggle, self.is_on = toggle, False
        super().__init__("upbit", size, writes=False)
        for _ in range(WARM):
            self.change()

    def switch(self, on: bool) -> bool:
        """Whether it was on."""
        before, self.is_on = self.is_on, on
        if before != on:
            self.toggle()
        return before

    def _cost(self, event: events.Event) -> tuple[Cost, list[actions.Action]]:
        self.switch(True)
        found = super()._cost(event)
        self.switch(False)
        return found

    def list_all(self, streams: WireSet) -> Int32Array:
        before = self.switch(False)
        found = super().list_all(streams)
        self.switch(before)
        return found

    def _encode(
        self, add: StreamColumns, remove: StreamColumns, target: StreamColumns, next_id: int
    ) -> list[Out]:
        before = self.switch(False)
        outs = super()._encode(add, remove, target, next_id)
        self.switch(before)
        return outs


alone = cache(Alone)


def plan(size: int, n: int, toggle: Callable[[], object]) -> None:
    toggle()
    made = alone(size, toggle)
    for _ in range(n):
        made.change()
    toggle()


def bench_of_few(n: int = 30, *, toggle: Callable[[], object]) -> None:
    """A unit is 20 topics for 20 on a link of 500, from the edges to the message, encoding apart."""
    plan(SIZES[0], n, toggle)


def bench_of_many(n: int = 30, *, toggle: Callable[[], object]) -> None:
    """The same on a link of 50,000."""
    plan(SIZES[-1], n, toggle)
