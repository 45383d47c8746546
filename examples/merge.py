"""One loop over two venues: what came first is handled first, whichever venue it is from."""

from __future__ import annotations

import asyncio
import sys

import subcore


async def main(upbit_url: str | None = None, events: int = 30, binance_url: str | None = None) -> None:
    async with (
        subcore.SubscriptionManager("upbit", url=upbit_url) as upbit,
        subcore.SubscriptionManager("binance", url=binance_url) as binance,
    ):
        korea, world = upbit.component("korea"), binance.component("world")
        korea.subscribe("trade", ["KRW-BTC", "KRW-ETH"])
        world.subscribe("trade", ["BTCUSDT", "ETHUSDT"])
        await asyncio.gather(korea.live(timeout=10.0), world.live(timeout=10.0))

        newest: dict[tuple[str, str], float] = {}
        seen = 0
        async for trade in subcore.merge(korea, world):
            newest[trade.venue, trade.symbol] = trade.price
            seen += 1
            if seen >= events and len({venue for venue, _ in newest}) == 2:
                break
        for (venue, symbol), price in sorted(newest.items()):
            print(f"{venue:8} {symbol:8} {price:,.2f}")

    # Closed, each ends for itself; what is left can still be read, and the iteration ends with the last.
    rest = [trade async for trade in subcore.merge(korea, world)]
    print(seen, "trades,", len(rest), "more were left")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:2]))
