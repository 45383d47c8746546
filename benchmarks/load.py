"""A thousand components under as much load as one core takes, over a socket: subcore and the plain manager in turn.

    python benchmarks/load.py                  seven rounds of each fan-out, some minutes
    python benchmarks/load.py --json           the figures alone, for machines and scripts/make_load_doc.py
    python benchmarks/load.py --ci             one short round of one fan-out: that it runs and nothing is lost

1,000 components hold 5 topics each, with handlers that do nothing, of 5,000, 500 or 125 markets: each event goes to 1,
10 or 40 of them. A child process on another core sends prepared DEFAULT tickers as fast as they are taken. Each manager
runs in a process of its own; subcore with its monitoring on and its page served to one viewer. From the first data
frame to the last: CPU time of the process for each delivered event, and by that how many a core takes in a second,
which is what is judged; the same by the clock; the delay from the sender's send to a handler, taken from one frame in
each burst, at that load (which fills the buffers of the socket) and at a paced load of 10,000 frames a second; memory
of the process at the end. Each figure is the median of the rounds, the ratio that of the rounds' own ratios.

Judged: subcore delivers at least 3.5 times the events of the plain manager at a fan-out of 1, 2.5 times at 10, 1.6
times at 40 (not with --ci). Exit 1 = not so, or an event was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent))

from comparison.sender import END, PROBE, Order, Sender, many_codes, probe_delay_us
from comparison.table import machine

import subcore
from subcore.scenarios.plain_manager import PlainManager
from subcore.scenarios.plain_manager import run as run_plain

COMPONENTS, TOPICS = 1000, 5
TARGETS = {1: 3.5, 10: 2.5, 40: 1.6}
WARM_S = 1.5  # between the request and the first data frame
PACED = Order("ticker", "DEFAULT", 20_000, waits=True, burst=20, pause_ms=2.0, probed=True, delay=WARM_S)
SIDES = ("subcore", "plain")


def markets(fan_out: int) -> list[list[str]]:
    """Those of each component; each market is of `fan_out` components."""
    codes = many_codes(COMPONENTS * TOPICS // fan_out)
    return [[codes[(TOPICS * at + k) % len(codes)] for k in range(TOPICS)] for at in range(COMPONENTS)]


class Meter:
    """CPU time from the first data frame to the last, and delays of probes."""

    def __init__(self) -> None:
        self.delays: list[int] = []
        self.done = asyncio.get_running_loop().create_future()
        self.cpu_s = self.wall_s = 0.0

    def probe(self, price: float) -> None:
        if not self.delays:
            self.cpu_s, self.wall_s = time.process_time(), time.perf_counter()
        self.delays.append(probe_delay_us(price))

    def end(self) -> None:
        self.cpu_s = time.process_time() - self.cpu_s
        self.wall_s = time.perf_counter() - self.wall_s
        if not self.done.done():
            self.done.set_result(None)

    def figures(self, delivered: int) -> dict[str, Any]:
        delays = sorted(self.delays[1:]) or [0]
        return {
            "delivered": delivered,
            "cpu_s": self.cpu_s,
            "wall_s": self.wall_s,
            "p50_ms": delays[len(delays) // 2] / 1000,
            "p99_ms": delays[len(delays) * 99 // 100] / 1000,
            "rss_mib": psutil.Process().memory_info().rss / 2**20,
        }


async def play_subcore(url: str, fan_out: int) -> dict[str, Any]:
    meter = Meter()

    def ignore(event: Any) -> None:
        """What every handler does."""

    async with subcore.SubscriptionManager("upbit", url=url, markets=None) as manager:
        with manager.transaction():
            for number, mine in enumerate(markets(fan_out)):
                manager.component(f"component-{number}").subscribe("ticker", mine, ignore)
            last = manager.component("last")
            last.subscribe("ticker", [PROBE], lambda event: meter.probe(event.price))
            last.subscribe("ticker", [END], lambda event: meter.end())
        page = await manager.serve_dashboard()
        watching = threading.Thread(target=watch, args=(page.url,), daemon=True)
        watching.start()
        await meter.done
        if page.viewers != 1 or not watching.is_alive():
            raise RuntimeError("nobody looked at the page: what it costs is not in the figures")
        stats = manager.stats(components=False)
        if stats.handler_errors:
            raise RuntimeError(f"{stats.handler_errors} calls of handlers raised: nothing was measured")
        return meter.figures(stats.delivered - len(meter.delays) - 1)


def watch(url: str) -> None:
    """A viewer of the page, which reads what it is sent. Its time is charged to who is watched."""
    with urllib.request.urlopen(f"{url}events") as events:
        while events.readline():
            pass


class Plain:
    """A component of the plain manager."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def on_data(self, channel: str, symbol: str, data: dict[str, Any]) -> None:
        """Does nothing."""

    def on_reconnect(self) -> None:
        """Not in here."""


class PlainLast(Plain):
    """The one that measures."""

    def on_data(self, channel: str, symbol: str, data: dict[str, Any]) -> None:
        if symbol == END:
            self._meter.end()
        else:
            self._meter.probe(data["trade_price"])


async def play_plain(url: str, fan_out: int) -> dict[str, Any]:
    meter = Meter()
    manager = PlainManager()
    components: list[Plain] = [Plain(meter) for _ in range(COMPONENTS)]
    for component, mine in zip(components, markets(fan_out), strict=True):
        manager.subscribe(component, "ticker", mine)
    last = PlainLast(meter)
    manager.subscribe(last, "ticker", [PROBE, END])
    running = asyncio.create_task(run_plain(manager, f"{url}/websocket/v1"))
    await meter.done
    running.cancel()
    frames = sum(stats.messages for (_, symbol), stats in manager.stats.items() if symbol not in (PROBE, END))
    return meter.figures(fan_out * frames)


def contest(sender: Sender, side: str, fan_out: int, order: Order) -> dict[str, Any]:
    """One manager in a process of its own."""
    sender.order(order)
    base = sender.url.removesuffix("/websocket/v1")
    child = [sys.executable, __file__, "--child", side, "--fan-out", str(fan_out), "--url", base]
    done = subprocess.run(child, capture_output=True, text=True, timeout=300)
    if done.returncode:
        sys.exit(f"{side} failed:\n{done.stderr[-3000:]}")
    got: dict[str, Any] = json.loads(done.stdout)
    got["due"] = order.count * fan_out
    return got


def measure(rounds: int, frames: Mapping[int, int]) -> dict[str, Any]:
    """By fan-out: of each side medians, and the ratio."""
    sender = Sender()
    found: dict[str, Any] = {}
    try:
        for fan_out in frames:
            codes = COMPONENTS * TOPICS // fan_out
            fast = Order("ticker", "DEFAULT", frames[fan_out], True, 64, 0.0, codes, True, WARM_S)
            paced = replace(PACED, codes=codes)
            runs: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
            calm: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
            for _ in range(rounds):
                for side in SIDES:
                    runs[side].append(contest(sender, side, fan_out, fast))
                    calm[side].append(contest(sender, side, fan_out, paced))
                    print(f"fan-out {fan_out}: {side}", file=sys.stderr, flush=True)
            sides = {side: summed_up(runs[side], calm[side]) for side in SIDES}
            found[str(fan_out)] = {**sides, "ratio": ratio(runs), "wanted": TARGETS[fan_out]}
    finally:
        sender.close()
    return found


def cpu_of_an_event(run: Mapping[str, Any]) -> float:
    """CPU seconds of the process."""
    return run["cpu_s"] / max(1, run["delivered"])


def ratio(runs: Mapping[str, list[dict[str, Any]]]) -> float:
    """How many times the plain manager's events a core takes with subcore: what a round says, the median of all."""
    rounds = zip(runs["subcore"], runs["plain"], strict=True)
    return statistics.median(cpu_of_an_event(plain) / cpu_of_an_event(ours) for ours, plain in rounds)


def summed_up(runs: list[dict[str, Any]], calm: list[dict[str, Any]]) -> dict[str, Any]:
    def median(key: str, of: list[dict[str, Any]]) -> float:
        return statistics.median(run[key] for run in of)

    each = [cpu_of_an_event(run) for run in runs]
    return {
        "cpu_us": statistics.median(each) * 1e6,
        "events_a_core_s": 1 / statistics.median(each),
        "events_s": statistics.median(run["delivered"] / run["wall_s"] for run in runs),
        "full_p50_ms": median("p50_ms", runs),
        "full_p99_ms": median("p99_ms", runs),
        "paced_p50_ms": median("p50_ms", calm),
        "paced_p99_ms": median("p99_ms", calm),
        "rss_mib": median("rss_mib", runs),
        "lost": sum(run["due"] - run["delivered"] for run in (*runs, *calm)),
    }


def show(found: dict[str, Any]) -> None:
    print(
        f"{'fan-out':>7} {'manager':>8} {'us/event':>9} {'events/s a core':>16} {'events/s':>10} "
        f"{'full p50/p99 ms':>16} {'paced p50/p99 ms':>17} {'RSS MiB':>8}"
    )
    for fan_out, sides in found.items():
        for side in SIDES:
            got = sides[side]
            full = f"{got['full_p50_ms']:.1f}/{got['full_p99_ms']:.1f}"
            paced = f"{got['paced_p50_ms']:.2f}/{got['paced_p99_ms']:.2f}"
            print(
                f"{fan_out:>7} {side:>8} {got['cpu_us']:9.3f} {got['events_a_core_s']:16,.0f} {got['events_s']:10,.0f} "
                f"{full:>16} {paced:>17} {got['rss_mib']:8.0f}"
            )


def judge(found: dict[str, Any], *, of_times: bool) -> list[str]:
    """What is not as promised; prints the ratios."""
    wrong = []
    for fan_out, sides in found.items():
        got, target = sides["ratio"], sides["wanted"]
        print(
            f"fan-out {fan_out}: {got:.2f}x the plain manager's events (at least {target}x)",
            file=sys.stderr,
        )
        if of_times and got < target:
            wrong.append(f"fan-out {fan_out}: {got:.2f}x, at least {target}x wanted")
        lost = {side: sides[side]["lost"] for side in SIDES if sides[side]["lost"]}
        wrong += [f"fan-out {fan_out}: {side} lost {events}" for side, events in lost.items()]
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--ci", action="store_true", help="short, and times are not judged")
    parser.add_argument("--json", action="store_true", help="the figures alone, for machines")
    parser.add_argument("--child", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--fan-out", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        play = play_subcore if given.child == "subcore" else play_plain
        print(json.dumps(asyncio.run(play(given.url, given.fan_out))))
        return 0
    frames = {10: 5_000} if given.ci else {fan_out: max(60_000, 400_000 // fan_out) for fan_out in TARGETS}
    rounds = 1 if given.ci else given.rounds
    found = measure(rounds, frames)
    if given.json:
        print(json.dumps({"machine": machine(), "rounds": rounds, "fan_outs": found}, indent=1))
    else:
        show(found)
    wrong = judge(found, of_times=not given.ci)
    for text in wrong:
        print(f"NOT SO: {text}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
