"""What a component wants at most so many events a second of is so after a restart, until it says otherwise."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from manager_rig import make
from restarts import BTC, ETH
from subcore.engine.clock import SECOND
from subcore.engine.snapshot import Snapshot
from subcore.types import Topic
from virtual_manager import World

LIMITS = {"a": {("ticker:KRW-BTC", 0.5), ("ticker:KRW-ETH", 2.0)}, "b": {("trade:KRW-BTC", 1.0)}, "c": set()}


def limits(snapshot: Snapshot) -> dict[str, set[tuple[str, float]]]:
    return {c.name: {(str(topic), rate) for topic, rate in c.max_rates} for c in snapshot.components}


async def taken(world: World) -> Snapshot:
    """Of three components, two with rates."""
    async with world.manager() as manager:
        a, b, c = (make(manager, name) for name in "abc")
        a.subscribe("ticker", BTC, max_rate=0.5)
        a.subscribe("ticker", ETH, max_rate=2)
        a.subscribe("trade", [BTC, ETH])
        b.subscribe("trade", BTC, max_rate=1.0)
        b.subscribe("trade", ETH, max_rate=1.0)
        b.subscribe("trade", ETH)  # takes it away
        c.subscribe("ticker", [BTC, ETH])
        hub = manager._hub
        capped = hub.ledger.interests(c._member.id)
        hub.granting.caps.impose(
            {c._member: capped}, "load", "busy", 0.1
        )  # what another asks for is not c's wish
        return Snapshot.from_bytes(bytes(manager.snapshot()))


class _Taker:
    """Notes when what came."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._came: list[tuple[str, int]] = []

    def take(self, event: Any) -> None:
        self._came.append((f"{event.channel}:{event.symbol}", self._world.clock.now))

    def least_gap(self, topic: str) -> float:
        times = [at for name, at in self._came if name == topic]
        return min(later - earlier for earlier, later in itertools.pairwise(times)) / SECOND


@pytest.mark.parametrize("claimed_before", [True, False])
def test_what_is_adopted_comes_at_the_rate_it_was_asked_for_at(claimed_before: bool) -> None:
    async def main(world: World) -> None:
        snapshot = await taken(world)
        assert limits(snapshot) == LIMITS
        async with world.manager(claim_grace=50.0) as manager:
            a = make(manager, "a") if claimed_before else None
            await manager.restore(snapshot)
            assert limits(manager.snapshot()) == LIMITS, (
                "should it end now, the next one finds it all the same"
            )
            a = a or make(manager, "a")
            taker = _Taker(world)
            assert a.adopt(taker.take) == 4
            await asyncio.sleep(30.0)
            assert taker.least_gap("ticker:KRW-BTC") >= 2.0
            assert 2.0 > taker.least_gap("ticker:KRW-ETH") >= 0.5
            assert taker.least_gap("trade:KRW-BTC") < 0.5, "what has no rate comes as it is"
            a.subscribe("ticker", [BTC, ETH], taker.take)
            assert limits(manager.snapshot())["a"] == set(), "asked for anew without it"

    World(rate=20.0).run(main)


def test_what_nobody_confirms_leaves_no_rate_behind() -> None:
    async def main(world: World) -> None:
        snapshot = await taken(world)
        async with world.manager(claim_grace=1.0) as manager:
            make(manager, "a")
            await manager.restore(snapshot)
            await asyncio.sleep(10.0)
            assert manager.snapshot().names == ("a",)
            assert manager._hub.granting.caps.asked() == {}

    World(rate=1.0).run(main)


def test_a_live_component_keeps_its_own_rate_of_what_it_has() -> None:
    async def main(world: World) -> None:
        snapshot = await taken(world)
        async with world.manager() as manager:
            a = make(manager, "a")
            a.subscribe("ticker", BTC, max_rate=7.0)
            a.subscribe("ticker", ETH)
            await manager.restore(snapshot)
            assert limits(manager.snapshot())["a"] == {(str(Topic("ticker", BTC)), 7.0)}

    World(rate=1.0).run(main)
