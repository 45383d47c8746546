"""A display that wants at most two prices a second, beside a strategy that wants every one."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import subcore


async def main(url: str | None = None, seconds: float = 30) -> None:
    prices: list[float] = []

    def decide(event: Any) -> None:
        prices.append(event.price)

    def show(event: Any) -> None:
        print(f"{event.symbol} {event.price:,.0f}")

    async with (
        subcore.SubscriptionManager("upbit", url=url) as manager,
        manager.component("display") as display,
        manager.component("strategy") as strategy,
    ):
        strategy.subscribe("ticker", "KRW-BTC", decide)
        display.subscribe("ticker", "KRW-BTC", show, max_rate=2.0)
        await display.live(timeout=10)
        await asyncio.sleep(seconds)
        stats = display.stats()
        print(f"the strategy saw {len(prices)} prices, the display {stats.delivered}")
        print(f"newer prices took the place of {stats.conflated}")
        print(manager.explain("ticker", "KRW-BTC"))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:2]))
