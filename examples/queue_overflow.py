"""What becomes of a full queue: the oldest go, the newest go, or reading ends. Losses are told in their place."""

from __future__ import annotations

import asyncio
import sys

import subcore

MARKETS = ["KRW-BTC", "KRW-ETH", "KRW-XRP"]


async def main(url: str | None = None, size: int = 8) -> None:
    async with subcore.SubscriptionManager("upbit", url=url) as manager:
        readers = []
        for overflow in ("drop_oldest", "drop_newest", "close"):
            queue = subcore.Queue(size, overflow=overflow)
            reader = manager.component(overflow, delivery=queue, include_status=True)
            reader.subscribe("orderbook", MARKETS)
            readers.append(reader)
        while not all(reader.stats().lost for reader in readers):
            await asyncio.sleep(0.1)  # nobody reads, so all of them fill up
        for reader in readers:
            await read(reader)


async def read(reader: subcore.Component) -> None:
    try:
        for item in await reader.batch():
            if isinstance(item, subcore.Status) and item.kind in (
                subcore.StatusKind.LOSS,
                subcore.StatusKind.SLOW,
            ):
                print(reader.name, item.kind.name, item.count, item.reason)
        await reader.batch(timeout=1.0)
        print(reader.name, "goes on")
    except subcore.errors.QueueOverflow as error:
        print(reader.name, "is over:", error)
    print(reader.name, "lost", {str(topic): count for topic, count in reader.stats().losses.items()})


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:2]))
