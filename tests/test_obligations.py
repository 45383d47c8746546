"""Obligations in a whole manager: who breaks them is told, stopped and removed, and costs nobody else an event."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from typing import Any

import pytest

import subcore
from subcore.errors import ComponentReaped
from subcore.members import Member
from subcore.types import StatusKind
from virtual_manager import World

KRW = ["KRW-BTC", "KRW-ETH", "KRW-XRP"]
LADDER = [StatusKind.SLOW, StatusKind.QUARANTINED, StatusKind.REAPED]


class Told:
    """The kinds of statuses that are about a component as a whole, and when each came."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.statuses: list[tuple[float, subcore.Status]] = []

    def __call__(self, status: subcore.Status) -> None:
        if not status.topics:
            self.statuses.append((self.world.clock.now / 1e9, status))

    @property
    def kinds(self) -> list[StatusKind]:
        return [status.kind for _, status in self.statuses if status.kind is not StatusKind.ERROR]

    def at(self, kind: StatusKind) -> float:
        return next(at for at, status in self.statuses if status.kind is kind)


async def read_all(component: subcore.Component, into: list[Any]) -> None:
    async for event in component:
        into.append(event)


def busy(seed: int = 1) -> World:
    return World(seed, rate=8.0)


def test_who_does_not_read_is_slow_then_stopped_then_reaped_and_its_name_is_free() -> None:
    world = busy()

    async def main(world: World) -> None:
        async with world.manager(obligations=subcore.Obligations()) as manager:
            told, got = Told(world), []
            hung = manager.component("hung", on_status=told)
            well = manager.component("well")
            hung.subscribe("ticker", KRW)
            well.subscribe("ticker", "KRW-BTC")
            reader = asyncio.create_task(read_all(well, got))
            await hung.live(10.0)
            began = world.clock.now / 1e9
            await until_true(lambda: StatusKind.QUARANTINED in told.kinds)
            assert told.at(StatusKind.QUARANTINED) - began <= 10.0
            [cap] = manager.topic("ticker", "KRW-ETH").caps
            assert (cap.component, cap.by) == ("hung", "ladder")
            assert "quarantined" in cap.reason
            explained = manager.explain("ticker", "KRW-ETH")
            assert explained.endswith("; hung gets nothing: the component is quarantined (ladder)")
            assert manager._hub.reports.held_back_by(hung._member) == [
                "nothing: the component is quarantined (ladder)"
            ]
            assert len(hung.topics) == 3
            waiting = hung.stats().queued
            await asyncio.sleep(5.0)
            assert hung.stats().queued == waiting
            assert {f"ticker:{symbol}" for symbol in KRW} <= world.carried()
            await until_true(lambda: hung.closed)
            assert told.kinds == LADDER
            assert 29.0 <= told.at(StatusKind.REAPED) - told.at(StatusKind.QUARANTINED) <= 31.0
            await asyncio.sleep(1.0)  # no linger of two seconds
            assert world.carried() == {"ticker:KRW-BTC"}
            for call in (hung.heartbeat, hung.resume, lambda: hung.subscribe("ticker", "KRW-ETH")):
                with pytest.raises(ComponentReaped, match="none was taken"):
                    call()
            with pytest.raises(ComponentReaped, match="reaped at"):
                await hung.batch()
            with pytest.raises(ComponentReaped):
                await anext(hung)
            again = manager.component("hung")
            again.subscribe("ticker", "KRW-ETH")
            await again.live(5.0)
            reader.cancel()
            in_order(got)
            assert {event.symbol for event in got} == {"KRW-BTC"}
            again.close()
            well.close()

    world.run(main)


def in_order(events: list[Any]) -> None:
    times = [event.receive_time_ns for event in events]
    assert times == sorted(times)
    assert len(events) > 50


async def until_true(condition: Any) -> None:
    async with asyncio.timeout(120.0):
        while not condition():
            await asyncio.sleep(0.05)


def test_reading_again_lifts_the_quarantine() -> None:
    world = busy()

    async def main(world: World) -> None:
        async with world.manager(obligations=subcore.Obligations()) as manager:
            told = Told(world)
            late = manager.component("late", on_status=told)
            late.subscribe("ticker", KRW)
            await until_true(lambda: StatusKind.QUARANTINED in told.kinds)
            while await late.batch(10_000, timeout=0.5):
                if StatusKind.RECOVERED in told.kinds:
                    break
            assert told.kinds[:2] == LADDER[:2]
            assert manager.topic("ticker", "KRW-BTC").caps == ()
            assert await late.batch(timeout=5.0)
            await drain_until(late, lambda: told.kinds[-1] is StatusKind.RECOVERED)
            late.close()

    world.run(main)


async def drain_until(component: subcore.Component, condition: Any) -> None:
    while not condition():
        await component.batch(10_000, timeout=0.2)


def test_a_handler_that_always_raises_is_cut_off_after_ten_calls_and_tried_twice() -> None:
    world = busy()

    async def main(world: World) -> None:
        async with world.manager(obligations=subcore.Obligations()) as manager:
            told, got, at = Told(world), [], []

            def broken(event: Any) -> None:
                at.append(world.clock.now / 1e9)
                raise ValueError("always")

            bad, well = manager.component("bad", on_status=told), manager.component("well")
            bad.subscribe("ticker", "KRW-BTC", broken)
            well.subscribe("ticker", "KRW-BTC", got.append)
            await until_true(lambda: StatusKind.QUARANTINED in told.kinds)
            assert len(at) == 12
            opened = at[9]
            assert 2.0 <= at[10] - opened <= 3.0
            assert 5.0 <= at[11] - opened <= 6.0
            assert 10.0 <= told.at(StatusKind.QUARANTINED) - opened <= 10.6
            await until_true(lambda: bad.closed)
            assert told.kinds == LADDER
            assert len(at) == 12
            with pytest.raises(ComponentReaped, match="raised 12 times in a row"):
                bad.pause()
            in_order(got)
            well.close()

    world.run(main)


def test_a_handler_that_works_again_is_let_off() -> None:
    world = busy()

    async def main(world: World) -> None:
        async with world.manager(obligations=subcore.Obligations()) as manager:
            told, calls, fails = Told(world), [], [True]

            def flaky(event: Any) -> None:
                calls.append(event)
                if fails:
                    raise ValueError("for a while")

            component = manager.component("flaky", on_status=told)
            component.subscribe("ticker", "KRW-BTC", flaky)
            await until_true(lambda: len(calls) == 10)
            fails.clear()
            await until_true(lambda: len(calls) > 20)
            await asyncio.sleep(0.5)
            assert told.kinds == [StatusKind.SLOW, StatusKind.RECOVERED]
            component.close()

    world.run(main)


@pytest.mark.parametrize("reads", [True, False])
def test_who_promised_heartbeats_and_sends_none_is_reaped_in_time(reads: bool) -> None:
    world = busy()

    async def main(world: World) -> None:
        async with world.manager(obligations=subcore.Obligations()) as manager:
            told = Told(world)
            silent = manager.component("silent", heartbeat=1.0, on_status=told)
            silent.subscribe("ticker", "KRW-BTC")
            reader = asyncio.create_task(read_all(silent, [])) if reads else None
            for _ in range(20):
                silent.heartbeat()
                await asyncio.sleep(0.9)
                if not reads:
                    await silent.batch(10_000, timeout=0.0)
            assert told.kinds == []
            silent.heartbeat()
            began = world.clock.now / 1e9
            await until_true(lambda: silent.closed)
            assert 3.0 <= told.at(StatusKind.QUARANTINED) - began <= 3.6
            assert 9.0 <= told.at(StatusKind.REAPED) - began <= 10.0
            if reader is not None:
                with pytest.raises(ComponentReaped, match="no heartbeat"):
                    await reader

    world.run(main)


def test_who_beats_and_does_not_read_is_found_all_the_same() -> None:
    world = busy()

    async def main(world: World) -> None:
        async with world.manager(obligations=subcore.Obligations()) as manager:
            told = Told(world)
            alive = manager.component("alive", heartbeat=1.0, on_status=told)
            alive.subscribe("ticker", "KRW-BTC")
            while not alive.closed:
                alive.heartbeat()
                await asyncio.sleep(0.8)
            assert told.kinds == LADDER

    world.run(main)


def test_who_waits_is_never_judged() -> None:
    """In `live()` for a market that never trades, in an iteration that nothing comes to, paused, in a stall."""
    world = busy()

    async def main(world: World) -> None:
        async with world.manager(obligations=subcore.Obligations(grace=0.0)) as manager:
            told = Told(world)
            waits, idle, paused = (
                manager.component(name, on_status=told) for name in ("waits", "idle", "paused")
            )
            waits.subscribe("ticker", KRW)
            paused.subscribe("ticker", KRW)
            await asyncio.sleep(0.8)
            paused.pause()
            reader = asyncio.create_task(read_all(idle, []))
            waits.subscribe("ticker", "KRW-NONE")
            with pytest.raises(subcore.SubscribeError):
                await waits.live(15.0, evidence="data")
            await waits.batch(100_000)
            waits.close()
            await asyncio.sleep(10.0)
            world.clock.advance_to(world.clock.now + 600 * 1_000_000_000)
            await asyncio.sleep(0.1)
            assert told.kinds == []
            reader.cancel()
            idle.close()
            paused.close()

    world.run(main)


def test_a_parked_iteration_ends_when_the_owner_is_done() -> None:
    world = busy()

    async def main(world: World) -> None:
        async with world.manager(obligations=subcore.Obligations()) as manager:
            told, work = Told(world), asyncio.Event()
            owner = asyncio.create_task(work.wait())
            owned = manager.component("owned", owner=owner, on_status=told)
            reader = asyncio.create_task(read_all(owned, []))
            await asyncio.sleep(0.1)
            work.set()
            await owner
            again = manager.component("owned")  # at once
            assert told.kinds == []  # nobody's code runs inside the call
            with pytest.raises(ComponentReaped, match="owner"):
                await reader
            await asyncio.sleep(0.3)
            assert told.kinds == [StatusKind.REAPED]
            again.close()

    world.run(main)


@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError])
def test_a_veto_is_asked_for_each_step_and_gives_all_that_time_again(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    world = busy()
    asked: list[subcore.Verdict] = []

    def veto(verdict: subcore.Verdict) -> bool:
        asked.append(verdict)
        if len(asked) == 2:
            raise error("of the hook")
        return verdict.kind is StatusKind.REAPED and len(asked) < 5

    async def main(world: World) -> None:
        async with world.manager(obligations=subcore.Obligations(grace=2.0, veto=veto)) as manager:
            told = Told(world)
            hung = manager.component("hung", on_status=told)
            hung.subscribe("ticker", KRW)
            await until_true(lambda: hung.closed)
            assert told.kinds == LADDER

    with caplog.at_level(logging.ERROR, "subcore"):
        world.run(main)
    assert [verdict.kind for verdict in asked] == [*LADDER, StatusKind.REAPED, StatusKind.REAPED]
    assert {verdict.component for verdict in asked} == {"hung"}
    assert asked[-1].waiting > 10
    assert "of the hook" in caplog.text


class Strategy:
    def on_ticker(self, event: Any) -> None:
        raise ValueError("always")


async def come_and_be_reaped(world: World, manager: subcore.SubscriptionManager) -> subcore.Component:
    strategy, told = Strategy(), Told(world)
    held = weakref.ref(strategy), weakref.ref(told)
    component = manager.component("gone", on_status=told)
    component.subscribe("ticker", KRW, strategy.on_ticker)
    component.subscribe("trade", KRW)
    await until_true(lambda: component.closed)
    del strategy, told
    gc.collect()
    assert [one() for one in held] == [None, None]  # though the user still has the component
    return component


def test_nothing_is_left_of_what_was_reaped(monkeypatch: pytest.MonkeyPatch) -> None:
    # pytest keeps log records, and those of a handler's exception keep its frames
    monkeypatch.setattr(logging.getLogger("subcore"), "propagate", False)
    world = busy()

    async def main(world: World) -> None:
        async with world.manager(obligations=subcore.Obligations(grace=0.0)) as manager:
            hub = manager._hub
            before = (len(hub.ledger), hub.router.sink_count, len(hub.members))
            for _ in range(3):
                component = await come_and_be_reaped(world, manager)
                assert component.stats().queued == 0
                with pytest.raises(ComponentReaped):
                    component.resume()
            del component
            await asyncio.sleep(2.5)
            gc.collect()
            assert (len(hub.ledger), hub.router.sink_count, len(hub.members)) == before
            assert [one for one in gc.get_objects() if isinstance(one, Member) and one.name == "gone"] == []
            assert sum(manager.stats().streams.values()) == 0

    world.run(main)


def test_nobody_is_judged_where_obligations_are_off() -> None:
    world = busy()

    async def main(world: World) -> None:
        async with world.manager(obligations=None) as manager:
            told = Told(world)
            hung = manager.component("hung", on_status=told)
            hung.subscribe("ticker", KRW)
            await asyncio.sleep(45.0)
            assert told.kinds == []
            assert not hung.closed
            hung.close()

    world.run(main)


def test_resume_says_that_it_goes_on() -> None:
    world = busy()

    async def main(world: World) -> None:
        async with world.manager(obligations=subcore.Obligations()) as manager:
            told = Told(world)
            hung = manager.component("hung", on_status=told)
            hung.subscribe("ticker", KRW)
            await until_true(lambda: StatusKind.QUARANTINED in told.kinds)
            hung.resume()
            await asyncio.sleep(0.5)
            assert told.kinds[-1] is StatusKind.RECOVERED
            assert manager.topic("ticker", "KRW-BTC").caps == ()
            hung.close()

    world.run(main)
