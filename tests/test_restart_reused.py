"""Restored intent, and what stands where something else stood a moment ago: ids and addresses are used again."""

from __future__ import annotations

import asyncio
from typing import Any

from manager_rig import make
from restarts import ETH, restarted
from subcore.engine.snapshot import Snapshot
from subcore.manager import SubscriptionManager
from virtual_manager import World


def test_a_name_that_waits_is_not_taken_for_who_had_its_id() -> None:
    """The owner of `fast` goes, it is closed, and its name comes back with its id: all before the loop looks."""

    async def main(world: World, manager: SubscriptionManager, snapshot: Snapshot) -> None:
        owner = asyncio.create_task(asyncio.sleep(0.0))
        fast = make(manager, "fast", owner=owner)
        await owner
        await asyncio.sleep(0.0)
        fast.close()
        await manager.restore(snapshot)
        await asyncio.sleep(1.0)
        assert len(make(manager, "fast").provisional) == 3

    restarted(main)


def test_what_is_adopted_does_not_go_with_an_object_that_had_the_same_address() -> None:
    class Desk:
        def __init__(self) -> None:
            self.got: list[Any] = []

        def on_event(self, event: Any) -> None:
            self.got.append(event)

    async def main(world: World, manager: SubscriptionManager, snapshot: Snapshot) -> None:
        fast = make(manager, "fast")
        old = Desk()
        fast.subscribe("trade", ETH, old.on_event)
        address = id(old)
        del old
        new = next(desk for desk in [Desk() for _ in range(1000)] if id(desk) == address)
        assert fast.adopt(new.on_event) == 3
        await asyncio.sleep(5.0)
        assert len(fast.topics) == 3
        assert {event.channel for event in new.got} == {"ticker", "orderbook"}

    restarted(main)
