"""Hot standby: two links carry what must not be missed, so that the loss of either costs no event."""

from __future__ import annotations

import asyncio
import sys

import subcore

MARKETS = ["KRW-BTC", "KRW-ETH"]


async def main(url: str | None = None, trades: int = 20) -> None:
    async with subcore.SubscriptionManager("upbit", url=url) as manager:
        execution = manager.component("execution", priority=subcore.Priority.CRITICAL)
        execution.subscribe("trade", MARKETS, standby=True)  # two links, the first copy of each trade wins
        chart = manager.component("chart")
        chart.subscribe("ticker", MARKETS)  # one link is enough
        await execution.live(timeout=10.0)
        while any(manager.topic("trade", market).other_link is None for market in MARKETS):
            await asyncio.sleep(0.05)
        for info in manager.topics():
            print(info.topic, "on link", info.link, "and", info.other_link, "asked by", *info.standby)
        print(manager.explain("trade", "KRW-BTC"))

        seen: set[tuple[str, int | str | None]] = set()
        async for trade in execution:
            assert (trade.symbol, trade.id) not in seen, "the second copy is held back"
            seen.add((trade.symbol, trade.id))
            if len(seen) >= trades:
                break
        print(len(seen), "trades;", manager.stats().duplicates, "second copies were held back")

        execution.subscribe("trade", MARKETS)  # asked for without it: one link again
        while any(manager.topic("trade", market).standby for market in MARKETS):
            await asyncio.sleep(0.05)
        print("one link is enough again")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:2]))
