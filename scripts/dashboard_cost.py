"""What the dashboard costs: CPU seconds a second of a manager with 5,000 topics, with five viewers and with none.

    python scripts/dashboard_cost.py [--components 124] [--viewers 5] [--seconds 10] [--rounds 5] [--limit 0.05]

The exchange and the viewers have processes of their own. Each viewer does what the page does: it holds the stream of
events and asks for the topics every two seconds. Seconds with and without viewers take turns, and the difference of
their medians is the cost; exit code 1 where it is above the limit. `--json` for machines.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

CHANNELS = ("ticker", "trade", "orderbook", "candle.1m", "candle.5m", "candle.15m")
TOPICS = 5000
RATE = 0.2
EVERY_S = 2.0
COLUMNS = "channel,symbol,depth,grouping,holders,priority,state,data,link,frames,gaps,rate_10s,last_delay_ns"
COLUMNS += ",worst_delay_ns,last_receive_time_ns"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--components", type=int, default=124)
    parser.add_argument("--viewers", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=0.05, help="of a core")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    theirs, ours = spawn.Pipe()
    exchange = spawn.Process(target=serve_exchange, args=(theirs,), daemon=True)
    exchange.start()
    try:
        said = asyncio.run(measure(options, ours.recv(), spawn))
    finally:
        ours.send("end")
        exchange.join(10)
    print(json.dumps(said) if options.json else table(said))
    return 0 if said["cost"] <= options.limit else 1


def table(said: dict[str, Any]) -> str:
    return (
        f"{said['topics']:,} topics of {said['components']} components, {said['viewers']} viewers: "
        f"{said['with']:.4f} CPU s a second with them, {said['without']:.4f} without: "
        f"{said['cost'] * 100:.2f} % of a core "
        f"({said['bytes_per_second'] / 1000:,.0f} kB a second to all of them; figures each {said['interval_s']:.2f} s)"
    )


async def measure(options: argparse.Namespace, url: str, spawn: Any) -> dict[str, Any]:
    from subcore.manager import SubscriptionManager
    from subcore.sim.markets import generate_markets

    symbols = [market.code for market in generate_markets()]
    pairs = [(channel, symbol) for channel in CHANNELS for symbol in symbols][:TOPICS]
    async with SubscriptionManager("upbit", url=url, seed=1) as manager:
        components = [manager.component(f"component-{number:04d}") for number in range(options.components)]
        for number, (channel, symbol) in enumerate(pairs):
            components[number % len(components)].subscribe(channel, symbol, lambda event: None)
        await asyncio.gather(*(component.live(timeout=60.0) for component in components))
        dashboard = await manager.serve_dashboard()
        found: dict[str, list[float]] = {"with": [], "without": []}
        sent = 0.0
        for _ in range(options.rounds):
            found["without"].append(await cpu_of(options.seconds))
            theirs, ours = spawn.Pipe()
            viewers = spawn.Process(target=watch, args=(dashboard.url, options.viewers, theirs), daemon=True)
            viewers.start()
            while dashboard.viewers < options.viewers:
                await asyncio.sleep(0.05)
            await asyncio.sleep(1.0)
            ours.send("count")
            found["with"].append(await cpu_of(options.seconds))
            ours.send("end")
            while not ours.poll():
                await asyncio.sleep(0.01)
            sent += ours.recv() / options.seconds / options.rounds
            viewers.join(10)
        with_, without = (statistics.median(found[name]) for name in ("with", "without"))
        return {
            "topics": len(manager.topic_stats()),
            "components": options.components,
            "viewers": options.viewers,
            "with": with_,
            "without": without,
            "cost": with_ - without,
            "bytes_per_second": sent,
            "interval_s": dashboard._figures.live.interval_s,
        }


async def cpu_of(seconds: float) -> float:
    """CPU seconds of this process a second."""
    began, cpu = time.monotonic(), time.process_time()
    await asyncio.sleep(seconds)
    return (time.process_time() - cpu) / (time.monotonic() - began)


def serve_exchange(pipe: Any) -> None:
    """In a process of its own."""

    async def run() -> None:
        from subcore.sim.server import SimServer

        async with SimServer(seed=1, rate=RATE) as server:
            pipe.send(server.url)
            while not pipe.poll():
                await asyncio.sleep(0.1)

    asyncio.run(run())


def watch(url: str, viewers: int, pipe: Any) -> None:
    """So many pages, in a process of their own; at the end, how many bytes came since they were told to count."""
    from page_client import PageClient

    heard = 0

    async def follow() -> None:
        nonlocal heard
        async with PageClient(url) as client:
            await client.get("/events")
            while True:
                event = await client.reader.readuntil(b"\n\n")
                heard += len(event)

    async def ask() -> None:
        nonlocal heard
        async with PageClient(url) as client:
            while True:
                reply = await client.get(f"/topics.json?columns={COLUMNS}")
                heard += len(reply.body)
                await asyncio.sleep(EVERY_S)

    async def run() -> None:
        nonlocal heard
        tasks = [asyncio.ensure_future(work()) for _ in range(viewers) for work in (follow, ask)]
        for word in ("count", "end"):
            while not pipe.poll():
                await asyncio.sleep(0.05)
            assert pipe.recv() == word
            heard = 0 if word == "count" else heard
        pipe.send(heard)
        for task in tasks:
            task.cancel()

    asyncio.run(run())


if __name__ == "__main__":
    raise SystemExit(main())
