"""Make before break through a whole manager while its links lag: rotation, age, hot standby, and the way home.

`test_arbiter_links.py` has the arbiter alone, with switches chosen by hand; here the engine chooses when a second link
comes and when the first one goes, so what is shown is that it waits for long enough. Each connection is late by 0 to
0.5 s, another lag every moment, so that two links bring one stream in different orders. An onlooker who never moves and
never lags says what the exchange sent.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar

import pytest

from manager_rig import make
from subcore.component import Component
from subcore.manager import SubscriptionManager
from subcore.sim.connection import CLOSE, TEXT, Output
from subcore.sim.faults import Fault
from subcore.types import Priority, StreamState
from subcore.venues import venue
from virtual_manager import World

pytestmark = pytest.mark.simulation

CODES = [f"KRW-N{number}" for number in range(10)]
LATE = CODES[7:]  # those that come to the nursery, and go home
EXTRAS = [f"KRW-X{number}" for number in range(12)]  # of the burst before that
CHANNELS = ("trade", "ticker", "orderbook")
MOST_LAG_S = 0.5
UPBIT = venue("upbit")
DRAINED_S = 3.0  # all that was under way has come by then


class Onlooker:
    """A client of its own that nothing ever happens to."""

    def __init__(self) -> None:
        self.trades: list[tuple[str, int]] = []
        self.newest: dict[tuple[str, str], int] = {}

    def receive(self, output: Any) -> None:
        """A frame, as the exchange sent it."""
        assert output.kind == "frame", output.kind
        said = json.loads(output.payload)
        if said["type"] == "trade":
            self.trades.append((said["code"], said["sequential_id"]))
        else:
            self.newest[said["type"], said["code"]] = said["timestamp"] * 1_000_000


class LaggingWorld(World):
    """A world whose connections to managers lag by `kind`, each by itself. In order (`lag`), or not (`reorder`)."""

    def __init__(self, seed: int, kind: str, rate: float) -> None:
        super().__init__(seed, rate=rate, variety=0, markets=[*CODES, *EXTRAS])
        self.rng = random.Random(f"lagging {seed} {kind}")
        self.onlooker = Onlooker()
        self.watched = -1
        self._kind = kind

    def look_on(self) -> None:
        """Let the onlooker in."""
        conn = self.exchange.connect(self.ns(), ip="10.0.0.9")
        assert isinstance(conn, int)
        self.watched = conn
        super().attach(conn, self.onlooker)
        asked = [{"ticket": "onlooker"}, *({"type": channel, "codes": CODES} for channel in CHANNELS)]
        self.send(conn, TEXT, json.dumps(asked).encode())

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
    """What one component was given."""

    def __init__(self) -> None:
        self.trades: Counter[tuple[str, int]] = Counter()
        self.newest: dict[tuple[str, str], int] = {}
        self.back: list[str] = []

    def subscribe(self, component: Component, codes: list[str], **options: Any) -> None:
        """All three channels of these."""
        component.subscribe("trade", codes, self._trade, **options)
        for channel in ("ticker", "orderbook"):
            component.subscribe(channel, codes, partial(self._state, channel), **options)

    def _trade(self, event: Any) -> None:
        self.trades[event.symbol, event.id] += 1

    def _state(self, channel: str, event: Any) -> None:
        key, time = (channel, event.symbol), event.exchange_time_ns
        if time < (last := self.newest.get(key, 0)):
            self.back.append(f"{channel} {event.symbol}: {(last - time) / 1e6:.0f} ms back to {time}")
        self.newest[key] = max(time, last)


@dataclass
class Stage:
    """One world with its manager, and what listens there."""

    world: LaggingWorld
    manager: SubscriptionManager
    component: Component
    ears: Ears = field(default_factory=Ears)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait, in virtual time; the world's patience ends it."""
        while not holds():
            await asyncio.sleep(0.05)

    def homes(self, codes: list[str]) -> set[int | None]:
        """The links where these live."""
        return {self.manager.topic(channel, code).link for channel in CHANNELS for code in codes}

    def is_doubled(self) -> bool:
        """Whether two links carry everything, by the exchange's account and by the manager's."""
        connections = [self.world.exchange.connections[conn] for conn in self.world.links()]
        carried = [sum(s.live for s in connection.subscriptions.values()) for connection in connections]
        return carried == [len(CHANNELS) * len(CODES)] * 2 and all(
            info.other_link is not None and info.state is StreamState.OPEN for info in self.manager.topics()
        )


class Kind:
    """Why streams move: how it comes to that, and the moves. `rate` is the exchange's, `options` are the manager's."""

    rate = 25.0
    moved = CODES
    options: ClassVar[dict[str, Any]] = {}

    async def settle(self, stage: Stage) -> None:
        """Ask for everything, until it is there."""
        stage.ears.subscribe(stage.component, CODES)
        await stage.component.live(20.0)

    async def move(self, stage: Stage) -> None:
        """Have it moved, until that is over."""
        raise NotImplementedError


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

    options: ClassVar[dict[str, Any]] = {"venue": replace(UPBIT, life=replace(UPBIT.life, max_age=8.0))}

    async def move(self, stage: Stage) -> None:
        ever = set(stage.world.links())
        while len(ever) < 4 or len(stage.world.links()) > 1:
            await asyncio.sleep(0.1)
            ever |= set(stage.world.links())
        assert stage.manager.stats().losses_of_link == 0


class Standby(Kind):
    """One of two links is lost, again and again."""

    async def settle(self, stage: Stage) -> None:
        stage.ears.subscribe(stage.component, CODES, standby=True)
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
    moved = LATE

    async def settle(self, stage: Stage) -> None:
        stage.ears.subscribe(stage.component, CODES[:7])
        crowd = make(stage.manager, "crowd")
        for code in EXTRAS:
            crowd.subscribe("ticker", code, lambda _: None)
            await asyncio.sleep(1.0)
        stage.ears.subscribe(stage.component, LATE)
        await stage.component.live(20.0)

    async def move(self, stage: Stage) -> None:
        (nursery,) = stage.homes(LATE)
        assert stage.homes(CODES[:7]) == {0} != {nursery}
        (proposal,) = stage.manager.optimize()
        assert (proposal.source, proposal.to) == (nursery, 0)
        await stage.until(lambda: stage.homes(LATE) == {0})
        await stage.until(lambda: len(stage.world.links()) == 1)
        assert stage.manager.optimize() == ()
        assert stage.manager.stats().losses_of_link == 0


@dataclass
class Played:
    """`due`: trades that the exchange had from before the first move to after the last; `last`: its states then."""

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
        assert len(self.last) == 2 * len(CODES)
        assert [key for key, time in self.last.items() if self.ears.newest[key] < time] == [], "lost"


def play(kind: type[Kind], seed: int, weather: str) -> Played:
    """Settle, and move under the eyes of the onlooker."""

    async def main(world: LaggingWorld) -> Played:
        async with world.manager(**kind.options) as manager:
            stage = Stage(world, manager, make(manager, "ears", priority=Priority.CRITICAL))
            world.look_on()
            await kind().settle(stage)
            first = len(world.onlooker.trades)
            stage.ears.back.clear()
            await kind().move(stage)
            played = Played(stage.ears, world.onlooker.trades[first:], dict(world.onlooker.newest))
            await asyncio.sleep(DRAINED_S)
            played.copies = manager.stats().duplicates
            return played

    played: Played = LaggingWorld(seed, weather, kind.rate).run(main)
    print(f"{kind.__name__}, seed {seed}, {weather}: {len(played.due)} trades due")
    return played


KINDS = pytest.mark.parametrize("kind", [Rotation, Age, Standby, WayHome])
SEEDS = pytest.mark.parametrize("seed", [1, 2, 3])


@KINDS
@SEEDS
def test_while_links_lag_no_trade_is_lost_none_comes_twice_and_no_state_goes_back(
    kind: type[Kind], seed: int
) -> None:
    played = play(kind, seed, "lag")
    played.check_trades()
    played.check_states()


@KINDS
@SEEDS
def test_while_frames_overtake_each_other_no_trade_of_what_moves_is_lost_or_comes_twice(
    kind: type[Kind], seed: int
) -> None:
    """Within a link, which TCP does not do. What one link alone carries is taken in its order, and the snapshot of a
    rewrite may come before the trade it tells of: so only what moves is judged, states only where two links are the
    rule."""
    played = play(kind, seed, "reorder")
    counts = [played.ears.trades[key] for key in played.due if key[0] in kind.moved]
    assert len(counts) > 100
    assert set(counts) == {1}
    if kind is Standby:
        played.check_states()
