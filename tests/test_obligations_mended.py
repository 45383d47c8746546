"""Obligations where hooks act in the middle of a tick, and where several faults meet."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import subcore
from subcore.types import StatusKind
from test_obligations import KRW, Told, busy, until_true
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
