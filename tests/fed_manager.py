"""A manager that was never started, frames that are fed to it, and what was fed, counted by hand."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from manager_rig import KEPT
from subcore.manager import SubscriptionManager
from subcore.testing import VirtualClock
from subcore.types import Priority

__all__ = ["START_NS", "SYMBOLS", "Recount", "manager", "nowhere", "play", "ticker", "trade", "unstarted"]

START_NS = 1_790_000_000_000_000_000
SYMBOLS = ("KRW-BTC", "KRW-ETH", "KRW-XRP")
TICKER = {
    "opening_price": 1.0,
    "high_price": 2.0,
    "low_price": 0.5,
    "trade_price": 1.5,
    "prev_closing_price": 1.0,
    "trade_volume": 0.1,
    "acc_trade_volume": 10.0,
    "acc_trade_volume_24h": 20.0,
    "acc_trade_price": 15.0,
    "acc_trade_price_24h": 30.0,
}


def ticker(symbol: str, ms: int, price: float, kind: str = "REALTIME") -> bytes:
    frame = {"type": "ticker", "code": symbol, "timestamp": ms, "stream_type": kind, **TICKER}
    return json.dumps({**frame, "trade_price": price}).encode()


def trade(symbol: str, ms: int, number: int, kind: str) -> bytes:
    return json.dumps(
        {
            "type": "trade", "code": symbol, "timestamp": ms, "trade_date": "2023-11-14", "trade_time": "22:13:20",
            "trade_timestamp": ms, "trade_price": 1.0, "trade_volume": 1.0, "ask_bid": "BID",
            "prev_closing_price": 1.0, "change": "EVEN", "change_price": 0.0, "sequential_id": number,
            "stream_type": kind,
        }
    ).encode()  # fmt: skip


def unstarted(**options: Any) -> Iterator[SubscriptionManager]:
    """One that was never started, for as long as a fixture lives."""
    made = SubscriptionManager(
        "upbit", url="ws://nowhere", clock=VirtualClock(), connect=nowhere, seed=1, **options
    )
    yield made
    for component in made.components.values():
        component.close()
    KEPT.clear()


@pytest.fixture
def manager() -> Iterator[SubscriptionManager]:
    """One that was never started: frames are fed to it."""
    yield from unstarted()


async def nowhere(url: str, headers: Any, listener: Any) -> Any:
    raise OSError("nobody connects here")


class Recount:
    """What was fed, counted by hand."""

    def __init__(self) -> None:
        self.frames: Counter[tuple[str, str]] = Counter()
        self.bytes: Counter[tuple[str, str]] = Counter()
        self.snapshots: Counter[str] = Counter()
        self.by_link: Counter[int] = Counter()
        self.delays: dict[str, list[int]] = defaultdict(list)
        self.delivered: Counter[str] = Counter()
        self.last: dict[str, int] = {}
        self.bad: Counter[str] = Counter()


def play(manager: SubscriptionManager, seed: int, count: int) -> Recount:
    """Components of every policy, and frames of three markets over two links, some of them bad."""
    rng, fed = random.Random(seed), Recount()
    wants = {"a": SYMBOLS, "b": SYMBOLS[:2], "c": SYMBOLS[:1]}
    for name, symbols in wants.items():
        component = manager.component(name, priority=Priority.HIGH if name == "a" else Priority.NORMAL)
        component.subscribe("ticker", symbols, (lambda event: None) if name == "a" else None)
        KEPT.append(component)
    now = START_NS
    for number in range(count):
        now += rng.randrange(1, 5_000_000)
        link, symbol = rng.randrange(2), rng.choice(SYMBOLS)
        delay = int(rng.lognormvariate(16, 1.0))
        sent_ms = (now - delay) // 1_000_000
        kind = "SNAPSHOT" if rng.random() < 0.1 else "REALTIME"
        frame = ticker(symbol, sent_ms, float(number + 1), kind)
        if rng.random() < 0.02:
            frame = frame[:-1]
            fed.bad["bad_json"] += 1
        else:
            fed.frames["ticker", symbol] += 1
            fed.bytes["ticker", symbol] += len(frame)
            fed.by_link[link] += 1
            fed.last[symbol] = now
            fed.snapshots[symbol] += kind == "SNAPSHOT"
            if kind == "REALTIME":
                fed.delays[symbol].append(now - sent_ms * 1_000_000)
            fed.delivered.update(name for name, symbols in wants.items() if symbol in symbols)
        manager._hub.feed.feed(link, frame, now)
    return fed
