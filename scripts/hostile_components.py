"""Hostile components beside healthy ones, over real sockets: the healthy pay nothing, and each hostile one is named.

    python scripts/hostile_components.py --ci       45 seconds
    python scripts/hostile_components.py --full     10 minutes; on a quiet machine, as it judges times and memory
    python scripts/hostile_components.py --ci --json --seed 7

The embedded exchange runs in a process of its own and sends 5,000 trades a second of 600 markets. Of each market two
of 180 healthy components get the trades, by handlers, async handlers, `async for` and `batch`. 20 hostile ones, of each
kind of `hostile_crowd` at least one, come and go: five segments are without them, five with. In a run of its own a
handler blocks the loop.

Judged: each healthy component got every trade of its markets that the exchange sent, once and in order, by the
exchange's own account. The delay from the exchange's stamp to the handler, its 99th percentile, as the median of the
segments: with hostile components at most twice what it is without, or 2 ms more. In segments long enough (one with
--ci, all with --full), each hostile one that breaks an obligation is named within 10 s by a step of the ladder and
comes to the end it deserves; of who is reaped nothing is left, here or on the wire; who breaks none did all that it is
there for, and nobody accuses it. No healthy one is accused of anything. The exchange really sent the trades a second
that it was to, less a tenth at most. With --full: the median memory of the last quarter is at most 1.01 times that of
the second. Who blocks the loop is named within 1 s with its stack, nobody else is accused, and no event is lost.

Times are judged of calm pairs of segments alone: the exchange kept to its clock, and at most 2 % of the machine's time
was taken by other machines on the same iron. --full plays up to five pairs more for those that were not. Short segments
cannot tell the hundredth part of their events from one reaping or collection: --ci sees to it that nothing is far off.

Exit 1 = something of this was not so. Where fewer than three pairs were calm, this machine is too busy to judge times:
the delays, the 10 s, the rate, the memory, and whom an overloaded loop makes SLOW. All else is judged all the same: who
is never named, does not come to its end, or is still on the wire. The last line says what was not judged, and --full
ends with 2 then.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sizes
from hostile_blocking import play_blocking
from hostile_crowd import NAMED_WITHIN_S, Crowd
from hostile_exchange import codes
from hostile_healthy import Healthy
from hostile_outcome import Outcome, Segment, as_dict, show

import subcore
from subcore._histogram import Histogram

COMPONENTS, HOSTILE, TOPICS, EVENTS = 200, 20, 600, 5000.0
PAIRS = 5
FIRST_S = NAMED_WITHIN_S + 1.5
# With the usual times nobody would be reaped within the first segment.
SHORT = subcore.Obligations(grace=2.0, beats_reap=6.0, tries=(1.0, 2.5), failing=4.0)
REAPED_AFTER_S = 45.0  # with the usual times
LIVE_WITHIN_S = 60.0
WARM_S = 2.0  # until the exchange has frames of all markets at hand
LEAVE_WITHIN_S = 15.0  # until what nobody wants has left the wire; an empty link stays open for 5 s
QUIET_S = 0.3  # for what is under way to arrive
MS = 1_000_000


class ExchangeProcess:
    """The other side, with its own account."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.url = ""

    @classmethod
    async def start(cls, seed: int, events: float, markets: int, carry: int) -> ExchangeProcess:
        """`carry` of the markets bring so many events a second."""
        script = Path(__file__).with_name("hostile_exchange.py")
        options = ("--seed", str(seed), "--events", str(events), "--markets", str(markets))
        options += ("--carry", str(carry))
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

    async def still_carries(self, markets: set[str]) -> set[str]:
        """What of these it still sends when it should have ceased to."""
        until = time.monotonic() + LEAVE_WITHIN_S
        while (left := markets & set((await self.ask("carried"))["carried"])) and time.monotonic() < until:
            await asyncio.sleep(0.2)
        return left

    async def stop(self) -> dict[str, Any]:
        """End the traffic; the account."""
        return await self.ask("stop")

    async def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await asyncio.wait_for(self._process.wait(), 10.0)


def rss_kib() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def stolen_ticks() -> tuple[int, int]:
    """Time that other machines on the same iron took from this one, and all time, in ticks of all cores."""
    if not (stat := Path("/proc/stat")).exists():
        return 0, 1
    ticks = [int(word) for word in stat.read_text().split("\n", 1)[0].split()[1:9]]
    return ticks[7], sum(ticks)


def stolen_share(since: tuple[int, int]) -> float:
    """Of the time since `stolen_ticks()` was asked, 0 to 1."""
    stolen, total = stolen_ticks()
    return (stolen - since[0]) / max(1, total - since[1])


class Play:
    """One run."""

    def __init__(self, seed: int, seconds: float, events: float, most: int = PAIRS) -> None:
        self.seed = seed
        self.events = events
        self.most = most
        self.first_s = max(FIRST_S, seconds / (2 * PAIRS))
        self.short_s = max(0.5, (seconds - self.first_s) / (2 * PAIRS - 1))
        self.rules = SHORT if self.first_s < REAPED_AFTER_S else subcore.Obligations()
        self.outcome = Outcome(events_wanted=events)
        self.healthy: list[Healthy] = []

    async def run(self, say: Any) -> Outcome:
        names = codes(TOPICS + HOSTILE)
        exchange = await ExchangeProcess.start(self.seed, self.events, len(names), TOPICS)
        try:
            async with subcore.SubscriptionManager(
                "upbit", url=exchange.url, seed=self.seed, obligations=self.rules
            ) as manager:
                self._subscribe(manager, names[:TOPICS])
                await asyncio.gather(*(one.component.live(LIVE_WITHIN_S) for one in self.healthy))
                say(f"{len(self.healthy)} healthy components live")
                await asyncio.sleep(WARM_S)
                for number in range(self.most):
                    await self._segment(manager, exchange, names, number, hostile=False)
                    await self._segment(manager, exchange, names, number, hostile=True)
                    calm = len(self.outcome.calm_pairs)
                    say(f"pair {number + 1}, {calm} of {PAIRS} calm")
                    if number + 1 >= PAIRS <= calm:
                        break
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
        self,
        manager: subcore.SubscriptionManager,
        exchange: ExchangeProcess,
        names: Sequence[str],
        number: int,
        *,
        hostile: bool,
    ) -> None:
        for one in self.healthy:
            one.delays = Histogram()
        before = await exchange.ask("behind")
        seconds = self.first_s if hostile and number == 0 else self.short_s
        crowd = None
        if hostile:
            # What only they want makes the exchange begin anew with all streams, for which it needs its time: where it
            # would weigh on a short segment they want what others have.
            own = names[TOPICS:] if seconds >= FIRST_S else names[:HOSTILE]
            crowd = Crowd(manager, names[:TOPICS], own, f"{self.seed} {number}")
            await crowd.start()
        began, stolen = time.monotonic(), stolen_ticks()
        while (left := seconds - (time.monotonic() - began)) > 0:
            await asyncio.sleep(min(0.2, left))
            self.outcome.rss_kib.append(rss_kib())
        delays = Histogram()
        for one in self.healthy:
            delays.merge(one.delays)
        p50, p99 = (delays.percentile(q) or 0 for q in (50.0, 99.0))
        passed, share = time.monotonic() - began, stolen_share(stolen)
        after = await exchange.ask("behind")
        sent = (after["trades"] - before["trades"]) / (after["at"] - before["at"])
        self.outcome.segments.append(
            Segment(hostile, passed, p50 / MS, p99 / MS, delays.count, after["behind_ms"], share, sent)
        )
        if crowd is not None:
            if seconds >= FIRST_S:
                await self._judge_crowd(crowd, exchange)
            await crowd.end()
            del crowd
            gc.collect()  # what the hostile leave in cycles waits for the collector: that is no growth

    async def _judge_crowd(self, crowd: Crowd, exchange: ExchangeProcess) -> None:
        """A segment in which everything had its time is over."""
        outcome = self.outcome
        await crowd.settled()
        faults, late = await crowd.judged()
        outcome.faults += faults
        outcome.late += late
        if left := await exchange.still_carries(crowd.reaped_own()):
            outcome.faults.append(f"still on the wire, for nobody that lives: {sorted(left)[:5]}")
        for one in crowd.members:
            outcome.named.setdefault(one.kind, []).append(one.named)
            outcome.steps.setdefault(one.kind, list(dict.fromkeys(one.steps)))
            outcome.did.setdefault(one.kind, Counter()).update(one.did)

    async def _compare(
        self, manager: subcore.SubscriptionManager, exchange: ExchangeProcess, names: Sequence[str]
    ) -> None:
        """What the exchange says it sent, and what the healthy got."""
        outcome = self.outcome
        if left := await exchange.still_carries(set(names[TOPICS:])):
            outcome.faults.append(f"still on the wire, for nobody: {sorted(left)[:5]}")
        account = outcome.exchange = await exchange.stop()
        await asyncio.sleep(QUIET_S)
        trades = account.pop("trades")
        lost = manager.stats(components=False).losses_of_link
        if lost:  # what was under way then is lost, and that is nobody's fault here
            outcome.late.append(f"the link was lost {lost} times")
        for one in self.healthy:
            outcome.events_due += sum(trades.get(code, [0])[0] for code in one.topics)
            outcome.events_got += sum(got.count for got in one.got.values())
            (outcome.late if lost else outcome.faults).extend(one.missing(trades))
            accused, slow = one.accused
            outcome.faults += accused
            outcome.late += slow
        if account["violations"]:
            outcome.faults.append(f"{account['violations']} violations of the venue's limits")
        silent = [code for code in names[:TOPICS] if not trades.get(code, [0])[0]]
        if len(silent) > TOPICS // 20:
            outcome.faults.append(f"{len(silent)} markets had no trade: too little was shown")


async def run(chosen: argparse.Namespace, seconds: float) -> Outcome:
    """Both runs, one after the other, each with an exchange of its own."""

    def say(text: str) -> None:
        if not chosen.json:
            print(f"{time.monotonic() - began:5.0f} s  {text}", file=sys.stderr, flush=True)

    began = time.monotonic()
    play = Play(chosen.seed, seconds, chosen.events, 2 * PAIRS if chosen.full else PAIRS)
    outcome = await play.run(say)
    exchange = await ExchangeProcess.start(chosen.seed + 1, chosen.events / 5, 100, 100)
    try:
        outcome.blocked = await play_blocking(exchange.url, exchange.stop, codes(100), chosen.seed)
    finally:
        await exchange.end()
    return outcome


def main() -> int:
    parser = sizes.parser(__doc__, ci="45 seconds", full="10 minutes")
    parser.add_argument("--seconds", type=float, default=None, help="of the segments together")
    parser.add_argument("--events", type=float, default=EVENTS, help="trades a second of the exchange")
    parser.add_argument("--json", action="store_true", help="the figures alone, for machines")
    parser.add_argument("--verbose", action="store_true", help="show what the manager logs")
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.WARNING if chosen.verbose else logging.CRITICAL)
    logging.getLogger("subcore").setLevel(logging.WARNING)
    logging.getLogger("subcore").propagate = chosen.verbose
    logging.getLogger("subcore").addHandler(logging.NullHandler())
    seconds = chosen.seconds or (560.0 if chosen.full else 22.0)
    print(f"seed {chosen.seed}, {seconds:g} s of segments", file=sys.stderr, flush=True)
    outcome = asyncio.run(run(chosen, seconds))
    outcome.judge(chosen.full)
    if chosen.json:
        print(json.dumps(as_dict(outcome), indent=1))
    else:
        show(outcome)
    print(outcome.last_line, file=sys.stderr if chosen.json else sys.stdout, flush=True)
    if outcome.faults:
        return 1
    return 2 if outcome.unshown and chosen.full else 0


if __name__ == "__main__":
    sys.exit(main())
