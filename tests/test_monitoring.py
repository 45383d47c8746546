"""Rates, delays and ages of a whole manager in virtual time, against what its components saw themselves."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import pytest

from manager_rig import make
from subcore import Callback, Queue
from subcore.engine.clock import SECOND
from subcore.figures import Delays
from virtual_manager import World


class Seen:
    """When each event was handed over, and how long after it was received."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.at: deque[int] = deque()
        self.delays: list[int] = []

    def __call__(self, event: Any) -> None:
        self.at.append(self.world.clock.now)
        self.delays.append(self.world.ns() - event.receive_time_ns)

    def within(self, seconds: float) -> int:
        return sum(when > self.world.clock.now - seconds * SECOND for when in self.at)


def test_rates_are_those_that_were_seen() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            seen = Seen(world)
            component = make(manager, "one")
            component.subscribe("ticker", ["KRW-BTC", "KRW-ETH"], seen)
            await component.live(timeout=10.0)
            await asyncio.sleep(70.05)
            stats = manager.stats()
            rate = stats.components["one"].rate
            assert rate.over_60s == pytest.approx(seen.within(62.5) / 62.5, rel=0.1)
            assert rate.over_10s == pytest.approx(seen.within(10.5) / 10.5, rel=0.15)
            assert stats.delivered_rate == rate
            assert stats.frame_rate.over_60s == pytest.approx(rate.over_60s, rel=0.05)
            assert stats.links[0].frame_rate == stats.channels["ticker"].frame_rate == stats.frame_rate
            assert stats.byte_rate.over_60s == pytest.approx(
                stats.frame_rate.over_60s * stats.bytes / stats.frames, rel=0.1
            )
            topics = manager.topic_stats()
            assert topics["rate_60s"].sum() == pytest.approx(stats.frame_rate.over_60s, rel=0.001)
            assert (topics["rate_60s"] > 0).all()
            component.close()
            again = make(manager, "two")
            again.subscribe("trade", "KRW-XRP")
            assert manager.stats().components["two"].rate.over_60s == 0.0, "the id is another's"

    World(seed=5, rate=4.0).run(main)


def test_delays_are_those_that_were_seen() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            table: Any = manager._hub.duties.delays
            table.every = 1
            taken, pumped, batches = Seen(world), Seen(world), Seen(world)

            async def handle(event: Any) -> None:
                pumped(event)
                await asyncio.sleep(0.25)

            reads, works, slow = make(manager, "reads"), make(manager, "works"), make(manager, "slow")
            reads.subscribe("ticker", "KRW-BTC")
            works.subscribe("ticker", "KRW-BTC", handle)
            slow.subscribe("ticker", ["KRW-BTC", "KRW-ETH"], image=False)

            async def read() -> None:
                async for event in reads:
                    taken(event)
                    await asyncio.sleep(0.1)

            reader = asyncio.ensure_future(read())
            await asyncio.sleep(20.0)
            for event in await slow.batch(50):
                batches(event)
            await asyncio.sleep(40.0)
            reader.cancel()
            for name, seen in (("reads", taken), ("works", pumped), ("slow", batches)):
                said = manager.stats().components[name].delay
                assert (said.count, said.worst_ns) == (len(seen.delays), max(seen.delays)), name
                exact = sorted(seen.delays)[-(-len(seen.delays) * 99 // 100) - 1]
                assert said.p99_ns == pytest.approx(exact, rel=0.02, abs=16), name
            assert manager.stats().components["slow"].queue_age_ns == pytest.approx(40 * SECOND, rel=0.5)
            assert manager.stats().components["reads"].recent_delay.count == len(taken.delays)
            slow.close()
            assert slow.stats().delay.count == len(batches.delays), "also once it is closed"

    World(seed=6, rate=6.0).run(main)


def test_a_callback_is_handed_over_when_its_turn_comes() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            first, second = make(manager, "first"), make(manager, "second")
            manager._hub.router.frame_budget_ns = -1  # each call is timed
            spent = 3_000_000

            def slow(event: Any) -> None:
                world.clock.advance_to(world.clock.now + spent)

            first.subscribe("ticker", "KRW-BTC", slow, delivery=Callback())
            second.subscribe("ticker", "KRW-BTC", lambda event: None)
            await second.live(timeout=10.0)
            await asyncio.sleep(30.0)
            stats = manager.stats()
            assert stats.components["first"].delay.p50_ns == pytest.approx(0, abs=32)
            assert stats.components["second"].delay.p50_ns == pytest.approx(spent, rel=0.02)
            assert stats.components["second"].delay.count > 10

    World(seed=7, rate=4.0).run(main)


def test_the_lag_of_the_loop_is_seen_and_forgotten() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            await asyncio.sleep(10.0)
            assert (manager.stats().loop_lag.worst_ns or 0) < SECOND // 100
            world.clock.advance_to(world.clock.now + SECOND)  # something held the loop
            await asyncio.sleep(1.0)
            assert manager.stats().loop_lag.worst_ns == pytest.approx(SECOND, rel=0.15)
            await asyncio.sleep(180.0)
            assert (manager.stats().loop_lag.worst_ns or 0) < SECOND // 100

    World().run(main)


def test_costs_add_up_and_savings_are_what_nobody_else_wants() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            wants = {"a": ["KRW-BTC", "KRW-ETH"], "b": ["KRW-ETH"], "c": ["KRW-ETH", "KRW-XRP"]}
            for name, symbols in wants.items():
                make(manager, name).subscribe("ticker", symbols, lambda event: None)
            await asyncio.sleep(70.0)
            size = {str(row["symbol"]): int(row["bytes"]) for row in manager.topic_stats()}
            costs, stats = manager.costs(), manager.stats()
            assert costs.components["b"].bytes == pytest.approx(size["KRW-ETH"] / 3, abs=1)
            assert costs.components["a"].bytes == pytest.approx(size["KRW-BTC"] + size["KRW-ETH"] / 3, abs=1)
            assert sum(one.wire_share for one in costs.components.values()) == pytest.approx(1.0)
            assert {name: one.saves_streams for name, one in costs.components.items()} == {
                "a": 1,
                "b": 0,
                "c": 1,
            }
            assert costs.components["b"].saves_bytes_per_second == 0.0
            assert {name: one.events for name, one in costs.components.items()} == {
                name: one.delivered for name, one in stats.components.items()
            }
            by_symbol = {str(row["symbol"]): row for row in costs.topics}
            assert by_symbol["KRW-ETH"]["holders"] == 3
            assert costs.components["a"].saves_bytes_per_second == pytest.approx(
                by_symbol["KRW-BTC"]["bytes_per_second"]
            )
            total = sum(one.bytes_per_second for one in costs.components.values())
            assert total == pytest.approx(stats.byte_rate.over_60s, rel=0.15)
            assert costs.topics["wire_share"].sum() == pytest.approx(1.0)

    World(seed=8, rate=4.0).run(main)


def test_nothing_is_measured_where_nothing_came() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            make(manager, "idle", delivery=Queue(4))
            figures = manager.stats().components["idle"]
            assert (figures.delay, figures.recent_delay, figures.queue_age_ns) == (Delays(), Delays(), None)
            assert manager.costs().components["idle"].wire_share == 0.0

    World().run(main)
