"""A manager in virtual time whose events the test delivers itself, and what is read of them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from subcore._events import Event, Orderbook, Ticker, Trade
from subcore.component import Component
from subcore.manager import SubscriptionManager
from virtual_manager import World

BTC, ETH, XRP = "KRW-BTC", "KRW-ETH", "KRW-XRP"
EVENTS = {"ticker": Ticker, "trade": Trade, "orderbook": Orderbook}


class Desk:
    """A manager whose exchange is quiet once everything is proven; the test delivers what it likes."""

    def __init__(self, manager: SubscriptionManager) -> None:
        self.manager = manager
        self.hub = manager._hub
        self.sent = 0

    async def ready(self, *components: Component) -> None:
        """All proven, and nothing waits."""
        await asyncio.gather(*(component.live(60.0) for component in components))
        await asyncio.sleep(5.0)
        for component in components:
            component._member.inbox.get_many(10_000)

    def send(self, channel: str, *symbols: str) -> list[Event]:
        """One event of each, each with a number of its own as its receive time."""
        made = []
        for symbol in symbols:
            self.sent += 1
            stream = self.hub.intent.find_stream(self.hub.venue.channel_index(channel), symbol, 0.0)
            assert stream >= 0
            event = EVENTS[channel](venue="upbit", channel=channel, symbol=symbol, receive_time_ns=self.sent)
            self.hub.router.send(stream, event)
            made.append(event)
        return made


def play(main: Any) -> None:
    async def inside(world: World) -> None:
        async with world.manager(latest=False) as manager:
            desk = Desk(manager)
            work: Coroutine[Any, Any, None] = main(desk)
            await work

    World(rate=1e-9).run(inside)


async def read(component: Component) -> list[Any]:
    """The numbers of the events that wait, and the statuses among them."""
    items = await component.batch(10_000, timeout=0.1)
    return [item.receive_time_ns if isinstance(item, Event) else item for item in items]
