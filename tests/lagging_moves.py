"""A stage for moves while links lag: an exchange of either venue, a manager, an onlooker, and the kinds of move.

Each connection is late by 0 to 0.5 s, another lag every moment, so that two links bring one stream in different orders.
An onlooker who never moves and never lags says what the exchange sent.
"""

from __future__ import annotations

import asyncio
import json
import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from lagging_houses import UPBIT, House
from manager_rig import make
from subcore.component import Component
from subcore.manager import SubscriptionManager
from subcore.sim.connection import CLOSE, TEXT, Output
from subcore.sim.faults import Fault
from subcore.testing.world import PONG
from subcore.types import Priority, StreamState
from subcore.venue import Venue
from subcore.venues import venue
from virtual_manager import World

MOST_LAG_S = 0.5
DRAINED_S = 3.0  # all that was under way has come by then


class Onlooker:
    """A client of its own that nothing ever happens to."""

    def __init__(self, house: House, answer: Callable[[bytes], None]) -> None:
        self.trades: list[tuple[str, int]] = []
        self.newest: dict[tuple[str, str], int] = {}
        self._house = house
        self._answer = answer

    def receive(self, output: Any) -> None:
        """A frame, as the exchange sent it, or a ping."""
        if output.kind == "ping":
            self._answer(output.payload)
            return
        assert output.kind == "frame", output.kind
        told = self._house.read(json.loads(output.payload))
        if told is None:
            return
        channel, code, number = told
        if channel == "trade":
            self.trades.append((code, number))
        else:
            self.newest[channel, code] = number


class LaggingWorld(World):
    """A world whose connections to managers lag by `kind`, each by itself. In order (`lag`), or not (`reorder`)."""

    def __init__(self, house: House, seed: int, kind: str, rate: float) -> None:
        still = {"variety": 0} if house is UPBIT else {}
        super().__init__(seed, make=house.make, rate=rate, markets=[*house.codes, *house.extras], **still)
        self.house = house
        self.rng = random.Random(f"lagging {seed} {kind}")
        self.onlooker = Onlooker(house, lambda payload: self.send(self.watched, PONG, payload))
        self.watched = -1
        self._kind = kind

    def look_on(self) -> None:
        """Let the onlooker in."""
        conn = self.exchange.connect(self.ns(), ip="10.0.0.9", path=self.house.path)
        assert isinstance(conn, int)
        self.watched = conn
        super().attach(conn, self.onlooker)
        self.send(conn, TEXT, json.dumps(self.house.ask(self.house.channels, self.house.codes)).encode())

    def attach(self, conn: int, end: Any) -> None:
        super().attach(conn, end)
        self._blow(conn)

    def _blow(self, conn: int) -> None:
        """Another lag for a moment, again and again."""
        if conn in self.exchange.connections:
            seconds = self.rng.uniform(0.05, 0.5) if self.rng.random() < 0.8 else self.rng.uniform(1.0, 8.0)
            lag = self.rng.choice((0.0, MOST_LAG_S, self.rng.uniform(0.0, MOST_LAG_S)))
            self.inject(Fault(self._kind, conn=conn, lag=lag, seconds=seconds))
            asyncio.get_running_loop().call_later(seconds, self._blow, conn)

    def inject(self, fault: Fault) -> None:
        """Have a fault now."""
        self.exchange.inject(fault, self.ns())

    def links(self) -> list[int]:
        """The connections of managers."""
        return sorted(self.exchange.connections.keys() - {self.watched})

    def cut(self, conn: int) -> None:
        """A link is lost, and all that is under way on it: only the other one can bring that."""
        self.exchange.closed(conn, self.ns())
        self._ends[conn].receive(Output(conn, "reset", CLOSE, b"", 0, self.ns()))


class Ears:
    """What one component was given. `back`: states that went back; `back_doubled`: behind one that came since two links
    carry the stream, of `doubled` states in all."""

    def __init__(self, house: House, is_doubled: Callable[[str, str], bool]) -> None:
        self.trades: Counter[tuple[str, int]] = Counter()
        self.newest: dict[tuple[str, str], int] = {}
        self.back: list[str] = []
        self.back_doubled: list[str] = []
        self.doubled = 0
        self._newest_doubled: dict[tuple[str, str], int] = {}
        self._house = house
        self._is_doubled = is_doubled

    def subscribe(self, component: Component, codes: list[str], **options: Any) -> None:
        """All three channels of these."""
        component.subscribe("trade", codes, self._trade, **options)
        for channel in self._house.states:
            component.subscribe(channel, codes, partial(self._state, channel), **options)

    def _trade(self, event: Any) -> None:
        self.trades[event.symbol, event.id] += 1

    def _state(self, channel: str, event: Any) -> None:
        key, place = (channel, event.symbol), self._house.order(event)
        self._note(self.newest, key, place, self.back)
        if self._is_doubled(*key):
            self.doubled += 1
            self._note(self._newest_doubled, key, place, self.back_doubled)
        else:
            self._newest_doubled.pop(key, None)

    @staticmethod
    def _note(newest: dict[tuple[str, str], int], key: tuple[str, str], place: int, back: list[str]) -> None:
        last = newest.get(key, 0)
        if place < last:
            back.append(f"{' '.join(key)}: {last - place} back to {place}")
        newest[key] = max(place, last)


@dataclass
class Stage:
    """One world with its manager, and what listens there."""

    world: LaggingWorld
    manager: SubscriptionManager
    component: Component
    ears: Ears

    @property
    def house(self) -> House:
        """Of the world."""
        return self.world.house

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait, in virtual time; the world's patience ends it."""
        while not holds():
            await asyncio.sleep(0.05)

    def homes(self, codes: list[str]) -> set[int | None]:
        """The links where these live."""
        return {self.manager.topic(channel, code).link for channel in self.house.channels for code in codes}

    def is_doubled(self) -> bool:
        """Whether two links carry everything, by the exchange's account and by the manager's."""
        connections = [self.world.exchange.connections[conn] for conn in self.world.links()]
        carried = [self.house.carried(connection) for connection in connections]
        return carried == [len(self.house.channels) * len(self.house.codes)] * 2 and all(
            info.other_link is not None and info.state is StreamState.OPEN for info in self.manager.topics()
        )


class Kind(ABC):
    """Why streams move: how it comes to that, and the moves. `rate` is the exchange's."""

    rate = 25.0

    @classmethod
    def venue(cls, made: Venue) -> Venue:
        """As the manager has it."""
        return made

    @classmethod
    def moved(cls, house: House) -> list[str]:
        """The markets that move."""
        return house.codes

    async def settle(self, stage: Stage) -> None:
        """Ask for everything, until it is there."""
        stage.ears.subscribe(stage.component, stage.house.codes)
        await stage.component.live(20.0)

    @abstractmethod
    async def move(self, stage: Stage) -> None:
        """Have it moved, until that is over."""


class Rotation(Kind):
    """Every link is replaced, again and again."""

    async def move(self, stage: Stage) -> None:
        for number in range(4):
            await asyncio.sleep(stage.world.rng.uniform(0.1, 2.0))
            if number % 2:  # the old link is to wait for its successor
                stage.world.inject(Fault("refuse", seconds=stage.world.rng.uniform(4.0, 12.0)))
            before = set(stage.world.links())
            await stage.manager.rotate()
            while not before.isdisjoint(stage.world.links()):
                await asyncio.sleep(0.1)
        assert stage.manager.stats().losses_of_link == 0


class Age(Kind):
    """Each connection is replaced before it is as old as the venue lets it become."""

    @classmethod
    def venue(cls, made: Venue) -> Venue:
        return replace(made, life=replace(made.life, max_age=8.0))

    async def move(self, stage: Stage) -> None:
        ever = set(stage.world.links())
        while len(ever) < 4 or len(stage.world.links()) > 1:
            await asyncio.sleep(0.1)
            ever |= set(stage.world.links())
        assert stage.manager.stats().losses_of_link == 0


class Standby(Kind):
    """One of two links is lost, again and again."""

    async def settle(self, stage: Stage) -> None:
        stage.ears.subscribe(stage.component, stage.house.codes, standby=True)
        await stage.until(stage.is_doubled)

    async def move(self, stage: Stage) -> None:
        for number in range(6):
            await stage.until(stage.is_doubled)
            # By then all is there that was sent to one alone.
            await asyncio.sleep(stage.world.rng.uniform(MOST_LAG_S, 2.0))
            stage.world.cut(stage.world.rng.choice(stage.world.links()))
            await asyncio.sleep(0.1)
            assert stage.manager.stats().losses_of_link == number + 1
        await stage.until(stage.is_doubled)


class WayHome(Kind):
    """Streams that came amid a burst of changes move from the nursery to the settled link."""

    rate = 12.0  # a minute of calm comes before it

    @classmethod
    def moved(cls, house: House) -> list[str]:
        return house.late

    async def settle(self, stage: Stage) -> None:
        stage.ears.subscribe(stage.component, stage.house.codes[:7])
        crowd = make(stage.manager, "crowd")
        for code in stage.house.extras:
            crowd.subscribe(stage.house.states[0], code, lambda _: None)
            await asyncio.sleep(1.0)
        stage.ears.subscribe(stage.component, stage.house.late)
        await stage.component.live(20.0)

    async def move(self, stage: Stage) -> None:
        (nursery,) = stage.homes(stage.house.late)
        assert stage.homes(stage.house.codes[:7]) == {0} != {nursery}
        (proposal,) = stage.manager.optimize()
        assert (proposal.source, proposal.to) == (nursery, 0)
        await stage.until(lambda: stage.homes(stage.house.late) == {0})
        await stage.until(lambda: len(stage.world.links()) == 1)
        assert stage.manager.optimize() == ()
        assert stage.manager.stats().losses_of_link == 0


@dataclass
class Played:
    """`due`: trades that the exchange had from before the first move to after the last; `last`: its states then."""

    house: House
    ears: Ears
    due: list[tuple[str, int]]
    last: dict[tuple[str, str], int]
    copies: int = 0

    def check_trades(self) -> None:
        """What happened: all of it, once."""
        heard = self.ears.trades
        assert len(self.due) == len(set(self.due)) > 100
        assert [key for key in self.due if key not in heard] == [], "lost"
        assert [key for key, count in heard.items() if count > 1] == [], "twice"
        assert self.copies > 0, "two links brought the same"

    def check_states(self) -> None:
        """What is: never back, and the last one is there."""
        assert self.ears.back == []
        assert len(self.last) == 2 * len(self.house.codes)
        assert [key for key, time in self.last.items() if self.ears.newest[key] < time] == [], "lost"


def play(
    kind: type[Kind], seed: int, weather: str, house: House = UPBIT, rate: float | None = None
) -> Played:
    """Settle, and move under the eyes of the onlooker."""

    async def main(world: LaggingWorld) -> Played:
        async with world.manager(venue=kind.venue(venue(house.name))) as manager:

            def is_doubled(channel: str, code: str) -> bool:
                return manager.topic(channel, code).other_link is not None

            component = make(manager, "ears", priority=Priority.CRITICAL)
            stage = Stage(world, manager, component, Ears(house, is_doubled))
            world.look_on()
            await kind().settle(stage)
            first = len(world.onlooker.trades)
            stage.ears.back.clear()
            await kind().move(stage)
            played = Played(house, stage.ears, world.onlooker.trades[first:], dict(world.onlooker.newest))
            await asyncio.sleep(DRAINED_S)
            played.copies = manager.stats().duplicates
            return played

    played: Played = LaggingWorld(house, seed, weather, rate or kind.rate).run(main)
    print(f"{kind.__name__}, {house.name}, seed {seed}, {weather}: {len(played.due)} trades due")
    return played
