"""An account's own orders and balances, beside public prices: two connections, a fresh login at each connect.

Needs `pip install 'subcore[auth]'`. With UPBIT_ACCESS_KEY and UPBIT_SECRET_KEY set it is your account; against
`subcore sim` it is the one the embedded exchange plays.
"""

from __future__ import annotations

import asyncio
import os
import sys

import subcore
from subcore.sim import TEST_ACCESS_KEY, TEST_SECRET_KEY
from subcore.venues.upbit_auth import JwtCredentials, jwt_credentials


def credentials(url: str | None) -> JwtCredentials:
    access_key, secret_key = os.environ.get("UPBIT_ACCESS_KEY"), os.environ.get("UPBIT_SECRET_KEY")
    if access_key and secret_key:
        return jwt_credentials(access_key, secret_key, account="mine")
    if url is None:
        sys.exit("set UPBIT_ACCESS_KEY and UPBIT_SECRET_KEY, or give the address of a `subcore sim`")
    return jwt_credentials(TEST_ACCESS_KEY, TEST_SECRET_KEY, account="test")


def show(status: subcore.Status) -> None:
    print(f"  {status.kind.name}: {status.reason or ', '.join(map(str, status.topics))}")


async def main(url: str | None = None, count: int = 5) -> None:
    async with subcore.SubscriptionManager("upbit", url=url, credentials=credentials(url)) as manager:
        desk = manager.component("desk", priority=subcore.Priority.CRITICAL, on_status=show)
        desk.subscribe("myOrder", "*")  # or the markets that matter
        desk.subscribe("myAsset", "*")
        desk.subscribe("ticker", "KRW-BTC")
        await desk.live(timeout=10.0)  # a silent account is proven by the venue's own list
        print("live:", manager.explain("myOrder", "*"))
        # the private route has no snapshot: read open orders and balances over REST now, and after RECOVERED
        async for event in desk:
            if isinstance(event, subcore.Order):
                side = event.side.name if event.side else "-"
                print(event.symbol, side, event.state, event.executed_size, "of", event.size)
            elif isinstance(event, subcore.Asset):
                print(
                    *(f"{currency} {available} (+{locked})" for currency, available, locked in event.balances)
                )
            else:
                continue
            count -= 1
            if count <= 0:
                break


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:2]))
