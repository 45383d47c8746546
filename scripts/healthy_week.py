"""A healthy week, in which no alert may be raised: seeded figures second by second, a fleet of streams, a manager.

Healthy is not quiet. Networks stall for a few seconds some times a day, links drop, garbage is collected, markets open
with ten times the load, the laptop sleeps at night, disks are slow, programs warm up and then take now more memory and
now less. All of that is drawn here, each with how it is shaped, and none of it is worth a call at night.

* figures: what the gauges would read, drawn for each second and judged by the engine of the alerts;
* fleet: 72 streams of heavy-tailed markets under the real engine for streams (see simulate_week.py): its doubts about
  streams, its budgets and its lost links are read for each second;
* manager: a whole one in virtual time beside the embedded exchange, with components that come, go, stall and batch.

Exits with 1 if any alert was raised, or if so little happened that this shows nothing: with durations and hysteresis
taken out of the rules the same figures must raise many.

    python scripts/healthy_week.py --ci      # under a minute
    python scripts/healthy_week.py --full    # a week of figures and streams, some hours of a manager
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from subcore.component import Component
from subcore.engine.alerts import AlertRule, AlertRules, Alerts, Reading
from subcore.engine.clock import SECOND, RunnableClock
from subcore.engine.doubts import Doubts
from subcore.engine.tally import Tally
from subcore.growth import MIB, Growth
from subcore.sim.faults import Fault
from subcore.sim.markets import generate_markets
from subcore.testing.fleet import STEP_S, Fleet
from subcore.testing.world import World

DAY = 86_400
OFFSET = 1_790_000_000 * SECOND
SYMBOLS = ["KRW-BTC", "KRW-ETH", "KRW-XRP"]
SLOWLY = 5


def of(rule: str, value: float) -> list[Reading]:
    """One reading."""
    return [Reading("", "process", rule, value, f"{rule} is {value:g}.")]


def hasty(rules: AlertRules) -> AlertRules:
    """The same thresholds, without durations and hysteresis."""
    taken = {name: AlertRule(rule.above, rule.above) for name, rule in rules.items()}
    return replace(rules, **taken, again=0.0, a_minute=10**9)


class Spells:
    """Something that happens some times a day and lasts for a while: drawn second by second, each with a height."""

    def __init__(
        self, rng: random.Random, a_day: float, seconds: tuple[float, float], height: tuple[float, float]
    ):
        self._rng, self._wait = rng, DAY / a_day
        self._seconds, self._height = seconds, height
        self._begins = rng.expovariate(1 / self._wait)
        self._ends, self._now = 0.0, 0.0

    def at(self, second: float) -> float:
        """Its height now, 0.0 between."""
        if second >= self._begins:
            self._ends = second + self._rng.uniform(*self._seconds)
            self._now = math.exp(self._rng.uniform(*map(math.log, self._height)))
            self._begins = self._ends + self._rng.expovariate(1 / self._wait)
        return self._now if second < self._ends else 0.0


class Figures:
    """What a healthy process and its links look like. `now` goes on by a second a step, and by a night at night."""

    def __init__(self, seed: int, hours: float) -> None:
        self.rng = rng = random.Random(seed)
        self.seconds = round(hours * 3600)
        self.now = SECOND
        self.hiccup = Spells(
            rng, 6, (1, 5), (0.5, 6.0)
        )  # the network stalls: all of it comes late, and is through
        self.opening = Spells(rng, 8, (60, 600), (0.2, 0.6))  # ten times the load
        self.collection = Spells(rng, 300, (0.1, 1), (0.05, 0.8))  # of garbage: the loop stands still
        self.batching = Spells(rng, 40, (1, 3), (1.0, 4.0))  # a component works on what it took
        self.drop = Spells(rng, 4, (1, 25), (1, 1.01))  # of a link, until it is restored
        self.slow_disk = Spells(rng, 10, (2, 8), (1, 1.01))
        self.rewriting = Spells(rng, 30, (20, 90), (0.2, 0.65))  # many changes at once
        self.burst = Spells(rng, 300, (1, 2), (1.0, 1.001))  # a second's window is full
        self.late: list[tuple[float, float]] = []
        self.restores = Tally(600 * SECOND)
        self.was_down = False
        self.suspect = self.stale = 0.0
        self.arenas = 0.0
        self.bytes = 0
        self.growth = Growth(lambda: self.bytes, 16_000 * MIB)

    def __iter__(self) -> Iterator[tuple[int, dict[str, list[Reading]]]]:
        for second in range(self.seconds):
            self.now += round(self.rng.uniform(1.0, 1.05) * SECOND)
            if second % DAY == DAY * 3 // 4:
                self.now += 8 * 3600 * SECOND  # it sleeps
            readings = {
                "loop_lag": of("loop_lag", self.lag(second)),
                "queue_age": of("queue_age", self.batching.at(second)),
                "suspect": of("suspect", self.suspect_for(second)),
                "restores": of("restores", self.lost_links()),
                "snapshot_stale": of("snapshot_stale", self.stale_for(second)),
                "loss": [],
            }
            if second % SLOWLY == 0:
                readings["latency"] = of("latency", self.latency(second))
                readings["clock_skew"] = of("clock_skew", max(0.0, self.rng.gauss(-0.03, 0.02)))
                usual = self.rewriting.at(second) + self.rng.uniform(0.0, 0.1)
                long, short = of("budget", usual)[0], of("budget", self.burst.at(second))[0]
                readings["budget"] = [long, short._replace(key="a second's")]
                readings["memory_growth"] = of("memory_growth", self.memory(second))
            yield self.now, readings

    def lag(self, second: float) -> float:
        return (
            self.rng.lognormvariate(math.log(0.004), 0.8)
            + self.collection.at(second)
            + 0.1 * self.opening.at(second)
        )

    def latency(self, second: float) -> float:
        """The 99th percentile of the last 15 to 30 s: a hiccup stays in it for so long."""
        for at in range(int(second) - SLOWLY, int(second)):
            if height := self.hiccup.at(at):
                self.late.append((at, height))
        self.late = [(at, height) for at, height in self.late if second - at < 30]
        usual = self.rng.lognormvariate(math.log(0.08), 0.4) + self.opening.at(second)
        return max([usual, *(height for _, height in self.late)])

    def suspect_for(self, second: float) -> float:
        self.suspect = self.suspect + 1.0 if self.drop.at(second) else 0.0
        return self.suspect

    def lost_links(self) -> float:
        self.restores.add(self.now, np.array([0]), np.array([int(self.suspect == 1.0)]))
        return float(self.restores.counts(self.now)[1].sum())

    def stale_for(self, second: float) -> float:
        self.stale = self.stale + 1.0 if self.slow_disk.at(second) else 0.0
        return self.stale

    def memory(self, second: float) -> float:
        warm = 300 * (1 - math.exp(-second / 300))
        wave = 30 * math.sin(2 * math.pi * second / DAY)
        if self.rng.random() < SLOWLY * 20 / DAY:
            self.arenas = self.rng.uniform(0, 60)  # some are taken, and given back
        self.bytes = round((100 + warm + wave + self.arenas + self.rng.gauss(0, 1)) * MIB)
        return self.growth.look(self.now)


def play_figures(seed: int, hours: float, rules: AlertRules) -> Counter[str]:
    """Alerts raised, by rule."""
    alerts, raised = Alerts(rules), Counter[str]()
    for now, readings in Figures(seed, hours):
        told = alerts.look(now, OFFSET, readings)
        raised.update(alert.issue.rule for alert in told if alert.raised)
    return raised


class Watched(Fleet):
    """A fleet whose engine is read as the gauges do."""

    def watch(self, hours: float, rules: AlertRules) -> Counter[str]:
        alerts, raised, doubts = Alerts(rules), Counter[str](), Doubts()
        clock, restores, lost = RunnableClock(SECOND), Tally(600 * SECOND), 0
        each = round(1 / STEP_S)
        for step in range(round(hours * 3600 / STEP_S)):
            self.step()
            if step % each:
                continue
            run, columns = clock.read(self.now), self.engine.streams
            doubts.look(columns.state, columns.data, run)
            old = doubts.older(0, run)
            readings = {"suspect": of("suspect", float(doubts.ages(old, run).max(initial=0)) / SECOND)}
            before, lost = lost, self.engine.stats.losses
            restores.add(self.now, np.array([0]), np.array([lost - before]))
            readings["restores"] = of("restores", float(restores.counts(self.now)[1].sum()))
            if step % (SLOWLY * each) == 0:
                up = [link for link in self.engine.links.values() if link.is_up]
                used = [use for link in up for use in link.pacer.usage(self.now)]
                each_one = (of("budget", use.used / use.amount)[0]._replace(key=str(use[:4])) for use in used)
                readings["budget"] = list(each_one)
            for alert in alerts.look(self.now, OFFSET, readings):
                raised[alert.issue.rule] += alert.raised
        return raised


def play_fleet(seed: int, hours: float, rules: AlertRules) -> Counter[str]:
    """Alerts raised, by rule, about 24 markets with three channels each."""
    markets = list(generate_markets(seed))
    random.Random(seed).shuffle(markets)
    return Watched(markets[:24], seed).watch(hours, rules)


def play_manager(seed: int, hours: float, rules: AlertRules) -> Counter[str]:
    """Alerts raised, by rule, by a whole manager."""
    raised: Counter[str] = Counter()
    rng = random.Random(seed)
    kept: list[Component] = []

    async def main(world: World) -> None:
        async with world.manager(alerts=rules) as manager:
            manager.on_alert(lambda alert: raised.update([alert.issue.rule] * alert.raised))

            async def works(event: object) -> None:
                await asyncio.sleep(rng.uniform(0.0, 0.05))

            for name, handler in (("calls", lambda event: None), ("works", works), ("reads", None)):
                kept.append(manager.component(name))
                kept[-1].subscribe("ticker", SYMBOLS, *([] if handler is None else [handler]))
            until = world.clock.now + round(hours * 3600 * SECOND)
            while world.clock.now < until:
                await asyncio.sleep(0.5)
                await kept[2].batch(10_000, timeout=0.5)
                await trouble(world, manager.component, rng)
            for component in kept:
                component.close()

    World(seed=seed, rate=0.3).run(main, patience_s=hours * 3600 + 1800)
    return raised


async def trouble(world: World, make: object, rng: random.Random) -> None:
    """Of the kind that healthy programs have."""
    if rng.random() < 1 / 3600:
        world.exchange.inject(Fault("drop_fin"), world.ns())
    if rng.random() < 1 / 600:
        world.exchange.inject(
            Fault("lag", lag=rng.uniform(0.2, 3.0), seconds=rng.uniform(1.0, 4.0)), world.ns()
        )
    if rng.random() < 1 / 100:
        world.clock.advance_to(
            world.clock.now + round(rng.uniform(0.05, 1.0) * SECOND)
        )  # garbage is collected
    if rng.random() < 1 / 100:
        visitor = make("visitor")  # type: ignore[operator]
        visitor.subscribe("trade", rng.sample(SYMBOLS, 2), lambda event: None)
        await visitor.live(timeout=30.0)
        visitor.close()


PARTS = {
    "figures": (play_figures, 4.0, 168.0),
    "fleet": (play_fleet, 0.25, 168.0),
    "manager": (play_manager, 0.25, 24.0),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    size = parser.add_mutually_exclusive_group(required=True)
    size.add_argument("--ci", action="store_true", help="under a minute")
    size.add_argument("--full", action="store_true", help="a week")
    parser.add_argument("--part", choices=list(PARTS), help="this one alone")
    parser.add_argument("--hours", type=float, help="another length")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    kept = True
    for name, (play, short, whole) in PARTS.items():
        if chosen.part not in (None, name):
            continue
        hours, began = chosen.hours or (whole if chosen.full else short), time.process_time()
        raised = play(chosen.seed, hours, AlertRules())
        took = time.process_time() - began
        print(
            f"{name}: seed {chosen.seed}, {hours:g} hours, raised {dict(raised)}, {took:.0f} s of CPU",
            flush=True,
        )
        kept &= not raised
    if chosen.part in (None, "figures"):
        crossings = play_figures(chosen.seed, 2.0 if chosen.ci else 24.0, hasty(AlertRules()))
        print(f"without durations and hysteresis the figures raise {dict(crossings)}")
        kept &= len(crossings) >= 3
    print("all kept" if kept else "NOT ALL WAS KEPT")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
