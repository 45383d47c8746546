"""Read in batches, the cheapest way to consume many events, with statuses in their place among the data."""

from __future__ import annotations

import asyncio
import sys

import subcore


async def main(url: str | None = None, batches: int = 5) -> None:
    async with subcore.SubscriptionManager("upbit", url=url) as manager:
        recorder = manager.component("recorder", delivery=subcore.Queue(100_000), include_status=True)
        recorder.subscribe("orderbook", ["KRW-BTC", "KRW-ETH", "KRW-XRP"], depth=15)
        for _ in range(batches):
            items = await recorder.batch(256, timeout=5.0)
            for item in items:
                if isinstance(item, subcore.Status):
                    print("status", item.kind.name, [str(topic) for topic in item.topics], item.reason)
            books = [item for item in items if isinstance(item, subcore.Orderbook)]
            if books:
                print(
                    len(books),
                    "books, the last",
                    books[-1],
                    "spread",
                    books[-1].asks[0].price - books[-1].bids[0].price,
                )


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:2]))
