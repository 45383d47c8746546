"""Read tickers with `async for`. Give the address of another exchange (`subcore sim` prints one) as an argument."""

from __future__ import annotations

import asyncio
import sys

import subcore


async def main(url: str | None = None, count: int = 10) -> None:
    async with subcore.SubscriptionManager("upbit", url=url) as manager:
        momentum = manager.component("momentum", priority=subcore.Priority.HIGH)
        momentum.subscribe("ticker", ["KRW-BTC", "KRW-ETH"])
        await momentum.live(timeout=10.0)
        async for event in momentum:
            print(event.symbol, event.price, event.receive_time_ns)
            count -= 1
            if count == 0:
                break


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:2]))
