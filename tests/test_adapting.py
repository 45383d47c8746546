"""Measures against load on whole managers, in virtual time: handlers take time, or the pressure is made up."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from load_stage import BUSY, CALM, CRITICAL, HIGH, LOW, MARKETS, NORMAL, OVERLOADED, QUICK, caps_of, press
from manager_rig import make
from subcore.engine.adaptive import Adapt, Level, Measure, Pressure
from subcore.errors import SubscribeTimeout, UsageError
from subcore.manager import SubscriptionManager
from subcore.types import Status, StatusKind, Topic
from virtual_manager import World

MS = 1_000_000


@pytest.mark.simulation
def test_load_that_low_makes_takes_from_low_until_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    world = World(seed=5, rate=30.0)
    told: list[Status] = []
    cost = {"low": 24 * MS}
    got = {"low": 0, "trades": 0, "critical": 0}

    async def main(world: World) -> None:
        async with world.manager(adapt=QUICK) as manager:
            low = make(manager, "low", priority=LOW, on_status=told.append)
            critical = make(manager, "critical", priority=CRITICAL)
            everything = make(manager, "everything", priority=CRITICAL)

            def slow(event: Any) -> None:
                got["low"] += 1
                world.clock.advance_to(world.clock.now + cost["low"])

            def count(name: str) -> Any:
                def handle(event: Any) -> None:
                    got[name] += 1

                return handle

            low.subscribe("ticker", MARKETS, slow)
            low.subscribe("trade", MARKETS, count("trades"))
            critical.subscribe("ticker", MARKETS, count("critical"))
            seen = {"ticker": 0, "trade": 0}
            for channel in seen:

                def watch(event: Any, channel: str = channel) -> None:
                    seen[channel] += 1

                everything.subscribe(channel, MARKETS, watch)
            await low.live(evidence="data")
            await asyncio.sleep(15)
            adaptation = manager.adaptation()
            on = [(taken.measure, taken.priority) for taken in adaptation.measures]
            assert on[:1] == [(Measure.CONFLATE, LOW)], adaptation
            assert {priority for _, priority in on} == {LOW}
            assert adaptation.measures[0].effect is not None
            assert adaptation.interests["conflate LOW"] == 3
            assert got["critical"] >= seen["ticker"] - 3
            assert got["trades"] >= seen["trade"] - 3
            cap = caps_of(manager, "low")["ticker:KRW-BTC"]
            assert cap.max_rate in (10.0, 2.0)
            assert "since " in cap.reason
            assert "low gets at most" in manager.explain("ticker", "KRW-BTC")
            brief = manager._hub.granting.adapting.brief()
            assert (brief["enabled"], brief["level"]) == (True, adaptation.level.name)
            assert [(one["measure"], one["since_ns"], one["effect"]) for one in brief["measures"]] == [
                (taken.measure.value, taken.since_ns, taken.effect) for taken in manager.adaptation().measures
            ]
            capped = [status for status in told if status.kind is StatusKind.CAPPED]
            assert {topic.channel for status in capped for topic in status.topics} == {"ticker"}
            cost["low"] = 0
            before, seen_before = dict(got), dict(seen)
            await asyncio.sleep(30)
            adaptation = manager.adaptation()
            assert (adaptation.level, adaptation.measures) == (Level.CALM, ())
            assert caps_of(manager, "low") == {}
            assert adaptation.history[-1].measure is Measure.CONFLATE
            assert "before, and" in str(adaptation.history[-1].effect)
            back = [status for status in told if status.kind is StatusKind.RECOVERED]
            assert "the cap by load is lifted" in back[-1].reason
            assert "over, since" in back[-1].reason
            came = seen["ticker"] - seen_before["ticker"]
            assert came > 100
            assert got["critical"] - before["critical"] == came

    with caplog.at_level(logging.INFO, "subcore.adapting"):
        world.run(main)
    lines = [record.getMessage() for record in caplog.records if record.name == "subcore.adapting"]
    assert any(line.startswith("load: conflate LOW, since ") for line in lines)
    assert any(line.startswith("load: no longer conflate LOW: ") for line in lines)


def test_what_is_suspended_is_off_the_wire_and_comes_back() -> None:
    world = World(seed=6)
    told: list[Status] = []

    async def main(world: World) -> None:
        async with world.manager(adapt=QUICK) as manager:
            felt = press(manager)
            low = make(manager, "low", priority=LOW, on_status=told.append)
            high = make(manager, "high", priority=HIGH)
            mixed = make(manager, "mixed", priority=LOW)
            got: dict[str, int] = {}

            def handler(name: str) -> Any:
                def handle(event: Any) -> None:
                    got[name] = got.get(name, 0) + 1

                return handle

            low.subscribe("trade", ["KRW-BTC", "KRW-XRP"], handler("low"))
            high.subscribe("trade", "KRW-BTC", handler("high"))
            mixed.subscribe("ticker", "KRW-ETH", handler("mixed"), priority=HIGH)
            mixed.subscribe("trade", "KRW-ETH", handler("mixed low"))
            await asyncio.sleep(3)
            assert world.carried() == {"trade:KRW-BTC", "trade:KRW-XRP", "ticker:KRW-ETH", "trade:KRW-ETH"}
            felt[0] = OVERLOADED
            await asyncio.sleep(30)
            assert "suspend LOW" in manager.adaptation().interests
            assert world.carried() == {"trade:KRW-BTC", "ticker:KRW-ETH"}
            assert len(mixed.topics) == 2
            cap = caps_of(manager, "low")["trade:KRW-XRP"]
            assert (cap.max_rate, cap.reason.partition(":")[0]) == (None, "no events")
            assert not low.paused
            assert {saved.name: saved.paused for saved in manager.snapshot().components} == dict.fromkeys(
                ["low", "high", "mixed"], False
            )
            assert manager.explain("trade", "KRW-XRP").startswith(
                "not asked for while load lasts; low gets no"
            )
            assert manager.explain("trade", "KRW-ETH").startswith(
                "not asked for while load lasts; mixed gets no"
            )
            assert manager.explain("trade", "KRW-BTC").startswith("open")
            before = dict(got)
            with pytest.raises(SubscribeTimeout, match=r"KRW-XRP \(no events: suspend LOW, since "):
                await low.live(timeout=20)
            with pytest.raises(SubscribeTimeout, match=r"trade:KRW-ETH \(no events: suspend LOW, since "):
                await mixed.live(timeout=5)
            assert got["low"] == before["low"]
            assert got["mixed low"] == before["mixed low"]
            assert got["high"] > before["high"]
            low.pause()
            assert [saved.name for saved in manager.snapshot().components if saved.paused] == ["low"]
            low.resume()  # a user's own pause ends, and no more
            await asyncio.sleep(3)
            assert "trade:KRW-XRP" not in world.carried()
            felt[0] = CALM
            await asyncio.sleep(60)
            assert manager.adaptation().measures == ()
            assert "trade:KRW-XRP" in world.carried()
            assert got["low"] > before["low"]
            missed = {
                status.kind for status in told if "no events" in status.reason or "missed" in status.reason
            }
            assert missed == {StatusKind.CAPPED, StatusKind.RECOVERED}, told
            topics = {str(topic) for status in told if "missed" in status.reason for topic in status.topics}
            assert topics == {"trade:KRW-BTC", "trade:KRW-XRP"}
            assert low.stats().conflations.keys() == {Topic("trade", "KRW-BTC")}
            assert low.stats().lost == 0
            assert all(not info.caps for info in manager.topics())

    world.run(main)


def test_a_name_that_is_claimed_while_it_is_suspended_comes_back_as_well() -> None:
    world = World(seed=10)

    async def main(world: World) -> None:
        async with world.manager() as first:
            make(first, "low", priority=LOW).subscribe("ticker", MARKETS, lambda event: None)
            await asyncio.sleep(1)
            snapshot = first.snapshot()
        async with world.manager(adapt=QUICK) as manager:
            felt = press(manager)
            await manager.restore(snapshot, adopt=True)
            felt[0] = OVERLOADED
            await asyncio.sleep(30)
            assert world.carried() == set()
            low = make(manager, "low", priority=LOW)
            got: list[Any] = []
            low.adopt(got.append)
            await asyncio.sleep(5)
            assert world.carried() == set()
            low.subscribe("ticker", MARKETS[0], priority=NORMAL)  # no more of LOW alone
            await asyncio.sleep(3)
            assert world.carried() == {f"ticker:{MARKETS[0]}"}
            felt[0] = CALM
            await asyncio.sleep(60)
            assert {event.symbol for event in got} == set(MARKETS)

    world.run(main)


@pytest.mark.simulation
def test_what_comes_back_has_its_standby_again() -> None:
    world = World(seed=11)

    async def main(world: World) -> None:
        async with world.manager(adapt=QUICK) as manager:
            felt = press(manager)
            mixed = make(manager, "mixed", priority=LOW)
            mixed.subscribe("ticker", "KRW-ETH", lambda event: None, priority=HIGH)
            mixed.subscribe("trade", "KRW-ETH", lambda event: None, standby=True)

            def carriers() -> int:
                wires = [conn.subscriptions for conn in world.exchange.connections.values()]
                return sum(one.type == "trade" for wire in wires for one in wire)

            await asyncio.sleep(30)
            assert carriers() == 2
            felt[0] = OVERLOADED
            await asyncio.sleep(60)  # so long that the stream is forgotten where it was
            assert carriers() == 0
            felt[0] = CALM
            await asyncio.sleep(90)
            assert carriers() == 2

    world.run(main)


def depths(world: World) -> dict[str, int]:
    return {
        wanted.code: wanted.depth
        for connection in world.exchange.connections.values()
        for wanted in connection.subscriptions
        if wanted.type == "orderbook"
    }


def test_books_are_asked_for_shallower_with_the_next_rewrite_and_wider_at_once() -> None:
    world = World(seed=7)
    told: list[Status] = []

    async def main(world: World) -> None:
        only = Adapt(after=1.0, step=2.0, calm=4.0, measures=frozenset({Measure.SHALLOW}))
        async with world.manager(adapt=only) as manager:
            felt = press(manager)
            low = make(manager, "low", priority=LOW, on_status=told.append)
            high = make(manager, "high", priority=HIGH)
            low.subscribe("orderbook", MARKETS, lambda event: None)
            high.subscribe("orderbook", "KRW-ETH", lambda event: None, depth=15)
            await low.live()
            sent = manager.stats().messages_sent
            felt[0] = BUSY
            await asyncio.sleep(20)
            assert manager.stats().messages_sent == sent, "not hurried for that"
            assert depths(world) == dict.fromkeys(MARKETS, 30)
            cap = caps_of(manager, "low", depth=True)["orderbook:KRW-BTC"]
            assert (cap.max_rate, cap.max_depth) == (None, 5)
            assert "orderbook:KRW-ETH" not in caps_of(manager, "low", depth=True)
            capped = [s for s in told if s.kind is StatusKind.CAPPED]
            assert [sorted(t.symbol for t in s.topics) for s in capped] == [["KRW-BTC", "KRW-XRP"]]
            high.subscribe("ticker", "KRW-ETH", lambda event: None)
            await asyncio.sleep(5)
            assert depths(world) == {"KRW-BTC": 5, "KRW-ETH": 30, "KRW-XRP": 5}
            high.subscribe("orderbook", "KRW-BTC", lambda event: None)  # it is HIGH's now
            await asyncio.sleep(0.5)
            assert depths(world) == {"KRW-BTC": 30, "KRW-ETH": 30, "KRW-XRP": 5}
            high.close()  # and LOW's alone again
            await asyncio.sleep(5)
            assert depths(world) == dict.fromkeys(MARKETS, 5)
            felt[0] = CALM
            await asyncio.sleep(20)
            assert depths(world) == dict.fromkeys(MARKETS, 30)
            assert manager.adaptation().measures == ()
            back = [s for s in told if s.kind is StatusKind.RECOVERED]
            assert {t.symbol for s in back for t in s.topics} == set(MARKETS)

    world.run(main)


def test_a_link_that_brings_much_is_split_and_joined_again() -> None:
    world = World(seed=8)

    async def main(world: World) -> None:
        asked = Adapt(
            after=1.0, step=2.0, calm=4.0, link_rate=(1e6, 1e9), measures=frozenset({Measure.SPLIT})
        )
        async with world.manager(adapt=asked) as manager:
            felt = press(manager)
            told: list[Status] = []
            critical = make(manager, "critical", priority=CRITICAL, on_status=told.append)
            normal = make(manager, "normal", on_status=told.append)
            critical.subscribe("ticker", "KRW-BTC", lambda event: None, own_link=True)
            normal.subscribe("ticker", MARKETS[1:], lambda event: None)
            await normal.live()
            felt[0] = Pressure(link_rate=2e6)
            await asyncio.sleep(20)
            links = {str(info.topic): info.link for info in manager.topics()}
            assert links["ticker:KRW-BTC"] not in (links["ticker:KRW-ETH"], links["ticker:KRW-XRP"])
            assert manager.topic("ticker", "KRW-BTC").caps == ()
            critical.subscribe("ticker", "KRW-BTC", lambda event: None)  # not for the user's sake any more
            await asyncio.sleep(60)
            links = {str(info.topic): info.link for info in manager.topics()}
            assert links["ticker:KRW-BTC"] not in (links["ticker:KRW-ETH"], links["ticker:KRW-XRP"])
            felt[0] = CALM
            await asyncio.sleep(120)
            assert len({info.link for info in manager.topics()}) == 1
            assert sum(link.up for link in manager.stats().links) == 1
            assert {status.kind for status in told} <= {StatusKind.WAITING, StatusKind.OPEN}, told

    world.run(main)


def test_nothing_is_done_unless_it_is_asked_for() -> None:
    world = World(seed=9)

    async def main(world: World) -> None:
        async with world.manager() as manager:
            felt = press(manager)
            low = make(manager, "low", priority=LOW)
            low.subscribe("ticker", MARKETS, lambda event: None)
            felt[0] = OVERLOADED
            await asyncio.sleep(60)
            adaptation = manager.adaptation()
            assert (adaptation.enabled, adaptation.level, adaptation.measures) == (False, Level.CALM, ())
            assert all(not info.caps for info in manager.topics())

    world.run(main)
    with pytest.raises(UsageError, match="adapt= takes True, False or an Adapt"):
        SubscriptionManager("upbit", url="ws://nowhere", adapt="yes")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [StatusKind.CAPPED, StatusKind.RECOVERED])
def test_who_is_told_of_a_narrower_book_may_close_another(kind: StatusKind) -> None:
    told: list[StatusKind] = []

    async def main(world: World) -> None:
        only = Adapt(after=1.0, step=2.0, calm=4.0, measures=frozenset({Measure.SHALLOW}))
        async with world.manager(adapt=only) as manager:
            felt = press(manager)

            def close_next(status: Status) -> None:
                if status.kind is kind:
                    gone.close()

            first = make(manager, "first", priority=LOW, on_status=close_next)
            gone = make(manager, "gone", priority=LOW)
            last = make(manager, "last", priority=LOW, on_status=lambda status: told.append(status.kind))
            for component in (first, gone, last):
                component.subscribe("orderbook", MARKETS, lambda event: None)
            await last.live()
            felt[0] = BUSY
            await asyncio.sleep(20)
            felt[0] = CALM
            await asyncio.sleep(60)
            assert gone.closed
            assert told[-2:] == [StatusKind.CAPPED, StatusKind.RECOVERED]

    World(seed=7).run(main)
