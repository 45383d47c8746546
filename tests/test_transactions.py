"""Calls that land together or not at all."""

from __future__ import annotations

import asyncio
import random

import pytest

from manager_rig import SOON, make
from subcore.errors import UnknownSymbolError
from subcore.manager import SubscriptionManager


async def test_transactions_land_together_or_not_at_all(manager: SubscriptionManager) -> None:
    a, b = make(manager, "a"), make(manager, "b")
    with manager.transaction():
        a.subscribe("ticker", "KRW-BTC")
        with manager.transaction():
            b.subscribe("trade", "KRW-ETH")
        assert a.topics == b.topics == ()
    assert len(a.topics) == len(b.topics) == 1
    with pytest.raises(RuntimeError, match="mine"), manager.transaction():  # noqa: PT012
        a.unsubscribe("ticker")
        b.subscribe("ticker", "KRW-ADA")
        raise RuntimeError("mine")
    assert len(a.topics) == len(b.topics) == 1
    await asyncio.gather(a.live(SOON), b.live(SOON))
    assert manager.stats().messages_sent == 1


async def test_a_transaction_belongs_to_its_task(manager: SubscriptionManager) -> None:
    a, b = make(manager, "a"), make(manager, "b")

    async def other() -> None:
        b.subscribe("ticker", "KRW-ETH")

    task = None
    with manager.transaction():
        a.subscribe("ticker", "KRW-BTC")
    task = asyncio.get_running_loop().create_task(other())
    with manager.transaction():
        a.subscribe("trade", "KRW-BTC")
        assert len(a.topics) == 1
    await task
    assert len(a.topics) == 2
    assert len(b.topics) == 1


async def test_a_symbol_that_cannot_be_raises_where_it_is_asked_for(manager: SubscriptionManager) -> None:
    a = make(manager, "a")
    with manager.transaction():
        with pytest.raises(UnknownSymbolError):
            a.subscribe("ticker", ["KRW-BTC", "no such"])
        a.subscribe("ticker", "KRW-ETH")
    assert [topic.symbol for topic in a.topics] == ["KRW-ETH"]


async def test_a_handler_that_cannot_be_called_undoes_the_whole_group(manager: SubscriptionManager) -> None:
    a, b = make(manager, "a"), make(manager, "b")

    def both() -> None:
        with manager.transaction():
            a.subscribe("ticker", "KRW-BTC")
            b.subscribe("ticker", "KRW-ETH", 42)  # type: ignore[arg-type]

    with pytest.raises(TypeError, match="handler must be callable"):
        both()
    assert a.topics == b.topics == ()
    assert a.stats().interests == b.stats().interests == 0


class Plain:
    """What one component wants, as sets of (channel, symbol, depth), one call after the other."""

    def __init__(self) -> None:
        self.held: set[tuple[str, str, int | None]] = set()

    def subscribe(self, channel: str, symbols: list[str], depth: int | None) -> None:
        self.held |= {(channel, symbol, depth) for symbol in symbols}

    def replace(self, channel: str, symbols: list[str], depth: int | None) -> None:
        self.held = {topic for topic in self.held if topic[0] != channel}
        self.subscribe(channel, symbols, depth)

    def unsubscribe(self, channel: str, symbols: list[str] | None, depth: int | None) -> None:
        named = {topic for topic in self.held if topic[0] == channel and topic[1] in (symbols or [topic[1]])}
        self.held -= {topic for topic in named if depth in (None, topic[2])}


def draw_call(rng: random.Random) -> tuple[str, str, list[str] | None, int | None]:
    act = rng.choice(["subscribe", "subscribe", "replace", "unsubscribe", "unsubscribe"])
    channel = rng.choice(["ticker", "orderbook"])
    depth = rng.choice([None, 5, 30]) if channel == "orderbook" else None
    symbols = rng.sample(["KRW-BTC", "KRW-ETH", "KRW-XRP", "KRW-ADA"], rng.randint(1, 3))
    return act, channel, None if act == "unsubscribe" and rng.random() < 0.2 else symbols, depth


@pytest.mark.parametrize("seed", range(6))
async def test_calls_of_a_transaction_add_up_as_if_made_one_by_one(
    manager: SubscriptionManager, seed: int
) -> None:
    rng = random.Random(seed)
    pairs = [(make(manager, name), Plain()) for name in "ab"]
    for _ in range(50):
        with manager.transaction():
            for _ in range(rng.randint(1, 6)):
                component, plain = rng.choice(pairs)
                act, channel, symbols, depth = draw_call(rng)
                getattr(plain, act)(channel, symbols, depth)
                getattr(component, act)(channel, symbols, depth=depth)
        for component, plain in pairs:
            held = {(topic.channel, topic.symbol, topic.depth) for topic in component.topics}
            assert held == plain.held, f"seed {seed}"
