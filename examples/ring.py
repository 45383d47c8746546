"""A strategy that polls: the newest 4,096 trades as rows of numbers, looked at as numpy columns ten times a second."""

from __future__ import annotations

import asyncio
import sys

import numpy as np

import subcore

BUY = 1  # codes of the column `side`: 0 unknown, 1 buy, 2 sell


async def main(url: str | None = None, looks: int = 10) -> None:
    async with subcore.SubscriptionManager("upbit", url=url) as manager:
        pressure = manager.component("pressure", delivery=subcore.Ring(4096))
        pressure.subscribe("trade", ["KRW-BTC", "KRW-ETH", "KRW-XRP"])
        await pressure.live(timeout=10.0)
        trades = pressure.ring("trade")
        for _ in range(looks):
            await asyncio.sleep(0.1)
            rows = trades.read()  # a copy of what is new, oldest first
            if not len(rows):
                continue
            values = rows["price"] * rows["size"]
            bought = np.nansum(values[rows["side"] == BUY]) / np.nansum(values)
            newest = trades.symbols(rows[-1:])[0]
            print(f"{len(rows)} trades, the last of {newest}, {100 * bought:.0f} % of their value bought")
        print("rows so far:", trades.sequence, "overrun:", trades.overrun)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:2]))
