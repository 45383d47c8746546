"""Storms of changes against a venue's limits, in virtual time, judged by what the venue itself received.

    python scripts/change_storm.py --ci       short storms (under a minute)
    python scripts/change_storm.py --full     10, 100 and 1,000 changes a second, ten virtual minutes each
    python scripts/change_storm.py --full --only binance --seed 7

Engine and pure exchange run under a virtual clock; every message takes 0 to 300 ms to the venue.
A storm switches random topics on and off, each change a loop turn of its own. Printed for each, and judged:

violations  messages over a limit in any rolling window, by the exchange's own log of arrivals           none
late        longest time from a wish to the message that carries it, less the time in which the venue's own windows
            had no room for a message                                                                   <= 0.9 s
gone        the same from two seconds after something is not wanted any more to the message that says so: <= 0.9 s, and
            where additions have messages of their own, which go first until a removal starves         <= 10.9 s
used        messages sent, of the venue's allowance over the time in which work was waiting             >= 90 %
            (judged where work waits nearly always, from a minute on: before that the burst the venue allows at first
            hides the rest, and where work waits now and then, what the pauses between leave room for)
optimum     messages sent, of those of who is never late: each addition that is not cancelled by then goes out at once
            or when the venue's windows next have room, a removal at most 2 s after it                  <= 1.05
wire        what the exchange carries a while later is what is wanted

In one storm of each venue every connection is reset once a minute. There `late` counts from when a lost link is open
again, for what it carried as for new wishes; `used` and `optimum` are not judged: they know of no lost connection.

Exit 1 = a promise is broken.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from subcore.engine import actions, events
from subcore.engine.clock import SECOND
from subcore.scenarios.optimum import REMOVAL_WAITS, UPBIT, Nominal, Optimum, Windows
from subcore.sim.binance import BinanceExchange
from subcore.sim.exchange import Exchange
from subcore.sim.faults import Fault
from subcore.testing import EngineDriver
from subcore.types import Priority
from subcore.venues import venue

LATE_AT_MOST = 0.9
STARVES_AFTER = 10.0  # seconds that a removal gives way to additions
USED_AT_LEAST = 0.9
NEARLY_ALWAYS = 0.9  # of the time
OF_OPTIMUM_AT_MOST = 1.05
JITTER = (0.0, 0.3)
BACK = (0.01, 0.02)
CALM_SECONDS = 15
TRAFFIC = 1.0  # of the exchange's usual
MINUTES = 10
CLASSES = (Priority.LOW, Priority.NORMAL, Priority.NORMAL, Priority.HIGH)


# "5 per second; PING, PONG and JSON all count"; "1 per 220 ms got closed sooner or later": 300 ms lie between any two.
BINANCE = Nominal(((5, SECOND),), 3 * SECOND // 10, 10 / 3, 100)


@dataclass(frozen=True)
class Storm:
    """What is played. `size`: topics that come and go. `reset_every`: seconds between two resets of all connections."""

    venue: str
    size: int
    rate: int  # changes a second
    seconds: int
    seed: int
    reset_every: int = field(default=0, repr=False)  # the text seeds the course of events

    @property
    def name(self) -> str:
        resets = ", resets" if self.reset_every else ""
        return f"{self.venue}, {self.size} topics, {self.rate:,} changes/s{resets}"

    def resets(self) -> list[int]:
        """When: the first comes early, so that each has time to be seen to."""
        every = self.reset_every
        return list(range(every // 2, self.seconds, every)) if every else []


class JitteryDriver(EngineDriver):
    """What comes from the venue takes as long as ever; what goes to it, 0 to 300 ms."""

    def _to_exchange(self, link: int, generation: int, opcode: int, payload: bytes) -> None:
        usual, self._delay = self._delay, JITTER
        super()._to_exchange(link, generation, opcode, payload)
        self._delay = usual


class Judge:
    """What a storm's messages were worth. Links have windows of their own; wishes wait for any of them."""

    def __init__(self, nominal: Nominal, read: Callable[[bytes], tuple[set[str], set[str]]]) -> None:
        self.nominal = nominal
        self.optimum = Optimum(Windows(nominal))
        self.links: dict[int, Windows] = {}
        self.carried: dict[int, set[str]] = {}
        self.waiting: dict[str, int] = {}
        self.leaving: dict[str, int] = {}
        self.messages = 0
        self.latest = 0
        self.latest_gone = 0
        self.busy = 0  # time in which work was waiting
        self._read = read
        self._looked = 0
        self._wanted: set[str] = set()
        self._open_again: dict[int, int] = {}  # since when, of links that were lost

    def change(self, name: str, wanted: bool, now: int) -> None:
        self._look(now)
        self.optimum.change(name, wanted, now)
        on_wire = any(name in carried for carried in self.carried.values())
        (self._wanted.add if wanted else self._wanted.discard)(name)
        if wanted:
            self.leaving.pop(name, None)
            if not on_wire:
                self.waiting[name] = now
        else:
            self.waiting.pop(name, None)
            if on_wire:
                self.leaving[name] = now

    def sent(self, link: int, payload: bytes, now: int) -> None:
        self._look(now)
        windows = self.links.setdefault(link, Windows(self.nominal))
        added, removed = self._read(payload)
        before = self.carried.setdefault(link, set())
        if self.nominal.names is None:
            removed = before - added
        for name in self.waiting.keys() & added:
            since = max(self.waiting.pop(name), self._open_again.get(link, 0))
            full = windows.time_full(now) - windows.time_full(since)
            self.latest = max(self.latest, now - since - full)
        for name in self.leaving.keys() & removed:
            since = self.leaving.pop(name) + REMOVAL_WAITS
            full = windows.time_full(now) - windows.time_full(min(since, now))
            self.latest_gone = max(self.latest_gone, now - since - full)
        self.carried[link] = (before | added) - removed
        self.messages += 1
        windows.send(now)

    def lost(self, link: int, now: int) -> None:
        """Its connection is gone, with what it carried and its windows."""
        self._look(now)
        self.links.pop(link, None)
        self._open_again[link] = now
        gone = self.carried.pop(link, set())
        for name in gone - set().union(*self.carried.values()):
            self.leaving.pop(name, None)
            if name in self._wanted:
                self.waiting[name] = now

    def opened(self, link: int, now: int) -> None:
        """It has a connection: another one, if it was lost before."""
        self._look(now)
        if link in self._open_again:
            self._open_again[link] = now

    def _look(self, now: int) -> None:
        overdue = min(self.leaving.values(), default=now) + REMOVAL_WAITS
        start = self._looked if self.waiting else max(self._looked, overdue)
        self.busy += max(0, now - start)
        self._looked = now


def read_upbit(payload: bytes) -> tuple[set[str], set[str]]:
    """What the connection carries from now on."""
    entries = [entry for entry in json.loads(payload) if "type" in entry]
    return {f"{entry['type']} {code}" for entry in entries for code in entry["codes"]}, set()


def read_binance(payload: bytes) -> tuple[set[str], set[str]]:
    """What is added, and what is removed."""
    said = json.loads(payload)
    names = {" ".join(reversed(name.split("@"))) for name in said["params"]}
    return (names, set()) if said["method"] == "SUBSCRIBE" else (set(), names)


@dataclass
class Result:
    """A storm's figures."""

    violations: int
    losses: int  # of links, other than by a reset
    late: float
    gone: float
    gone_at_most: float
    used: float
    waits: float  # of the time
    messages: int
    of_optimum: float
    seconds: float
    wrong: int  # topics on the wire and not wanted, or the other way round
    resets: int  # of connections

    def broken(self) -> Iterator[str]:
        """Which promises."""
        if self.violations or self.losses:
            yield "violations"
        if self.late > LATE_AT_MOST:
            yield "late"
        if not self.resets:
            if self.gone > self.gone_at_most:
                yield "gone"
            if self.seconds >= 60 and self.waits >= NEARLY_ALWAYS and self.used < USED_AT_LEAST:
                yield "used"
            if self.of_optimum > OF_OPTIMUM_AT_MOST:
                yield "optimum"
        if self.wrong:
            yield "wire"


def make(storm: Storm) -> tuple[EngineDriver, Judge, list[tuple[str, str]]]:
    """The driver, its judge, and the (channel, symbol) pairs that come and go."""
    half = storm.size // 2
    if storm.venue == "upbit":
        symbols = [f"KRW-T{i}" for i in range(half)]
        exchange = Exchange(storm.seed, markets=symbols, rate=TRAFFIC)
        made = venue("upbit").at("ws://sim.test:80")
        driver = JitteryDriver(made, exchange, seed=storm.seed, delay=BACK)
        channels, judge = ("ticker", "trade"), Judge(UPBIT, read_upbit)
    else:
        symbols = [f"T{i}USDT" for i in range(half)]
        market = BinanceExchange(storm.seed, markets=symbols, rate=TRAFFIC)
        made = venue("binance").at("ws://sim.test:80")
        driver = JitteryDriver(made, market, seed=storm.seed, delay=BACK)
        channels, judge = ("book_ticker", "trade"), Judge(BINANCE, read_binance)
    return driver, judge, [(channel, symbol) for channel in channels for symbol in symbols]


def name_of(channel: str, symbol: str) -> str:
    """As the readers of payloads write it."""
    if channel in ("ticker", "trade") and symbol.startswith("KRW-"):
        return f"{channel} {symbol}"
    return f"{channel.replace('book_ticker', 'bookTicker')} {symbol.lower()}"


def carried(driver: EngineDriver) -> Iterator[str]:
    """Every stream of every connection the exchange has, by its own books."""
    for connection in driver.exchange.connections.values():  # type: ignore[attr-defined]
        for stream in connection.streams:
            if isinstance(stream, str):
                yield " ".join(reversed(stream.split("@")))
            else:
                yield f"{stream.type} {stream.code}"


def tell(judge: Judge, driver: EngineDriver) -> None:
    """What happened to the links since the last time."""
    for at, what in driver.history:
        if isinstance(what, actions.Send) and what.request:
            judge.sent(what.link, what.payload, at)
        elif isinstance(what, events.LinkDown):
            judge.lost(what.link, at)
        elif isinstance(what, events.LinkUp):
            judge.opened(what.link, at)
    driver.history.clear()


def rage(storm: Storm, driver: EngineDriver, judge: Judge, topics: list[tuple[str, str]]) -> set[str]:
    """The storm itself, from the opening of the link on; what is wanted at its end."""
    rng = random.Random(f"{storm}")
    wanted: set[str] = set()

    def let_pass(seconds: float) -> None:
        driver.run(seconds)
        tell(judge, driver)

    def change(topic: tuple[str, str]) -> None:
        channel, symbol = topic
        name = name_of(channel, symbol)
        if name in wanted:
            driver.unsubscribe("storm", channel, [symbol])
        else:
            driver.subscribe("storm", channel, [symbol], priority=rng.choice(CLASSES))
        wanted.symmetric_difference_update({name})
        judge.change(name, name in wanted, driver.now)

    change(topics[0])
    let_pass(2.0)
    begin, resets = driver.now, storm.resets()
    while driver.now < begin + storm.seconds * SECOND:
        if resets and driver.now >= begin + resets[0] * SECOND:
            driver.exchange.inject(Fault("drop_rst"), driver.now)  # type: ignore[attr-defined]
            resets.pop(0)
        change(rng.choice(topics[1:]))
        let_pass(rng.expovariate(storm.rate))
    return wanted


def play(storm: Storm) -> Result:
    """One storm, from the opening of the link to its calm end."""
    driver, judge, topics = make(storm)
    wanted = rage(storm, driver, judge, topics)
    judge.optimum.run(driver.now)
    messages, least = judge.messages, len(judge.optimum.windows.sent)
    used = messages * SECOND / (max(judge.busy, SECOND) * judge.nominal.a_second)
    waits = judge.busy / (storm.seconds * SECOND)
    driver.run(CALM_SECONDS)
    tell(judge, driver)
    bitten = driver.exchange.fault_counts["drop_rst"]  # type: ignore[attr-defined]
    return Result(
        driver.exchange.stats.violations,  # type: ignore[attr-defined]
        driver.engine.stats.losses - bitten,
        judge.latest / SECOND,
        judge.latest_gone / SECOND,
        LATE_AT_MOST + (0.0 if judge.nominal.names is None else STARVES_AFTER),
        used,
        waits,
        messages,
        messages / least,
        storm.seconds,
        len(set(carried(driver)) ^ wanted),
        bitten,
    )


def storms(given: argparse.Namespace) -> Iterator[Storm]:
    """What is asked for."""
    for house, size in (("upbit", 48), ("upbit", 400), ("binance", 900)):
        if given.only in (None, house):
            for rate in (10, 100, 1000):
                seconds = MINUTES * 60 if given.full else (75 if rate <= 100 else 3)
                yield Storm(house, size, rate, seconds, given.seed)
    for house, size in (("upbit", 400), ("binance", 900)):
        if given.only in (None, house):
            seconds = MINUTES * 60 if given.full else 100
            yield Storm(house, size, 10, seconds, given.seed, reset_every=60)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--ci", action="store_true", help="short storms")
    how.add_argument("--full", action="store_true", help="ten virtual minutes each")
    parser.add_argument("--only", choices=("upbit", "binance"), help="one venue")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(
        f"{'storm':45} {'time':>6} violations   late    gone   used messages optimum wire   (seed {given.seed})"
    )
    red = 0
    for storm in storms(given):
        start = time.process_time()
        result = play(storm)
        broken = list(result.broken())
        red += bool(broken)
        print(
            f"{storm.name:45} {storm.seconds:4} s {result.violations + result.losses:10} {result.late:4.2f} s"
            f" {result.gone:5.2f} s {result.used:6.1%} {result.messages:8} {result.of_optimum:7.3f}"
            f" {result.wrong or 'right':>5}   {time.process_time() - start:4.0f} s of CPU"
            f"{'   BROKEN: ' + ', '.join(broken) if broken else ''}",
            flush=True,
        )
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main())
