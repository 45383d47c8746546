"""Two components promise a heartbeat. One keeps it; the other stops, is quarantined, and then reaped."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

import subcore

EACH_S = 0.2
SOON = subcore.Obligations(beats_reap=1.5)  # for a short example: 10 s is the default


async def keeps_its_promise(component: subcore.Component) -> None:
    """Events may be rare; the heartbeat says that somebody is there to take them."""
    while True:
        await component.batch(timeout=EACH_S / 2)
        component.heartbeat()


async def breaks_its_promise(component: subcore.Component, beats: int) -> None:
    for _ in range(beats):
        await component.batch(timeout=EACH_S / 2)
        component.heartbeat()
    async for _ in component:  # it still reads, and promised more
        pass


def teller(name: str) -> Callable[[subcore.Status], None]:
    def tell(status: subcore.Status) -> None:
        if not status.topics:  # it is about the component as a whole
            print(f"{name} is {status.kind.name}: {status.reason}")

    return tell


async def main(url: str | None = None, beats: int = 5) -> None:
    async with subcore.SubscriptionManager("upbit", url=url, obligations=SOON) as manager:
        good = manager.component("good", heartbeat=EACH_S, on_status=teller("good"))
        broken = manager.component("broken", heartbeat=EACH_S, on_status=teller("broken"))
        for component in (good, broken):
            component.subscribe("ticker", ["KRW-BTC", "KRW-ETH"])
        reader = asyncio.create_task(keeps_its_promise(good))
        try:
            await breaks_its_promise(broken, beats)
        except subcore.errors.ComponentReaped as error:
            print(error)
        print(f"left: {', '.join(manager.components)}")
        reader.cancel()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:2]))
