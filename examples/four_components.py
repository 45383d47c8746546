"""Four components that overlap: one connection, one message, each gets what it asked for."""

from __future__ import annotations

import asyncio
import sys

import subcore


async def main(url: str | None = None, seconds: float = 3.0) -> None:
    counts: dict[str, int] = {}

    def counter(name: str):  # type: ignore[no-untyped-def]
        def count(event: subcore.Event) -> None:
            counts[name] = counts.get(name, 0) + 1

        return count

    async with subcore.SubscriptionManager("upbit", url=url) as manager:
        with manager.transaction():
            manager.component("strategy").subscribe("ticker", ["KRW-BTC", "KRW-ETH"], counter("strategy"))
            chart = manager.component("chart")
            chart.subscribe("orderbook", "KRW-BTC", counter("chart"), depth=5)
            chart.subscribe("candle.1m", "KRW-BTC", counter("chart"))
            manager.component("portfolio").subscribe("ticker", ["KRW-BTC", "KRW-ADA"], counter("portfolio"))
            manager.component("alert").subscribe("trade", "KRW-BTC", counter("alert"))
        await asyncio.gather(*(component.live(timeout=10.0) for component in manager.components.values()))
        await asyncio.sleep(seconds)
        stats = manager.stats()
        print(
            f"{stats.interests} interests, {stats.streams['OPEN']} streams, {stats.messages_sent} message(s) sent"
        )
        print(counts)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:2]))
