"""The planner: what a change of 20 topics costs beside few streams and beside very many, a tick, and a lost link.

*Planning* is what the engine does between the edges of a turn in which 20 topics came and 20 went and the Send that
says so: `Engine.handle(Changed(...))`, CPU time of the thread, less encoding. *Encoding* is what only grows with what
the message has to say: listing what the link carries and reading its names where a message states all of it, and the
venue's `encode`. What a change leaves to do later (habits, the efficiency score) is in the first tick after it, which
is printed as the slowest. Taking the edges and carrying out the actions is not in it.

`python benchmarks/bench_planning.py` prints microseconds, and nanoseconds of encoding a topic of the link, from one
run: the median and the fastest of many rounds, since other work on the machine leaves cold caches. So does encoding:
the names of 50,000 streams push the engine out of the caches, and what is left of planning takes longer after it. What
planning alone costs is printed beside it: the same with nothing written. How it grows with the link is the last line:
few and many after as much else was read before each change. A process that reads frames between two changes finds cold
caches on a link of any size; without it, only the link of few would find them warm.
"""

from __future__ import annotations

import dataclasses
import random
import statistics
import sys
import time
from collections import deque
from typing import NamedTuple

import numpy as np

from subcore._intern import Interner
from subcore._ledger import Ledger
from subcore._route import Router
from subcore._wire_set import WireSet
from subcore.engine import actions, events
from subcore.engine.clock import SECOND
from subcore.engine.context import Settings
from subcore.engine.engine import Engine
from subcore.engine.pacing import LimitRegistry
from subcore.intent import Intent
from subcore.types import Accepted, Int32Array, StreamColumns
from subcore.venue import TEXT, Capacity, Model, Out
from subcore.venues import venue

SIZES = (500, 50_000)
CHANGE = 20
OFTEN = 30  # changes a minute that its link must bear: one in 2.5 s is made. So many times are kept as well
ROUNDS = 100
WARM = 30  # before them: the interpreter makes code that runs often faster
LOSSES = 9
EVIDENCE_AT_ONCE = 4096  # frames that one turn of the loop may have read
COOLING = 8 << 20  # bytes; all tables of 50,000 streams are fewer, and so are the caches of one core


class Cost(NamedTuple):
    """Nanoseconds of one call of the engine, by what they went to."""

    planning: int
    encoding: int


class Planning:
    """An engine on the core's own tables whose link carries `size` streams, all proven. `writes`: whether messages say
    anything, or their text is left out, which a venue allows only where each states all that its link carries.
    `cools`: whether other memory is read before each change."""

    def __init__(self, house: str, size: int, *, writes: bool = True, cools: bool = False) -> None:
        made = venue(house).at("ws://bench.test:80")
        self.encoding = self.slowest_tick = 0
        self._write = made.encode if writes else _leave_out
        self._other = np.ones(COOLING // 8 if cools else 0, np.int64)
        self.channel = made.channel_index("trade")
        self.listing = 0
        self.venue = dataclasses.replace(made, encode=self._encode, capacities=(Capacity("streams", 10**6),))
        self.ledger, self.interner = Ledger(max_streams=1 << 17), Interner()
        self.intent = Intent(self.venue, self.interner, self.ledger, Router(self.ledger, gone=deque()))
        self.component = self.ledger.open_component()
        self.engine = Engine(
            self.venue,
            self.intent,
            self._make_set,
            random.Random(1),
            registry=LimitRegistry(),
            settings=Settings(hurts=OFTEN),
        )
        self.now = SECOND
        dash = "KRW-{}" if house == "upbit" else "{}USDT"
        names = [dash.format(f"T{number}") for number in range(size + 2 * CHANGE)]
        self.topics = self.ledger.topics(self.channel, self.interner.intern_many(names))
        self.coming = [self.topics[size : size + CHANGE], self.topics[size + CHANGE :]]
        self.ledger.add(self.component, np.concatenate([self.topics[:size], self.coming[1]]))
        self._tell(self._edges())
        self._tell(events.LinkUp(0, 1, 20_000_000))
        while self.engine.links[0].wire.len_added:
            self._answer()
        self._answer()
        self.slowest_tick = 0

    def _encode(
        self, add: StreamColumns, remove: StreamColumns, target: StreamColumns, next_id: int
    ) -> list[Out]:
        start = time.thread_time_ns()
        outs = self._write(add, remove, target, next_id)
        del add, remove, target  # columns read for the message go with it
        self.encoding += time.thread_time_ns() - start + self.listing
        self.listing = 0
        return outs

    def _make_set(self) -> WireSet:
        made = _TimedSet()
        made.measured = self
        return made

    def list_all(self, streams: WireSet) -> Int32Array:
        """All that a link should carry. The last time before a message that states it, it is part of writing it."""
        start = time.thread_time_ns()
        found = WireSet.target(streams)
        self.listing = time.thread_time_ns() - start
        return found

    def _edges(self) -> events.Changed:
        edges = self.ledger.take_edges()
        return events.Changed(edges.opened, edges.closed, edges.changed)

    def _tell(self, event: events.Event) -> list[actions.Action]:
        return self.engine.handle(event, self.now)

    def _cost(self, event: events.Event) -> tuple[Cost, list[actions.Action]]:
        self.encoding, self.listing, start = 0, 0, time.thread_time_ns()
        out = self._tell(event)
        whole = time.thread_time_ns() - start
        return Cost(whole - self.encoding, self.encoding), out

    def _answer(self) -> None:
        """Data for everything, a quiet second, ticks."""
        link = self.engine.links[0]
        self._tell(events.StreamEvidence(0, link.generation, link.wire.wire(), self.now))
        for _ in range(10):
            self.slowest_tick = max(self.slowest_tick, self.tick())

    def change(self) -> Cost:
        """20 topics come and the 20 of the last change go."""
        here, gone = self.coming
        self.coming.reverse()
        self.ledger.add(self.component, here)
        self.ledger.remove(self.component, gone)
        edges = self._edges()
        self._other.sum()
        cost, out = self._cost(edges)
        if not any(isinstance(action, actions.Send) for action in out):
            raise RuntimeError("nothing was sent")
        self._answer()
        return cost

    def tick(self) -> int:
        """Nanoseconds of a tick in quiet. Before it, the venue answers where it answers requests."""
        self.now += SECOND // 4
        link, generation = self.engine.links[0], self.engine.links[0].generation
        for request in list(link.in_flight) if self.venue.model is Model.DELTA else ():
            self._tell(events.ControlFrame(0, generation, Accepted(request.id)))
        self._tell(events.LinkActivity(0, generation, self.now, self.now // SECOND))
        start = time.thread_time_ns()
        self.engine.to_look_at(self.now)
        self._tell(events.Tick())
        return time.thread_time_ns() - start

    def lose(self) -> list[Cost]:
        """The link goes, is opened again, asked for all in one message, and proven: what each call costs.

        Evidence comes in parts, as frames do.
        """
        link = self.engine.links[0]
        lost, costs = link.generation, list[Cost]()

        def tell(event: events.Event) -> None:
            costs.append(self._cost(event)[0])

        tell(events.LinkDown(0, lost, "cut"))
        while link.generation == lost:
            self.now = max(self.now, self.engine.deadline() or 0)
            tell(events.Tick())
        tell(events.LinkUp(0, link.generation, 20_000_000))
        carried = link.wire.wire()
        for first in range(0, len(carried), EVIDENCE_AT_ONCE):
            part = carried[first : first + EVIDENCE_AT_ONCE]
            tell(events.StreamEvidence(0, link.generation, part, self.now))
        for _ in range(200):  # healthy for long, so that the next one is opened as soon
            self.tick()
        return costs


class _TimedSet(WireSet):
    """A link's set that has all that the link should carry listed by who measures that."""

    measured: Planning

    def target(self) -> Int32Array:
        return self.measured.list_all(self)


def _leave_out(add: StreamColumns, remove: StreamColumns, target: StreamColumns, next_id: int) -> list[Out]:
    return [Out(b"", TEXT, f"s{next_id}", add.streams, remove.streams)]


class ChangeOfTwenty:
    params = [("upbit", "binance"), (500, 5_000)]  # noqa: RUF012
    param_names = ("venue", "streams")

    def setup(self, house: str, size: int) -> None:
        self.planning = Planning(house, size)
        self.taken = [self.planning.change() for _ in range(WARM + ROUNDS)][WARM:]

    def track_planning_us(self, house: str, size: int) -> float:
        """From the edges to the actions, encoding apart."""
        return statistics.median(plan for plan, _ in self.taken) / 1000

    def track_encoding_ns(self, house: str, size: int) -> float:
        """Reading and writing what the message says, a topic of the link."""
        return statistics.median(encode for _, encode in self.taken) / size

    def track_tick_us(self, house: str, size: int) -> float:
        """Nothing happens."""
        return statistics.median(self.planning.tick() for _ in range(100)) / 1000


class LostLink:
    """What one call of the engine costs when a link of that many streams is lost, encoding apart."""

    params = (5_000,)
    param_names = ("streams",)

    def setup(self, size: int) -> None:
        planning = Planning("upbit", size)
        self.losses = [[call.planning for call in planning.lose()] for _ in range(LOSSES)]

    def track_loss_ms(self, size: int) -> float:
        """All calls of one loss together."""
        return statistics.median(map(sum, self.losses)) / 1e6

    def track_slice_ms(self, size: int) -> float:
        """The longest call of a loss."""
        return statistics.median(map(max, self.losses)) / 1e6


def _median_us(planning: Planning) -> float:
    return statistics.median([planning.change().planning for _ in range(WARM + ROUNDS)][WARM:]) / 1000


def main() -> int:
    lost = LostLink()
    lost.setup(SIZES[-1])
    print(
        f"upbit    {SIZES[-1]:6} streams lost: {lost.track_loss_ms(0):.2f} ms of the engine, encoding apart, at most"
        f" {lost.track_slice_ms(0):.2f} ms at once (fastest of {LOSSES}: {min(map(max, lost.losses)) / 1e6:.2f} ms)"
    )
    for house in ("upbit", "binance"):
        for size in SIZES:
            bench = ChangeOfTwenty()
            bench.setup(house, size)
            plan, encode = bench.track_planning_us(house, size), bench.track_encoding_ns(house, size)
            fastest = min(plan for plan, _ in bench.taken) / 1000
            ticks = sorted(bench.planning.tick() / 1000 for _ in range(200))
            alone = (
                f", {_median_us(Planning('upbit', size, writes=False)):5.1f} if nothing is written"
                if house == "upbit"
                else ""
            )
            print(
                f"{house:8} {size:6} streams: planning {plan:6.1f} us (fastest {fastest:6.1f}{alone}),"
                f" encoding {encode:6.1f} ns a topic,"
                f" tick {ticks[100]:6.1f} us, slowest after a change {bench.planning.slowest_tick / 1000:6.1f} us"
            )
    for house in ("upbit", "binance"):
        few, many = (_median_us(Planning(house, size, cools=True)) for size in SIZES)
        print(f"{house:8} after as much else was read: {few:.1f} us, {many:.1f} us; {many / few:.2f} times")
    return 0


if __name__ == "__main__":
    sys.exit(main())
