"""A simulated week of heavy-tailed markets against the engine's judgement of health: who is accused, and how soon.

The engine is fed with the meter's columns, not with frames, so that a week takes minutes. Markets are those of the
embedded exchange; their activity follows day and night, moods that all share, moods of hours and of minutes of their
own, and trades come in bursts. From time to time a stream freezes: its market goes on and nothing of it comes, until it
is asked for again. Prints needless re-asks for 1,000 stream-hours, link restarts, and how soon frozen streams were
found; exits with 1 if a link was restarted or needless re-asks were more than one in 1,000 stream-hours, beside the
first that each kind of witness has for nothing.

    python scripts/simulate_week.py --ci      # hours around nightfall, under a minute
    python scripts/simulate_week.py --full    # the week, some 20 minutes
"""

from __future__ import annotations

import argparse
import random
import sys
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from subcore._sets import WireSet
from subcore.engine import actions, events
from subcore.engine.clock import SECOND
from subcore.engine.engine import Engine
from subcore.engine.pacing import LimitRegistry
from subcore.sim.markets import Market, generate_markets
from subcore.testing import PlainLedger
from subcore.types import Int32Array, StatusKind, StreamState, Topic
from subcore.venues import venue

Reals = npt.NDArray[np.float64]
STEP_S = 0.5  # two of the engine's ticks: as far as runnable time believes a clock
STEP = round(STEP_S * SECOND)
CHANNELS = ("ticker", "trade", "orderbook")
HOUR = 3600.0
FREEZE_EVERY_S = 600.0
GIVE_UP_S = HOUR
FRAMES_TO_FREEZE = 100  # a stream with fewer is not frozen: its habit cannot be known


class Mood:
    """A log-activity that returns to 0 over about `memory` seconds, one for each market."""

    def __init__(self, rng: np.random.Generator, count: int, spread: float, memory: float) -> None:
        self._rng, self._keep = rng, float(np.exp(-STEP_S / memory))
        self._push = spread * float(np.sqrt(1 - self._keep**2))
        self.value: Reals = rng.normal(0.0, spread, count)

    def step(self) -> Reals:
        self.value = self.value * self._keep + self._rng.normal(0.0, self._push, len(self.value))
        return self.value


class Markets:
    """Events of all channels of all markets, drawn step by step."""

    def __init__(self, markets: list[Market], rng: np.random.Generator) -> None:
        self._rng, count = rng, len(markets)
        self._orders = np.array([m.trade_rate for m in markets])
        self._books = np.array([m.book_rate for m in markets])
        self._shared = Mood(rng, 1, 0.4, 600.0)
        self._hours = Mood(rng, count, 0.7, 4 * HOUR)
        self._minutes = Mood(rng, count, 0.7, 180.0)
        self._quotes = Mood(rng, count, 0.5, 60.0)

    def step(self, seconds: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """(events, those of them that came together with another): a row for each channel."""
        night = np.exp(
            -2.1 * (0.5 - 0.5 * np.cos(2 * np.pi * (seconds / HOUR - 15.0) / 24.0))
        )  # deepest at 3
        all_of_it = night * np.exp(self._shared.step()) * np.exp(self._hours.step())
        orders = self._rng.poisson(self._orders * all_of_it * np.exp(self._minutes.step()) * STEP_S)
        swept = self._rng.poisson(1.2 * orders)
        quotes = self._rng.poisson(self._books * np.sqrt(all_of_it) * np.exp(self._quotes.step()) * STEP_S)
        books = np.minimum(np.maximum(quotes, np.minimum(orders, 1)), round(10 * STEP_S))
        none = np.zeros_like(orders)
        return np.concatenate([orders, orders + swept, books]), np.concatenate([none, swept, none])


class Columns:
    """What the meter would know, and what the world did."""

    def __init__(self, count: int) -> None:
        self.frames = np.zeros(count, np.int64)
        self.snapshots = np.zeros(count, np.int64)
        self.received = np.zeros(count, np.int64)
        self.exchange = np.zeros(count, np.int64)
        self.interval = np.zeros(count)
        self.median = np.zeros(count)
        self.was_live = np.zeros(count, np.bool_)
        self.happened = np.ones(count, np.int64)  # time of the last event at the venue

    def snapshot(self, streams: Int32Array, now: int) -> None:
        self.frames[streams] += 1
        self.snapshots[streams] += 1
        self.received[streams] = now
        self.exchange[streams] = self.happened[streams]
        self.was_live[streams] = False

    def live(self, streams: Int32Array, many: Reals, together: Reals, first: Reals, last: Reals) -> None:
        gap, between = (
            first - self.received[streams],
            np.where(many > 1, (last - first) / np.maximum(many - 1, 1), 0),
        )
        old = self.median[streams]
        steps = np.sign(gap - old) + np.sign(between - old) * (many - 1 - together) - together
        factor = np.where(self.frames[streams] < 64, 1.25, 1.0625)
        new = np.where(old > 0, old * factor ** np.clip(steps, -40, 40), gap)
        known = self.was_live[streams]
        self.median[streams] = np.where(known, np.maximum(new, 1000.0), old)
        share = 1 - (15 / 16) ** many
        mean, average = (last - self.received[streams]) / many, self.interval[streams]
        new = np.where(average > 0, average + share * (mean - average), mean)
        self.interval[streams] = np.where(known, new, average)
        self.frames[streams] += many.astype(np.int64)
        self.received[streams] = self.exchange[streams] = last.astype(np.int64)
        self.was_live[streams] = True

    def heard(self, streams: Int32Array) -> events.StreamsHeard:
        interval, median = self.interval[streams].astype(np.float32), self.median[streams].astype(np.float32)
        return events.StreamsHeard(
            streams,
            self.frames[streams],
            self.snapshots[streams],
            self.received[streams],
            self.exchange[streams],
            interval,
            median,
        )


@dataclass
class Found:
    """One frozen stream."""

    limit: float
    seconds: float | None = None
    reason: str = ""


@dataclass
class Link:
    """The exchange's end of a connection."""

    generation: int = 0
    frames: int = 0
    last: int = 0
    up: bool = False


@dataclass
class Report:
    hours: float = 0.0
    needless: list[str] = field(default_factory=list)
    frozen: list[Found] = field(default_factory=list)
    restarts: int = 0


class Fleet:
    """An engine, its columns, and a network that never fails."""

    def __init__(self, markets: list[Market], seed: int, channels: tuple[str, ...] = CHANNELS) -> None:
        self.rng = np.random.default_rng(seed)
        upbit = venue("upbit")
        self.ledger = PlainLedger(upbit)
        self.engine = Engine(upbit, self.ledger, WireSet, random.Random(seed), registry=LimitRegistry())
        self.markets = Markets(markets, self.rng)
        of = [
            [self.ledger.subscribe("a", Topic(c, m.code)) for m in markets] if c in channels else []
            for c in CHANNELS
        ]
        count, size = len(self.ledger.live()), len(markets)
        self.places = np.concatenate([np.arange(size) + size * i for i, ids in enumerate(of) if ids])
        self.streams = np.array([s for ids in of for s in ids], np.int32)
        self.columns = Columns(count)
        self.links: dict[int, Link] = {}
        self.carrier = np.full(count, -1)
        self.frozen: dict[int, tuple[float, Found]] = {}
        self.report = Report()
        self.now = SECOND
        self.due: list[tuple[int, events.Event, Int32Array | None]] = []
        self._tell(self.ledger.take_edges())

    def _tell(self, event: events.Event) -> None:
        for action in self.engine.handle(event, self.now):
            self._carry_out(action)

    def _carry_out(self, action: actions.Action) -> None:
        match action:
            case actions.Connect():
                self.links[action.link] = Link(action.generation)
                self.due.append(
                    (action.link, events.LinkUp(action.link, action.generation, 20_000_000), None)
                )
            case actions.Disconnect():
                self.links[action.link].up = False
            case actions.Ping():
                self.due.append((action.link, events.Pong(action.link, action.generation, 20_000_000), None))
            case actions.AwaitEvidence():
                said = events.StreamEvidence(action.link, action.generation, action.streams, self.now)
                self.due.append((action.link, said, action.streams))
            case actions.Notify() if action.kind is StatusKind.SUSPECT and not action.reason.startswith(
                "link lost"
            ):
                self._suspected(action)

    def _suspected(self, notice: actions.Notify) -> None:
        for stream in notice.streams.tolist():
            began, found = self.frozen.get(stream, (0.0, None))
            if found is None:
                topic = self.ledger.topic(stream)
                silence = (self.now - int(self.columns.received[stream])) / SECOND
                median = self.columns.median[stream] / SECOND
                what = f"{topic.channel} {topic.symbol} at {self.now / SECOND / HOUR:.1f} h, silent {silence:.0f} s"
                self.report.needless.append(f"{what}, median {median:.2f} s: {notice.reason}")
            elif found.seconds is None:
                found.seconds, found.reason = self.now / SECOND - began, notice.reason

    def step(self) -> None:
        """Half a second of the world."""
        due, self.due = self.due, []
        for link, event, streams in due:
            self._arrive(link, event, streams)
        self._trade()
        for number, link in self.links.items():
            if link.up:
                self._tell(events.LinkActivity(number, link.generation, link.last, link.frames))
        look = self.engine.to_look_at(self.now)
        if len(look):
            self._tell(self.columns.heard(look))
        self._tell(events.Tick())
        self.now += STEP
        self.report.hours += len(self.streams) * STEP_S / HOUR
        self.report.restarts = self.engine.stats.losses

    def _arrive(self, number: int, event: events.Event, streams: Int32Array | None) -> None:
        link = self.links[number]
        if isinstance(event, events.LinkUp):
            link.up = True
        if streams is not None:
            self.columns.snapshot(streams, self.now)
            self.carrier[streams] = number
            link.frames, link.last = link.frames + len(streams), self.now
            for stream in streams.tolist():
                self.frozen.pop(stream, None)
        self._tell(event)

    def _trade(self) -> None:
        columns = self.columns
        many, together = (part[self.places] for part in self.markets.step(self.now / SECOND))
        at = np.flatnonzero(many)
        streams, many, together = (
            self.streams[at],
            many[at].astype(np.float64),
            together[at].astype(np.float64),
        )
        first = self.rng.random(len(at)) ** (1.0 / np.maximum(many - together, 1))
        last = np.maximum(self.rng.random(len(at)) ** (1.0 / np.maximum(many - together, 1)), 1 - first)
        first = np.where(many - together > 1, 1 - first, last)
        last = np.maximum(first, last)
        first, last = self.now - STEP + first * STEP, self.now - STEP + last * STEP
        columns.happened[streams] = last.astype(np.int64)
        carried = self.carrier[streams] >= 0
        if self.frozen:
            carried &= ~np.isin(streams, np.fromiter(self.frozen, np.int32))
        columns.live(streams[carried], many[carried], together[carried], first[carried], last[carried])
        frames = np.bincount(self.carrier[streams[carried]], weights=many[carried])
        for number, count in enumerate(frames.tolist()):
            if count and self.links[number].up:
                link = self.links[number]
                link.frames, link.last = link.frames + int(count), int(last[carried].max())

    def freeze(self) -> None:
        """Some stream that lives stops."""
        live = self.columns.frames - self.columns.snapshots
        fit = [s for s in np.flatnonzero(live >= FRAMES_TO_FREEZE).tolist() if s not in self.frozen]
        fit = [
            s
            for s in fit
            if self.engine.row(s).state is StreamState.OPEN and self.engine.row(s).other_link < 0
        ]
        if fit:
            stream = fit[int(self.rng.integers(len(fit)))]
            found = Found(max(10.0, 20 * float(self.columns.median[stream]) / SECOND))
            self.frozen[stream] = (self.now / SECOND, found)
            self.report.frozen.append(found)

    def run(self, hours: float) -> Report:
        started, froze = self.now, 0.0
        while (self.now - started) / SECOND < hours * HOUR:
            self.step()
            seconds = (self.now - started) / SECOND
            if seconds - froze >= FREEZE_EVERY_S and seconds < hours * HOUR - GIVE_UP_S / 2:
                froze = seconds
                self.freeze()
            for stream in [
                s for s, (began, _) in self.frozen.items() if self.now / SECOND - began > GIVE_UP_S
            ]:
                del self.frozen[stream]
        return self.report


def describe(name: str, report: Report) -> bool:
    """Print what happened; whether the promises were kept."""
    rate = 1000 * len(report.needless) / report.hours
    found = sorted(f.seconds for f in report.frozen if f.seconds is not None)
    soon = sum(f.seconds is not None and f.seconds <= f.limit for f in report.frozen)
    allowed = report.hours / 1000 + 2
    kept = report.restarts == 0 and len(report.needless) <= allowed
    print(f"{name}: {report.hours:.0f} stream-hours, {report.restarts} link restarts")
    print(
        f"  needless re-asks: {len(report.needless)}, {rate:.2f} in 1,000 stream-hours (allowed {allowed:.1f} in all)"
    )
    if report.frozen:
        print(f"  frozen streams: {len(report.frozen)}, found {len(found)}, in time {soon}", end="")
        print(f"; median {found[len(found) // 2]:.1f} s, worst {found[-1]:.1f} s" if found else "")
    for line in report.needless[:20]:
        print(f"    needless: {line}")
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    size = parser.add_mutually_exclusive_group(required=True)
    size.add_argument("--ci", action="store_true", help="hours around nightfall")
    size.add_argument("--full", action="store_true", help="a week")
    parser.add_argument("--hours", type=float, help="another length")
    parser.add_argument("--markets", type=int, default=None)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    hours = chosen.hours or (168.0 if chosen.full else 3.0)
    count = chosen.markets or (300 if chosen.full else 150)
    markets = list(generate_markets(chosen.seed))
    random.Random(chosen.seed).shuffle(markets)
    print(f"seed {chosen.seed}, {hours:g} hours", flush=True)
    kept = describe("all channels", Fleet(markets[:count], chosen.seed).run(hours))
    quiet = sorted(markets[:count], key=lambda m: m.trade_rate)[count // 2 : count // 2 + 5]
    kept &= describe("five quiet markets on a link", Fleet(quiet, chosen.seed + 1, ("trade",)).run(hours))
    kept &= describe("one channel", Fleet(markets[: count // 3], chosen.seed + 2, ("trade",)).run(hours))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
