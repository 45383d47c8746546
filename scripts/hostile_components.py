"""Hostile components beside healthy ones, over real sockets: the healthy pay nothing, and each hostile one is named.

    python scripts/hostile_components.py --ci       45 seconds
    python scripts/hostile_components.py --full     10 minutes; on a quiet machine, as it judges times and memory
    python scripts/hostile_components.py --ci --json --seed 7

The embedded exchange runs in a process of its own and sends 5,000 trades a second of 600 markets. Of each market two
of 180 healthy components get the trades, by handlers, async handlers, `async for` and `batch`. 20 hostile ones, two of
each kind of `hostile_kinds`, come and go: five segments are without them, five with. In a run of its own a handler
blocks the loop.

Judged: each healthy component got every trade of its markets that the exchange sent, once and in order, by the
exchange's own account. The delay from the exchange's stamp to the handler, its 99th percentile, as the median of the
segments: with hostile components at most twice what it is without, or 2 ms more. Each hostile one that breaks an
obligation is named within 10 s, in segments that last so long, and no healthy one is accused of anything. With --full:
the median memory of the last quarter is at most 1.01 times that of the second. Who blocks the loop is named within 1 s
with its stack, nobody else is accused, and no event is lost. Exit 1 = something of this was not so, or was not shown.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hostile_blocking import Blocked, play_blocking
from hostile_exchange import codes
from hostile_healthy import Healthy
from hostile_kinds import KINDS, Crowd, Hostile

import subcore
from subcore._histogram import Histogram

COMPONENTS, HOSTILE, TOPICS, EVENTS = 200, 20, 600, 5000.0
PAIRS = 5
NAMED_WITHIN_S = 10.0
LIVE_WITHIN_S = 60.0
WARM_S = 2.0  # until the exchange has frames of all markets at hand
LEAVE_WITHIN_S = (
    15.0  # until what nobody wants has left the wire: a link with nothing else stays open for 5 s
)
QUIET_S = 0.3  # for what is under way to arrive
MS = 1_000_000


class ExchangeProcess:
    """The other side, with its own account."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.url = ""

    @classmethod
    async def start(cls, seed: int, events: float, markets: int) -> ExchangeProcess:
        script = Path(__file__).with_name("hostile_exchange.py")
        options = ("--seed", str(seed), "--events", str(events), "--markets", str(markets))
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(script), *options, stdin=pipe, stdout=pipe, limit=1 << 24
        )
        made = cls(process)
        made.url = (await made._answer())["url"]
        return made

    async def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(await asyncio.wait_for(self._process.stdout.readline(), 30.0))

    async def ask(self, word: str) -> dict[str, Any]:
        """See hostile_exchange."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())
        answer: dict[str, Any] = await self._answer()
        return answer

    async def stop(self) -> dict[str, Any]:
        """End the traffic; the account."""
        return await self.ask("stop")

    async def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await asyncio.wait_for(self._process.wait(), 10.0)


@dataclass
class Segment:
    """What one stretch of time came to."""

    hostile: bool
    seconds: float
    p50_ms: float
    p99_ms: float
    events: int


@dataclass
class Outcome:
    """All that is judged."""

    segments: list[Segment] = field(default_factory=list)
    named: dict[str, list[tuple[float, str] | None]] = field(default_factory=dict)
    steps: dict[str, list[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    events_due: int = 0
    events_got: int = 0
    rss_kib: list[int] = field(default_factory=list)
    blocked: Blocked | None = None
    exchange: dict[str, Any] = field(default_factory=dict)

    def p99(self, hostile: bool) -> float:
        return statistics.median(s.p99_ms for s in self.segments if s.hostile is hostile)

    def judge(self, full: bool) -> None:
        """Add what was broken, or not shown, to `faults`."""
        plain, troubled = self.p99(False), self.p99(True)
        if troubled > max(2 * plain, plain + 2.0):
            self.faults.append(f"p99 delay {troubled:.1f} ms with hostile components, {plain:.1f} ms without")
        for kind in KINDS:
            named = self.named.get(kind.name, [])
            if not named:
                self.faults.append(f"{kind.name}: not shown")
            elif kind.is_named and any(each is None or each[0] > NAMED_WITHIN_S for each in named):
                self.faults.append(f"{kind.name}: not named within {NAMED_WITHIN_S:g} s: {named}")
        if self.events_due < 1000:
            self.faults.append(f"only {self.events_due} events were due: nothing was shown")
        if full:
            second, last = self.quarters
            if last > 1.01 * second:
                self.faults.append(f"memory grew from {second:,.0f} to {last:,.0f} KiB")
        if self.blocked is None:
            self.faults.append("the run with a blocked loop was not shown")
        else:
            self.faults += self.blocked.faults

    @property
    def quarters(self) -> tuple[float, float]:
        """Median memory in KiB of the second quarter and of the last."""
        quarter = max(1, len(self.rss_kib) // 4)
        return statistics.median(self.rss_kib[quarter : 2 * quarter]), statistics.median(
            self.rss_kib[-quarter:]
        )


def rss_kib() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


class Play:
    """One run."""

    def __init__(self, seed: int, seconds: float, first_s: float, events: float) -> None:
        self.seed = seed
        self.events = events
        self.first_s = first_s
        self.short_s = max(0.5, (seconds - first_s) / (2 * PAIRS - 1))
        self.outcome = Outcome()
        self.healthy: list[Healthy] = []

    async def run(self, say: Any) -> Outcome:
        names = codes(TOPICS + HOSTILE)
        exchange = await ExchangeProcess.start(self.seed, self.events, len(names))
        try:
            async with subcore.SubscriptionManager("upbit", url=exchange.url, seed=self.seed) as manager:
                self._subscribe(manager, names[:TOPICS])
                await asyncio.gather(*(one.component.live(LIVE_WITHIN_S) for one in self.healthy))
                say(f"{len(self.healthy)} healthy components live")
                await asyncio.sleep(WARM_S)
                for number in range(PAIRS):
                    await self._segment(manager, names, number, hostile=False)
                    await self._segment(manager, names, number, hostile=True)
                    say(f"pair {number + 1} of {PAIRS}")
                await self._compare(manager, exchange, names)
        finally:
            await exchange.end()
        return self.outcome

    def _subscribe(self, manager: subcore.SubscriptionManager, topics: Sequence[str]) -> None:
        count = COMPONENTS - HOSTILE
        with manager.transaction():
            for number in range(count):
                mine = [
                    code for at, code in enumerate(topics) if number in (at % count, (7 * at + 1) % count)
                ]
                self.healthy.append(Healthy(manager, number, mine))

    async def _segment(
        self, manager: subcore.SubscriptionManager, names: Sequence[str], number: int, *, hostile: bool
    ) -> None:
        for one in self.healthy:
            one.delays = Histogram()
        before = manager.stats().frames
        seconds = self.first_s if hostile and number == 0 else self.short_s
        crowd = None
        if hostile:
            # What only they want makes the exchange begin anew with all streams, for which it needs its time: where it
            # would weigh on a short segment they want what others have.
            own = names[TOPICS:] if seconds > NAMED_WITHIN_S else names[:HOSTILE]
            crowd = Crowd(manager, names[:TOPICS], own, f"{self.seed} {number}")
        began = time.monotonic()
        while (left := seconds - (time.monotonic() - began)) > 0:
            await asyncio.sleep(min(0.2, left))
            self.outcome.rss_kib.append(rss_kib())
        if crowd is not None:
            await crowd.end()
            if time.monotonic() - began > NAMED_WITHIN_S:
                self._take_names(crowd.members)
        delays = Histogram()
        for one in self.healthy:
            delays.merge(one.delays)
        p50, p99 = (delays.percentile(q) or 0 for q in (50.0, 99.0))
        passed = time.monotonic() - began
        frames = manager.stats().frames - before
        self.outcome.segments.append(Segment(hostile, passed, p50 / MS, p99 / MS, frames))

    def _take_names(self, members: Sequence[Hostile]) -> None:
        for one in members:
            self.outcome.named.setdefault(one.kind, []).append(one.named)
            self.outcome.steps.setdefault(one.kind, list(dict.fromkeys(one.steps)))

    async def _compare(
        self, manager: subcore.SubscriptionManager, exchange: ExchangeProcess, names: Sequence[str]
    ) -> None:
        """What the exchange says it sent, and what the healthy got."""
        own, outcome = set(names[TOPICS:]), self.outcome
        until = time.monotonic() + LEAVE_WITHIN_S
        while (left := own & set((await exchange.ask("carried"))["carried"])) and time.monotonic() < until:
            await asyncio.sleep(0.2)
        if left:
            outcome.faults.append(f"still on the wire, for nobody: {sorted(left)[:5]}")
        account = outcome.exchange = await exchange.stop()
        await asyncio.sleep(QUIET_S)
        trades = account.pop("trades")
        for one in self.healthy:
            outcome.events_due += sum(trades.get(code, [0])[0] for code in one.topics)
            outcome.events_got += sum(got.count for got in one.got.values())
            outcome.faults += one.missing(trades)
            outcome.faults += one.accused
        if account["violations"]:
            outcome.faults.append(f"{account['violations']} violations of the venue's limits")
        if lost := manager.stats().losses_of_link:  # what was under way then is nobody's fault here
            outcome.faults.append(
                f"the link was lost {lost} times: this machine is too busy to show anything"
            )
        silent = [code for code in names[:TOPICS] if not trades.get(code, [0])[0]]
        if len(silent) > TOPICS // 20:
            outcome.faults.append(f"{len(silent)} markets had no trade: too little was shown")


def show(outcome: Outcome) -> None:
    """A table for people."""
    print(f"{'segment':>24} {'seconds':>8} {'frames/s':>9} {'p50 ms':>7} {'p99 ms':>7}")
    for segment in outcome.segments:
        what = "with 20 hostile ones" if segment.hostile else "the healthy alone"
        rate = segment.events / segment.seconds
        print(f"{what:>24} {segment.seconds:8.1f} {rate:9,.0f} {segment.p50_ms:7.2f} {segment.p99_ms:7.2f}")
    print(f"median p99: {outcome.p99(False):.2f} ms without, {outcome.p99(True):.2f} ms with")
    print(f"\n{'hostile kind':>24}  named after (s), by what; told")
    for kind in KINDS:
        named = outcome.named.get(kind.name, [])
        times = ", ".join("never" if each is None else f"{each[0]:.1f}" for each in named) or "-"
        what = next((each[1] for each in named if each is not None), "")
        told = " ".join(outcome.steps.get(kind.name, []))
        print(f"{kind.name:>24}  {times}{'' if kind.is_named else ' (need not be)'}  {what}; {told}")
    print(f"\nthe healthy were due {outcome.events_due:,} events and got {outcome.events_got:,}")
    second, last = outcome.quarters
    print(f"memory: median of the second quarter {second:,.0f} KiB, of the last {last:,.0f} KiB")
    print(f"the exchange: {outcome.exchange}")
    if outcome.blocked is not None:
        print(f"a handler blocked the loop: {outcome.blocked.told}")
    for fault in outcome.faults[:20]:
        print(f"NOT SO: {fault}")
    if len(outcome.faults) > 20:
        print(f"... and {len(outcome.faults) - 20} more")


def as_dict(outcome: Outcome) -> dict[str, Any]:
    """For machines."""
    return {
        "segments": [vars(segment) for segment in outcome.segments],
        "p99_ms": {"without": outcome.p99(False), "with": outcome.p99(True)},
        "named": outcome.named,
        "told": outcome.steps,
        "events_due": outcome.events_due,
        "events_got": outcome.events_got,
        "rss_kib": dict(zip(("second_quarter", "last_quarter"), outcome.quarters, strict=True)),
        "exchange": outcome.exchange,
        "blocked": None if outcome.blocked is None else outcome.blocked.told,
        "faults": outcome.faults,
    }


async def run(chosen: argparse.Namespace, seconds: float, first_s: float) -> Outcome:
    """Both runs, one after the other, each with an exchange of its own."""

    def say(text: str) -> None:
        if not chosen.json:
            print(f"{time.monotonic() - began:5.0f} s  {text}", file=sys.stderr, flush=True)

    began = time.monotonic()
    play = Play(chosen.seed, seconds, first_s, chosen.events)
    outcome = await play.run(say)
    exchange = await ExchangeProcess.start(chosen.seed + 1, chosen.events / 5, 100)
    try:
        outcome.blocked = await play_blocking(exchange.url, exchange.stop, codes(100), chosen.seed)
    finally:
        await exchange.end()
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    size = parser.add_mutually_exclusive_group(required=True)
    size.add_argument("--ci", action="store_true", help="45 seconds")
    size.add_argument("--full", action="store_true", help="10 minutes")
    parser.add_argument("--seconds", type=float, default=None, help="of the segments together")
    parser.add_argument("--events", type=float, default=EVENTS, help="trades a second of the exchange")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="the figures alone, for machines")
    parser.add_argument("--verbose", action="store_true", help="show what the manager logs")
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.WARNING if chosen.verbose else logging.CRITICAL)
    logging.getLogger("subcore").setLevel(logging.WARNING)
    logging.getLogger("subcore").propagate = chosen.verbose
    logging.getLogger("subcore").addHandler(logging.NullHandler())
    seconds = chosen.seconds or (560.0 if chosen.full else 22.0)
    first_s = max(NAMED_WITHIN_S + 1.5, seconds / (2 * PAIRS))
    print(f"seed {chosen.seed}, {seconds:g} s of segments", file=sys.stderr, flush=True)
    outcome = asyncio.run(run(chosen, seconds, first_s))
    outcome.judge(chosen.full)
    if chosen.json:
        print(json.dumps(as_dict(outcome), indent=1))
    else:
        show(outcome)
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main())
