"""What who joins a stream is told of how it stands."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from manager_rig import make
from subcore.types import Status, StatusKind, Topic
from virtual_manager import World

MARKETS = [f"KRW-A{n}" for n in range(6)]


def test_who_joins_is_told_once_for_each_state_before_the_image() -> None:
    world = World(markets=MARKETS, rate=2.0)

    async def main(world: World) -> None:
        async with world.manager() as manager:
            first = make(manager, "first")
            first.subscribe("ticker", MARKETS[:4], lambda event: None)
            await first.live(evidence="data")
            late = make(manager, "late", include_status=True)
            late.subscribe("ticker", MARKETS[:3])
            late.subscribe("ticker", MARKETS[:3])
            await asyncio.sleep(0)
            status, *images = await late.batch()
            assert (status.kind, status.reason, status.count) == (StatusKind.OPEN, "", 3)
            assert status.topics == tuple(Topic("ticker", market) for market in MARKETS[:3])
            assert [image.is_image for image in images] == [True] * 3
            late.subscribe("ticker", MARKETS[:5], max_rate=5)  # one it joins, and one that is new
            await late.live(evidence="data")
            told = [item for item in await late.batch() if isinstance(item, Status)]
            assert [(s.kind, [t.symbol for t in s.topics]) for s in told] == [
                (StatusKind.OPEN, [MARKETS[3]]),
                (StatusKind.OPEN, [MARKETS[4]]),
            ]

    world.run(main)


def test_who_joins_while_a_link_is_lost_is_told_why() -> None:
    """As those were who had it then; and once, however many topics."""
    world = World(markets=MARKETS, rate=2.0)

    async def main(world: World) -> None:
        async with world.manager() as manager:
            told: dict[str, list[Status]] = {"first": [], "late": [], "with": []}
            first = make(manager, "first", on_status=told["first"].append)
            first.subscribe("ticker", MARKETS[:4], lambda event: None)
            await first.live(evidence="data")
            told["first"].clear()
            (link,) = manager._hub.runtime.links.values()
            link.lost(link.generation, "cut")
            await asyncio.sleep(0)
            (lost,) = told["first"]
            assert lost.kind is StatusKind.SUSPECT
            late = make(manager, "late", on_status=told["late"].append)
            late.subscribe("ticker", MARKETS[:3], lambda event: None)
            assert told["late"] == [], "not inside the call"
            await asyncio.sleep(0)
            (status,) = told["late"]
            assert (status.kind, status.reason, len(status.topics)) == (lost.kind, lost.reason, 3)
            await late.live(evidence="data")
            assert [s.kind for s in told["late"]][:2] == [StatusKind.SUSPECT, StatusKind.OPEN]

    world.run(main)


def test_who_joins_a_stream_that_waits_is_told_what_for() -> None:
    world = World(markets=MARKETS, rate=2.0)

    async def main(world: World) -> None:
        manager = world.manager(markets=MARKETS[:2])
        async with manager:
            told: dict[str, list[Status]] = {"first": [], "late": []}
            components: dict[str, Any] = {}
            known = make(manager, "known")
            known.subscribe("ticker", MARKETS[0], lambda event: None)
            await known.live()  # so the list of markets is known
            for name, statuses in told.items():
                components[name] = make(manager, name, on_status=statuses.append)
                components[name].subscribe("ticker", "KRW-NOSUCH", lambda event: None)
                await asyncio.sleep(0)
            assert [status.kind for status in told["first"]] == [StatusKind.WAITING]
            assert [(s.kind, s.reason) for s in told["late"]] == [(s.kind, s.reason) for s in told["first"]]

    world.run(main)


def test_who_asks_anew_for_what_was_refused_is_told_once_that_it_waits() -> None:
    world = World(markets=MARKETS, rate=2.0)

    async def main(world: World) -> None:
        manager = world.manager(markets=MARKETS[:2])
        async with manager:
            told: dict[str, list[Status]] = {"first": [], "late": []}
            for name, statuses in told.items():
                make(manager, name, on_status=statuses.append).subscribe(
                    "ticker", "KRW-NOSUCH", lambda _: None
                )
                await asyncio.sleep(20)
            assert [status.kind for status in told["late"]] == [StatusKind.WAITING, StatusKind.REFUSED]
            assert [status.kind for status in told["first"]][-3:] == [
                StatusKind.REFUSED,
                StatusKind.WAITING,
                StatusKind.REFUSED,
            ]

    world.run(main)


def test_who_closes_itself_on_the_first_of_several_statuses_is_told_nothing_more() -> None:
    world = World(markets=MARKETS, rate=2.0)

    async def main(world: World) -> None:
        async with world.manager() as manager:
            first = make(manager, "first")
            first.subscribe("ticker", MARKETS[0], lambda event: None)
            await first.live(evidence="data")
            told: list[Status] = []

            def close(status: Status) -> None:
                told.append(status)
                late.close()

            late = make(manager, "late", on_status=close)
            first.subscribe("ticker", MARKETS[1], lambda event: None)
            late.subscribe(
                "ticker", MARKETS[:2], lambda event: None
            )  # one is open, and one is not on the wire
            await asyncio.sleep(5)
            assert [status.kind for status in told] == [StatusKind.OPEN]

    world.run(main)


def test_a_status_is_not_told_to_who_got_the_id_of_one_that_another_closed() -> None:
    world = World(markets=MARKETS, rate=2.0)

    async def main(world: World) -> None:
        async with world.manager() as manager:
            told: dict[str, list[Status]] = {"first": [], "second": [], "new": []}
            new: list[Any] = []

            def close(status: Status) -> None:
                told["first"].append(status)
                if status.kind is StatusKind.SUSPECT:
                    components["second"].close()
                    new.append(make(manager, "new", on_status=told["new"].append))

            components = {
                "first": make(manager, "first", on_status=close),
                "second": make(manager, "second", on_status=told["second"].append),
            }
            for component in components.values():
                component.subscribe("ticker", MARKETS[:2], lambda event: None)
                await component.live(evidence="data")
            (link,) = manager._hub.runtime.links.values()
            second = components["second"]._member.id
            link.lost(link.generation, "cut")
            await asyncio.sleep(0)
            assert new[0]._member.id == second
            assert StatusKind.SUSPECT in {status.kind for status in told["first"]}
            assert StatusKind.SUSPECT not in {status.kind for status in told["second"]}
            assert told["new"] == []

    world.run(main)


@pytest.mark.parametrize("leave", ["close", "unsubscribe", "pause"])
def test_who_takes_a_stream_over_in_the_turn_of_its_last_holder_is_told_how_it_stands(leave: str) -> None:
    """A component that is closed and opened anew, by the same name perhaps, never sees the stream closed."""
    world = World(markets=MARKETS, rate=2.0)

    async def main(world: World) -> None:
        async with world.manager() as manager:
            first = make(manager, "first")
            first.subscribe("ticker", MARKETS[:2], lambda event: None)
            await first.live(evidence="data")
            acts = {
                "close": first.close,
                "unsubscribe": lambda: first.unsubscribe("ticker"),
                "pause": first.pause,
            }
            acts[leave]()
            second = make(manager, "first" if leave == "close" else "second", include_status=True)
            second.subscribe("ticker", MARKETS[:3])  # one of them is new, and told of as it is proven
            second.unsubscribe("ticker", MARKETS[1])
            second.subscribe("ticker", MARKETS[1])
            await second.live(evidence="data")
            told = [item for item in await second.batch() if isinstance(item, Status)]
            assert [(s.kind, [t.symbol for t in s.topics]) for s in told] == [
                (StatusKind.OPEN, MARKETS[:2]),
                (StatusKind.OPEN, [MARKETS[2]]),
            ]

    world.run(main)


def test_who_takes_over_and_leaves_again_in_one_turn_is_told_nothing() -> None:
    world = World(markets=MARKETS, rate=2.0)

    async def main(world: World) -> None:
        async with world.manager() as manager:
            first = make(manager, "first")
            first.subscribe("ticker", MARKETS[:2], lambda event: None)
            await first.live(evidence="data")
            told: list[Status] = []
            paused = make(manager, "paused", on_status=told.append)
            paused.pause()
            first.close()
            paused.subscribe("ticker", MARKETS[0], lambda event: None)
            leaves = make(manager, "leaves", on_status=told.append)
            leaves.subscribe("ticker", MARKETS[1], lambda event: None)
            leaves.unsubscribe("ticker")
            await asyncio.sleep(1)
            assert told == [], "nobody wants these streams by the end of the turn"

    world.run(main)


def test_who_joins_as_another_is_told_that_a_stream_is_open_is_told_as_well() -> None:
    """Also where somebody joined something before in that turn; and nobody is told twice."""
    world = World(markets=MARKETS, rate=2.0)

    async def main(world: World) -> None:
        async with world.manager() as manager:
            told: dict[str, list[Status]] = {"first": [], "with": [], "late": []}
            known = make(manager, "known")
            known.subscribe("ticker", MARKETS[1], lambda event: None)
            await known.live(evidence="data")
            late = make(manager, "late", on_status=told["late"].append)
            joins = make(manager, "with", on_status=told["with"].append)

            def on_status(status: Status) -> None:
                told["first"].append(status)
                late.subscribe("ticker", MARKETS[0], lambda event: None)

            def on_event(event: Any) -> None:
                if (
                    not joins.topics
                ):  # so that the stream is proven after this, and before the turn that follows
                    subscribe = partial(joins.subscribe, "ticker", MARKETS[:2], lambda event: None)
                    asyncio.get_running_loop().call_soon(subscribe)

            first = make(manager, "first", on_status=on_status)
            first.subscribe("ticker", MARKETS[0], on_event)
            await first.live(evidence="data")
            await asyncio.sleep(1)
            market = Topic("ticker", MARKETS[0])
            about = {name: [s.kind for s in said if market in s.topics] for name, said in told.items()}
            assert about == {name: [StatusKind.OPEN] for name in told}

    world.run(main)


def test_a_stream_that_left_the_wire_has_no_image_for_who_asks_for_it_anew() -> None:
    """Who is paused holds it still, off the wire; the venue's own snapshot says what is last, and it comes once."""
    world = World(markets=["KRW-BTC"], rate=1.0)

    async def main(world: World) -> None:
        async with world.manager() as manager:
            holder = make(manager, "holder")
            for round_ in range(10):
                holder.subscribe("trade", "KRW-BTC", lambda trade: None)
                holder.resume()
                await holder.live(evidence="data")
                holder.pause()
                await asyncio.sleep(20.0)
                assert not world.carried()
                trades: list[Any] = []
                joining = manager.component(f"joining {round_}")
                joining.subscribe("trade", "KRW-BTC", trades.append)
                await joining.live(evidence="data")
                await asyncio.sleep(1.0)
                assert not any(trade.is_image for trade in trades)
                ids = [trade.id for trade in trades]
                assert ids
                assert len(set(ids)) == len(ids)
                joining.close()
                await asyncio.sleep(20.0)

    world.run(main)
