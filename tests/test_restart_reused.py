"""Restored intent, and what stands where something else stood a moment ago: ids and addresses are used again."""

from __future__ import annotations

import asyncio
from typing import Any

from manager_rig import make
from restarts import restarted
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
