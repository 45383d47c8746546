"""The wall clock and the monotonic one drift apart by nanoseconds, and by more while the wall clock is being set.

Frames are stamped by the one and silence is judged by the other: what is between them is no sign of life.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from subcore.sim.faults import Fault
from subcore.testing.clock import VirtualClock
from subcore.testing.world import World
from subcore.types import Status, StatusKind

WITHIN_S = 5.0  # of a link that carried a frame a second and more


class Wandering(VirtualClock):
    """Its wall clock is a little off, as `wander` has it: another amount at each look."""

    def __init__(self, wander: Any) -> None:
        super().__init__()
        self._wander = wander

    def time_ns(self) -> int:
        return super().time_ns() + int(self._wander(self.now))


def wanders(seed: int) -> dict[str, Any]:
    rng = random.Random(seed)
    return {
        "noise": lambda now: rng.randint(-200, 200),
        "slewed forward": lambda now: now // 2_000,  # 500 millionths, as fast as clocks are set gently
        "slewed back": lambda now: -now // 2_000,
        "set back for good": lambda now: -3_600_000_000_000 if now > 26_000_000_000 else 0,
        "set forward for good": lambda now: 3_600_000_000_000 if now > 26_000_000_000 else 0,
    }


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", wanders(0))
def test_a_half_open_link_is_found_in_time_whatever_the_wall_clock_does(kind: str, seed: int) -> None:
    world = World(seed, rate=5.0)
    suspect: list[float] = []

    async def main(_: World) -> None:
        clock = Wandering(wanders(seed)[kind])
        clock.now = world.clock.now

        def follow(to: int, advance: Any = world.clock.advance_to) -> None:
            advance(to)
            clock.now = world.clock.now

        world.clock.advance_to = follow  # type: ignore[method-assign]

        def hear(status: Status) -> None:
            if status.kind is StatusKind.SUSPECT:
                suspect.append(world.clock.now / 1e9)

        async with world.manager(clock=clock) as manager:
            desk = manager.component("desk", on_status=hear)
            desk.subscribe("orderbook", ["KRW-BTC", "KRW-ETH", "KRW-XRP"], lambda event: None)
            await asyncio.sleep(25.0)
            assert not suspect
            world.exchange.inject(Fault("half_open", conn=max(world.exchange.connections)), world.ns())
            began = world.clock.now / 1e9
            await asyncio.sleep(30.0)
            assert suspect, "never found"
            assert suspect[0] - began <= WITHIN_S

    world.run(main)
