"""Obligations at their edges: what they are told is looked at first, and a handler may give itself up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import subcore
from virtual_manager import World


@pytest.mark.parametrize(
    "wrong",
    [
        {"slow": -1.0},
        {"grace": float("nan")},
        {"errors": 0},
        {"tries": (5.0, 2.0)},
        {"blocked": 0.0},
        {"calm": float("inf")},
    ],
)
def test_obligations_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(subcore.errors.UsageError, match=next(iter(wrong))):
        subcore.Obligations(**wrong)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("inf"), float("nan"), "1"])
def test_an_interval_that_is_none_is_refused(seconds: Any) -> None:
    manager = World().manager()
    for option in ("heartbeat", "callback_budget"):
        with pytest.raises(subcore.errors.UsageError, match=option):
            manager.component("x", **{option: seconds})
    made = manager.component("y")
    with pytest.raises(subcore.errors.UsageError, match="promised no heartbeat"):
        made.heartbeat()
    made.close()


def test_a_handler_that_gives_itself_up_and_raises_costs_nothing() -> None:
    world = World(1, rate=8.0)

    async def main(world: World) -> None:
        async with world.manager(obligations=subcore.Obligations()) as manager:
            component = manager.component("once")
            calls: list[Any] = []

            def once(event: Any) -> None:
                calls.append(event)
                component.unsubscribe("ticker")
                raise ValueError("after it gave itself up")

            component.subscribe("ticker", "KRW-BTC", once)
            await asyncio.sleep(3.0)
            assert len(calls) == 1
            assert component.stats().handler_errors == 1
            component.close()

    world.run(main)
