"""Obligations where hooks act in the middle of a tick, and where several faults meet."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

import subcore
from subcore.sim.faults import Fault
from subcore.types import StatusKind
from test_obligations import KRW, LADDER, Told, busy, until_true
from test_waits import TRADE
from virtual_manager import World


@pytest.mark.parametrize("forgives", [False, True])
def test_a_step_is_carried_out_for_whom_it_was_meant_alone(forgives: bool) -> None:
    """Two hang together; who hears of the first ends the second, whose id is another's at once, or lets it go on."""
    world = busy()

    async def main(world: World) -> None:
        async with world.manager(obligations=subcore.Obligations(grace=0.5)) as manager:
            born: list[subcore.Component] = []
            told = Told(world)

            def hear(status: subcore.Status) -> None:
                if status.kind is StatusKind.REAPED and forgives:
                    second.resume()
                elif status.kind is StatusKind.REAPED:
                    second.close()
                    born.extend(manager.component(name, on_status=told) for name in ("a2", "b2"))

            first = manager.component("first", on_status=hear)
            second = manager.component("second", on_status=told)
            for one in (first, second):
                one.subscribe("ticker", KRW)
            await until_true(lambda: first.closed)
            if forgives:
                assert not second.closed
                await asyncio.sleep(0.5)
                assert told.kinds[-1] is StatusKind.RECOVERED
                second.close()
            assert [one.closed for one in born] == ([] if forgives else [False, False])
            assert StatusKind.REAPED not in told.kinds
            for one in born:
                one.close()

    world.run(main)


def test_what_a_call_raised_that_closed_its_component_is_not_the_next_ones() -> None:
    """... which may have the same id; who only unsubscribes is told of it all the same."""
    world = busy()

    async def main(world: World) -> None:
        async with world.manager(obligations=subcore.Obligations()) as manager:
            born: list[subcore.Component] = []
            told = Told(world)

            def close(_: Any) -> None:
                old.close()
                born.append(manager.component("new", on_status=told))
                raise ValueError("from the old one")

            def leave(_: Any) -> None:
                leaves.unsubscribe("ticker", "KRW-BTC")
                raise ValueError("from its own")

            old, leaves = manager.component("old"), manager.component("leaves")
            old.subscribe("ticker", "KRW-BTC", close)
            leaves.subscribe("ticker", "KRW-BTC", leave)
            await until_true(lambda: born and leaves.stats().handler_errors)
            assert born[0].stats().handler_errors == 0
            assert told.statuses == []
            assert leaves.stats().handler_errors == 1
            born[0].close()
            leaves.close()

    world.run(main)


@pytest.mark.parametrize(
    ("hangs", "timeout", "heartbeat", "accused"),
    [
        (True, None, None, True),
        (True, 600.0, None, True),
        (True, 600.0, 0.5, True),
        (False, None, 0.5, True),
        (False, 600.0, 0.5, False),
        (False, None, None, False),
    ],
)
def test_a_wait_for_proof_excuses_no_hung_handler_and_without_a_timeout_no_heartbeat(
    hangs: bool, timeout: float | None, heartbeat: float | None, accused: bool
) -> None:
    world = busy()

    async def main(world: World) -> None:
        world.exchange.inject(Fault("lose", probability=1.0), world.ns())
        async with world.manager(obligations=subcore.Obligations(grace=1.0)) as manager:
            told, calls = Told(world), []

            async def handle(event: Any) -> None:
                calls.append(event)
                await asyncio.sleep(1000.0 * hangs)

            one = manager.component("one", heartbeat=heartbeat, on_status=told)
            one.subscribe("trade", ["KRW-BTC", "KRW-ETH"], handle)
            one.subscribe("trade", "KRW-BTC")  # which is read after the wait
            wait = asyncio.create_task(one.live(timeout, evidence="data"))
            await asyncio.sleep(1.0)
            manager._hub.feed.feed(0, json.dumps({**TRADE, "code": "KRW-BTC"}).encode(), world.ns())
            await asyncio.sleep(25.0)
            assert len(calls) == 1
            assert told.kinds[-2:] == (LADDER[1:] if accused else [])
            assert one.closed is wait.done() is accused
            one.close()
            await asyncio.wait([wait])
            assert isinstance(wait.exception(), subcore.errors.UsageError)

    world.run(main)


@pytest.mark.parametrize("after", [StatusKind.SLOW, StatusKind.QUARANTINED])
def test_a_pause_stops_the_clock_of_a_handler_that_raised(after: StatusKind) -> None:
    world = busy()

    async def main(world: World) -> None:
        async with world.manager(obligations=subcore.Obligations()) as manager:
            told, calls = Told(world), []

            def broken(event: Any) -> None:
                calls.append(event)
                raise ValueError("always")

            bad = manager.component("bad", on_status=told)
            bad.subscribe("ticker", "KRW-BTC", broken)
            await until_true(lambda: len(calls) == 12 and after in told.kinds)
            before = list(told.kinds)
            bad.pause()
            await asyncio.sleep(100.0)
            assert told.kinds == before
            bad._hub.set_paused(bad._member, False)  # resume() would forgive it, too
            began = world.clock.now / 1e9
            await until_true(lambda: bad.closed)
            assert told.kinds == LADDER
            assert told.at(StatusKind.REAPED) - began > 29.0
            assert len(calls) == 12

    world.run(main)
