"""`max_rate=` and images through a whole manager, in virtual time."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import numpy as np
import pytest

from manager_rig import KEPT, make
from subcore.caps import MISSED
from subcore.errors import UsageError
from subcore.types import Cap, Status, StatusKind
from virtual_manager import World

SECOND = 1_000_000_000


def test_a_cap_spaces_events_evenly_and_is_shown() -> None:
    world = World(rate=40.0)

    async def main(world: World) -> None:
        async with world.manager() as manager:
            fast, slow = make(manager, "fast"), make(manager, "slow")
            came: dict[str, list[tuple[int, Any]]] = {"fast": [], "slow": []}
            for component, options in ((fast, {}), (slow, {"max_rate": 2.0})):

                def handle(event: Any, name: str = component.name) -> None:
                    came[name].append((world.clock.now, event))

                component.subscribe("ticker", "KRW-BTC", handle, **options)
            await slow.live(evidence="data")
            await asyncio.sleep(10)
            times = [when for when, _ in came["slow"]]
            assert 15 <= len(times) <= 22
            assert all(b - a >= SECOND // 2 for a, b in itertools.pairwise(times))
            stats = slow.stats()
            assert stats.delivered + stats.conflated == len(came["fast"]) - (
                came["slow"][-1][1] != came["fast"][-1][1]
            )
            assert list(stats.conflations.values()) == [stats.conflated]
            assert stats.lost == 0
            (cap,) = manager.topic("ticker", "KRW-BTC").caps
            assert cap == Cap("slow", "user", "at most 2 events a second", cap.since_ns, 2.0)
            assert 0 < cap.since_ns <= world.ns()
            assert "slow gets at most 2 events a second (user)" in manager.explain("ticker", "KRW-BTC")
            slow.subscribe("ticker", "KRW-BTC", max_rate=1.0)
            assert [c.max_rate for c in manager.topic("ticker", "KRW-BTC").caps] == [1.0]
            slow.subscribe("ticker", "KRW-BTC")  # without it
            assert manager.topic("ticker", "KRW-BTC").caps == ()
            await asyncio.sleep(2)
            assert came["slow"][-1][1] == came["fast"][-1][1]
            counted = slow.stats().conflated
            await asyncio.sleep(2)
            assert slow.stats().conflated == counted

    world.run(main)


def test_the_strictest_cap_counts_and_each_says_who_and_why() -> None:
    world = World(rate=40.0)

    async def main(world: World) -> None:
        async with world.manager() as manager:
            component = make(manager, "c")
            seen: list[int] = []
            component.subscribe("ticker", "KRW-BTC", lambda event: seen.append(world.clock.now), max_rate=10)
            await component.live(evidence="data")
            caps, member = manager._hub.granting.caps, component._member
            topics = manager._hub.ledger.interests(member.id)
            caps.impose({member: topics}, "ladder", "it is slow", 1.0)
            assert [(c.by, c.max_rate) for c in manager.topic("ticker", "KRW-BTC").caps] == [
                ("user", 10),
                ("ladder", 1.0),
            ]
            assert (
                manager.topic("ticker", "KRW-BTC").caps[1].reason == "at most 1 events a second: it is slow"
            )
            seen.clear()
            await asyncio.sleep(10)
            assert 8 <= len(seen) <= 11
            caps.lift({member: topics}, "ladder")
            seen.clear()
            await asyncio.sleep(10)
            assert 80 <= len(seen) <= 101
            component.unsubscribe("ticker")
            assert caps._caps == {}
            assert len(manager._hub.router.limits) == 0
            component.subscribe("ticker", "KRW-BTC", max_rate=3)
            component.close()
            assert caps._caps == {}
            assert component.stats().conflated > 0

    world.run(main)


def test_lifting_a_cap_leaves_alone_who_got_the_id_of_one_that_was_told_before_closed() -> None:
    world = World()

    async def main(world: World) -> None:
        async with world.manager() as manager:
            caps = manager._hub.granting.caps
            new: list[Any] = []

            def close(status: Status) -> None:
                if status.kind is StatusKind.RECOVERED:
                    second.close()
                    new.append(make(manager, "new"))
                    new[0].subscribe("ticker", "KRW-BTC", lambda event: None)
                    assert new[0]._member.id == id_
                    caps.impose({new[0]._member: topics}, "load", "it is young", 1.0)

            first, second = make(manager, "first", on_status=close), make(manager, "second")
            for component in (first, second):
                component.subscribe("ticker", "KRW-BTC", lambda event: None)
            id_, topics = second._member.id, manager._hub.ledger.interests(second._member.id)
            both = {first._member: topics, second._member: topics}
            caps.impose(both, "load", "too much", 1.0)
            caps.lift(both, "load")
            assert [(c.component, c.reason) for c in manager.topic("ticker", "KRW-BTC").caps] == [
                ("new", "at most 1 events a second: it is young")
            ]

    world.run(main)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf"), "5", 1e9])
async def test_a_rate_that_makes_no_sense(rate: Any) -> None:
    world = World()
    component = make(world.manager(), "c")
    with pytest.raises(UsageError, match=r"max_rate is 0\.001 to 1,000,000 events a second"):
        component.subscribe("ticker", "KRW-BTC", max_rate=rate)
    assert component.topics == ()
    component.close()
    KEPT.clear()


def test_who_joins_an_open_stream_gets_its_last_event_and_nothing_is_sent() -> None:
    world = World(rate=0.5)

    async def main(world: World) -> None:
        async with world.manager() as manager:
            first = make(manager, "first")
            came: list[Any] = []
            first.subscribe("ticker", ["KRW-BTC", "KRW-ETH"], came.append)
            await first.live(evidence="data")
            await asyncio.sleep(10)
            sent = manager.stats().messages_sent
            late, reader, none = (make(manager, name) for name in ("late", "reader", "none"))
            got: dict[str, list[Any]] = {"late": [], "none": []}
            last = {event.symbol: event for event in came}
            late.subscribe("ticker", "KRW-BTC", got["late"].append)  # a plain one, whose stream is known
            reader.subscribe("ticker", ["KRW-BTC", "KRW-ETH"], max_rate=5)
            none.subscribe("ticker", "KRW-BTC", got["none"].append, image=False)
            assert got["late"] == []
            await asyncio.sleep(0)
            (image,) = got["late"]
            assert image.is_image
            assert image.to_dict() == {**last["KRW-BTC"].to_dict(), "is_image": True}
            assert [event.to_dict() for event in await reader.batch()] == [
                {**last[symbol].to_dict(), "is_image": True} for symbol in ("KRW-BTC", "KRW-ETH")
            ]
            assert got["none"] == []
            count = len(came)
            await asyncio.sleep(20)
            mine = [event for event in came[count:] if event.symbol == "KRW-BTC"]
            assert got["late"][1:] == got["none"] == mine, "then the stream, no gap and no double"
            assert len(mine) > 3
            assert manager.stats().messages_sent == sent

    world.run(main)


def test_images_go_with_their_stream_and_count_as_memory() -> None:
    world = World(rate=5.0)

    async def main(world: World) -> None:
        async with world.manager() as manager:
            component = make(manager, "c")
            before = manager.stats().memory_bytes
            component.subscribe("ticker", ["KRW-BTC", "KRW-ETH", "KRW-XRP"], lambda event: None)
            await component.live(evidence="data")
            await asyncio.sleep(5)
            images = manager._hub.router.images
            assert images.count == 3
            assert 3 * 300 < images.nbytes < 3 * 2_000
            assert manager.stats().memory_bytes > before + images.nbytes
            component.unsubscribe("ticker")
            await asyncio.sleep(30)
            assert images.count == 0
            late = make(manager, "late")
            got: list[Any] = []
            late.subscribe("trade", ["KRW-BTC", "KRW-ETH", "KRW-XRP"], got.append)  # ids of streams that went
            await late.live(evidence="data")
            assert not any(event.is_image for event in got)

    world.run(main)


def test_many_join_at_once_and_each_gets_one_image() -> None:
    world = World(rate=2.0)

    async def main(world: World) -> None:
        async with world.manager() as manager:
            first = make(manager, "first")
            first.subscribe("ticker", ["KRW-BTC", "KRW-ETH", "KRW-XRP"], lambda event: None)
            await first.live(evidence="data")
            await asyncio.sleep(5)
            got: list[list[Any]] = [[] for _ in range(50)]
            members = [make(manager, f"m{n}") for n in range(50)]
            for member, seen in zip(members, got, strict=True):
                member.subscribe("ticker", ["KRW-BTC", "KRW-ETH"], seen.append)
                member.unsubscribe("ticker")
                member.subscribe("ticker", ["KRW-BTC", "KRW-ETH"], seen.append)
            members[0].close()
            await asyncio.sleep(0)
            assert got[0] == []
            assert all([event.symbol for event in seen] == ["KRW-BTC", "KRW-ETH"] for seen in got[1:])
            assert np.array([event.is_image for seen in got[1:] for event in seen]).all()

    world.run(main)


def test_a_cap_that_somebody_else_lays_on_is_told_once_and_so_is_its_end() -> None:
    """To each component, with all topics it is about; what is so already is told to nobody."""
    world = World(rate=40.0)

    async def main(world: World) -> None:
        async with world.manager() as manager:
            caps = manager._hub.granting.caps
            told: dict[str, list[Status]] = {"a": [], "b": []}
            came: dict[str, list[Any]] = {"a": [], "b": []}
            interests = {}
            for name in told:
                component = make(manager, name, on_status=told[name].append)
                component.subscribe("ticker", ["KRW-BTC", "KRW-ETH"], came[name].append, max_rate=10)
                await component.live(evidence="data")
                held = manager._hub.ledger.interests(component._member.id)
                interests[component._member] = held if name == "a" else held[:1]
            await asyncio.sleep(0.1)
            for statuses in told.values():
                statuses.clear()
            for _ in range(2):
                caps.impose(interests, "adapt", "the loop is busy", 2)
            assert [(s.kind, len(s.topics), s.count, s.reason) for n in told for s in told[n]] == [
                (StatusKind.CAPPED, n, n, "at most 2 events a second: the loop is busy (adapt)")
                for n in (2, 1)
            ]
            assert [cap.by for cap in manager.topic("ticker", "KRW-BTC").caps] == ["user", "adapt"] * 2
            assert "a gets at most 2 events a second: the loop is busy (adapt)" in manager.explain(
                "ticker", "KRW-BTC"
            )
            assert {
                m: t.tolist() for m, t in caps.imposed("adapt", manager._hub.members.values()).items()
            } == {member: topics.tolist() for member, topics in interests.items()}
            caps.impose(interests, "adapt", "the loop is very busy")  # none at all
            assert [told[n][1].reason for n in told] == ["no events: the loop is very busy (adapt)"] * 2
            assert manager.topic("ticker", "KRW-BTC").caps[1].max_rate is None
            for events in came.values():
                events.clear()
            await asyncio.sleep(20)
            assert came["a"] == []
            assert {event.symbol for event in came["b"]} == {"KRW-ETH"}
            caps.lift(interests, "adapt", "it is calm")
            caps.lift(interests, "adapt", "it is calm")
            assert [(s[-1].kind, len(s), len(s[-1].topics), s[-1].reason) for s in told.values()] == [
                (StatusKind.RECOVERED, 3, n, f"the cap by adapt is lifted: it is calm{MISSED}")
                for n in (2, 1)
            ]
            await asyncio.sleep(0.2)
            assert {event.symbol for event in came["a"]} == {"KRW-BTC", "KRW-ETH"}, "the newest held back"
            assert [cap.by for cap in manager.topic("ticker", "KRW-BTC").caps] == ["user"] * 2
            assert caps.imposed("adapt", manager._hub.members.values()) == {}
            with pytest.raises(UsageError, match="say who"):
                caps.impose(interests, "user", "")
            with pytest.raises(UsageError, match="max_rate"):
                caps.impose(interests, "adapt", "", -1)

    world.run(main)


def test_who_joins_while_he_is_paused_or_quarantined_gets_the_image_afterwards() -> None:
    world = World(rate=2.0)

    async def main(world: World) -> None:
        async with world.manager() as manager:
            first = make(manager, "first")
            came: list[Any] = []
            first.subscribe("ticker", "KRW-BTC", came.append)
            await first.live(evidence="data")
            late, got = make(manager, "late"), list[Any]()
            late.pause()
            late.subscribe("ticker", "KRW-BTC", got.append)
            await asyncio.sleep(10)
            assert got == []
            late.resume()
            assert got == []
            await asyncio.sleep(0)
            assert [event.to_dict() for event in got] == [{**came[-1].to_dict(), "is_image": True}]
            obligations, member = manager._hub.obligations, late._member
            obligations._stop(member, True)
            late.subscribe("trade", "KRW-BTC", got.append)
            first.subscribe("trade", "KRW-BTC", came.append)
            await first.live(evidence="data")
            await asyncio.sleep(10)
            obligations._stop(member, False)
            await asyncio.sleep(0)
            trade = [event for event in came if event.channel == "trade"][-1]
            assert [event.to_dict() for event in got[1:]] == [{**trade.to_dict(), "is_image": True}]

    world.run(main)
