"""Where each depth of a book is a stream of its own, users still name one channel and a depth."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import subcore
from subcore.component import Component
from subcore.errors import UnsupportedError
from subcore.types import Priority, Topic

BTC, ETH = "BTCUSDT", "ETHUSDT"


@pytest.fixture
def manager() -> subcore.SubscriptionManager:
    """Not started: what is wanted needs no link."""
    return subcore.SubscriptionManager(
        "binance", url="ws://127.0.0.1:1", seed=1, channel_priority={"orderbook": Priority.HIGH}
    )


@pytest.fixture
def component(manager: subcore.SubscriptionManager) -> Iterator[Component]:
    with_books = manager.component("books")
    with_books.subscribe("orderbook", [BTC, ETH], depth=5)
    with_books.subscribe("orderbook", BTC, depth=20)
    with_books.subscribe("orderbook", BTC)
    with_books.subscribe("trade", BTC)
    yield with_books
    with_books.close()


def held(component: Component) -> set[str]:
    return {str(topic) for topic in component.topics}


ALL = {
    "orderbook:BTCUSDT:depth=5",
    "orderbook:ETHUSDT:depth=5",
    "orderbook:BTCUSDT:depth=20",
    "orderbook:BTCUSDT",
    "trade:BTCUSDT",
}


async def test_depths_are_streams_and_the_widest_needs_no_name(
    manager: subcore.SubscriptionManager, component: Component
) -> None:
    assert held(component) == ALL
    assert manager.stats().interests == 5
    assert manager.topic("orderbook", BTC, depth=5).topic == Topic("orderbook", BTC, 5)
    infos = {str(info.topic): info.priority for info in manager.topics()}
    assert set(infos) == ALL
    assert infos.pop("trade:BTCUSDT") is Priority.NORMAL
    assert set(infos.values()) == {Priority.HIGH}


async def test_unsubscribe_means_every_depth_or_the_one_named(component: Component) -> None:
    component.unsubscribe("orderbook", BTC, depth=5)
    assert held(component) == ALL - {"orderbook:BTCUSDT:depth=5"}
    component.unsubscribe("orderbook", BTC)
    assert held(component) == {"orderbook:ETHUSDT:depth=5", "trade:BTCUSDT"}
    component.unsubscribe("orderbook")
    assert held(component) == {"trade:BTCUSDT"}


async def test_replace_covers_every_depth_of_the_channel(component: Component) -> None:
    component.replace("orderbook", ETH, depth=10)
    assert held(component) == {"orderbook:ETHUSDT:depth=10", "trade:BTCUSDT"}
    with pytest.raises(UnsupportedError, match="offered: 5, 10, 20"):
        component.replace("orderbook", ETH, depth=7)
    assert held(component) == {"orderbook:ETHUSDT:depth=10", "trade:BTCUSDT"}
