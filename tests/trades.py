"""Trades put into a manager by hand, as if a frame had brought them: no network, no clock, no chance."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import subcore
from subcore.manager import SubscriptionManager
from subcore.types import Topic

BTC, ETH, XRP = "KRW-BTC", "KRW-ETH", "KRW-XRP"


def trade(symbol: str, number: int, at_ns: int = 1) -> Any:
    """A trade with this id."""
    frame = {
        "type": "trade", "code": symbol, "timestamp": 1_700_000_000_000, "trade_date": "2023-11-14",
        "trade_time": "22:13:20", "trade_timestamp": 1_700_000_000_000, "trade_price": 1.0, "trade_volume": 1.0,
        "ask_bid": "BID", "prev_closing_price": 1.0, "change": "EVEN", "change_price": 0.0, "sequential_id": number,
        "stream_type": "REALTIME",
    }  # fmt: skip
    return subcore.decode("upbit", json.dumps(frame).encode(), receive_time_ns=at_ns)


def send(manager: SubscriptionManager, symbol: str, number: int, at_ns: int = 1) -> None:
    """To everybody who wants the symbol's trades."""
    hub = manager._hub
    topic = hub.intent.find_topic(Topic("trade", symbol))
    if topic >= 0:
        hub.router.send(hub.ledger.topic_key(topic)[0], trade(symbol, number, at_ns))


def offline(**options: Any) -> SubscriptionManager:
    """A manager that reaches nobody."""

    async def connect(*_: Any) -> Any:
        raise OSError("no network here")

    return SubscriptionManager("upbit", url="ws://nowhere", seed=1, connect=connect, **options)


async def turns(count: int = 20) -> None:
    """Let the loop run what is ready."""
    for _ in range(count):
        await asyncio.sleep(0)


def handler_tasks() -> list[str]:
    """Names of the tasks of async handlers that live."""
    return [t.get_name() for t in asyncio.all_tasks() if t.get_name().startswith("subcore-handler")]
