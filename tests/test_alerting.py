"""A whole manager in virtual time: each default rule's fault raises its alert, that one alone, and it clears.

`asyncio.sleep` costs no time here. The memory of the process, and the disk, are put on the virtual clock as well.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from alert_stage import SYMBOLS, Heard, busy, calm, play, reader, told_of
from manager_rig import make
from subcore import Queue, Severity
from subcore.engine.alert_rules import HARM
from subcore.engine.clock import SECOND
from subcore.growth import MIB
from subcore.manager import SubscriptionManager
from subcore.sim.faults import Fault
from virtual_manager import World

# One fault for each rule


@pytest.mark.simulation
def test_latency() -> None:
    async def script(world: World, manager: SubscriptionManager, heard: Heard) -> None:
        await reader(manager)
        await asyncio.sleep(20.0)
        world.exchange.inject(Fault("lag", lag=2.5, seconds=60.0), world.ns())
        raised = await heard.until(True, 90.0)
        assert raised.issue.value == pytest.approx(2.5, abs=0.15)
        assert manager.issues()[0].evidence.startswith("Of ")
        await heard.until(False, 200.0)

    told_of(play(lambda: World(seed=11, rate=1.0), script), "latency", "ticker", "channel")


def test_loss() -> None:
    lost: list[int] = []

    async def script(world: World, manager: SubscriptionManager, heard: Heard) -> None:
        component = make(manager, "small", delivery=Queue(2))
        component.subscribe("ticker", SYMBOLS)
        for _ in range(20):
            await asyncio.sleep(0.5)
            await component.batch(2)
        lost.append(component.stats().lost)
        said = await heard.until(True, 5.0)
        assert manager.issues()[0].value == lost[0]
        assert said.issue.severity is Severity.WARNING
        component.close()
        await heard.until(False, 5.0)

    told_of(play(busy(12), script), "loss", "small", "component")
    assert lost[0] > 0


@pytest.mark.simulation
@pytest.mark.parametrize("is_async", [False, True])
def test_queue_age(is_async: bool) -> None:
    async def script(world: World, manager: SubscriptionManager, heard: Heard) -> None:
        gate = asyncio.Event()

        async def stuck(event: Any) -> None:
            await gate.wait()

        component = make(manager, "stuck")
        component.subscribe("ticker", SYMBOLS, *([stuck] if is_async else []))
        await component.live(timeout=10.0)
        raised = await heard.until(True, 20.0)
        assert ("for its handler" in raised.issue.evidence) == is_async
        assert raised.issue.value == pytest.approx((component.stats().queue_age_ns or 0) / SECOND, abs=1.5)
        await asyncio.sleep(90.0)
        issue = manager.issues()[0]
        assert issue.severity is Severity.CRITICAL
        assert issue.per_second == pytest.approx(1.0, rel=0.05)
        gate.set()
        while len(manager._hub.members) and component.stats().queued and not is_async:
            await component.batch(10_000)
        component.close()
        await heard.until(False, 30.0)

    told_of(play(lambda: World(seed=15, rate=1.0), script), "queue_age", "stuck", "component")


def test_loop_lag() -> None:
    async def script(world: World, manager: SubscriptionManager, heard: Heard) -> None:
        await reader(manager)
        for _ in range(30):
            world.clock.advance_to(world.clock.now + SECOND // 4)  # something held the loop
            await asyncio.sleep(0.3)
        raised = await heard.until(True, 1.0)
        assert raised.issue.value == pytest.approx(0.25, abs=0.15)
        await heard.until(False, 30.0)

    told_of(play(calm(16), script), "loop_lag", "upbit", "process")


@pytest.mark.simulation
def test_memory_growth() -> None:
    async def script(world: World, manager: SubscriptionManager, heard: Heard) -> None:
        growth = manager._hub.alerting.gauges.growth
        growth.limit = 20_000 * MIB
        await asyncio.sleep(30.0)
        began, rate = world.clock.now, 30 * MIB

        def resident() -> int:
            return 100 * MIB + rate * min(world.clock.now - began, 200 * SECOND) // SECOND

        growth.resident = resident
        raised = await heard.until(True, 200.0)
        assert raised.issue.value == pytest.approx(30 * 3600, rel=0.05)
        left = (growth.limit - resident()) / rate
        assert raised.issue.seconds_to_threshold == pytest.approx(left, rel=0.05)
        await heard.until(False, 800.0)

    told_of(play(calm(17), script), "memory_growth", "upbit", "process")


@pytest.mark.simulation
def test_budget() -> None:
    async def script(world: World, manager: SubscriptionManager, heard: Heard) -> None:
        component = await reader(manager)
        turn = 0
        while not heard.alerts and turn < 1500:
            component.replace("trade", [SYMBOLS[turn % 3]], lambda event: None)
            turn += 1
            await asyncio.sleep(0.1)
        assert 0.8 < heard.alerts[0].issue.value <= 1.0
        component.close()
        await heard.until(False, 120.0)

    told_of(play(calm(18), script), "budget", "0", "link")


@pytest.mark.simulation
def test_restores() -> None:
    async def script(world: World, manager: SubscriptionManager, heard: Heard) -> None:
        component = await reader(manager)
        for count in range(1, 5):
            assert not heard.alerts, count
            world.exchange.inject(Fault("drop_fin"), world.ns())
            await asyncio.sleep(20.0)
        assert heard.alerts[0].issue.value == 4 == manager.stats().wire.losses
        component.close()  # ten minutes pass sooner with nothing to do
        await heard.until(False, 660.0)

    told_of(play(calm(19), script), "restores", "upbit", "process")


def test_suspect() -> None:
    async def script(world: World, manager: SubscriptionManager, heard: Heard) -> None:
        await reader(manager)
        world.exchange.inject(Fault("refuse", seconds=60.0), world.ns())
        world.exchange.inject(Fault("drop_fin"), world.ns())
        raised = await heard.until(True, 50.0)
        assert raised.issue.value == pytest.approx(30.5, abs=1.0)
        assert raised.issue.evidence.startswith("3 streams of ticker are lost")
        assert "its link was lost" in raised.issue.evidence
        await heard.until(False, 90.0)

    told_of(play(calm(20), script), "suspect", "ticker", "channel")


def test_a_stream_that_is_suspect_alone_is_named() -> None:
    async def script(world: World, manager: SubscriptionManager, heard: Heard) -> None:
        component = make(manager, "one")
        world.exchange.inject(Fault("refuse", seconds=45.0), world.ns())
        component.subscribe("ticker", "KRW-ETH", lambda event: None)
        await heard.until(False, 120.0)

    alert = told_of(play(calm(21), script), "suspect", "ticker:KRW-ETH", "topic")
    assert "KRW-ETH" in alert.issue.evidence


def test_a_stream_is_not_suspect_for_as_long_as_the_one_whose_id_it_got() -> None:
    async def script(world: World, manager: SubscriptionManager, heard: Heard) -> None:
        component = make(manager, "one")
        world.exchange.inject(Fault("refuse", seconds=90.0), world.ns())
        for symbol in SYMBOLS:
            component.unsubscribe("ticker")
            await asyncio.sleep(0.01)
            component.subscribe("ticker", symbol, lambda event: None)
            await asyncio.sleep(15.0)
        assert not heard.alerts
        await heard.until(True, 20.0)
        assert "KRW-XRP is not to be trusted for 3" in heard.alerts[0].issue.evidence
        await heard.until(False, 60.0)

    told_of(play(calm(21), script), "suspect", "ticker:KRW-XRP", "topic")


class Ahead(World):
    """The exchange's clock is ahead of the manager's."""

    ahead = 0
    is_ours = False

    def ns(self) -> int:
        return super().ns() + (0 if self.is_ours else self.ahead)

    def arrives(self, end: Any, output: Any) -> None:
        self.is_ours = True
        super().arrives(end, output)
        self.is_ours = False


@pytest.mark.simulation
def test_clock_skew() -> None:
    async def script(world: Ahead, manager: SubscriptionManager, heard: Heard) -> None:
        await reader(manager)
        await asyncio.sleep(20.0)
        world.ahead = SECOND // 2
        raised = await heard.until(True, 60.0)
        assert raised.issue.value == pytest.approx(0.5, abs=0.1)
        for _ in range(100):  # NTP never lets a clock go back
            world.ahead -= SECOND // 200
            await asyncio.sleep(0.02)
        assert world.ahead == 0
        await heard.until(False, 120.0)

    told_of(play(lambda: Ahead(seed=22, rate=1.0), script), "clock_skew", "upbit", "process")


def test_snapshot_stale(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "state"
    (tmp_path / "folder").touch()  # a file stands where the folder shall be

    async def script(world: World, manager: SubscriptionManager, heard: Heard) -> None:
        component = await reader(manager)
        raised = await heard.until(True, 30.0)
        assert raised.issue.evidence.startswith(f"What is wanted is not in {path} for 1")
        assert "FileExistsError" in raised.issue.evidence or "NotADirectoryError" in raised.issue.evidence
        (tmp_path / "folder").unlink()
        for _ in range(500):  # the disk's thread waits in real time
            if path.exists():
                break
            time.sleep(0.01)
        await heard.until(False, 30.0)
        component.close()

    told_of(play(calm(23), script, snapshot_path=path), "snapshot_stale", "upbit", "process")


# What stays silent


def test_every_default_rule_has_a_fault_above() -> None:
    assert set(HARM) <= {name.removeprefix("test_") for name in globals() if name.startswith("test_")}


@pytest.mark.simulation
def test_a_healthy_crowd_is_silent() -> None:
    async def script(world: World, manager: SubscriptionManager, heard: Heard) -> None:
        async def works(event: Any) -> None:
            await asyncio.sleep(0.02)

        await reader(manager)
        make(manager, "works").subscribe("trade", SYMBOLS, works)
        reads, paused = make(manager, "reads"), make(manager, "paused")
        reads.subscribe("ticker", SYMBOLS)
        paused.subscribe("ticker", SYMBOLS)
        await asyncio.sleep(2.0)
        paused.pause()
        for turn in range(200):
            await reads.batch(1000)
            if turn == 100:
                world.exchange.inject(Fault("drop_fin"), world.ns())
            if turn % 20 == 0:
                visitor = make(manager, f"visitor {turn}")
                visitor.subscribe("orderbook", SYMBOLS[:1])
                await visitor.live(timeout=10.0)
                visitor.close()
            await asyncio.sleep(0.5)
        assert heard.told == []

    play(lambda: World(seed=24, rate=1.0), script)
