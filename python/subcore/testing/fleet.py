"""A fleet: the engine fed with the meter's columns instead of frames, over a network that never fails.

What the markets do is drawn by a world (`Restless`, or any other with its `step`), half a second at a time; some
streams freeze. The report says who was accused needlessly and how soon the frozen were found. So a week of many streams
takes minutes, and is the same for the same seed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from subcore._wire_set import WireSet
from subcore.engine import actions, events
from subcore.engine.clock import SECOND
from subcore.engine.engine import Engine
from subcore.engine.pacing import LimitRegistry
from subcore.sim.markets import Market
from subcore.testing.ledger import PlainLedger
from subcore.testing.restless import CHANNELS, Restless
from subcore.types import Int32Array, StatusKind, StreamState, Topic
from subcore.venues import venue

__all__ = ["STEP_S", "Columns", "Fleet", "Found", "Report", "World"]

Reals = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

STEP_S = 0.5  # two of the engine's ticks: as far as runnable time believes a clock
STEP = round(STEP_S * SECOND)
HOUR = 3600.0
FROZEN_S, MEDIANS = 10.0, 20.0  # the promise: found within the longer of them
SAID_TO_KNOW = 10  # steps with something to say, for a freeze that can be noticed at all
FREEZE_EVERY_S = 600.0
GIVE_UP_S = HOUR
ANSWER_S = 0.05, 0.5  # what a question about the newest takes, and how many fail
FAILS = 0.02
FRAMES_TO_FREEZE = 1000  # a stream with fewer is not frozen: its habit cannot be known
GAPS_KEPT = 64


class World(Protocol):
    """What the markets do."""

    def step(self, seconds: float) -> tuple[Counts, Counts]:
        """(frames, those of them that came together with another): all tickers, all trades, all books."""


class Columns:
    """What the meter would know, and what the world did."""

    def __init__(self, count: int) -> None:
        self.frames = np.zeros(count, np.int64)
        self.snapshots = np.zeros(count, np.int64)
        self.received = np.zeros(count, np.int64)
        self.exchange = np.zeros(count, np.int64)
        self.median = np.zeros(count)
        self.was_live = np.zeros(count, np.bool_)
        self.happened = np.ones(count, np.int64)  # time of the last event at the venue
        self._gaps = np.zeros(
            (count, GAPS_KEPT), np.float32
        )  # the latest between steps in which it spoke, seconds
        self._counted = np.zeros(count, np.int64)
        self._spoke = np.zeros(count)

    def snapshot(self, streams: Int32Array, now: int) -> None:
        self.frames[streams] += 1
        self.snapshots[streams] += 1
        self.received[streams] = now
        self.exchange[streams] = self.happened[streams]
        self.was_live[streams] = False

    def live(self, streams: Int32Array, many: Reals, together: Reals, first: Reals, last: Reals) -> None:
        self._keep_gaps(streams, last / SECOND)
        gap = first - self.received[streams]
        between = np.where(many > 1, (last - first) / np.maximum(many - 1, 1), 0)
        old = self.median[streams]
        steps = np.sign(gap - old) + np.sign(between - old) * (many - 1 - together) - together
        factor = np.where(self.frames[streams] < 64, 1.25, 1.0625)
        new = np.where(old > 0, old * factor ** np.clip(steps, -40, 40), gap)
        known = self.was_live[streams]
        self.median[streams] = np.where(known, np.maximum(new, 1000.0), old)
        self.frames[streams] += many.astype(np.int64)
        self.received[streams] = self.exchange[streams] = last.astype(np.int64)
        self.was_live[streams] = True

    def _keep_gaps(self, streams: Int32Array, at: Reals) -> None:
        self._gaps[streams, self._counted[streams] % GAPS_KEPT] = at - self._spoke[streams]
        self._counted[streams] += 1
        self._spoke[streams] = at

    def pause_of(self, stream: int) -> float:
        """The median of its latest gaps in seconds; what comes within a step is one."""
        return float(np.median(self._gaps[stream, : min(int(self._counted[stream]), GAPS_KEPT)]))

    def heard(self, streams: Int32Array) -> events.StreamsHeard:
        return events.StreamsHeard(
            streams,
            self.frames[streams],
            self.snapshots[streams],
            self.received[streams],
            self.exchange[streams],
        )


@dataclass
class Found:
    """One frozen stream. `said`: steps within its limit in which it would have spoken, were it not frozen."""

    what: str
    limit: float
    seconds: float | None = None
    reason: str = ""
    said: int = 0
    missed: float | None = None  # seconds after which the first thing was said that did not come
    cured: bool = False  # it was asked for again for another reason before it was found
    told: float | None = None  # seconds after which the venue told of something newer to those who ask

    @property
    def in_time(self) -> bool:
        """Whether it was found within the limit."""
        return self.seconds is not None and self.seconds <= self.limit

    @property
    def in_time_once_missed(self) -> bool:
        """Whether it was found within the limit of the first thing that did not come: before, nothing was lost."""
        return self.seconds is not None and self.seconds - (self.missed or 0.0) <= self.limit

    @property
    def in_time_once_told(self) -> bool:
        """Whether it was found within the limit of the first thing that the venue told to those who ask."""
        return self.seconds is not None and self.seconds - (self.told or 0.0) <= self.limit

    @property
    def can_be_known(self) -> bool:
        """Whether its market went on, so that there was something to notice."""
        return self.said >= SAID_TO_KNOW


@dataclass
class Link:
    """The exchange's end of a connection."""

    generation: int = 0
    frames: int = 0
    last: int = 0
    up: bool = False


@dataclass
class Report:
    hours: float = 0.0  # of streams
    seconds: float = 0.0
    needless: list[str] = field(default_factory=list)
    frozen: list[Found] = field(default_factory=list)
    restarts: int = 0
    rightful_restarts: int = 0  # of links with a frozen stream
    questions: int = 0
    held_back: int = 0


class Fleet:
    """An engine, its columns, and a network that never fails."""

    def __init__(
        self,
        markets: Sequence[Market],
        seed: int,
        channels: tuple[str, ...] = CHANNELS,
        *,
        can_ask: bool = True,
    ) -> None:
        self.rng = np.random.default_rng(seed)
        upbit = venue("upbit")
        self.ledger = PlainLedger(upbit)
        self.engine = Engine(
            upbit,
            self.ledger,
            WireSet,
            random.Random(seed),
            registry=LimitRegistry(),
            can_ask=(lambda columns: np.ones(len(columns.streams), np.bool_)) if can_ask else None,
        )
        self.markets: World = Restless(markets, self.rng, STEP_S)
        of = [
            [self.ledger.subscribe("a", Topic(c, m.code)) for m in markets] if c in channels else []
            for c in CHANNELS
        ]
        count, size = len(self.ledger.live()), len(markets)
        self.places = np.concatenate([np.arange(size) + size * i for i, ids in enumerate(of) if ids])
        self.happened = np.zeros(3 * size, np.int64)  # time of the last event of each at the venue
        self.asked: list[tuple[int, events.LatestKnown]] = []
        self.streams = np.array([s for ids in of for s in ids], np.int32)
        self.columns = Columns(2 * count)
        self.links: dict[int, Link] = {}
        self.carrier = np.full(2 * count, -1)
        self.frozen: dict[int, tuple[float, Found]] = {}
        self.report = Report()
        self.now = SECOND
        self.due: list[tuple[int, events.Event, Int32Array | None]] = []
        self.tell(self.ledger.take_edges())

    def tell(self, event: events.Event) -> None:
        """Give the engine an event and carry out what it wants."""
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
            case actions.AskLatest():
                self._asked(action)
            case actions.Notify() if action.kind is StatusKind.SUSPECT:
                self._suspected(action)

    def _asked(self, action: actions.AskLatest) -> None:
        """The venue tells the truth of half a second later, or nothing."""
        self.report.questions += 1
        if self.rng.random() >= FAILS:
            at = self.now + round(self.rng.uniform(*ANSWER_S) * SECOND)
            none = np.zeros(len(action.streams), np.int64)
            self.asked.append((at, events.LatestKnown(action.streams, action.serials, none)))

    def _answer(self) -> None:
        due = [event for at, event in self.asked if at <= self.now]
        self.asked = [(at, event) for at, event in self.asked if at > self.now]
        for event in due:
            self.tell(events.LatestKnown(event.streams, event.serials, self._newest(event.streams)))

    def _newest(self, streams: Counts | Int32Array) -> Counts:
        """What the venue's pages tell: that of tickers tells the time of the last trade."""
        places, size = self.places[np.searchsorted(self.streams, streams)], len(self.happened) // 3
        return self.happened[np.where(places < size, places + size, places)]

    def _suspected(self, notice: actions.Notify) -> None:
        with_link = notice.reason.startswith("link lost")
        frozen = [stream for stream in notice.streams.tolist() if stream in self.frozen]
        self.report.restarts += with_link and not frozen
        self.report.rightful_restarts += with_link and bool(frozen)
        for stream in notice.streams.tolist():
            began, found = self.frozen.get(stream, (0.0, None))
            if found is None and not with_link:
                topic = self.ledger.topic(stream)
                silence = (self.now - int(self.columns.received[stream])) / SECOND
                median = self.columns.median[stream] / SECOND
                what = f"{topic.channel} {topic.symbol} at {self.now / SECOND / HOUR:.1f} h, silent {silence:.0f} s"
                self.report.needless.append(f"{what}, median {median:.2f} s: {notice.reason}")
            elif found is not None and found.seconds is None:
                found.seconds, found.reason = self.now / SECOND - began, notice.reason

    def step(self) -> None:
        """Half a second of the world."""
        due, self.due = self.due, []
        for link, event, streams in due:
            self._arrive(link, event, streams)
        self._trade()
        self._answer()
        for number, end in self.links.items():
            if end.up:
                self.tell(events.LinkActivity(number, end.generation, end.last, end.frames))
        look = self.engine.to_look_at(self.now)
        if len(look):
            self.tell(self.columns.heard(look))
        self.tell(events.Tick())
        self.now += STEP
        self.report.hours += len(self.streams) * STEP_S / HOUR
        self.report.seconds += STEP_S
        self.report.held_back = self.engine.stats.reasks_held

    def _arrive(self, number: int, event: events.Event, streams: Int32Array | None) -> None:
        link = self.links[number]
        if isinstance(event, events.LinkUp):
            link.up = True
        if streams is not None:
            self.columns.snapshot(streams, self.now)
            self.carrier[streams] = number
            link.frames, link.last = link.frames + len(streams), self.now
            for stream in streams.tolist():
                _, found = self.frozen.pop(stream, (0.0, None))
                if found is not None:
                    found.cured = found.seconds is None
        self.tell(event)

    def _trade(self) -> None:
        columns = self.columns
        all_many, all_together = self.markets.step(self.now / SECOND)
        all_first, all_last = self._times(all_many, all_together)
        spoke = np.flatnonzero(all_many)
        self.happened[spoke] = all_last[spoke]
        at = np.flatnonzero(all_many[self.places])
        places, streams = self.places[at], self.streams[at]
        many, together = all_many[places].astype(np.float64), all_together[places].astype(np.float64)
        first, last = all_first[places], all_last[places]
        columns.happened[streams] = last.astype(np.int64)
        carried = self.carrier[streams] >= 0
        if self.frozen:
            for stream in self.frozen.keys() & set(streams.tolist()):
                self._missed(stream)
            self._told()
            carried &= ~np.isin(streams, np.fromiter(self.frozen, np.int32))
        columns.live(streams[carried], many[carried], together[carried], first[carried], last[carried])
        frames = np.bincount(self.carrier[streams[carried]], weights=many[carried])
        for number, count in enumerate(frames.tolist()):
            if count and self.links[number].up:
                link = self.links[number]
                link.frames, link.last = link.frames + int(count), int(last[carried].max())

    def _times(self, many: Counts, together: Counts) -> tuple[Reals, Reals]:
        """When the first and the last frame of the step came; a ticker comes with the trade that it tells of."""
        size, one = len(many) // 3, np.maximum(many - together, 1)
        first = self.rng.random(len(many)) ** (1.0 / one)
        last = np.maximum(self.rng.random(len(many)) ** (1.0 / one), 1 - first)
        tickers, trades = last[:size], last[size : 2 * size]
        last[:size] = np.where(many[size : 2 * size] > 0, np.maximum(tickers, trades), tickers)
        first = np.where(many - together > 1, 1 - first, last)
        first = np.minimum(first, last)
        return self.now - STEP + first * STEP, self.now - STEP + last * STEP

    def _missed(self, stream: int) -> None:
        began, found = self.frozen[stream]
        seconds = self.now / SECOND - began
        found.said += seconds <= found.limit
        if found.missed is None:
            found.missed = max(0.0, seconds)

    def _told(self) -> None:
        for stream, (began, found) in self.frozen.items():
            if found.told is None and self._newest(np.array([stream]))[0] > self.columns.exchange[stream]:
                found.told = max(0.0, self.now / SECOND - began)

    def freeze(self, stream: int) -> Found:
        """Nothing of this stream comes from now on, until it is asked for again."""
        topic = self.ledger.topic(stream)
        what = f"{topic.channel} {topic.symbol} at {self.now / SECOND / HOUR:.1f} h"
        found = Found(what, max(FROZEN_S, MEDIANS * self.columns.pause_of(stream)))
        self.frozen[stream] = (self.now / SECOND, found)
        self.report.frozen.append(found)
        return found

    def _freeze_some(self) -> None:
        live = self.columns.frames - self.columns.snapshots
        fit = [s for s in np.flatnonzero(live >= FRAMES_TO_FREEZE).tolist() if s not in self.frozen]
        rows = [(s, self.engine.row(s)) for s in fit]
        fit = [s for s, row in rows if row.state is StreamState.OPEN and row.other_link < 0]
        if fit:
            self.freeze(fit[int(self.rng.integers(len(fit)))])

    def run(self, hours: float, freeze_every_s: float = FREEZE_EVERY_S) -> Report:
        """Let so many hours pass; from time to time a stream freezes, for an hour at most."""
        started, froze = self.now, 0.0
        while (seconds := (self.now - started) / SECOND) < hours * HOUR:
            self.step()
            if seconds - froze >= freeze_every_s and seconds < hours * HOUR - GIVE_UP_S / 2:
                froze = seconds
                self._freeze_some()
            for stream, (began, _) in list(self.frozen.items()):
                if self.now / SECOND - began > GIVE_UP_S:
                    del self.frozen[stream]
        return self.report
