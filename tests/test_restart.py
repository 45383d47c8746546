"""Restored intent in a whole manager, in virtual time: warm on the wire, claimed, confirmed, dropped, adopted."""

from __future__ import annotations

import asyncio
import gc
import time
from pathlib import Path
from typing import Any

import pytest

from manager_rig import make
from restarts import BTC, ETH, GRACE, XRP, dropped, names, restarted
from subcore import Latest, Ring, _columns
from subcore.engine.clock import SECOND
from subcore.engine.snapshot import Snapshot
from subcore.errors import UsageError
from subcore.keeping import SnapshotFile
from subcore.manager import SubscriptionManager
from subcore.sim.faults import Fault
from subcore.types import Cap, Status, StatusKind, StreamState
from virtual_manager import World


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
        restored = "gets nothing: restored, and not confirmed yet (snapshot)"
        assert restored in manager.explain("ticker", BTC)
        assert manager._hub.reports.held_back_by(fast._member) == [
            "3 topics: nothing: restored, and not confirmed yet (snapshot)"
        ]
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
        await asyncio.sleep(0.01)
        assert manager.explain("ticker", BTC) == (
            "not asked for while all who want it are paused; "
            "fast gets nothing: the component is paused (pause)"
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
        assert manager.stats().component_count == 1
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

    restarted(main)


def test_who_confirms_what_was_restored_is_told_how_it_stands() -> None:
    async def main(world: World, manager: SubscriptionManager, snapshot: Snapshot) -> None:
        told: dict[str, list[Status]] = {"fast": [], "slow": []}
        fast, slow = (make(manager, name, on_status=statuses.append) for name, statuses in told.items())
        await asyncio.sleep(1.0)
        assert told == {"fast": [], "slow": []}, "nothing is confirmed"
        fast.subscribe("ticker", [BTC, ETH])
        fast.subscribe("ticker", [BTC, ETH])
        assert slow.adopt() == 1
        await asyncio.sleep(1.0)
        assert [(s.kind, names(s.topics)) for s in told["fast"]] == [
            (StatusKind.OPEN, {"ticker:KRW-BTC", "ticker:KRW-ETH"})
        ]
        assert [(s.kind, names(s.topics)) for s in told["slow"]] == [(StatusKind.OPEN, {"trade:KRW-XRP"})]

    restarted(main)


def test_what_could_not_be_adopted_is_not_told_of() -> None:
    async def main(world: World, manager: SubscriptionManager, snapshot: Snapshot) -> None:
        told: list[Status] = []
        slow = make(manager, "slow", delivery=Latest(), on_status=told.append)
        with pytest.raises(UsageError, match="Latest"):
            slow.adopt()
        await asyncio.sleep(1.0)
        assert (told, names(slow.provisional)) == ([], {"trade:KRW-XRP"})

    restarted(main)


def test_what_is_adopted_goes_by_the_component_s_own_policy() -> None:
    async def main(world: World, manager: SubscriptionManager, snapshot: Snapshot) -> None:
        fast, slow = make(manager, "fast", delivery=Ring(64)), make(manager, "slow", delivery=Latest())
        assert fast.adopt() == 3
        with pytest.raises(UsageError, match="Latest"):
            slow.adopt()  # a trade: each one counts
        assert names(slow.provisional) == {"trade:KRW-XRP"}
        slow.subscribe("trade", XRP, delivery=Latest())
        await asyncio.sleep(2 * GRACE)
        tickers, books = fast.ring("ticker"), fast.ring("orderbook")
        assert set(tickers.symbols(tickers.read())) == {BTC, ETH}
        assert set(books.read()["bid_count"].tolist()) == {5}
        assert [event.symbol for event in await slow.batch()] == [XRP]
        assert (fast.stats().queued, manager.claims[-1].dropped) == (0, {})

    restarted(main)


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


def test_a_wait_for_what_is_dropped_ends() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            make(manager, "a").subscribe("ticker", ETH)
            snapshot = manager.snapshot()
        world.exchange.inject(
            Fault("lose", probability=1.0), world.ns()
        )  # of streams; a listing comes through
        async with world.manager(claim_grace=1.0) as manager:
            component = make(manager, "a")
            await manager.restore(snapshot)
            assert manager.topic("ticker", ETH).state is StreamState.OPEN
            began = world.ns()
            await component.live(5.0, evidence="data")
            assert 0.9 < (world.ns() - began) / 1e9 < 1.3
            assert not component.topics

    World().run(main)


def test_no_grace_ends_while_the_venue_is_out_of_reach() -> None:
    """Nobody could have seen that anything came back."""

    async def main(world: World) -> None:
        async with world.manager() as manager:
            make(manager, "a").subscribe("ticker", [BTC, ETH])
            snapshot = manager.snapshot()
        world.exchange.inject(Fault("refuse", seconds=5.0), world.ns())
        async with world.manager(claim_grace=1.0) as manager:
            began = world.ns()
            report = await manager.restore(snapshot)
            assert (world.ns() - began) / 1e9 > 4.0
            assert report.done
            assert [stream.state for stream in report.streams] == [StreamState.OPEN] * 2
            component = make(manager, "a")
            await asyncio.sleep(0.8)
            assert names(component.provisional) == {"ticker:KRW-BTC", "ticker:KRW-ETH"}
            await asyncio.sleep(0.4)
            assert not component.topics
            assert len(manager.claims) == 1

    World().run(main)


def test_no_virtual_time_passes_while_the_last_state_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a close gave up on a disk that is not slow, and the next manager found the file locked."""
    world, write = World(), SnapshotFile.write

    def slowly(file: SnapshotFile, data: bytes) -> None:
        for _ in range(2000):
            time.sleep(0)  # the loop has every chance to run ahead
        write(file, data)

    monkeypatch.setattr(SnapshotFile, "write", slowly)

    async def main(world: World) -> None:
        for number in range(5):
            async with world.manager(snapshot_path=tmp_path / "intent") as manager:
                make(manager, f"c{number}").subscribe("ticker", BTC, print)
                began = world.clock.now
                assert (await manager.close()).unfinished == ()
                assert world.clock.now - began < SECOND

    world.run(main)
