"""The embedded exchange in a process of its own, which keeps account of every trade it sent.

    python scripts/hostile_exchange.py --seed 1 --events 5000 --markets 620 --carry 600

Prints its address as a line of JSON. Then answers lines on its input: "carried" with the markets it sends to anybody;
"behind" with how many milliseconds it was behind its clock at the worst since that was last asked, one look in ten left
out, with how many trades left so far, and when that was; "stop" ends all traffic and prints the account, for each
market how many trades left, each counted once, and a running checksum of their ids in order. Ends with its input.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import threading
import time
import zlib
from collections import deque
from typing import Any

from subcore.sim.connection import Connection, Output, Subscription
from subcore.sim.exchange import Exchange
from subcore.sim.markets import markets_for
from subcore.sim.server import SimServer

TRADES_AN_ORDER = 1.0  # about
MS = 1_000_000
SECOND = 1_000_000_000
LOOK_NS = 20 * MS
REPEATS = 64  # a trade may come again in a snapshot
TRADE = re.compile(rb'"(?:code|cd)":"([^"]+)".*"(?:sequential_id|sid)":(\d+)')


def codes(count: int) -> list[str]:
    """Names of that many markets."""
    return [f"KRW-S{number:03}" for number in range(count)]


def checksum(before: int, number: int) -> int:
    """Of ids in order."""
    return zlib.crc32(number.to_bytes(8, "little"), before)


class Account:
    """Trades of one market that left."""

    __slots__ = ("count", "latest", "sum")

    def __init__(self) -> None:
        self.count = self.sum = 0
        self.latest: deque[int] = deque(maxlen=REPEATS)

    def add(self, number: int) -> None:
        if number not in self.latest:
            self.latest.append(number)
            self.count += 1
            self.sum = checksum(self.sum, number)


class TalliedExchange(Exchange):
    """Keeps account of what really goes out."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.accounts_of: dict[str, Account] = {}
        self.stopped = False

    def account(self) -> dict[str, Any]:
        """What left so far, as JSON."""
        accounts = self.accounts_of.items()
        return {
            "trades": {code: [account.count, account.sum] for code, account in accounts},
            "frames": self.stats.frames,
            "violations": len(self.violations),
        }

    @property
    def trades(self) -> int:
        """That left so far, of all markets, each counted once."""
        return sum(account.count for account in self.accounts_of.values())

    def carried(self) -> list[str]:
        """Markets that some connection gets."""
        return sorted({s.wanted.code for c in self.connections.values() for s in c.subscriptions.values()})

    def _send_stream(self, subscription: Subscription, payload: bytes, at: int) -> None:
        if not self.stopped:
            super()._send_stream(subscription, payload, at)

    def _put(self, at: int, conn: Connection, output: Output) -> None:
        super()._put(at, conn, output)
        if output.kind == "frame" and (found := TRADE.search(output.payload)) is not None:
            self.accounts_of.setdefault(found[1].decode(), Account()).add(int(found[2]))


async def main(seed: int, events: float, markets: int, carry: int) -> None:
    names = codes(markets)
    rate = events / TRADES_AN_ORDER / sum(market.trade_rate for market in markets_for(names, seed)[:carry])
    exchange = TalliedExchange(seed=seed, markets=names, rate=rate, variety=4)
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def listen() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line.strip())
        loop.call_soon_threadsafe(lines.put_nowait, "")

    threading.Thread(target=listen, daemon=True).start()
    async with SimServer(exchange) as server:
        say({"url": server.url})
        behind, worst = list[int](), 0

        async def watch() -> None:
            nonlocal worst
            while True:
                due = time.monotonic_ns() + LOOK_NS
                await asyncio.sleep(LOOK_NS / SECOND)
                late = time.monotonic_ns() - due
                behind.append(late + server.behind_ns)
                worst = max(worst, late + server.behind_ns)

        watching = asyncio.create_task(watch())
        while line := await lines.get():
            if line == "stop":
                exchange.stopped = True
                await settled(exchange)
                say({**exchange.account(), "behind_ms": worst / MS})
            elif line == "behind":
                behind.sort()
                worst_of_ten = behind[len(behind) * 9 // 10] / MS if behind else 0.0
                say({"behind_ms": worst_of_ten, "trades": exchange.trades, "at": time.monotonic()})
                behind.clear()
            else:
                say({"carried": exchange.carried()})
        watching.cancel()


async def settled(exchange: Exchange) -> None:
    """Wait until what was on its way has left, however far behind its clock the exchange is."""
    left = -1
    until = time.monotonic() + 10.0
    while left != exchange.stats.frames and time.monotonic() < until:
        left = exchange.stats.frames
        await asyncio.sleep(0.5)


def say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--events", type=float, default=5000.0)
    parser.add_argument("--markets", type=int, default=620)
    parser.add_argument("--carry", type=int, help="so many of them bring the events; all by default")
    chosen = parser.parse_args()
    asyncio.run(main(chosen.seed, chosen.events, chosen.markets, chosen.carry or chosen.markets))
