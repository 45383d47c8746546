"""Snapshots taken and put back while a manager runs, in virtual time: beside what lives, all of it or nothing."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from typing import Any

import pytest
from msgspec import structs

from manager_rig import make
from restarts import BTC, ETH, GRACE, XRP, dropped, names, restarted, taken
from subcore import _columns, core_tables
from subcore.claims import SLICE
from subcore.engine.snapshot import Snapshot
from subcore.errors import CapacityError, ManagerClosed, SnapshotError, UsageError
from subcore.manager import SubscriptionManager
from subcore.types import Priority, StreamState, Topic
from virtual_manager import World


def test_restoring_beside_live_components() -> None:
    """They keep what they have, in their class and with their handler, and get what they lack."""

    async def main(world: World, manager: SubscriptionManager, snapshot: Snapshot) -> None:
        got: list[Any] = []
        fast = make(manager, "fast")
        fast.replace("ticker", [BTC], got.append, priority=Priority.LOW)
        fast.unsubscribe("orderbook")
        make(manager, "slow").close()
        await asyncio.sleep(2 * GRACE)
        report = await manager.restore(snapshot, adopt=True)
        assert report.done
        assert report.reason == "a snapshot"
        assert names(fast.provisional) == {"ticker:KRW-ETH", "orderbook:KRW-BTC:depth=5"}
        classes = {
            c.name: dict(zip(c.topics, c.priorities, strict=True)) for c in manager.snapshot().components
        }
        assert classes["fast"][Topic("ticker", BTC)] is Priority.LOW
        assert classes["fast"][Topic("ticker", ETH)] is Priority.HIGH
        await asyncio.sleep(2 * GRACE)
        assert names(fast.provisional) == {"ticker:KRW-ETH", "orderbook:KRW-BTC:depth=5"}
        assert {event.symbol for event in got} == {BTC}
        again = await manager.restore(snapshot)
        assert again.done
        assert len(again.streams) == 4
        assert again.seconds == 0.0, "all of it was proven"
        await asyncio.sleep(2 * GRACE)
        assert names(fast.provisional) == {"ticker:KRW-ETH", "orderbook:KRW-BTC:depth=5"}, "adopted before"

    restarted(main)


def test_what_comes_back_after_all_that_was_adopted_is_confirmed_has_a_grace_of_its_own() -> None:
    async def main(world: World, manager: SubscriptionManager, snapshot: Snapshot) -> None:
        manager.adopt()
        slow = make(manager, "slow")
        slow.subscribe("trade", XRP)
        slow.unsubscribe("trade")
        await asyncio.sleep(2 * GRACE)
        await manager.restore(snapshot)
        assert names(slow.provisional) == {"trade:KRW-XRP"}
        await asyncio.sleep(2 * GRACE)
        assert dropped(manager) == {"slow": {"trade:KRW-XRP"}}
        assert world.carried() == {"ticker:KRW-BTC", "ticker:KRW-ETH", "orderbook:KRW-BTC"}

    restarted(main)


@pytest.mark.parametrize("claimed", [True, False])
def test_what_was_adopted_stays_and_what_comes_back_later_is_dropped(claimed: bool) -> None:
    async def main(world: World) -> None:
        first, second = [await of_one(world, symbol) for symbol in (BTC, ETH)]
        async with world.manager() as manager:
            component = make(manager, "a") if claimed else None
            await manager.restore(first, adopt=True)
            await asyncio.sleep(2 * GRACE)
            await manager.restore(second)
            await asyncio.sleep(GRACE - 1.0)
            assert world.carried() == {"ticker:KRW-BTC", "ticker:KRW-ETH"}
            await manager.restore(first, adopt=True)  # gives the other no more time
            await asyncio.sleep(5.0)
            assert (dropped(manager), manager.claims[-1].unclaimed) == ({"a": {"ticker:KRW-ETH"}}, ())
            assert world.carried() == {"ticker:KRW-BTC"}
            await asyncio.sleep(2 * GRACE)
            assert len(manager.claims) == 1
            component = component or make(manager, "a")
            assert names(component.provisional) == {"ticker:KRW-BTC"}
            component.close()
            assert manager._hub.claims._until == {}

    World().run(main)


async def of_one(world: World, symbol: str) -> Snapshot:
    """Of a manager whose component `a` wanted one ticker."""
    async with world.manager() as manager:
        make(manager, "a").subscribe("ticker", symbol)
        return manager.snapshot()


def test_a_name_is_claimed_in_the_turn_in_which_some_of_its_topics_are_dropped() -> None:
    async def main(world: World) -> None:
        first, second = [await of_one(world, symbol) for symbol in (BTC, ETH)]
        async with world.manager() as manager:
            await manager.restore(first, adopt=True)
            await manager.restore(second)
            claims = manager._hub.claims
            claims._drop([claims.unclaimed("a")])
            make(manager, "a").close()
            await asyncio.sleep(10.0)
            assert world.carried() == set()
            assert manager.topics() == []

    World().run(main)


def test_what_is_restored_while_the_wire_still_carries_it_is_proven_at_once() -> None:
    async def main(world: World, manager: SubscriptionManager, snapshot: Snapshot) -> None:
        for name in snapshot.names:
            make(manager, name).close()
        await asyncio.sleep(0.1)  # a removal alone waits for 2 s
        sent = manager.stats().messages_sent
        report = await manager.restore(snapshot)
        assert {stream.state for stream in report.streams} == {StreamState.OPEN}
        assert len(report.streams) == 4
        assert report.seconds == 0.0
        assert manager.stats().messages_sent == sent

    restarted(main)


def test_a_paused_component_stays_off_the_wire_until_it_is_claimed() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            component = make(manager, "paused")
            component.subscribe("ticker", BTC)
            component.pause()
            snapshot = manager.snapshot()
        async with world.manager() as manager:
            report = await manager.restore(snapshot)
            assert report.streams == ()
            await asyncio.sleep(5.0)
            assert world.carried() == set()
            assert manager.snapshot() == snapshot, "so the next one finds it, too"
            assert manager.explain("ticker", BTC) == (
                "not asked for while all who want it are paused, restored so, until component('paused') claims it; "
                "paused gets nothing: restored, and not confirmed yet (snapshot)"
            )
            component = make(manager, "paused")
            assert not component.paused
            await component.live(5.0)
            assert world.carried() == {"ticker:KRW-BTC"}

    World().run(main)


@pytest.mark.parametrize("fails_at", range(5))
def test_a_restore_that_does_not_fit_changes_nothing(fails_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is room for one or two of its components, or for the interests of the first so many."""

    async def main(world: World) -> None:
        snapshot = await taken(world)
        if fails_at < 2:
            monkeypatch.setattr(core_tables, "MAX_COMPONENTS", fails_at + 1)
        async with world.manager() as manager:
            make(manager, "slow").subscribe("ticker", XRP)
            before, hub = manager.snapshot(), manager._hub
            hold, held = hub.claims._hold, []

            def full(*arguments: Any) -> None:
                hold(*arguments)
                held.append(arguments)
                if len(held) == fails_at - 1:
                    raise CapacityError("the ledger is full")

            monkeypatch.setattr(hub.claims, "_hold", full)
            with pytest.raises(CapacityError):
                await manager.restore(snapshot)
            assert manager.snapshot() == before
            assert (hub.claims._until, hub.claims._unclaimed) == ({}, {})
            assert (len(hub.members), hub.ledger.component_count, len(hub.ledger)) == (1, 1, 1)
            await asyncio.sleep(5.0)
            assert len(_columns.live_streams(hub.ledger)) == 1
            assert world.carried() == {"ticker:KRW-XRP"}

    World().run(main)


def test_a_snapshot_of_another_venue_is_refused() -> None:
    async def main(world: World, manager: SubscriptionManager, snapshot: Snapshot) -> None:
        other = Snapshot.from_bytes(bytes(snapshot))
        other._body = structs.replace(other._body, venue="binance")
        with pytest.raises(SnapshotError, match="of binance, and this manager is for upbit"):
            await manager.restore(other)
        assert manager.snapshot() == snapshot

    restarted(main)


def test_what_the_venue_has_no_more_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    async def main(world: World) -> None:
        snapshot = await taken(world)
        for place, channel in enumerate(snapshot._body.channels):
            if channel == "orderbook":
                snapshot._body.channels[place] = "order_flow"
        async with world.manager() as manager:
            report = await manager.restore(snapshot)
            assert len(report.streams) == 3
            assert names(make(manager, "fast").topics) == {"ticker:KRW-BTC", "ticker:KRW-ETH"}
        assert (
            "1 restored topics are left out: order_flow:KRW-BTC:depth=5 (upbit has no channel" in caplog.text
        )

    World().run(main)


def test_a_restore_that_waits_ends_with_the_manager_and_can_be_cancelled() -> None:
    async def main(world: World) -> None:
        snapshot = await taken(world)
        async with world.manager() as manager:
            one = asyncio.ensure_future(manager.restore(snapshot))
            two = asyncio.ensure_future(manager.restore(snapshot))
            await asyncio.sleep(0)
            one.cancel()
            await asyncio.sleep(0)
            assert len(manager.topics()) == 4
            assert not manager.restores[-1].done
        with pytest.raises(ManagerClosed):
            await two
        assert one.cancelled()
        with pytest.raises(UsageError, match="closed"):
            await manager.restore(snapshot)

    World().run(main)


def test_restarting_again_and_again_takes_no_more_memory() -> None:
    async def main(world: World, manager: SubscriptionManager, snapshot: Snapshot) -> None:
        make(manager, "fast").close()
        make(manager, "slow").close()
        make(manager, "idle").close()
        sizes = set()
        for _ in range(5):
            await manager.restore(snapshot)
            await asyncio.sleep(GRACE + 5.0)
            assert manager.snapshot().names == ()
            sizes.add(manager.stats().memory_bytes)
        assert len(sizes) <= 2, sizes
        assert len(manager.claims) == 5

    restarted(main)


def test_snapshots_may_be_taken_from_any_thread_while_the_intent_changes() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            movers = [make(manager, f"mover {number}") for number in range(4)]
            found: list[Snapshot] = []
            at_work = True

            def watch() -> None:
                while at_work:
                    found.append(manager.snapshot())

            movers[0].subscribe("ticker", BTC)
            watcher = asyncio.get_running_loop().run_in_executor(None, watch)
            for turn in range(60_000):
                if turn >= 600 and len(found) > 5:
                    break
                with manager.transaction():  # it goes from one to the next, and is never nobody's
                    movers[turn % 4].unsubscribe("ticker", BTC)
                    movers[(turn + 1) % 4].subscribe("ticker", BTC)
                movers[turn % 4].replace("trade", [(BTC, ETH, XRP)[turn % 3]])
            at_work = False
            await watcher
            assert len(found) > 5
            for snapshot in found:
                holders = [c.name for c in snapshot.components if Topic("ticker", BTC) in c.topics]
                assert len(holders) == 1
                for component in snapshot.components:
                    assert sum(topic.channel == "trade" for topic in component.topics) <= 1

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        World().run(main)
    finally:
        sys.setswitchinterval(interval)


def of_many(topics: int) -> Snapshot:
    symbols = [f"KRW-M{number}" for number in range(topics)]
    manager = SubscriptionManager("upbit", url="ws://127.0.0.1:9", markets=None)
    many = make(manager, "many")
    many.subscribe("ticker", symbols)
    snapshot = manager.snapshot()
    many.close()
    return snapshot


@pytest.mark.parametrize("end", ["all", "cancelled", "closed"])
def test_the_loop_goes_on_while_many_topics_are_looked_at(end: str) -> None:
    """Counted, not timed: checks between two turns of the loop."""

    async def main(world: World) -> None:
        snapshot, turn, checks = of_many(10 * SLICE), 0, Counter[int]()
        async with world.manager() as manager:
            hub = manager._hub
            check = hub.granting.check_topic

            def counted(topic: Topic) -> int:
                checks[turn] += 1
                return check(topic)

            hub.granting.check_topic = counted  # type: ignore[method-assign]
            restoring = asyncio.ensure_future(manager.restore(snapshot, adopt=True))
            while turn < (20 if end == "all" else 4):
                turn += 1
                await asyncio.sleep(0)
            assert max(checks.values()) == SLICE
            if end == "all":
                assert sum(checks.values()) == 10 * SLICE
                assert len(hub.ledger) == 10 * SLICE
                restoring.cancel()
                return
            assert 0 < len(_columns.live_streams(hub.ledger)) < 10 * SLICE
            assert len(hub.ledger) == 0
            if end == "cancelled":
                restoring.cancel()
                await asyncio.sleep(0.01)
                assert len(_columns.live_streams(hub.ledger)) == 0
                assert manager.components == {}
                return
        with pytest.raises(ManagerClosed):
            await restoring

    World().run(main)
