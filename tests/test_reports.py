"""What a manager says of a topic: since when it is as it is, how often it failed, when its market last spoke."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from manager_rig import make
from private_keys import token
from subcore.engine.clock import SECOND
from subcore.sim.faults import Fault
from subcore.types import Priority, Status, StatusKind, StreamState
from virtual_manager import World

BTC, ETH = "KRW-BTC", "KRW-ETH"


@pytest.mark.parametrize(
    ("heard_of", "asked", "last"), [("ticker", "trade", "had an event"), ("trade", "ticker", "traded")]
)
def test_what_has_no_data_yet_says_when_its_market_was_last_heard_of(
    heard_of: str, asked: str, last: str
) -> None:
    """Just sent, and once the venue's own list has proven it: that shows no more than before why nothing comes."""

    async def main(world: World) -> None:
        async with world.manager() as manager:
            desk, heard = make(manager, "desk"), []
            desk.subscribe(heard_of, BTC, lambda event: heard.append(event.exchange_time_ns))
            await desk.live(10.0)
            await asyncio.sleep(180.0)
            world.exchange.inject(
                Fault("lose", probability=1.0), world.ns()
            )  # of streams; a list comes through
            desk.subscribe(asked, [BTC, ETH])

            def check(said: str) -> None:
                minutes = (world.clock.time_ns() - heard[-1]) / (60 * SECOND)
                assert minutes >= 3.0
                assert manager.explain(asked, BTC) == f"{said}: this market last {last} {minutes:.1f} min ago"
                assert manager.explain(asked, ETH) == said, "of that market nothing is known"

            await asyncio.sleep(0.3)
            check("sent 0.3 s ago on link 0, no data yet")
            await desk.live(30.0)
            await asyncio.sleep(5.0)
            check("open for 5.0 s, proven by the venue's own list, on link 0; no data yet")

    World(rate=1e-7).run(main)


def test_what_has_brought_data_says_nothing_of_its_market() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            desk = make(manager, "desk")
            desk.subscribe("trade", BTC)
            await desk.live(10.0)
            await asyncio.sleep(5.0)
            assert manager.explain("trade", BTC) == "open for 5.0 s, proven by data, on link 0"

    World(rate=1e-7).run(main)


def test_what_is_about_the_whole_account_says_nothing_of_a_market() -> None:
    async def login() -> str:
        return token()

    async def main(world: World) -> None:
        async with world.manager(credentials=login) as manager:
            desk = make(manager, "desk")
            desk.subscribe("myAsset", "*", lambda event: None)
            await desk.live(20.0)
            ms = world.ns() // 1_000_000
            balances = {"type": "myAsset", "timestamp": ms, "assets": [], "stream_type": "REALTIME"}
            manager._hub.feed.feed(0, json.dumps(balances).encode(), world.ns())
            await asyncio.sleep(60.0)
            world.exchange.inject(Fault("lose", probability=1.0, seconds=10.0), world.ns())
            desk.subscribe("myOrder", "*", lambda event: None)
            await asyncio.sleep(0.3)
            assert manager.explain("myOrder", "*") == "sent 0.3 s ago on link 0, no data yet"

    World(rate=1e-7).run(main)


def test_since_when_a_topic_is_as_it_is() -> None:
    async def main(world: World) -> None:
        statuses: list[Status] = []
        async with world.manager() as manager:
            desk = make(manager, "desk", on_status=statuses.append)
            await asyncio.sleep(1.0)
            asked = world.clock.time_ns()
            desk.subscribe("ticker", BTC)
            await asyncio.sleep(0.001)
            waiting = manager.topic("ticker", BTC)
            assert waiting.state is StreamState.WAITING
            assert asked <= waiting.since_ns <= world.clock.time_ns()
            await desk.live(10.0)
            await asyncio.sleep(60.0)
            (opened,) = [status.time_ns for status in statuses if status.kind is StatusKind.OPEN]
            info = manager.topic("ticker", BTC)
            assert info.state is StreamState.OPEN
            assert info.since_ns == pytest.approx(opened, abs=SECOND // 1000)
            assert manager.topics() == [info]

    World().run(main)


class Ticking:
    """Clocks of which some time passes between any two reads, as those of a machine."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self.reads = self.set_by = 0

    def monotonic_ns(self) -> int:
        self.reads += 1
        return int(self._clock.monotonic_ns()) + self.reads * self.reads

    def time_ns(self) -> int:
        self.reads += 1
        return int(self._clock.time_ns()) + self.reads * self.reads + self.set_by


def test_one_moment_is_told_as_one_time_however_often_and_anew_once_the_clock_was_set() -> None:
    async def main(world: World) -> None:
        clock = Ticking(world.clock)
        async with world.manager(clock=clock) as manager:
            desk = make(manager, "desk")
            desk.subscribe("ticker", [BTC, ETH])
            await desk.live(10.0)
            (link,) = manager._hub.runtime.links.values()
            link.lost(link.generation, "cut")
            await asyncio.sleep(0.01)
            said = [(manager.topics(), manager.restores[-1].started_ns) for _ in range(5)]
            assert said == said[:1] * 5
            (first, _), began = said[0]
            clock.set_by = 3600 * SECOND
            moved = manager.topic("ticker", BTC).since_ns - first.since_ns
            assert moved == pytest.approx(3600 * SECOND, abs=SECOND // 1000)
            assert manager.restores[-1].started_ns - began == moved

    World().run(main)


def test_how_often_a_topic_failed() -> None:
    """The venue's lists leave it out, four times in a row."""

    async def main(world: World) -> None:
        async with world.manager() as manager:
            desk, counts = make(manager, "desk"), [0]
            desk.subscribe("ticker", [BTC, "KRW-NOSUCH"])
            while (info := manager.topic("ticker", "KRW-NOSUCH")).state is not StreamState.REFUSED:
                if info.retries != counts[-1]:
                    counts.append(info.retries)
                    assert f"(failed {info.retries} times so far)" in manager.explain("ticker", "KRW-NOSUCH")
                await asyncio.sleep(0.1)
            assert counts == [0, 1, 2, 3]
            assert manager.topic("ticker", BTC).retries == 0

    World().run(main)


def test_the_class_of_a_topic_is_the_highest_of_its_holders_and_a_paused_one_counts_if_all_are() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:

            def classes() -> dict[str, tuple[Priority, int]]:
                rows = {str(row["symbol"]): int(row["priority"]) for row in manager.topic_stats()}
                assert rows.keys() == {info.topic.symbol for info in manager.topics()}
                return {name: (manager.topic("ticker", name).priority, rows[name]) for name in rows}

            high = make(manager, "high", priority=Priority.HIGH)
            urgent = make(manager, "urgent", priority=Priority.CRITICAL)
            low = make(manager, "low", priority=Priority.LOW)
            high.subscribe("ticker", [BTC, ETH])
            urgent.subscribe("ticker", BTC)
            low.subscribe("ticker", ETH)
            await high.live(10.0)
            urgent.pause()
            assert classes() == {BTC: (Priority.HIGH, 2), ETH: (Priority.HIGH, 2)}
            high.pause()
            assert classes() == {BTC: (Priority.CRITICAL, 3), ETH: (Priority.LOW, 0)}
            low.pause()
            assert classes() == {BTC: (Priority.CRITICAL, 3), ETH: (Priority.HIGH, 2)}

    World().run(main)


def test_more_topics_than_the_engine_was_asked_for_yet_can_be_listed() -> None:
    codes = [f"KRW-N{number}" for number in range(200)]

    async def main(world: World) -> None:
        async with world.manager() as manager:

            def check(count: int, state: StreamState) -> None:
                infos = manager.topics()
                assert len(infos) == count
                assert {(info.state, info.link, info.other_link) for info in infos} == {(state, None, None)}
                assert infos[-1] == manager.topic("ticker", infos[-1].topic.symbol)

            desk = make(manager, "desk")
            desk.subscribe("ticker", codes[:100])
            check(100, StreamState.CLOSED)  # it is told as this turn of the loop ends
            await desk.live(10.0)
            desk.pause()
            desk.replace("ticker", codes[100:])
            await asyncio.sleep(10.0)
            check(100, StreamState.CLOSED)  # and never of what only paused components want

    World(markets=codes).run(main)
