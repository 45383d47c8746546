"""A chart that is opened later knows the last price at once, and how old it is; nothing is sent for it."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import subcore


def draw(event: Any) -> None:
    age_ms = (time.time_ns() - event.receive_time_ns) / 1e6
    kind = "the last known" if event.is_image else "a new"
    print(f"{event.symbol} {event.price:,.0f}: {kind} price, {age_ms:.1f} ms old")


async def main(url: str | None = None, seconds: float = 30) -> None:
    async with (
        subcore.SubscriptionManager("upbit", url=url) as manager,
        manager.component("strategy") as strategy,
        manager.component("chart") as chart,
    ):
        strategy.subscribe("ticker", ["KRW-BTC", "KRW-ETH"], lambda event: None)
        await strategy.live(timeout=10, evidence="data")
        await asyncio.sleep(seconds / 2)
        sent = manager.stats().messages_sent
        chart.subscribe("ticker", ["KRW-BTC", "KRW-ETH"], draw)
        await asyncio.sleep(seconds / 2)
        print(f"messages sent for the chart: {manager.stats().messages_sent - sent}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:2]))
