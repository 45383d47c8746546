"""Two links that lag, each in its own order: nothing is lost, nothing comes twice, no state goes back."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from arbiter_events import MS, book, candle, order, said, ticker, trade
from compiled import compiled
from subcore._events import Event
from subcore._meter import Meter

offer = compiled("meter_feed").offer

# Two links that lag, each in its own order, as TCP keeps it.


@dataclass
class Carrier:
    """What one link brings: (arrival, is a snapshot, number of the event)."""

    rng: random.Random
    arrivals: list[tuple[int, bool, int]] = field(default_factory=list)
    last: int = 0

    def carry(self, emitted: list[int], begin: int, end: int) -> None:
        """From a subscription at `begin` until the link is lost at `end`, with what is under way then."""
        lag = self.rng.uniform(0, 500 * MS)
        sent = [(begin, True, i) for i, at in enumerate(emitted) if at <= begin][-1:]
        sent += [(at, False, i) for i, at in enumerate(emitted) if begin < at <= end]
        for at, snapshot, i in sent:
            lag = min(500 * MS, max(0, lag + self.rng.gauss(0, 40 * MS)))
            if self.rng.random() < 0.05:
                lag = self.rng.uniform(0, 500 * MS)
            self.last = max(self.last, at + int(lag))
            if self.last <= end:
                self.arrivals.append((self.last, snapshot, i))


class Market:
    """Events of one stream of each kind, thousands of them, some at the same time."""

    def __init__(self, rng: random.Random, count: int, mean_ms: int) -> None:
        self.times = [1]
        while len(self.times) < count:
            pause = 0 if rng.random() < 0.3 else int(rng.expovariate(1 / (mean_ms * MS)))
            self.times.append(self.times[-1] + pause)
        self.until = self.times[-1] + 600 * MS

    def event(self, stream: int, i: int, snapshot: bool) -> Event:
        # The venue's clock is coarser than its events: several states at one time.
        time = self.times[i] // MS * MS
        if stream == 0:
            return trade(i, snapshot, exchange_time_ns=time)
        if stream < 4:
            return (ticker, book, candle)[stream - 1](time, i, snapshot)
        return order(i // 3, ("wait", "trade", "done")[i % 3], time)


STREAMS = range(5)


def play(
    market: Market, arrivals: list[tuple[int, int, bool, int]], switches: list[tuple[int, bool]]
) -> list[list[tuple[Event, int]]]:
    """Deliver what arrives, link by link, to a meter; what it forwards of each stream."""
    meter = Meter(1)
    forwarded: list[list[tuple[Event, int]]] = [[] for _ in STREAMS]
    todo: list[tuple[int, int, Any]] = [(at, -1, on) for at, on in switches]
    todo += [(at, link, (snapshot, i)) for at, link, snapshot, i in arrivals]
    todo.sort(key=lambda step: (step[0], step[1] >= 0))
    for _at, link, what in todo:
        if link < 0:
            meter.arbitrate(STREAMS, what)
            continue
        snapshot, i = what
        for stream in STREAMS:
            if snapshot and stream == 4:
                continue  # no venue sends what happened to orders before
            event = market.event(stream, i, snapshot)
            _, dropped, _, gap = offer(meter, event, link, stream)
            assert not (gap and meter.arbitrated)
            if not dropped:
                forwarded[stream].append((event, i))
    assert meter.arbitrated == 0
    return forwarded


def check(market: Market, forwarded: list[list[tuple[Event, int]]], carried: set[int]) -> None:
    for stream in (0, 4):  # what happened: everything that any link brought, once
        numbers = [i for _, i in forwarded[stream]]
        assert len(numbers) == len(set(numbers)), "twice"
        assert set(numbers) == carried, "lost"
    for stream in (1, 2, 3):  # states: never back, never the same twice, the last one arrives
        times = [event.exchange_time_ns or 0 for event, _ in forwarded[stream]]
        assert times == sorted(times), "a state went back"
        contents = [said(event) for event, _ in forwarded[stream]]
        assert len(contents) == len(set(contents)), "a content came twice"
        assert forwarded[stream][-1][1] == max(carried) or times[-1] == market.times[max(carried)] // MS * MS
        assert len(contents) > len(carried) // 3


@pytest.mark.parametrize("seed", range(9))
def test_a_move_between_lagging_links_loses_nothing_and_brings_nothing_twice(seed: int) -> None:
    rng = random.Random(seed)
    print(f"seed {seed}")
    market = Market(rng, 1200, (1, 3, 12)[seed % 3])
    middle = market.times[400]
    lost = market.times[800] + 600 * MS
    old, new = Carrier(rng), Carrier(rng)
    old.carry(market.times, 0, lost)
    new.carry(market.times, middle, market.until)
    arrivals = [(at, 0, s, i) for at, s, i in old.arrivals] + [(at, 1, s, i) for at, s, i in new.arrivals]
    forwarded = play(market, arrivals, [(middle, True), (lost + 500 * MS, False)])
    check(market, forwarded, {i for _, _, _, i in arrivals})
    assert {i for _, i in forwarded[0]} == set(range(1200))


@pytest.mark.parametrize("seed", range(8))
def test_a_standby_survives_the_loss_of_either_link_again_and_again(seed: int) -> None:
    rng = random.Random(1000 + seed)
    print(f"seed {1000 + seed}")
    market = Market(rng, 2000, 12)
    links = Carrier(rng), Carrier(rng)
    begun = [0, 1]
    now = 1
    while now < market.until - 2500 * MS:
        now += rng.randrange(600 * MS, 1500 * MS)
        lost = rng.randrange(2)
        links[lost].carry(market.times, begun[lost], now)
        links[lost].last = begun[lost] = now = now + rng.randrange(1, 400 * MS)
    for link in (0, 1):
        links[link].carry(market.times, begun[link], market.until)
    arrivals = [(at, link, s, i) for link in (0, 1) for at, s, i in links[link].arrivals]
    forwarded = play(market, arrivals, [(1, True), (market.until + 1, False)])
    check(market, forwarded, {i for _, _, _, i in arrivals})
    assert {i for _, i in forwarded[0]} == set(range(2000))


@pytest.mark.parametrize("seed", range(6))
def test_moved_again_and_again_nothing_is_lost_or_comes_twice(seed: int) -> None:
    rng = random.Random(2000 + seed)
    print(f"seed {2000 + seed}")
    market = Market(rng, 2000, 12)
    spans, switches = [(0, market.until)], []
    at = rng.randrange(100 * MS, 800 * MS)
    while at < market.until - 2500 * MS:
        lost = at + rng.randrange(501 * MS, 1000 * MS)
        spans[-1] = (spans[-1][0], lost)
        spans.append((at, market.until))
        switches += [(at, True), (lost + 500 * MS, False)]
        at = lost + 500 * MS + rng.randrange(1, 300 * MS)
    arrivals = []
    for link, (begin, end) in enumerate(spans):
        carrier = Carrier(rng)
        carrier.carry(market.times, begin, end)
        arrivals += [(at, link, s, i) for at, s, i in carrier.arrivals]
    assert len(spans) > 5
    check(market, play(market, arrivals, switches), set(range(2000)))
