"""Traces: who wants what, and when. The same for the same seed, whichever manager plays them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from subcore.scenarios.sides import Side
from subcore.scenarios.stage import Stage
from subcore.types import Priority

__all__ = ["FIRST_FOUR", "Change", "Trace", "fast_changes", "overlapping", "play"]


@dataclass(frozen=True)
class Change:
    """One component wants topics of a channel, or wants them no more. Those of one time are of one loop turn."""

    at: float
    who: str
    channel: str
    symbols: tuple[str, ...]
    comes: bool
    priority: Priority = Priority.NORMAL


Trace = list[Change]

FIRST_FOUR = (
    ("strategy A", "ticker", ("KRW-BTC", "KRW-ETH"), Priority.HIGH),
    ("chart B", "orderbook", ("KRW-BTC",), Priority.NORMAL),
    ("chart B", "candle.1m", ("KRW-BTC",), Priority.NORMAL),
    ("portfolio C", "ticker", ("KRW-BTC", "KRW-ADA", "KRW-DOT"), Priority.NORMAL),
    ("alert D", "trade", ("KRW-BTC",), Priority.CRITICAL),
)
CHANNELS = ("ticker", "trade", "orderbook")
BETWEEN_S = 15.0  # comings and goings of the first scenario, on average


def overlapping(seed: int, markets: list[str], *, seconds: float) -> Trace:
    """The four of the first scenario begin in one turn; then, every 15 s on average, up to six components of a strategy
    come in one turn, or those of an earlier one leave. Each holds up to six topics of two channels, of the 40 markets
    that most want."""
    rng = random.Random(f"overlap {seed}")
    trace = [Change(0.0, who, channel, symbols, True, cls) for who, channel, symbols, cls in FIRST_FOUR]
    groups: list[list[Change]] = []
    at, number = 5.0, 0
    while at < seconds:
        if groups and rng.random() < 0.35:
            left = groups.pop(rng.randrange(len(groups)))
            trace += [Change(at, c.who, c.channel, c.symbols, False) for c in left]
        else:
            group = list(_group(rng, markets[:40], at, number))
            groups.append(group)
            trace += group
            number += 1
        at += rng.expovariate(1 / BETWEEN_S)
    return trace


def _group(rng: random.Random, markets: list[str], at: float, number: int) -> Iterator[Change]:
    for member in range(rng.randint(1, 6)):
        for channel in rng.sample(CHANNELS, 2):
            symbols = tuple(rng.sample(markets, rng.randint(1, 3)))
            cls = rng.choice((Priority.LOW, Priority.NORMAL, Priority.NORMAL, Priority.HIGH))
            yield Change(at, f"group {number}, {member}", channel, symbols, True, cls)


def fast_changes(seed: int, markets: list[str], *, seconds: float) -> Trace:
    """Twenty strategies with three symbols each; every second each exchanges one for another, at a time of its own: ten
    changes or so within half a second. From time to time one thinks again within 50 ms, which cancels its change."""
    rng = random.Random(f"fast {seed}")
    names = [f"strategy {number}" for number in range(20)]
    held = {who: rng.sample(markets, 3) for who in names}
    trace = [Change(0.0, who, "ticker", tuple(held[who]), True, Priority.HIGH) for who in names]
    for second in range(5, round(seconds)):
        for who in names:
            at = second + rng.uniform(0.0, 0.9)
            gone = held[who].pop(rng.randrange(3))
            new = rng.choice([one for one in markets if one != gone and one not in held[who]])
            trace += _swap(at, who, gone, new)
            if rng.random() < 0.15:
                at += rng.uniform(0.0, 0.05)
                trace += _swap(at, who, new, gone)
                new = gone
            held[who].append(new)
    return sorted(trace, key=lambda change: change.at)


def _swap(at: float, who: str, gone: str, new: str) -> Trace:
    return [
        Change(at, who, "ticker", (new,), True, Priority.HIGH),
        Change(at, who, "ticker", (gone,), False),
    ]


async def play(stage: Stage, side: Side, trace: Iterable[Change]) -> None:
    """Play a trace from now on; returns after its last turn."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    for at, changes in groupby(trace, key=lambda change: change.at):
        await asyncio.sleep(max(0.0, start + at - loop.time()))
        turn = list(changes)
        stage.note((c.who, c.channel, symbol, c.comes) for c in turn for symbol in c.symbols)
        for change in turn:
            if change.comes:
                side.hold(change.who, change.channel, list(change.symbols), change.priority)
            else:
                side.drop(change.who, change.channel, list(change.symbols))
