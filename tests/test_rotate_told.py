"""What is told while links are replaced, and when that is said to be over."""

from __future__ import annotations

import asyncio
import re
from contextvars import ContextVar
from typing import Any

import pytest

from subcore.sim import Refusal
from subcore.sim.faults import Fault
from subcore.testing.world import World
from subcore.types import DataState, Priority, StatusKind, StreamState

MARKETS = ["KRW-BTC", "KRW-ETH"]


@pytest.mark.parametrize("how", ["rotate", "own link", "standby"])
def test_what_is_open_is_not_told_to_wait_for_a_link_that_cannot_be_opened_yet(how: str) -> None:
    async def main(world: World) -> None:
        told: list[StatusKind] = []
        async with world.manager() as manager:
            desk = manager.component(
                "desk", priority=Priority.CRITICAL, on_status=lambda status: told.append(status.kind)
            )
            desk.subscribe("ticker", MARKETS, lambda event: None)
            await desk.live(20)
            told.clear()
            world.exchange.inject(Fault("refuse", seconds=3.0), world.ns())
            if how == "rotate":
                await manager.rotate(timeout=30)
            else:
                desk.subscribe("ticker", MARKETS, own_link=how == "own link", standby=how == "standby")
            await asyncio.sleep(20)
            assert not told
            assert {info.data for info in manager.topics()} == {DataState.GOOD}

    World(1, rate=2.0).run(main)


def test_who_waits_for_that_link_is_told() -> None:
    async def main(world: World) -> None:
        told: list[StatusKind] = []
        world.exchange.inject(Fault("refuse", seconds=3.0), world.ns())
        async with world.manager() as manager:
            desk = manager.component("desk", on_status=lambda status: told.append(status.kind))
            desk.subscribe("ticker", MARKETS, lambda event: None)
            await desk.live(20)
            assert list(dict.fromkeys(told)) == [StatusKind.WAITING, StatusKind.OPEN]

    World(1, rate=2.0).run(main)


def test_rotate_returns_once_nothing_is_carried_by_the_old_link() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            desk = manager.component("desk")
            desk.subscribe("ticker", MARKETS, lambda event: None)
            await desk.live(20)
            before = set(world.exchange.connections)
            await manager.rotate(timeout=60)
            assert {info.link for info in manager.topics()} == {1}
            assert {info.other_link for info in manager.topics()} == {None}
            await asyncio.sleep(0.02)  # a way
            assert len(world.exchange.connections.keys() - before) == 1
            assert not world.exchange.connections.keys() & before

    World(1, rate=2.0).run(main)


def test_the_wait_for_an_answer_is_as_long_as_it_is_said_to_be() -> None:
    """The answer to the request before it may come sooner than the limits allow the next one."""

    async def main(world: World) -> None:
        checked = 0
        async with world.manager() as manager:
            desk = manager.component("desk")
            for number in range(40):
                desk.subscribe("trade", f"KRW-N{number}")
                await asyncio.sleep(0.03)
                found = re.search(r"at most (\d+\.\d) s", manager.explain("trade", f"KRW-N{number}"))
                if found is None or "request before it" not in manager.explain("trade", f"KRW-N{number}"):
                    continue
                checked += 1
                await asyncio.sleep(float(found[1]) + 0.1)
                assert manager.topic("trade", f"KRW-N{number}").state is not StreamState.WAITING
            assert checked > 20

    World(1, rate=2.0, markets=[f"KRW-N{number}" for number in range(40)]).run(main)


def test_what_is_new_does_not_wait_for_a_successor_that_may_not_connect() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager, world.manager() as banned:
            desk, other = manager.component("desk"), banned.component("other")
            desk.subscribe("ticker", MARKETS, lambda event: None)
            await desk.live(20)
            world.exchange.inject(Fault("status", code=418, retry_after=20.0, seconds=10.0), world.ns())
            other.subscribe("ticker", MARKETS, lambda event: None)
            await asyncio.sleep(5)
            assert "HTTP status 418" in banned.explain("ticker", "KRW-BTC")
            before = set(world.exchange.connections)
            with pytest.raises(TimeoutError, match="It could not be begun"):
                await manager.rotate(timeout=5)
            desk.subscribe("trade", MARKETS, lambda event: None)
            await desk.live(5)
            await manager.rotate(timeout=300)
            await asyncio.sleep(1)  # until it is closed at the other end too
            assert not before & set(world.exchange.connections)
            await desk.live(5)

    World(1, rate=2.0).run(main)


CALLER: ContextVar[str] = ContextVar("caller", default="nobody")


@pytest.mark.parametrize("how", ["rotate", "restore"])
def test_a_link_has_nothing_of_the_context_of_who_had_it_opened(how: str) -> None:
    seen: list[str] = []

    class Doorman(World):
        async def knock(self, headers: Any, path: str) -> int | Refusal:
            seen.append(CALLER.get())
            return await super().knock(headers, path)

    async def main(world: World) -> None:
        async with world.manager() as manager:
            desk = manager.component("desk")
            desk.subscribe("ticker", MARKETS, lambda event: seen.append(CALLER.get()))
            await desk.live(20)
            snapshot = manager.snapshot()
            if how == "restore":
                desk.close()
                await asyncio.sleep(20)
            CALLER.set("caller")
            seen.clear()
            await (manager.rotate() if how == "rotate" else manager.restore(snapshot))
            await asyncio.sleep(20)
            assert set(seen) == {"nobody"}

    Doorman(1, rate=2.0).run(main)


def test_who_is_told_of_a_lost_link_is_called_in_no_context_of_who_replaced_it() -> None:
    async def main(world: World) -> None:
        seen: list[str] = []
        async with world.manager() as manager:
            desk = manager.component("desk", on_status=lambda status: seen.append(CALLER.get()))
            desk.subscribe("ticker", MARKETS, lambda event: None)
            await desk.live(20)
            CALLER.set("caller")
            await manager.rotate()
            seen.clear()
            world.exchange.inject(Fault("drop_rst"), world.ns())
            await asyncio.sleep(20)
            assert set(seen) == {"nobody"}

    World(1, rate=2.0).run(main)
