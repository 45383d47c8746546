"""subcore: market-data WebSocket subscriptions for many components in one process."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from subcore._delivery import Callback, Delivery, Queue
from subcore._events import Asset, Candle, Event, Order, Orderbook, Ticker, Trade
from subcore._strategy import Strategy
from subcore.errors import SubcoreError, SubscribeError
from subcore.parts import Balance, Level
from subcore.types import CloseReport, Priority, Side, Status, StatusKind, Topic, TopicInfo

if TYPE_CHECKING:
    from subcore._decode import decode, decode_all
    from subcore.component import Component
    from subcore.manager import SubscriptionManager
    from subcore.venue import Venue
    from subcore.venues import venue

__version__ = "0.1.0"

__all__ = [
    "Asset",
    "Balance",
    "Callback",
    "Candle",
    "CloseReport",
    "Component",
    "Delivery",
    "Event",
    "Level",
    "Order",
    "Orderbook",
    "Priority",
    "Queue",
    "Side",
    "Status",
    "StatusKind",
    "Strategy",
    "SubcoreError",
    "SubscribeError",
    "SubscriptionManager",
    "Ticker",
    "Topic",
    "TopicInfo",
    "Trade",
    "Venue",
    "__version__",
    "decode",
    "decode_all",
    "venue",
]

# What needs asyncio, picows or a venue is loaded when it is first used.
_ON_USE = {
    "Component": "subcore.component",
    "SubscriptionManager": "subcore.manager",
    "Venue": "subcore.venue",
    "decode": "subcore._decode",
    "decode_all": "subcore._decode",
    "venue": "subcore.venues",
}


def __getattr__(name: str) -> Any:
    module = _ON_USE.get(name)
    if module is None:
        raise AttributeError(f"module 'subcore' has no attribute {name!r}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value
