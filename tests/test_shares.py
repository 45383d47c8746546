"""A batch that no link takes whole: its symbols stay whole, unless that would take a link more."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import chain, repeat
from math import ceil

import numpy as np
import pytest

from delta_venue import DELTA
from engine_script import Script
from subcore.engine.shares import share
from subcore.sim.binance import BinanceExchange
from subcore.testing import EngineDriver
from subcore.types import Int32Array
from subcore.venue import Capacity, Channel
from subcore.venues import venue


class Batch:
    """Some symbols with some streams each, links with some free places, and what came of them."""

    def __init__(self, rng: random.Random) -> None:
        names = [f"S{n}" for n in range(rng.randint(1, 12)) for _ in range(rng.randint(1, 5))]
        rng.shuffle(names)
        self.symbol = dict(zip(sorted(rng.sample(range(1000), len(names))), names, strict=True))
        self.each = rng.randint(1, 12)
        self.rooms = [min(rng.randint(0, self.each), len(names)) for _ in range(rng.randint(0, 4))]
        streams = np.array(list(self.symbol), np.int32)
        self.parts = [part.tolist() for part in share(streams, self.rooms, self.each, self.symbols)]

    def symbols(self, streams: Int32Array) -> list[str]:
        return [self.symbol[stream] for stream in streams.tolist()]

    def new(self, parts: int) -> int:
        """Links opened for so many of the parts."""
        return max(0, parts - len(self.rooms))

    def needed(self, left: int, place: int) -> int:
        """New links for so many streams, if all free places after that part are filled."""
        return ceil(max(0, left - sum(self.rooms[place + 1 :])) / self.each)


def test_symbols_are_parted_only_where_a_link_more_would_be_needed() -> None:
    rng, parted, together = random.Random(9), 0, 0
    for _ in range(1500):
        batch = Batch(rng)
        parts = batch.parts
        assert sorted(chain(*parts)) == list(batch.symbol), "each has one place"
        rooms = chain(batch.rooms, repeat(batch.each))
        assert all(len(part) <= room for part, room in zip(parts, rooms, strict=False))
        least = ceil(max(0, len(batch.symbol) - sum(batch.rooms)) / batch.each)
        assert batch.new(len(parts)) == least
        left = len(batch.symbol)
        for place, part in enumerate(parts):
            here = {batch.symbol[stream] for stream in part}
            cut = here & {batch.symbol[stream] for stream in chain(*parts[place + 1 :])}
            assert len(cut) <= 1
            if cut:
                kept = sum(batch.symbol[stream] not in cut for stream in part)
                assert batch.new(place + 1) + batch.needed(left - kept, place) > least
            left -= len(part)
            parted, together = parted + len(cut), together + len(here) - len(cut)
    assert parted > 100
    assert together > 1000


@pytest.mark.parametrize("rooms", [[5], [0, 0, 9], []])
def test_what_the_first_link_with_room_takes_whole_is_not_looked_at(rooms: list[int]) -> None:
    def symbols(streams: Int32Array) -> list[str]:
        raise AssertionError("no symbol need be read")

    parts = share(np.arange(5, dtype=np.int32), rooms, 5, symbols)
    assert [part.tolist() for part in parts] == [*[[]] * (len(parts) - 1), [0, 1, 2, 3, 4]]
    assert share(np.empty(0, np.int32), rooms, 5, symbols) == []


TWO_CHANNELS = replace(
    DELTA,
    channels=(Channel("trade", "trade", snapshot=False), Channel("best", "ticker", snapshot=False)),
    capacities=(Capacity("streams", 6),),
)


def test_the_channels_of_a_symbol_share_a_link_also_where_there_is_room_on_another() -> None:
    s = Script(TWO_CHANNELS)

    def links_of(*symbols: str) -> list[set[int]]:
        both = [[s.ledger.find_stream(channel, symbol, 0.0) for channel in (0, 1)] for symbol in symbols]
        return [{s.engine.row(stream).link for stream in pair} for pair in both]

    def want(*symbols: str) -> None:
        for channel in ("trade", "best"):
            s.want(channel, *symbols, tell=False)
        s.turn()

    want(*"ABCDE")
    assert links_of(*"ABCDE") == [{0}, {0}, {0}, {1}, {1}]
    s.want("trade", "F")  # one place is left, on the second
    want("G")
    assert links_of("G") == [{2}]
    s.want("trade", "H")
    assert [s.engine.links[i].wire.len_target for i in range(3)] == [6, 6, 2]


def test_on_the_exchange_no_market_is_on_two_connections() -> None:
    markets = [f"N{i}USDT" for i in range(11)]
    made = replace(venue("binance").at("ws://sim.test:80"), capacities=(Capacity("streams", 8),))
    driver = EngineDriver(made, BinanceExchange(3, markets=markets, rate=0.5), seed=3)
    for channel in ("book_ticker", "trade"):  # all of a channel, then all of the next
        driver.subscribe("a", channel, markets)
    assert driver.run_until(driver.all_settled, 60)
    carried = [
        sorted(name.partition("@")[0] for name in connection.streams)
        for connection in driver.exchange.connections.values()
    ]
    assert sorted(map(len, carried)) == [6, 8, 8]
    assert all(names[::2] == names[1::2] for names in carried)
    assert not driver.exchange.violations
