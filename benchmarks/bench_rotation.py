"""Rotation: what a tick costs while every stream moves from its link to a successor.

All streams are carried twice for a while, wait for their first data on the new link, leave the old one, and rest until
no late frame can come. A tick looks at so many of them as the setting `looks` says.

A tick holds all that the manager does at one: what each link received, what is due on each, and the requests that are
written then. *Encoding*, all of a venue's `encode`, is told apart, as in `bench_planning`: where requests replace, one
names every stream of its link. `python benchmarks/bench_rotation.py` prints the longest tick with and without it, and
the sum of all, in CPU time of the thread, from one run; what other events cost (evidence, lists) is not in it.
"""

from __future__ import annotations

import dataclasses
import random
import statistics
import sys
import time
from collections import deque
from typing import Any, NamedTuple

from subcore._intern import Interner
from subcore._ledger import Ledger
from subcore._route import Router
from subcore._wire_set import WireSet
from subcore.engine import actions, events
from subcore.engine.clock import SECOND
from subcore.engine.engine import Engine
from subcore.engine.link import Link
from subcore.engine.pacing import LimitRegistry
from subcore.intent import Intent
from subcore.types import Accepted
from subcore.venue import Out
from subcore.venues import venue

SIZES = (5_000, 50_000)
MOST_TICKS = 4 * 600  # a rotation takes no ten minutes
ROUNDS = 5
SETTLED = 40  # ticks after which nothing of the beginning is left to do
ROUND_TRIP = 20_000_000


class Taken(NamedTuple):
    """Nanoseconds of a tick: encoding apart, and all of it."""

    planning: int
    whole: int


class Rotation:
    """An engine on the core's own tables, `size` streams on as few links as the venue allows, all proven."""

    def __init__(self, house: str, size: int) -> None:
        made = venue(house).at("ws://bench.test:80")
        # One process may open so many at once here: what is measured is not how long a venue makes one wait.
        capacities = tuple(c for c in made.capacities if c.resource == "streams")
        self._write, self._encoding = made.encode, 0
        self.venue = dataclasses.replace(made, encode=self._encode, capacities=capacities, limits=())
        self.ledger, self.interner = Ledger(max_streams=1 << 17), Interner()
        intent = Intent(self.venue, self.interner, self.ledger, Router(self.ledger, gone=deque()))
        self.engine = Engine(self.venue, intent, WireSet, random.Random(1), registry=LimitRegistry())
        self.now, self.size = SECOND, size
        self.shown: dict[tuple[int, int], int] = {}  # by link and generation: streams that it brought so far
        written = "KRW-T{}" if house == "upbit" else "T{}USDT"
        names = [written.format(number) for number in range(size)]
        topics = self.ledger.topics(self.venue.channel_index("trade"), self.interner.intern_many(names))
        self.ledger.add(self.ledger.open_component(), topics)
        edges = self.ledger.take_edges()
        self._tell(events.Changed(edges.opened, edges.closed, edges.changed))
        self._settle(least=SETTLED)

    def _encode(self, *what: Any) -> list[Out]:
        start = time.thread_time_ns()
        out = self._write(*what)
        self._encoding += time.thread_time_ns() - start
        return out

    def _tell(self, event: events.Event) -> None:
        for action in self.engine.handle(event, self.now):
            if isinstance(action, actions.Connect):
                self._tell(events.LinkUp(action.link, action.generation, ROUND_TRIP))
            elif isinstance(action, actions.Disconnect):
                self._tell(events.LinkDown(action.link, action.generation, "closed"))

    def _answer(self, link: Link) -> None:
        """The venue answers each request, and whatever is new on the link brings its first data."""
        for request in list(link.in_flight):
            self._tell(events.ControlFrame(link.id, link.generation, Accepted(request.id)))
        carried = link.wire.wire()
        if len(carried) > self.shown.get((link.id, link.generation), 0):
            self._tell(events.StreamEvidence(link.id, link.generation, carried, self.now))
        self.shown[link.id, link.generation] = len(carried)

    def tick(self) -> Taken:
        """What a tick takes, after everything that came in the quarter of a second before it."""
        self.now += SECOND // 4
        for link in list(self.engine.links.values()):
            if link.is_up:
                self._answer(link)
        self._encoding, start = 0, time.thread_time_ns()
        for link in list(self.engine.links.values()):
            if link.is_up:
                self._tell(events.LinkActivity(link.id, link.generation, self.now, self.now // SECOND))
        self.engine.to_look_at(self.now)
        self._tell(events.Tick())
        whole = time.thread_time_ns() - start
        return Taken(whole - self._encoding, whole)

    def _carried(self) -> int:
        return sum(link.wire.len_wire for link in self.engine.links.values())

    def _settle(self, least: int = 0) -> list[Taken]:
        """Ticks until each stream is carried once."""
        taken: list[Taken] = []
        while len(taken) < least or self._carried() != self.size:
            if len(taken) > MOST_TICKS:
                raise RuntimeError(f"{self._carried():,} streams are carried, of {self.size:,}")
            taken.append(self.tick())
        return taken

    def rotate(self) -> list[Taken]:
        """Each tick until all have moved, and for a quarter of a minute after."""
        before = {link.id for link in self.engine.links.values() if link.wire.len_wire}
        self._tell(events.Rotate())
        taken = self._settle(least=SETTLED)
        after = {link.id for link in self.engine.links.values() if link.wire.len_wire}
        if before & after:
            raise RuntimeError(f"links {sorted(before & after)} were not replaced")
        return taken + [self.tick() for _ in range(60)]


class RotatingLinks:
    params = [("upbit", "binance"), (5_000,)]  # noqa: RUF012
    param_names = ("venue", "streams")

    def setup(self, house: str, size: int) -> None:
        rotation = Rotation(house, size)
        self.rounds = [rotation.rotate() for _ in range(ROUNDS)]

    def longest(self) -> list[Taken]:
        """Of each round the longest tick, encoding apart, and the longest with it."""
        return [Taken(max(t.planning for t in ticks), max(t.whole for t in ticks)) for ticks in self.rounds]

    def track_longest_tick_us(self, house: str, size: int) -> float:
        """The longest tick of a rotation, encoding apart."""
        return statistics.median(taken.planning for taken in self.longest()) / 1000

    def track_all_ticks_ms(self, house: str, size: int) -> float:
        """All ticks of a rotation together."""
        return statistics.median(sum(taken.whole for taken in ticks) for ticks in self.rounds) / 1e6


def main() -> int:
    for house in ("upbit", "binance"):
        for size in SIZES:
            bench = RotatingLinks()
            bench.setup(house, size)
            calm = statistics.median(taken.whole for taken in bench.rounds[-1][-20:]) / 1000
            longest = bench.longest()
            fastest = min(taken.planning for taken in longest) / 1e6
            whole = statistics.median(taken.whole for taken in longest) / 1e6
            print(
                f"{house:8} {size:6} streams: longest tick, encoding apart,"
                f" {bench.track_longest_tick_us(house, size) / 1000:5.2f} ms (fastest of {ROUNDS}: {fastest:5.2f}),"
                f" with it {whole:5.2f}; all {len(bench.rounds[0])} ticks"
                f" {bench.track_all_ticks_ms(house, size):6.1f} ms; a calm one {calm:.0f} us",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
