"""What tests of restored intent share: what a first manager wanted, and a second one into which it was restored."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from manager_rig import make
from subcore.engine.snapshot import Snapshot
from subcore.manager import SubscriptionManager
from subcore.types import Priority, StreamState
from virtual_manager import World

BTC, ETH, XRP = "KRW-BTC", "KRW-ETH", "KRW-XRP"
Main = Callable[[World, SubscriptionManager, Snapshot], Coroutine[Any, Any, Any]]
GRACE = 30.0


async def taken(world: World) -> Snapshot:
    """What a first manager wanted: `fast` two tickers and a book, `slow` a trade, `idle` nothing."""
    async with world.manager() as manager:
        fast = make(manager, "fast", priority=Priority.HIGH)
        slow = make(manager, "slow", priority=Priority.LOW)
        idle = make(manager, "idle")
        fast.subscribe("ticker", [BTC, ETH])
        fast.subscribe("orderbook", BTC, depth=5)
        slow.subscribe("trade", XRP)
        await fast.live(10.0)
        await slow.live(10.0)
        snapshot = manager.snapshot()
        assert idle.topics == ()
    return snapshot


def restarted(main: Main, **options: Any) -> World:
    """Run `main` with a second manager, into which the snapshot of the first was restored."""
    world = World()

    async def run(world: World) -> None:
        snapshot = await taken(world)
        async with world.manager(**options) as manager:
            report = await manager.restore(snapshot)
            assert report.done
            assert {stream.state for stream in report.streams} == {StreamState.OPEN}
            assert len(report.streams) == 4
            await main(world, manager, snapshot)

    world.run(run)
    return world


def names(topics: Any) -> set[str]:
    return set(map(str, topics))


def dropped(manager: SubscriptionManager) -> dict[str, set[str]]:
    return {name: names(topics) for name, topics in manager.claims[-1].dropped.items()}
