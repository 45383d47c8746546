"""Of a snapshot what the venue cannot serve beside what is wanted is left out, named and told; the rest is held."""

from __future__ import annotations

import logging
import random
from dataclasses import replace
from typing import Any

import pytest

from manager_rig import make
from snapshots import make as snapshot_of
from subcore.engine.conflicts import ConflictKind, Interest, Outcome
from subcore.manager import SubscriptionManager
from subcore.types import Priority, Topic
from subcore.venue import Capacity, Scope
from subcore.venues import venue
from virtual_manager import World

HIGH, NORMAL, LOW = Priority.HIGH, Priority.NORMAL, Priority.LOW
CHANNELS = list(venue("upbit").channels)
TICKER, TRADE, BOOK = CHANNELS[:3]
EXCLUSIVE = (
    replace(TICKER, exclusive="price"),
    replace(TRADE, exclusive="price"),
    replace(BOOK, groupings_distinct=False),
    *CHANNELS[3:],
)
Held = set[tuple[str, str]]


def manager(**parts: Any) -> SubscriptionManager:
    return SubscriptionManager(replace(venue("upbit"), **parts), url="ws://127.0.0.1:9", seed=1)


def held(one: SubscriptionManager) -> Held:
    return {
        (component.name, str(topic)) for component in one.snapshot().components for topic in component.topics
    }


async def test_what_excludes_something_more_important_is_rejected_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ticker, trade, other = Topic("ticker", "KRW-BTC"), Topic("trade", "KRW-BTC"), Topic("trade", "KRW-ETH")
    snapshot = snapshot_of(
        {
            "a": (NORMAL, False, {ticker: LOW, other: LOW}),
            "b": (NORMAL, True, {trade: HIGH}),
            "c": (NORMAL, False, {}),
        }
    )
    one = manager(channels=EXCLUSIVE)
    one._hub.claims.put(snapshot)
    assert held(one) == {("a", "trade:KRW-ETH"), ("b", "trade:KRW-BTC")}
    assert {component.name for component in one.snapshot().components} == {"a", "b", "c"}
    (conflict,) = one.conflicts
    assert (conflict.kind, conflict.outcome) == (ConflictKind.EXCLUSIVE, Outcome.REJECT)
    assert (conflict.component, conflict.topic, conflict.rival) == ("a", ticker, Interest("b", trade))
    assert (
        "1 restored interests are rejected: component 'a': ticker:KRW-BTC and trade:KRW-BTC of" in caplog.text
    )
    await one.close()


async def test_what_lives_comes_before_what_comes_back() -> None:
    one = manager(channels=EXCLUSIVE)
    live = make(one, "live", priority=LOW)
    live.subscribe("orderbook", "KRW-BTC", grouping=1000.0)
    topics = {
        Topic("orderbook", "KRW-BTC", None, 10000.0): HIGH,
        Topic("orderbook", "KRW-BTC", 5, 1000.0): HIGH,
    }
    one._hub.claims.put(snapshot_of({"a": (NORMAL, False, topics)}))
    assert held(one) == {
        ("live", "orderbook:KRW-BTC:grouping=1000"),
        ("a", "orderbook:KRW-BTC:depth=5:grouping=1000"),
    }
    assert [conflict.kind for conflict in one._hub.claims.rejected] == [ConflictKind.GROUPING]
    assert {c.kind for c in one.conflicts if c.outcome is Outcome.WIDEST} == {ConflictKind.DEPTH}
    await one.close()


async def test_depths_that_meet_are_told_where_nothing_else_can_conflict(
    caplog: pytest.LogCaptureFixture,
) -> None:
    plain = {
        "a": (NORMAL, False, {Topic("orderbook", "KRW-BTC", 5): NORMAL, Topic("ticker", "KRW-BTC"): NORMAL}),
        "b": (
            NORMAL,
            False,
            {Topic("orderbook", "KRW-BTC", 15): NORMAL, Topic("orderbook", "KRW-ETH"): NORMAL},
        ),
    }
    one = manager()
    with caplog.at_level(logging.INFO, "subcore.conflicts"):
        one._hub.claims.put(snapshot_of(plain))  # type: ignore[arg-type]
    (conflict,) = one.conflicts
    assert (conflict.kind, conflict.component, conflict.outcome) == (ConflictKind.DEPTH, "b", Outcome.WIDEST)
    assert str(conflict) in caplog.text
    assert len(held(one)) == 4
    await one.close()


async def test_what_the_connections_have_no_room_for_is_rejected_and_a_standby_takes_twice() -> None:
    topics = {Topic("ticker", f"KRW-A{n}"): cls for n, cls in enumerate((LOW, HIGH, NORMAL, HIGH, LOW))}
    parts = {"capacities": (Capacity("streams", 2), Capacity("connections", 2, Scope.IP))}
    one = manager(**parts)
    one._hub.claims.put(snapshot_of({"a": (NORMAL, False, topics)}))
    assert held(one) == {("a", f"ticker:KRW-A{n}") for n in (0, 1, 2, 3)}
    assert [str(conflict.topic) for conflict in one._hub.claims.rejected] == ["ticker:KRW-A4"]
    await one.close()
    one = manager(**parts)
    one._hub.claims.put(
        snapshot_of({"a": (NORMAL, False, topics)}, standby=[("a", Topic("ticker", "KRW-A3"))])
    )
    assert held(one) == {("a", f"ticker:KRW-A{n}") for n in (1, 3)}
    assert len(one._hub.claims.rejected) == 3
    await one.close()


@pytest.mark.parametrize("seed", range(12))
async def test_any_snapshot_beside_anything_against_a_list(seed: int) -> None:
    """The model: one after the other, by class; each is in if none of those in excludes it."""
    rng = random.Random(seed)
    everything = [Topic(channel, f"KRW-A{n}") for channel in ("ticker", "trade") for n in range(3)]
    everything += [Topic("orderbook", "KRW-A0", None, step) for step in (None, 1000.0, 10000.0)]

    def exclude(one: Topic, other: Topic) -> bool:
        prices = {one.channel, other.channel} == {"ticker", "trade"}
        steps = one.channel == other.channel and one.grouping != other.grouping
        return one.symbol == other.symbol and (prices or steps)

    def drawn() -> dict[Topic, Priority]:
        return {topic: rng.choice(list(Priority)) for topic in rng.sample(everything, rng.randint(0, 6))}

    one = manager(channels=EXCLUSIVE)
    model: list[tuple[str, Topic]] = []
    for name in ("a", "b"):
        component = make(one, name)
        for topic in drawn():
            if not any(exclude(topic, rival) for _, rival in model):
                component.subscribe(topic.channel, topic.symbol, grouping=topic.grouping)
                model.append((name, topic))
    plain = {name: (NORMAL, rng.random() < 0.5, drawn()) for name in ("b", "c", "d")}
    snapshot = snapshot_of(plain)
    one._hub.claims.put(snapshot)
    saved = {component.name: component for component in snapshot.components}
    asked = [
        (cls, name, topic)
        for name in snapshot.names
        for topic, cls in zip(saved[name].topics, saved[name].priorities, strict=True)
        if (name, topic) not in model
    ]
    rejected = 0
    for _, name, topic in sorted(asked, key=lambda row: -row[0]):
        if any(exclude(topic, rival) for _, rival in model):
            rejected += 1
        else:
            model.append((name, topic))
    assert held(one) == {(name, str(topic)) for name, topic in model}
    assert len(one._hub.claims.rejected) == rejected
    await one.close()


def test_the_report_of_a_restore_says_what_was_rejected_and_nothing_of_it_is_kept() -> None:
    async def main(world: World) -> None:
        bounds = (Capacity("streams", 1), Capacity("connections", 1, Scope.IP))
        topics = {Topic("ticker", "KRW-BTC"): HIGH, Topic("ticker", "KRW-ETH"): LOW}
        snapshot = snapshot_of({"a": (NORMAL, False, topics)})
        async with world.manager(venue=replace(venue("upbit"), capacities=bounds)) as one:
            report = await one.restore(snapshot)
            assert [str(stream.topic) for stream in report.streams] == ["ticker:KRW-BTC"]
            (conflict,) = report.rejected
            assert str(conflict.topic) == "ticker:KRW-ETH"
            assert f"rejected: {conflict}" in str(report)
            assert one.restores[-1].rejected == report.rejected
            assert world.carried() == {"ticker:KRW-BTC"}
            component = make(one, "a")
            assert [str(topic) for topic in component.topics] == ["ticker:KRW-BTC"]
            again = await one.restore(snapshot_of({"b": (NORMAL, False, {Topic("ticker", "KRW-BTC"): LOW})}))
            assert again.rejected == ()
            component.close()
            make(one, "b").close()
        assert not world.exchange.violations

    World().run(main)
