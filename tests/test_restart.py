"""Restored intent in a whole manager, in virtual time: warm on the wire, claimed, confirmed, dropped, adopted."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from msgspec import structs

from manager_rig import make
from subcore import _columns
from subcore import hub as hub_module
from subcore.engine.snapshot import Snapshot
from subcore.errors import CapacityError, ManagerClosed, SnapshotError, UsageError
from subcore.manager import SubscriptionManager
from subcore.types import Cap, Priority, StreamState, Topic
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


def test_restored_intent_is_held_and_proven_and_nobody_gets_it() -> None:
    async def main(world: World, manager: SubscriptionManager, snapshot: Snapshot) -> None:
        assert manager.components == {}
        assert world.carried() == {"ticker:KRW-BTC", "ticker:KRW-ETH", "orderbook:KRW-BTC", "trade:KRW-XRP"}
        assert {info.state for info in manager.topics()} == {StreamState.OPEN}
        assert manager.snapshot() == snapshot, "should it end now, the next one finds it all the same"
        caps = [cap for info in manager.topics() for cap in info.caps]
        assert [(cap.component, cap.by) for cap in caps] == [("fast", "snapshot")] * 3 + [
            ("slow", "snapshot")
        ]
        assert {cap.since_ns for cap in caps} == {manager.restores[-1].started_ns}
        fast = make(manager, "fast")
        assert (
            names(fast.topics)
            == names(fast.provisional)
            == {
                "ticker:KRW-BTC",
                "ticker:KRW-ETH",
                "orderbook:KRW-BTC:depth=5",
            }
        )
        await fast.live(1.0)
        frames = manager.stats().frames
        await asyncio.sleep(5.0)
        assert manager.stats().frames > frames
        assert fast.stats().delivered == fast.stats().queued == 0
        sent = manager.stats().messages_sent
        fast.subscribe("ticker", BTC)
        async with asyncio.timeout(5.0):
            event = await anext(fast)
        assert (event.channel, event.symbol) == ("ticker", BTC)
        assert manager.topic("ticker", BTC).caps == ()
        fast.pause()
        assert manager.topic("ticker", BTC).caps == (
            Cap("fast", "pause", "the component is paused", world.clock.time_ns()),
        )
        fast.resume()
        assert manager.topic("ticker", BTC).caps == ()
        assert names(fast.provisional) == {"ticker:KRW-ETH", "orderbook:KRW-BTC:depth=5"}
        assert manager.stats().messages_sent == sent, "it was on the wire all the time"

    restarted(main)


def test_what_nobody_confirms_is_dropped_and_listed(caplog: pytest.LogCaptureFixture) -> None:
    async def main(world: World, manager: SubscriptionManager, snapshot: Snapshot) -> None:
        fast = make(manager, "fast")
        fast.subscribe("ticker", ETH)
        await asyncio.sleep(GRACE - 1.0)
        assert manager.claims == ()
        assert len(manager.topics()) == 4
        await asyncio.sleep(2.0)
        (report,) = manager.claims
        assert dropped(manager) == {
            "fast": {"ticker:KRW-BTC", "orderbook:KRW-BTC:depth=5"},
            "slow": {"trade:KRW-XRP"},
        }
        assert set(report.unclaimed) == {"slow", "idle"}
        assert "3 restored topics were not confirmed in time" in str(report)
        assert str(report) in caplog.text
        assert names(fast.topics) == {"ticker:KRW-ETH"}
        assert [info.holders for info in manager.topics()] == [("fast",)]
        assert manager.snapshot().names == ("fast",)
        assert manager.stats().components == 1
        await asyncio.sleep(GRACE)
        assert world.carried() == {"ticker:KRW-ETH"}
        assert len(manager.claims) == 1, "there is nothing more to judge"
        assert len(_columns.live_streams(manager._hub.ledger)) == 1
        assert manager._hub.claims._until == {}
        slow = make(manager, "slow")
        assert slow.topics == ()

    restarted(main)


def test_a_sleeping_process_drops_nothing() -> None:
    async def main(world: World, manager: SubscriptionManager, snapshot: Snapshot) -> None:
        world.clock.advance_to(world.clock.now + 40 * 10**9)
        await asyncio.sleep(GRACE / 2)
        assert manager.claims == ()
        await asyncio.sleep(GRACE)
        assert len(manager.claims) == 1

    restarted(main)


def test_the_grace_can_be_set() -> None:
    async def main(world: World, manager: SubscriptionManager, snapshot: Snapshot) -> None:
        await asyncio.sleep(1.5)
        assert manager.claims == ()
        await asyncio.sleep(1.0)
        assert len(manager.claims) == 1

    restarted(main, claim_grace=2.0)
    for wrong in (-1.0, float("inf"), float("nan")):
        with pytest.raises(UsageError, match="claim_grace"):
            SubscriptionManager("upbit", url="ws://127.0.0.1:9", claim_grace=wrong)


def test_replace_confirms_its_set_and_lets_the_rest_of_the_channel_go_at_once() -> None:
    async def main(world: World, manager: SubscriptionManager, snapshot: Snapshot) -> None:
        fast = make(manager, "fast")
        fast.replace("ticker", [ETH, XRP])
        assert names(fast.topics) == {"ticker:KRW-ETH", "ticker:KRW-XRP", "orderbook:KRW-BTC:depth=5"}
        assert names(fast.provisional) == {"orderbook:KRW-BTC:depth=5"}
        fast.unsubscribe("orderbook")
        assert fast.provisional == ()
        await asyncio.sleep(2 * GRACE)
        assert dropped(manager) == {"slow": {"trade:KRW-XRP"}}

    restarted(main)


def test_what_is_adopted_stays_and_is_delivered() -> None:
    async def main(world: World, manager: SubscriptionManager, snapshot: Snapshot) -> None:
        got: list[Any] = []
        fast, slow = make(manager, "fast"), make(manager, "slow")
        sent = manager.stats().messages_sent
        assert fast.adopt(got.append) == 3
        assert slow.adopt() == 1
        assert fast.adopt(got.append) == 0
        assert fast.provisional == slow.provisional == ()
        await asyncio.sleep(2 * GRACE)
        assert {(event.channel, event.symbol) for event in got} == {
            ("ticker", BTC),
            ("ticker", ETH),
            ("orderbook", BTC),
        }
        assert {len(event.bids) for event in got if event.channel == "orderbook"} == {5}
        assert (await slow.batch())[0].symbol == XRP
        assert manager.stats().messages_sent == sent
        assert manager.claims[-1].dropped == {}
        assert manager.claims[-1].unclaimed == ("idle",)
        with pytest.raises(TypeError):
            fast.adopt(async_handler)

    restarted(main)


async def async_handler(event: object) -> None:
    pass


def test_a_manager_adopts_everything_and_names_can_be_claimed_at_any_time() -> None:
    async def main(world: World, manager: SubscriptionManager, snapshot: Snapshot) -> None:
        manager.adopt()
        await asyncio.sleep(3 * GRACE)
        assert manager.claims == ()
        assert manager.snapshot() == snapshot
        slow = make(manager, "slow")
        assert names(slow.provisional) == {"trade:KRW-XRP"}
        slow.close()
        assert set(manager.snapshot().names) == {"fast", "idle"}

    restarted(main)


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
            component = make(manager, "paused")
            assert not component.paused
            await component.live(5.0)
            assert world.carried() == {"ticker:KRW-BTC"}

    World().run(main)


def test_a_claim_that_fails_changes_nothing() -> None:
    async def main(world: World, manager: SubscriptionManager, snapshot: Snapshot) -> None:
        for wrong in ({"priority": 9}, {"owner": 5}):
            with pytest.raises((ValueError, TypeError)):
                manager.component("fast", **wrong)  # type: ignore[arg-type]
            manager._hub.housekeeping()
            assert manager.components == {}
            assert manager.snapshot() == snapshot
        fast = make(manager, "fast")
        assert len(fast.provisional) == 3
        with pytest.raises(UsageError, match="live"):
            make(manager, "fast")
        assert len(fast.provisional) == 3

    restarted(main)


@pytest.mark.parametrize("fails_at", range(5))
def test_a_restore_that_does_not_fit_changes_nothing(fails_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is room for one or two of its components, or for the interests of the first so many."""

    async def main(world: World) -> None:
        snapshot = await taken(world)
        if fails_at < 2:
            monkeypatch.setattr(hub_module, "MAX_COMPONENTS", fails_at + 1)
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


def test_a_claimed_component_that_is_closed_or_collected_leaves_nothing() -> None:
    async def main(world: World, manager: SubscriptionManager, snapshot: Snapshot) -> None:
        make(manager, "fast").close()
        with pytest.warns(ResourceWarning):
            manager.component("slow")
        gc.collect()
        await asyncio.sleep(1.0)
        assert manager.snapshot().names == ("idle",)
        assert manager.topics() == []
        await asyncio.sleep(GRACE)
        assert manager.claims[-1].dropped == {}
        hub = manager._hub
        assert (hub.members, hub.names, hub.claims._until, hub.claims._unclaimed) == ({}, set(), {}, {})
        assert len(_columns.live_streams(hub.ledger)) == 0
        assert hub.router.sink_count == 0

    restarted(main)


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


def test_a_wait_for_what_is_dropped_ends() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            make(manager, "a").subscribe("ticker", ETH)
            snapshot = manager.snapshot()
        async with world.manager(claim_grace=0.2) as manager:
            component, other = make(manager, "a"), make(manager, "other")
            component.subscribe("ticker", BTC)
            for channel in ("trade", "orderbook", "candle.1m", "candle.1s", "candle.3m"):
                other.subscribe(channel, BTC)
                await asyncio.sleep(0.05)
            restoring = asyncio.ensure_future(manager.restore(snapshot))
            await asyncio.sleep(0.01)
            assert manager.topic("ticker", BTC).state is StreamState.OPEN
            assert manager.topic("ticker", ETH).state is StreamState.WAITING, "the window has no room"
            await component.live(5.0)
            assert names(component.topics) == {"ticker:KRW-BTC"}
            assert (await restoring).streams == ()

    World().run(main)


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
            for turn in range(600):
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
