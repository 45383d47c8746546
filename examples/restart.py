"""What is wanted outlives the process: a second run finds its streams proven before it asks for anything."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import subcore


async def first(url: str | None, path: Path) -> None:
    async with subcore.SubscriptionManager("upbit", url=url, snapshot_path=path) as manager:
        momentum = manager.component("momentum", priority=subcore.Priority.HIGH)
        chart = manager.component("chart")
        momentum.subscribe("ticker", ["KRW-BTC", "KRW-ETH"])
        chart.subscribe("orderbook", "KRW-BTC", depth=5)
        await momentum.live(timeout=10.0)
        print("kept:", manager.snapshot())


async def second(url: str | None, path: Path, count: int) -> None:
    async with subcore.SubscriptionManager("upbit", url=url, snapshot_path=path, claim_grace=1.0) as manager:
        while not manager.restores[0].done:  # it is on its way since the start
            await asyncio.sleep(0.01)
        print(manager.restores[0])
        momentum = manager.component("momentum", priority=subcore.Priority.HIGH)  # claims the name ...
        print("restored:", *map(str, momentum.provisional))
        momentum.subscribe("ticker", "KRW-BTC")  # ... and this confirms one topic
        async for event in momentum:
            print(event.symbol, event.price)
            count -= 1
            if count <= 0:
                break
        while not manager.claims:
            await asyncio.sleep(0.1)
        print(manager.claims[0])
        print("still wanted:", *map(str, momentum.topics))


async def main(url: str | None = None, count: int = 5) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "intent.subcore"
        await first(url, path)
        await second(url, path, count)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:2]))
