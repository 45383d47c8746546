"""Calls that land together or not at all."""

from __future__ import annotations

import asyncio

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
