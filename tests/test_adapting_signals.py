"""What measures against load go by: each signal as a manager reads it, in virtual time."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from manager_rig import make
from subcore import Latest
from subcore.engine.adaptive import Adapt, Level, Pressure
from subcore.engine.clock import SECOND
from subcore.manager import SubscriptionManager
from subcore.types import Priority
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


def steps_of(call: Callable[[], object]) -> int:
    """Bytecodes that it runs."""
    steps = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal steps
        frame.f_trace_opcodes = True
        steps += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return steps


def test_a_look_under_load_walks_no_interests() -> None:
    """There is least time then: neither the rungs that touch nothing, nor who asks, look at each of them in Python."""
    world = World(seed=4, markets=[f"KRW-{number:03}" for number in range(300)])

    async def main(world: World) -> None:
        async with world.manager(adapt=Adapt(after=1.0, step=100.0)) as manager:
            adapting = manager._hub.granting.adapting
            adapting._read = lambda seconds: Pressure(lag=1.0)  # type: ignore[method-assign]
            make(manager, "low", priority=Priority.LOW).subscribe("ticker", "KRW-000", lambda event: None)
            many = make(manager, "many")
            many.subscribe("ticker", "KRW-000", lambda event: None)
            await asyncio.sleep(5)
            assert list(manager.adaptation().interests) == ["conflate LOW"]
            few = steps_of(manager.adaptation), steps_of(lambda: adapting._apply([many._member]))
            many.subscribe("ticker", [f"KRW-{number:03}" for number in range(300)], lambda event: None)
            await asyncio.sleep(1)
            now = steps_of(manager.adaptation), steps_of(lambda: adapting._apply([many._member]))
            print(few, now)
            assert all(after < before + 100 for after, before in zip(now, few, strict=True))

    world.run(main)


@pytest.mark.simulation
def test_time_in_which_nothing_ran_is_no_load_that_lasted() -> None:
    """A laptop's lid, SIGSTOP: the loop was late before and after, but there were no three seconds of that."""
    world = World(seed=6, rate=5.0)

    async def main(world: World) -> None:
        async with world.manager(adapt=True) as manager:
            low = make(manager, "low", priority=Priority.LOW)
            low.subscribe("ticker", MARKETS, lambda event: None)
            await asyncio.sleep(3)
            world.clock.advance_to(world.clock.now + 200_000_000)
            await asyncio.sleep(0.95)
            world.clock.advance_to(world.clock.now + 60 * SECOND)
            lag, level = 0.0, Level.CALM
            for _ in range(40):
                await asyncio.sleep(0.1)
                lag, level = max(lag, signal(manager, "lag")), max(level, manager.adaptation().level)
                assert manager.adaptation().measures == ()
            assert level is Level.OVERLOADED, "it was seen"
            assert 1.0 < lag <= 2.0
            assert manager.adaptation().level is Level.CALM

    world.run(main)


@pytest.mark.simulation
def test_who_was_slow_once_is_no_load_for_ever() -> None:
    """One call in some thirty is timed: those between two of them took what calls take now, not what they ever did."""
    world = World(seed=8, rate=2.0)
    slow = [True]

    def work(event: Any) -> None:
        world.clock.advance_to(world.clock.now + slow[0] * SECOND // 10)

    async def main(world: World) -> None:
        async with world.manager(adapt=Adapt(lag=(60.0, 60.0), callback_share=(0.2, 0.9))) as manager:
            make(manager, "slow").subscribe("ticker", MARKETS, work)
            await asyncio.sleep(60)
            assert signal(manager, "callback_share") > 0.2
            slow[0] = False
            await asyncio.sleep(20)
            for _ in range(20):
                await asyncio.sleep(1)
                assert signal(manager, "callback_share") < 0.05
            assert manager.adaptation().level is Level.CALM

    world.run(main)


@pytest.mark.simulation
def test_memory_and_a_links_bytes_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subcore.adapting.resident_bytes", lambda: 900 << 20)
    world = World(seed=7, rate=20.0)

    async def main(world: World) -> None:
        asked = Adapt(memory_limit=1000 << 20, link_rate=(1e9, 1e9))
        async with world.manager(adapt=asked) as manager:
            got = make(manager, "got")
            got.subscribe("orderbook", MARKETS, lambda event: None)
            await asyncio.sleep(10.05)
            before = manager.stats().bytes
            await asyncio.sleep(5)
            assert signal(manager, "memory") == pytest.approx(0.9)
            assert manager.adaptation().level is Level.OVERLOADED
            size = (manager.stats().bytes - before) / 5
            assert signal(manager, "link_rate") == pytest.approx(size, rel=0.3)

    world.run(main)
