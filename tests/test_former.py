"""What was lost or conflated keeps the name of its topic, whoever has the topic's id by now."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from examples import examples
from manager_rig import make
from subcore import Latest, Queue
from subcore._delivery import WakeBatch
from subcore._events import Ticker
from subcore._latest import LatestBox
from subcore._queue import EventQueue
from subcore.types import Status, StatusKind, Topic
from virtual_manager import World

MARKETS = [f"KRW-A{n}" for n in range(8)]


def send(manager: Any, symbol: str, count: int = 1) -> None:
    """Events of a market, as if frames had brought them."""
    hub = manager._hub
    stream = hub.intent.find_stream(hub.venue.channel_index("ticker"), symbol, 0.0)
    for price in range(count):
        hub.router.send(stream, Ticker(venue="upbit", channel="ticker", symbol=symbol, price=price))


async def leave_and_let_another_have_the_id(component: Any, old: str, new: str) -> None:
    """Give a market up, and ask for another, which gets its id."""
    hub = component._hub
    (before,) = hub.ledger.interests(component._member.id).tolist()
    component.unsubscribe("ticker", old)
    await asyncio.sleep(60)
    component.subscribe("ticker", new)
    await component.live(evidence="data")
    assert hub.ledger.interests(component._member.id).tolist() == [before], (
        "the test is about an id used again"
    )


@pytest.mark.parametrize("closes", [False, True])
def test_a_loss_is_told_with_the_name_of_what_was_lost(closes: bool) -> None:
    """Events that waited as their topic went, those lost before, and those displaced by the next topic's."""
    world = World(markets=MARKETS, rate=0.001)

    async def main(world: World) -> None:
        async with world.manager() as manager:
            component = make(manager, "c", delivery=Queue(4), include_status=True)
            component.subscribe("ticker", MARKETS[0])
            await component.live(evidence="data")
            await component.batch()
            send(manager, MARKETS[0], 6)  # 2 lost, 4 wait
            await leave_and_let_another_have_the_id(component, MARKETS[0], MARKETS[1])
            send(manager, MARKETS[1], 9)
            (old, new) = (Topic("ticker", market) for market in MARKETS[:2])
            losses = component.stats().losses
            lost_new = losses[new]
            assert losses == {old: 6, new: lost_new}
            assert lost_new >= 5
            if closes:
                component.close()
                other = make(manager, "other")
                await asyncio.sleep(60)
                other.subscribe("ticker", MARKETS[2])
                await other.live(evidence="data")
                assert component.stats().losses == losses
            told = [item for item in await component.batch() if isinstance(item, Status)]
            of_loss = [status for status in told if status.kind is StatusKind.LOSS]
            assert {topic for status in of_loss for topic in status.topics} == {old, new}
            assert sum(status.count for status in of_loss) == 6 + lost_new
            assert component.stats().losses == losses

    world.run(main)


def test_what_latest_conflated_keeps_its_name_and_what_waits_is_not_taken_for_the_next_topics() -> None:
    world = World(markets=MARKETS, rate=0.001)

    async def main(world: World) -> None:
        async with world.manager() as manager:
            component = make(manager, "c", delivery=Latest())
            component.subscribe("ticker", MARKETS[0], max_rate=100)
            await component.live(evidence="data")
            await component.batch()
            send(manager, MARKETS[0], 3)  # 2 held back, 1 of them conflated
            await asyncio.sleep(1)
            send(manager, MARKETS[0], 1)
            before = component.stats().conflations
            assert set(before) == {Topic("ticker", MARKETS[0])}
            await leave_and_let_another_have_the_id(component, MARKETS[0], MARKETS[1])
            send(manager, MARKETS[1], 2)
            after = component.stats().conflations
            assert after.pop(Topic("ticker", MARKETS[1])) >= 1
            assert after == before
            assert [event.symbol for event in await component.batch()] == MARKETS[:2]

    world.run(main)


def test_an_async_handlers_losses_keep_their_names() -> None:
    world = World(markets=MARKETS, rate=0.001)

    async def main(world: World) -> None:
        async with world.manager() as manager:
            told: list[Status] = []
            component = make(manager, "c", on_status=told.append)
            goes = asyncio.Event()

            async def handle(event: Any) -> None:
                await goes.wait()

            component.subscribe("ticker", MARKETS[0], handle, delivery=Queue(4))
            await component.live(evidence="data")
            send(manager, MARKETS[0], 9)
            lost = component.stats().lost
            assert lost >= 4
            await leave_and_let_another_have_the_id(component, MARKETS[0], MARKETS[1])
            assert component.stats().losses == {Topic("ticker", MARKETS[0]): lost}
            goes.set()
            await asyncio.sleep(1)
            (status,) = [status for status in told if status.kind is StatusKind.LOSS]
            assert status.topics == (Topic("ticker", MARKETS[0]),)
            assert status.count == lost
            assert component.stats().losses == {Topic("ticker", MARKETS[0]): lost}

    world.run(main)


def test_nothing_is_kept_where_nothing_waits_and_what_is_kept_does_not_grow() -> None:
    world = World(markets=MARKETS, rate=0.001)

    async def main(world: World) -> None:
        async with world.manager() as manager:
            component = make(manager, "c", delivery=Queue(2))
            for market in MARKETS * 2:
                component.subscribe("ticker", market)
                await component.live(evidence="data")
                await component.batch()
                component.unsubscribe("ticker", market)
                await asyncio.sleep(30)
            assert component._member.former == {}
            for market in MARKETS * 3:
                component.subscribe("ticker", market)
                await component.live(evidence="data")
                send(manager, market, 3)
                component.unsubscribe("ticker", market)
                component.subscribe("ticker", market)
                component.unsubscribe("ticker", market)
                await asyncio.sleep(30)
            assert len(component._member.former) == len(MARKETS)
            assert set(component.stats().losses) == {Topic("ticker", market) for market in MARKETS}
            assert manager._hub.granting.former._dropped == {}

    world.run(main)


class RenameMachine(RuleBasedStateMachine):
    """Boxes whose topics' ids are given to others at any time, or to the same again, beside a list of what waits.

    An event of a topic that was given up stays in its place, but for one of the same that was given up before.
    """

    @initialize(latest=st.booleans(), maxsize=st.integers(1, 6))
    def start(self, latest: bool, maxsize: int) -> None:
        self.latest = latest
        self.told: list[tuple[int, dict[int, int]]] = []
        wakes = WakeBatch(lambda call: None)
        self.box: Any = LatestBox(wakes=wakes)
        if not latest:
            self.box = EventQueue(
                maxsize, wakes=wakes, on_loss=lambda n, topics: self.told.append((n, topics))
            )
        self.maxsize = maxsize
        self.names = {0: "a", 1: "b", 2: "c"}  # of the ids, now; a name has the same id below -1 each time
        self.former: dict[int, str] = {}
        self.number = 0
        self.waits: list[
            tuple[str, int, bool]
        ] = []  # name, number, and whether the topic is still the name's
        self.gone: dict[str, int] = {}  # lost or conflated
        self.gap: dict[str, int] = {}

    def count(self, name: str) -> None:
        self.gone[name] = self.gone.get(name, 0) + 1

    @rule(topic=st.integers(0, 2))
    def put(self, topic: int) -> None:
        self.number += 1
        name = self.names[topic]
        if self.latest:
            self.replace(name, is_live=True)
        elif len(self.waits) == self.maxsize:
            lost, _, _ = self.waits.pop(0)
            self.count(lost)
            self.gap[lost] = self.gap.get(lost, 0) + 1
        self.waits.append((name, self.number, True))
        self.box.put(self.number, topic)

    def replace(self, name: str, *, is_live: bool) -> None:
        for held in [held for held in self.waits if (held[0], held[2]) == (name, is_live)]:
            self.waits.remove(held)
            self.count(name)

    @rule(topics=st.sets(st.integers(0, 2), min_size=1), others=st.permutations("abcdef"))
    def rename(self, topics: set[int], others: list[str]) -> None:
        found = self.box.mentioned(np.array(sorted(topics), np.int32))
        waits = {name for name, _, is_live in self.waits if is_live}
        assert {topic for topic in topics if self.names[topic] in waits} <= found
        assert {self.names[topic] for topic in found} <= waits | set(self.gone)
        known = {name: id for id, name in self.former.items()}
        for topic in sorted(found):
            known.setdefault(self.names[topic], -2 - len(known))
        self.former = {id: name for name, id in known.items()}
        self.box.rename({topic: known[self.names[topic]] for topic in found})
        for name in {self.names[topic] for topic in found} & waits:
            if self.latest:
                self.replace(name, is_live=False)
            self.waits = [(held, number, live and held != name) for held, number, live in self.waits]
        kept = [name for topic, name in self.names.items() if topic not in topics]
        others = [name for name in others if name not in kept]
        self.names |= dict(zip(sorted(topics), others, strict=False))

    @rule(most=st.integers(1, 4))
    def take(self, most: int) -> None:
        self.told.clear()
        assert self.box.get_many(most) == [number for _, number, _ in self.waits[:most]]
        del self.waits[:most]
        if self.gap:
            ((count, topics),) = self.told
            assert count == sum(self.gap.values())
            assert self.named(topics) == self.gap
            self.gap = {}

    def named(self, counts: dict[int, int]) -> dict[str, int]:
        total: dict[str, int] = {}
        for topic, count in counts.items():
            name = self.names[topic] if topic >= 0 else self.former[topic]
            total[name] = total.get(name, 0) + count
        return total

    @invariant()
    def agree(self) -> None:
        if hasattr(self, "box"):
            assert len(self.box) == len(self.waits)
            assert self.named(self.box.conflations if self.latest else self.box.losses) == self.gone


TestRenameMachine = RenameMachine.TestCase
TestRenameMachine.settings = examples(100, stateful_step_count=30)


def test_a_box_of_latest_events_does_not_grow_by_topics_that_come_and_go() -> None:
    box = LatestBox(wakes=WakeBatch(lambda call: None))
    sizes = set()
    for number in range(1000):
        for topic in range(4):
            box.put(object(), topic)
            box.put(object(), topic)
        box.rename({topic: -2 - topic for topic in range(4)})
        assert len(box) == 4
        box.drain()
        sizes.add(box.nbytes)
        assert box.conflations == {-2 - topic: number + 1 for topic in range(4)}
    assert len(sizes) == 1
