"""Async handlers that raise on every call: cut off with what waits for them, tried with one event each, let on."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

import subcore
from subcore.engine.breakers import Breakers, SinkFacts, Try
from subcore.engine.obligations import Obligations
from subcore.manager import SubscriptionManager
from subcore.sim.faults import Fault
from subcore.types import StatusKind
from test_obligations import LADDER, Told, until_true
from trades import BTC, ETH, send
from virtual_manager import World

SLOW, QUARANTINED, REAPED, RECOVERED = *LADDER, StatusKind.RECOVERED


class Broken:
    """An async handler that raises for its first calls, or always."""

    def __init__(self, world: World, raises: float = float("inf")) -> None:
        self.world = world
        self.raises = raises
        self.calls: list[int] = []
        self.at: list[float] = []

    async def take(self, event: Any) -> None:
        self.calls.append(event.id)
        self.at.append(self.world.clock.now / 1e9)
        if len(self.calls) <= self.raises:
            raise ValueError("always")


async def quiet(world: World, manager: SubscriptionManager, told: Told, handler: Any) -> subcore.Component:
    """A component whose market is quiet: what comes, the test sends."""
    component = manager.component("bad", on_status=told)
    component.subscribe("trade", [BTC, ETH], handler)
    await asyncio.sleep(1.0)
    return component


def silent_world() -> World:
    world = World(1)
    world.exchange.inject(Fault("lose", probability=1.0), world.ns())
    return world


def test_a_backlog_waits_and_one_event_goes_for_each_try() -> None:
    world = silent_world()

    async def main(world: World) -> None:
        async with world.manager(obligations=Obligations()) as manager:
            told, broken = Told(world), Broken(world)
            bad = await quiet(world, manager, told, broken.take)
            for number in range(500):
                send(manager, BTC, number)
            await asyncio.sleep(1.0)
            assert broken.calls == list(range(10))
            assert bad.stats().queued == 490
            await until_true(lambda: QUARANTINED in told.kinds)
            assert broken.calls == list(range(12)), "in order, one a try"
            opened = broken.at[9]
            assert 2.0 <= broken.at[10] - opened <= 3.0
            assert 5.0 <= broken.at[11] - opened <= 6.0
            assert 10.0 <= told.at(QUARANTINED) - opened <= 10.6
            assert "raised 12 times" in next(s.reason for _, s in told.statuses if s.kind is QUARANTINED)
            await until_true(lambda: bad.closed)
            assert (told.kinds, len(broken.calls)) == (LADDER, 12)

    world.run(main)


@pytest.mark.parametrize("burst", [10, 100])
def test_who_failed_for_one_burst_goes_on_with_what_waits_or_with_the_next_event(burst: int) -> None:
    """And is held to nothing meanwhile, for as long as its market is quiet: it was not tried."""
    world = silent_world()

    async def main(world: World) -> None:
        rules = Obligations(
            tries=(8.0, 9.0), failing=20.0
        )  # later than what nobody takes is held against anybody
        async with world.manager(obligations=rules) as manager:
            told, broken = Told(world), Broken(world, raises=10)
            bad = await quiet(world, manager, told, broken.take)
            for number in range(burst):
                send(manager, BTC, number)
            await asyncio.sleep(7.0)
            assert (len(broken.calls), told.kinds) == (10, [SLOW])
            await asyncio.sleep(300.0)
            if burst == 10:
                assert (len(broken.calls), told.kinds) == (10, [SLOW]), "nothing to try it with"
            send(manager, BTC, 1000)
            send(manager, BTC, 1001)  # while it is not yet known that the try worked
            await asyncio.sleep(1.0)
            send(manager, BTC, 1002)
            await asyncio.sleep(1.0)
            late = [1000, 1002] if burst == 10 else [1000, 1001, 1002]
            assert broken.calls == [*range(burst), *late], "each once and in order"
            assert told.kinds == [SLOW, RECOVERED]
            stats = bad.stats()
            assert (stats.queued, stats.lost, stats.withheld) == (
                0,
                0,
                5 - len(late) - 2 + (burst == 100) * 0,
            )
            bad.close()

    world.run(main)


def test_what_waits_for_it_goes_with_it() -> None:
    """Unsubscribed it is called no more; asked for again, it begins anew; a drain waits for nothing."""
    world = silent_world()

    async def main(world: World) -> None:
        async with world.manager(obligations=Obligations()) as manager:
            told, broken = Told(world), Broken(world)
            bad = await quiet(world, manager, told, broken.take)
            for number in range(50):
                send(manager, BTC, number)
            await asyncio.sleep(1.0)
            bad.unsubscribe("trade")
            await asyncio.sleep(20.0)
            assert (len(broken.calls), bad.stats().queued) == (10, 0)
            assert told.kinds == [SLOW, RECOVERED]
            broken.raises = 0
            bad.subscribe("trade", BTC, broken.take)
            send(manager, BTC, 50)
            await asyncio.sleep(1.0)
            assert broken.calls[10:] == [50]
            broken.raises = float("inf")
            for number in range(60, 90):
                send(manager, BTC, number)
            await asyncio.sleep(1.0)
            began = world.clock.now
            report = await manager.close(drain=60.0)
            assert report.dropped == {"bad": 20}
            assert world.clock.now - began < 2e9

    world.run(main)


def test_what_waits_for_it_is_lost_once_it_is_given_up_and_told_so() -> None:
    world = silent_world()

    async def main(world: World) -> None:
        async with world.manager(obligations=Obligations()) as manager:
            statuses: list[subcore.Status] = []
            broken = Broken(world)
            bad = manager.component("bad", on_status=statuses.append)
            bad.subscribe("trade", [BTC, ETH], broken.take)
            await asyncio.sleep(1.0)
            for number in range(50):
                send(manager, ETH if number % 5 == 4 else BTC, number)
            await asyncio.sleep(1.0)
            statuses.clear()
            bad.unsubscribe("trade")
            assert statuses == [], "not inside the call"
            await asyncio.sleep(1.0)
            [loss] = [status for status in statuses if status.kind is StatusKind.LOSS]
            assert (loss.count, {topic.symbol for topic in loss.topics}) == (40, {BTC, ETH})
            assert "Broken.take was cut off" in loss.reason
            stats = bad.stats()
            assert (stats.queued, stats.lost) == (0, 40)
            assert {topic.symbol: count for topic, count in stats.losses.items()} == {BTC: 32, ETH: 8}
            assert len(broken.calls) == 10
            bad.close()

    world.run(main)


def test_tries_are_counted_for_what_was_cut_off_whatever_else_leads_to_its_handler_by_then() -> None:
    world = silent_world()

    async def main(world: World) -> None:
        async with world.manager(obligations=Obligations()) as manager:
            told, broken = Told(world), Broken(world)
            before = manager.component("before")
            before.subscribe("trade", BTC, lambda event: None)
            before.close()  # so what comes first has the greater id: its place had another before
            bad = manager.component("bad", on_status=told)
            bad.subscribe("trade", BTC, broken.take)
            await asyncio.sleep(1.0)
            for number in range(20):
                send(manager, BTC, number)
            await asyncio.sleep(1.0)
            first = bad._member.sinks
            bad.subscribe("trade", ETH, broken.take, raw=True)
            assert len(bad._member.sinks) == 2
            assert min(bad._member.sinks) not in first
            await until_true(lambda: QUARANTINED in told.kinds)
            assert broken.calls == list(range(12))
            await until_true(lambda: bad.closed)

    world.run(main)


def test_resume_lets_it_go_on_and_a_pause_lets_nothing_through() -> None:
    world = silent_world()

    async def main(world: World) -> None:
        async with world.manager(obligations=Obligations()) as manager:
            told, broken = Told(world), Broken(world, raises=11)
            bad = await quiet(world, manager, told, broken.take)
            for number in range(30):
                send(manager, BTC, number)
            await asyncio.sleep(1.0)
            bad.pause()
            await asyncio.sleep(100.0)
            assert len(broken.calls) == 10
            bad.resume()
            await asyncio.sleep(1.0)
            assert broken.calls == list(range(30))
            bad.close()

    world.run(main)


def test_asked_for_again_while_a_try_is_under_way_it_begins_anew() -> None:
    world = silent_world()

    async def main(world: World) -> None:
        async with world.manager(obligations=Obligations()) as manager:
            told, gate, calls = Told(world), asyncio.Event(), list[int]()

            async def take(event: Any) -> None:
                calls.append(event.id)
                if len(calls) > 10:
                    await gate.wait()
                else:
                    raise ValueError("at first")

            bad = await quiet(world, manager, told, take)
            for number in range(20):
                send(manager, BTC, number)
            await until_true(lambda: len(calls) == 11)
            bad.unsubscribe("trade")
            await asyncio.sleep(0.5)
            bad.subscribe("trade", BTC, take)
            send(manager, BTC, 20)
            await asyncio.sleep(0.5)
            gate.set()
            await asyncio.sleep(1.0)
            assert calls == list(range(21))
            assert told.kinds == [SLOW, RECOVERED]
            bad.close()

    world.run(main)


def test_calls_that_were_under_way_are_no_tries() -> None:
    """The judge alone: a hundred errors come after the breaker opened, and no event to try with."""
    second = 1_000_000_000
    breakers = Breakers(Obligations())
    assert breakers.failed(5, 1, SinkFacts(10, 0))
    tries = []
    for tick in range(1, 401):
        actions, levels = breakers.look({5: SinkFacts(100, 0)}, lambda _: False, tick * second // 4)
        tries += [tick / 4 for action in actions if isinstance(action, Try)]
        assert levels == {1: 1}, "cut off, and not quarantined"
    assert tries == [2.25], "one is open until an event comes"
    breakers.look({5: SinkFacts(101, 0)}, lambda _: False, 401 * second // 4)
    actions, levels = breakers.look({5: SinkFacts(101, 0)}, lambda _: False, 402 * second // 4)
    assert levels == {1: 1}
    _, levels = breakers.look({5: SinkFacts(102, 0)}, lambda _: False, 403 * second // 4)
    assert levels == {1: 2}, "both tries failed"


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_an_error_after_the_own_close_is_logged_with_the_name_and_counted(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """... and is none of the component that has the id by then."""
    world = silent_world()

    async def main(world: World) -> None:
        async with world.manager(obligations=Obligations()) as manager:
            told, born = Told(world), list[subcore.Component]()

            def replace(event: Any) -> None:
                old.close()
                for name in ("between", "new"):  # each has the id in turn
                    born.append(manager.component(name, on_status=told))
                    born[0].close()
                raise ValueError("from the old one")

            async def replace_later(event: Any) -> None:
                replace(event)

            old = manager.component("old")
            old.subscribe("trade", BTC, replace if kind == "plain" else replace_later)
            await asyncio.sleep(1.0)
            send(manager, BTC, 1)
            await asyncio.sleep(1.0)
            assert born[1]._member.id == old._member.id
            assert (born[1].stats().handler_errors, told.statuses) == (0, [])
            assert manager.stats().handler_errors == 1
            born[1].close()

    with caplog.at_level(logging.ERROR, "subcore.component"):
        world.run(main)
    [record] = caplog.records
    assert "a handler of component 'old' raised after the component was closed" in record.getMessage()
    assert "from the old one" in caplog.text
