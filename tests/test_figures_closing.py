"""Components close in large numbers while their figures are being made, part by part: what comes out is whole."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

import subcore
from fed_manager import START_NS, SYMBOLS, manager, ticker
from manager_rig import KEPT, server
from subcore import sums
from subcore.component_figures import AT_ONCE
from subcore.dashboard.figures import Figures
from subcore.exporters.json_lines import line_parts
from subcore.exporters.prometheus import exposition_parts
from subcore.manager import SubscriptionManager
from subcore.sim.server import SimServer

__all__ = ["manager", "server"]
GROUPS = 3


class Part:
    """Of a thing being made: `then` is called behind each."""

    def __init__(self, then: Callable[[], None]) -> None:
        self.then = then

    async def breathe(self) -> None:
        self.then()


async def a_line(manager: SubscriptionManager, then: Callable[[], None]) -> set[str]:
    text = ""
    for part in line_parts(manager):
        text += part
        then()
    return set(json.loads(text)["components"])


async def an_exposition(manager: SubscriptionManager, then: Callable[[], None]) -> set[str]:
    text = b""
    for part in exposition_parts(manager):
        text += part
        then()
    families = text_string_to_metric_families(text.decode())
    return {
        sample.labels["component"]
        for family in families
        for sample in family.samples
        if "component" in sample.labels
    }


async def stats_json(manager: SubscriptionManager, then: Callable[[], None]) -> set[str]:
    turns: Any = Part(then)
    return set(json.loads((await Figures(manager, "1")._make_stats(turns)).body)["components"])


async def an_event(manager: SubscriptionManager, then: Callable[[], None]) -> set[str]:
    turns: Any = Part(then)
    event = json.loads((await Figures(manager, "1")._make_live(turns)).removeprefix(b"data: "))
    return set(event["components"]["name"])


@pytest.mark.parametrize("make", [a_line, an_exposition, stats_json, an_event])
@pytest.mark.parametrize("behind", [1, 2, 4])
@pytest.mark.parametrize("groups", [{1}, {2}, {0, 1, 2}])
async def test_neighbours_close_while_it_is_made(
    manager: SubscriptionManager, make: Callable[[Any, Any], Any], behind: int, groups: set[int]
) -> None:
    """All that one part is made of, behind any part before: it comes out empty, and the whole is sound."""
    every = KEPT[:] = [manager.component(f"c{number}") for number in range(GROUPS * AT_ONCE)]
    gone = [one for number, one in enumerate(every) if number // AT_ONCE in groups]
    parts = itertools.count()

    def close() -> None:
        if next(parts) == behind:
            for one in gone:
                one.close()

    said = await make(manager, close)
    names = {one.name for one in every}
    assert next(parts) > behind
    assert names - {one.name for one in gone} <= said <= names


@pytest.mark.parametrize("behind", [1, 2, 3, 4, 5])
async def test_totals_are_whole_whoever_closes_while_they_are_added_up(
    manager: SubscriptionManager, behind: int
) -> None:
    """What components lost that close in the middle counts once: not twice, and not never."""
    every = KEPT[:] = [manager.component(f"c{number}") for number in range(3 * sums.AT_ONCE)]
    for one in every:
        one.subscribe("ticker", SYMBOLS[0], delivery=subcore.Queue(1))
    for step in range(3):
        manager._hub.feed.feed(0, ticker(SYMBOLS[0], 1_000 + step, step + 1.0), START_NS + step)
    parts = itertools.count(1)

    def close() -> None:
        if next(parts) == behind:
            for one in every[:: sums.AT_ONCE // 8]:
                one.close()

    turns: Any = Part(close)
    said = json.loads((await Figures(manager, "1")._make_stats(turns)).body)
    assert next(parts) > behind
    assert said["losses"] == {"queue_full": 2 * len(every)} == manager.stats().losses
    assert said["delivered"] == 3 * len(every)


async def test_what_is_exported_is_told_of_the_end_before_components_go(server: SimServer) -> None:
    """Or the last line tells of a manager that has none."""
    manager = SubscriptionManager("upbit", url=server.url, seed=1)
    one = manager.component("one")
    left: list[int] = []

    async def ended(timeout: float) -> list[str]:
        return []

    export: Any = SimpleNamespace(path="f", finish=lambda: left.append(len(manager.components)), ended=ended)
    manager._hub.exports.append(export)
    await manager.close()
    assert one.closed
    assert left == [1]
