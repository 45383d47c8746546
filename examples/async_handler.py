"""An async handler: it may wait for a disk or a database, and is handed one event at a time, in order."""

from __future__ import annotations

import asyncio
import sys

import subcore


class Journal:
    """Writes trades somewhere slow."""

    def __init__(self) -> None:
        self.written: list[tuple[str, int | str | None]] = []

    async def write(self, trade: subcore.Trade) -> None:
        await asyncio.sleep(0.01)  # a database
        self.written.append((trade.symbol, trade.id))


def tell(status: subcore.Status) -> None:
    if status.kind is subcore.StatusKind.LOSS:
        print("too slow:", status.reason)


async def main(url: str | None = None, trades: int = 20) -> None:
    journal = Journal()
    async with subcore.SubscriptionManager("upbit", url=url) as manager:
        component = manager.component("journal", on_status=tell)
        # While it writes, up to 1,000 trades wait; beyond that the oldest goes, which is counted and told.
        component.subscribe("trade", ["KRW-BTC", "KRW-ETH"], journal.write, delivery=subcore.Queue(1000))
        await component.live(timeout=10.0)
        while len(journal.written) < trades:
            await asyncio.sleep(0.05)
        stats = component.stats()
        print(f"{len(journal.written)} written, {stats.queued} wait, {stats.lost} lost")
    # The end of the block gave it time for what waited; `await manager.close()` returns a report that says so.
    print(f"{len(journal.written)} written in the end")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:2]))
