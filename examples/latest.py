"""A chart that draws when it likes: of each market only the newest book waits for it, so it is never behind."""

from __future__ import annotations

import asyncio
import sys

import subcore

DRAW_S = 0.2


async def main(url: str | None = None, frames: int = 4) -> None:
    async with subcore.SubscriptionManager("upbit", url=url) as manager:
        chart = manager.component("chart", delivery=subcore.Latest())
        chart.subscribe("orderbook", ["KRW-BTC", "KRW-ETH", "KRW-XRP"], depth=5)
        # Each trade counts: a component's own Latest() does not take them, so this call says otherwise.
        chart.subscribe("trade", "KRW-BTC", delivery=subcore.Queue(1000))
        for _ in range(frames):
            await asyncio.sleep(DRAW_S)  # what it takes to draw, while events come
            for event in await chart.batch(timeout=5.0):
                if isinstance(event, subcore.Orderbook):
                    print(event.symbol, event.bids[0].price, event.asks[0].price)
                else:
                    print(event.symbol, "traded at", event.price)
        stats = chart.stats()
        print("left out:", stats.conflated, "lost:", stats.lost)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:2]))
