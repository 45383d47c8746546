"""What `stats()` says of the wire against a recount of the bytes that went over it."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from typing import Any

import pytest

from manager_rig import make
from subcore.engine.obligations import Obligations
from subcore.manager import SubscriptionManager
from subcore.sim.faults import Fault
from subcore.types import Priority, Status
from virtual_manager import World

TEXT, PING = 1, 9
CHANNELS = ("ticker", "trade", "orderbook")
MARKETS = ("KRW-BTC", "KRW-ETH", "KRW-XRP")


class Recount(World):
    """Everything that passes is counted, by what is in it."""

    def __init__(self, seed: int, **options: Any) -> None:
        super().__init__(seed, **options)
        self.counts: Counter[str] = Counter()
        self.frames: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.asked: dict[int, set[tuple[str, str]]] = {}

    async def knock(self, headers: Any, path: str) -> Any:
        self.counts["connects"] += 1
        answer = await super().knock(headers, path)
        self.counts["refused_connects"] += not isinstance(answer, int)
        return answer

    def send(self, conn: int, opcode: int, payload: bytes) -> None:
        self.counts["pings"] += opcode == PING
        if opcode == TEXT:
            self.counts["messages"] += 1
            parts = json.loads(payload)
            if any("method" in part for part in parts):
                self.counts["listings"] += 1
            else:
                self._asked(conn, {(p["type"], code) for p in parts if "codes" in p for code in p["codes"]})
        super().send(conn, opcode, payload)

    def _asked(self, conn: int, wanted: set[tuple[str, str]]) -> None:
        before = self.asked.get(conn, set())
        self.counts["plans"] += 1
        self.counts["additions"] += len(wanted - before)
        self.counts["removals"] += len(before - wanted)
        self.asked[conn] = wanted

    def arrives(self, end: Any, output: Any) -> None:
        if not end._closed.is_set() and output.kind == "frame":
            said = json.loads(output.payload)
            if kind := said.get("type", said.get("ty")):
                self.frames[kind] += 1
                self.bytes[kind] += len(output.payload)
        super().arrives(end, output)


async def wander(world: Recount, manager: SubscriptionManager, rng: random.Random) -> None:
    """Components come, change their minds and go; links are lost."""
    for step in range(12):
        component = make(manager, f"c{step}")
        component.subscribe(rng.choice(CHANNELS), rng.sample(MARKETS, 2), lambda event: None)
        await asyncio.sleep(rng.uniform(0.0, 8.0))
        if step % 4 == 3:
            world.exchange.inject(Fault("drop_rst"), world.ns())
            world.pump()
            await asyncio.sleep(10.0)
        if rng.random() < 0.6:
            component.close()
    await asyncio.sleep(10.0)


@pytest.mark.parametrize("seed", range(2))
def test_what_went_over_the_wire_is_counted_as_it_went(seed: int) -> None:
    async def main(world: Recount) -> None:
        async with world.manager() as manager:
            await wander(world, manager, random.Random(seed))
            stats = manager.stats()
            wire = {name: getattr(stats.wire, name) for name in world.counts}
            assert wire == dict(world.counts)
            assert stats.wire.losses >= 2
            assert {name: one.frames for name, one in stats.channels.items()} == dict(world.frames)
            assert {name: one.bytes for name, one in stats.channels.items()} == dict(world.bytes)
            assert stats.frames == sum(link.frames for link in stats.links) == sum(world.frames.values())
            assert stats.bytes == sum(link.bytes for link in stats.links) == sum(world.bytes.values())
            assert stats.streams["OPEN"] == len(world.carried()) == stats.evidence["DATA"]
            assert stats.data["GOOD"] == stats.streams["OPEN"]

    Recount(seed, rate=0.7).run(main)


def test_a_standby_counts_on_its_link_and_is_told_of_only_while_that_carries_it() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            desk = make(manager, "desk", priority=Priority.CRITICAL)
            desk.subscribe("trade", MARKETS[:2], lambda event: None, standby=True)
            await asyncio.sleep(10.0)
            assert [link.streams for link in manager.stats().links] == [2, 2]
            before = manager.topic("trade", MARKETS[0])
            assert {before.link, before.other_link} == {0, 1}
            assert f"standing by, on link {before.other_link}" in manager.explain("trade", MARKETS[0])
            world.exchange.inject(Fault("refuse", seconds=5.0), world.ns())
            world.exchange.inject(Fault("drop_rst", conn=max(world.exchange.connections)), world.ns())
            world.pump()
            await asyncio.sleep(1.0)
            assert manager.topic("trade", MARKETS[0]).other_link is None
            assert sorted(link.streams for link in manager.stats().links) == [0, 2]
            said = manager.explain("trade", MARKETS[0])
            assert "a standby is to carry it too" in said
            assert "is down (" in said
            await asyncio.sleep(15.0)
            assert manager.topic("trade", MARKETS[0]).other_link is not None
            await manager.rotate()
            books = [len(connection.subscriptions) for connection in world.exchange.connections.values()]
            assert sum(link.streams for link in manager.stats().links) == sum(books) == 4

    World().run(main)


def test_steps_are_those_that_were_told() -> None:
    async def main(world: World) -> None:
        async with world.manager(obligations=Obligations(slow=1.0, quarantine=3.0, grace=5.0)) as manager:
            told: Counter[str] = Counter()

            def note(status: Status) -> None:
                told[status.kind.name] += status.kind.name in ("SLOW", "QUARANTINED", "REAPED", "RECOVERED")

            hangs, late = make(manager, "hangs", on_status=note), make(manager, "late", on_status=note)
            hangs.subscribe("ticker", "KRW-BTC")
            late.subscribe("ticker", "KRW-BTC")
            await asyncio.sleep(4.0)
            assert manager.stats().components["hangs"].health == "quarantined"
            await late.batch()
            late.close()
            await asyncio.sleep(20.0)
            assert manager.stats().steps == {kind: count for kind, count in told.items() if count}
            assert told["REAPED"] == 1
            assert hangs.stats().health == "closed"

    World(seed=3, rate=5.0).run(main)
