"""subcore: market-data WebSocket subscriptions for many components in one process."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from subcore._delivery import Callback, Delivery, Latest, Queue, Ring
from subcore._events import Asset, Candle, Event, Order, Orderbook, Ticker, Trade
from subcore._strategy import Strategy
from subcore.errors import (
    CapacityError,
    ComponentClosed,
    ComponentReaped,
    ConflictError,
    DecodeError,
    FileError,
    InternalError,
    LinkError,
    ManagerClosed,
    NameTakenError,
    NetworkError,
    QueueOverflow,
    RecordingError,
    SnapshotError,
    SubcoreError,
    SubscribeError,
    SubscribeTimeout,
    UnknownSymbolError,
    UnsupportedError,
    UsageError,
    VenueError,
    WrongThread,
    WrongType,
)
from subcore.parts import Balance, Level
from subcore.types import CloseReport, Priority, Side, Status, StatusKind, Topic, TopicInfo
from subcore.venue import Venue

# Now, not on use: the module subcore.venue, once imported, would take this name.
from subcore.venues import venue

if TYPE_CHECKING:
    from subcore._decode import decode, decode_all
    from subcore.component import Component
    from subcore.engine.adaptive import Adapt
    from subcore.engine.alerts import Alert, AlertRule, AlertRules, Issue, Severity
    from subcore.engine.obligations import Obligations, Verdict
    from subcore.engine.snapshot import Snapshot
    from subcore.manager import SubscriptionManager
    from subcore.merging import merge
    from subcore.planning.plans import Plan
    from subcore.planning.prediction import predict

__version__ = "0.1.0"

__all__ = [
    "Adapt",
    "Alert",
    "AlertRule",
    "AlertRules",
    "Asset",
    "Balance",
    "Callback",
    "Candle",
    "CapacityError",
    "CloseReport",
    "Component",
    "ComponentClosed",
    "ComponentReaped",
    "ConflictError",
    "DecodeError",
    "Delivery",
    "Event",
    "FileError",
    "InternalError",
    "Issue",
    "Latest",
    "Level",
    "LinkError",
    "ManagerClosed",
    "NameTakenError",
    "NetworkError",
    "Obligations",
    "Order",
    "Orderbook",
    "Plan",
    "Priority",
    "Queue",
    "QueueOverflow",
    "RecordingError",
    "Ring",
    "Severity",
    "Side",
    "Snapshot",
    "SnapshotError",
    "Status",
    "StatusKind",
    "Strategy",
    "SubcoreError",
    "SubscribeError",
    "SubscribeTimeout",
    "SubscriptionManager",
    "Ticker",
    "Topic",
    "TopicInfo",
    "Trade",
    "UnknownSymbolError",
    "UnsupportedError",
    "UsageError",
    "Venue",
    "VenueError",
    "Verdict",
    "WrongThread",
    "WrongType",
    "__version__",
    "decode",
    "decode_all",
    "merge",
    "predict",
    "venue",
]

# What needs asyncio or picows is loaded when it is first used.
_ON_USE = {
    "Adapt": "subcore.engine.adaptive",
    "Alert": "subcore.engine.alerts",
    "AlertRule": "subcore.engine.alerts",
    "AlertRules": "subcore.engine.alerts",
    "Component": "subcore.component",
    "Issue": "subcore.engine.alerts",
    "Obligations": "subcore.engine.obligations",
    "Severity": "subcore.engine.alerts",
    "Plan": "subcore.planning.plans",
    "Snapshot": "subcore.engine.snapshot",
    "SubscriptionManager": "subcore.manager",
    "Verdict": "subcore.engine.obligations",
    "decode": "subcore._decode",
    "decode_all": "subcore._decode",
    "merge": "subcore.merging",
    "predict": "subcore.planning.prediction",
}


def __getattr__(name: str) -> Any:
    module = _ON_USE.get(name)
    if module is None:
        raise AttributeError(f"module 'subcore' has no attribute {name!r}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value
