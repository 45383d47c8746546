"""What measures against load go by: each signal as a manager reads it, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from manager_rig import make
from subcore import Latest
from subcore.engine.adaptive import Level
from subcore.manager import SubscriptionManager
from virtual_manager import World

MARKETS = ["KRW-BTC", "KRW-ETH", "KRW-XRP"]


def signal(manager: SubscriptionManager, name: str) -> float:
    return manager.adaptation().signals[name]


@pytest.mark.simulation
def test_who_owes_no_reading_makes_no_load() -> None:
    """Components that are paused, that keep the latest only, or are one stuck of two, are no matter of the loop's."""
    world = World(seed=5, rate=2.0)

    async def main(world: World) -> None:
        async with world.manager(adapt=True) as manager:
            paused = [make(manager, f"paused {number}") for number in range(4)]
            newest = [make(manager, f"newest {number}", delivery=Latest()) for number in range(4)]
            stuck = make(manager, "stuck")
            for component in (*paused, *newest, stuck):
                component.subscribe("ticker", MARKETS)
            await asyncio.sleep(2)
            for component in paused:
                component.pause()
            await asyncio.sleep(20)
            assert len(stuck._member.inbox) > 3
            assert signal(manager, "queue_age") == 0.0
            assert manager.adaptation().level is Level.CALM

    world.run(main)


@pytest.mark.simulation
def test_queue_age_is_that_of_the_median_reader_whatever_others_are_who_have_callbacks() -> None:
    world = World(seed=5, rate=20.0)

    async def main(world: World) -> None:
        async with world.manager(adapt=True) as manager:
            readers = [make(manager, f"reader {number}") for number in range(4)]
            for component in readers:
                component.subscribe("ticker", MARKETS)
            for number in range(6):
                make(manager, f"callback {number}").subscribe("ticker", MARKETS, lambda event: None)
            await asyncio.sleep(3)
            for component in readers:
                component._member.inbox.get_many(10_000)
            await asyncio.sleep(4)
            assert signal(manager, "queue_age") == pytest.approx(4.0, abs=1.2)
            for component in readers[:2]:  # two of four are late: the lower one of the middle counts
                component._member.inbox.get_many(10_000)
            await asyncio.sleep(1.0)
            assert signal(manager, "queue_age") < 1.3

    world.run(main)
