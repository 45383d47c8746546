"""A restore is of one route: a login that fails keeps nobody waiting for what came back without it."""

from __future__ import annotations

import asyncio

import pytest

import subcore
from private_keys import token
from subcore.sim.faults import Fault
from subcore.testing.world import World
from subcore.types import Status, StatusKind, StreamState

KINDS = [StatusKind.SUSPECT, StatusKind.OPEN, StatusKind.RECOVERED]


class Keys:
    """Good until they are revoked."""

    def __init__(self) -> None:
        self.good = True

    async def __call__(self) -> str:
        return token() if self.good else token(secret="x" * 40)


def cut(world: World) -> None:
    """All connections end."""
    world.exchange.inject(Fault("drop_rst"), world.ns())


@pytest.mark.parametrize("good", [True, False])
def test_what_is_back_is_told_and_reported_though_a_login_is_refused(good: bool) -> None:
    async def main(world: World) -> None:
        keys, told = Keys(), list[StatusKind]()

        def hear(status: Status) -> None:
            told.append(status.kind)

        async with world.manager(credentials=keys) as manager:
            public, private = manager.component("public", on_status=hear), manager.component("private")
            public.subscribe("ticker", "KRW-ETH", lambda event: None)
            private.subscribe("myOrder", "*")
            await public.live(20)
            await private.live(20)
            keys.good = good
            told.clear()
            for _ in range(3):
                cut(world)
                await asyncio.sleep(120)
            assert told == 3 * KINDS
            done = [report for report in manager.restores if report.done]
            assert [report.streams[0].topic.channel for report in done].count("ticker") == 3
            assert len(manager.restores) - len(done) == (not good), "that of the login is still under way"

    World(1, rate=1.0).run(main)


def test_a_snapshot_comes_back_and_its_grace_ends_though_a_login_is_refused() -> None:
    async def main(world: World) -> None:
        keys = Keys()
        async with world.manager(credentials=keys) as manager:
            gone = manager.component("gone")
            gone.subscribe("ticker", ["KRW-ETH", "KRW-BTC"])
            snapshot = manager.snapshot()
            gone.close()
        async with world.manager(credentials=keys, claim_grace=30.0) as manager:
            private = manager.component("private")
            private.subscribe("myOrder", "*")
            await private.live(20)
            keys.good = False
            cut(world)
            await asyncio.sleep(5)
            report = await manager.restore(snapshot)
            assert [stream.state for stream in report.streams] == [StreamState.OPEN] * 2
            await asyncio.sleep(32)
            assert [claim.dropped.keys() for claim in manager.claims] == [{"gone"}]
            await asyncio.sleep(10)
            assert not world.carried()

    World(1, rate=1.0).run(main)


def test_a_snapshot_of_two_routes_has_one_report() -> None:
    async def main(world: World) -> None:
        async with world.manager(credentials=Keys()) as manager:
            desk = manager.component("desk")
            desk.subscribe("ticker", "KRW-ETH", priority=subcore.Priority.CRITICAL)
            desk.subscribe("myOrder", "*")
            snapshot = manager.snapshot()
        async with world.manager(credentials=Keys()) as manager:
            report = await manager.restore(snapshot)
            assert report.done
            assert {stream.topic.channel for stream in report.streams} == {"ticker", "myOrder"}
            assert [row.proven for row in report.classes] == [1, 0, 1, 0]
            assert max(stream.back_seconds or 99.0 for stream in report.streams) == report.seconds
            assert len(manager.restores) == 2

    World(1, rate=1.0).run(main)


def test_who_was_never_away_is_not_told_to_be_back() -> None:
    async def main(world: World) -> None:
        told: list[StatusKind] = []
        async with world.manager() as manager:
            desk = manager.component("desk", on_status=lambda status: told.append(status.kind))
            desk.subscribe("ticker", "KRW-BTC", lambda event: None)
            other = manager.component("other")
            other.subscribe("ticker", ["KRW-BTC", "KRW-ETH"])
            await desk.live(20)
            snapshot = manager.snapshot()
            told.clear()
            other.close()
            report = await manager.restore(snapshot)
            assert [stream.state for stream in report.streams] == [StreamState.OPEN] * 2
            assert not told
            cut(world)
            await asyncio.sleep(20)
            assert told == KINDS

    World(1, rate=1.0).run(main)
