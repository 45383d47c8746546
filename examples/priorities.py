"""Priorities: of the call, of the channel, of the component. What is higher goes to the wire and comes back first."""

from __future__ import annotations

import asyncio
import sys

import subcore
from subcore import Priority

MARKETS = ["KRW-BTC", "KRW-ETH", "KRW-XRP"]


async def main(url: str | None = None, events: int = 5) -> None:
    by_channel = {"orderbook": Priority.HIGH}
    async with subcore.SubscriptionManager("upbit", url=url, channel_priority=by_channel) as manager:
        alerts = manager.component("alerts", priority=Priority.LOW)
        strategy = manager.component("strategy")
        with manager.transaction():  # one plan, however many calls
            alerts.subscribe("ticker", MARKETS)  # LOW: its component's
            strategy.subscribe("orderbook", MARKETS)  # HIGH: the channel's
            strategy.subscribe("trade", "KRW-BTC", priority=Priority.CRITICAL)  # the call's
            strategy.subscribe("ticker", "KRW-BTC")  # NORMAL; shared with `alerts`, so the stream is NORMAL
        await asyncio.gather(alerts.live(timeout=10.0), strategy.live(timeout=10.0))
        for info in sorted(manager.topics(), key=lambda info: -info.priority):
            print(f"{info.priority.name:8} {info.topic!s:20} wanted by {', '.join(info.holders)}")
        async for event in strategy:
            print(event.channel, event.symbol)
            events -= 1
            if events <= 0:
                break


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:2]))
