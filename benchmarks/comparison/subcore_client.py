"""subcore as a client of the socket rows, with callbacks that do nothing: the core alone, and a whole manager."""

from __future__ import annotations

import asyncio
import importlib.util
from urllib.parse import urlsplit

from picows import ws_connect

import subcore
from subcore._listener import FeedListener

from .clients import Bill, Client
from .core import new_feed, subscribe
from .library_clients import CODES
from .sender import END

__all__ = ["HAS_MANAGER", "subcore_core", "subcore_manager"]

HAS_MANAGER = importlib.util.find_spec("subcore.manager") is not None
CONNECT_SECONDS = 0.08
"""Less than the sender waits after the request; connecting and subscribing are not charged."""


def subcore_core(channel: str) -> Client:
    """Listener, scanner, meter and routes as a manager uses them, on a connection that nobody manages."""

    async def client(url: str, bill: Bill) -> None:
        feed = new_feed(CODES)
        subscribe(feed, channel, CODES[:-1], lambda event: None)
        subscribe(feed, channel, [END], bill.stop)
        transport, _ = await ws_connect(lambda: FeedListener(feed, 0), url)
        bill.start()
        await bill.all_seen
        transport.disconnect()

    return client


def subcore_manager(channel: str) -> Client:
    """A client that subscribes to the channel for all markets. It takes frames in whatever style they come."""

    async def client(url: str, bill: Bill) -> None:
        def ignore(event: object) -> None:
            """What every market's handler does."""

        address = urlsplit(url)
        async with subcore.SubscriptionManager(
            "upbit", url=f"{address.scheme}://{address.netloc}"
        ) as manager:
            component = manager.component("everything")
            component.subscribe(channel, CODES[:-1], ignore)
            last = manager.component("last")
            last.subscribe(channel, [END], bill.stop)
            await asyncio.sleep(CONNECT_SECONDS)
            bill.start()
            await bill.all_seen

    return client
