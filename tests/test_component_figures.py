"""Figures of all components at once against those of each alone; and records that are made without their own init."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import random
from typing import Any

import pytest

import subcore
from fed_manager import SYMBOLS, manager, ticker
from manager_rig import KEPT
from subcore.component_figures import AT_ONCE
from subcore.figures import ComponentStats, Delays, Rates
from subcore.manager import SubscriptionManager
from subcore.unfrozen import unfrozen

__all__ = ["manager"]
POLICIES: list[dict[str, Any]] = [
    {},
    {"delivery": subcore.Queue(3)},
    {"delivery": subcore.Latest()},
    {"delivery": subcore.Ring(4)},
    {"handler": lambda event: None},
    {"handler": lambda event: None, "max_rate": 1.0},
]


@pytest.mark.parametrize("seed", range(3))
async def test_all_at_once_are_as_each_alone(manager: SubscriptionManager, seed: int) -> None:
    rng, now = random.Random(seed), manager._hub.clock.time_ns() - 200_000_000_000
    delays: Any = manager._hub.duties.delays
    for number in range(2 * AT_ONCE + 5):
        component = manager.component(f"c{number}", priority=rng.choice(list(subcore.Priority)))
        KEPT.append(component)
        for symbol in rng.sample(SYMBOLS, rng.randrange(3)):
            component.subscribe("ticker", symbol, **rng.choice(POLICIES))
        if rng.random() < 0.1:
            component.pause()
    for step in range(200):
        now += rng.randrange(1_000_000_000)
        manager._hub.feed.feed(0, ticker(rng.choice(SYMBOLS), now // 1_000_000, float(step + 1)), now)
        member = rng.choice(list(manager._hub.members.values()))
        delays.count(member.id, rng.randrange(1 << rng.randrange(1, 40)), 8)
        if step == 100:
            delays.turn()
        if step % 40 == 39:
            manager._hub.monitoring.look(step * 1_000_000_000)
            KEPT[rng.randrange(len(KEPT))].close()
    said = manager.stats().components
    alone = {name: component.stats() for name, component in manager.components.items()}
    assert said == alone
    assert any(one.queue_age_ns for one in alone.values())
    assert any(one.conflated for one in alone.values())
    assert any(one.losses for one in alone.values())
    assert any(one.recent_delay.count not in (0, one.delay.count) for one in alone.values())
    assert sum(one.rate.over_60s > 0 for one in alone.values()) > 20
    assert [
        name for part in manager._hub.measuring.components() for name in (one.name for one in part)
    ] == list(said)


def test_what_is_made_by_the_twin_is_a_record_like_any(manager: SubscriptionManager) -> None:
    KEPT.append(manager.component("one"))
    (made,) = manager.stats().components.values()
    assert type(made) is ComponentStats
    own = ComponentStats(**{each.name: getattr(made, each.name) for each in dataclasses.fields(made)})
    assert made == own
    assert repr(made) == repr(own)
    assert pickle.loads(pickle.dumps(made)) == copy.deepcopy(made) == own
    assert dataclasses.replace(made, lost=3).lost == 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.lost = 3  # type: ignore[misc]


@pytest.mark.parametrize("record", [ComponentStats, Delays, Rates])
def test_a_twin_has_the_fields_and_defaults_of_its_record(record: type[Any]) -> None:
    twin: Any = unfrozen(record)
    given = {each.name: number for number, each in enumerate(dataclasses.fields(record))}
    full = twin(**given)
    full.__class__ = record
    assert full == record(**given)
    needed = {
        each.name: 1
        for each in dataclasses.fields(record)
        if each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
    }
    least = twin(**needed)
    least.__class__ = record
    assert least == record(**needed)
