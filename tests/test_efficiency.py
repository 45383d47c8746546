"""The efficiency score: the ideal held to a plain model with names, its parts to what is known by hand."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

import change_storm

from manager_rig import make
from subcore.engine.clock import SECOND
from subcore.engine.efficiency import Efficiency, Optimum, efficiency_score
from subcore.types import Int32Array
from subcore.venues import venue
from virtual_manager import World


def ids(*streams: int) -> Int32Array:
    return np.array(streams, np.int32)


@pytest.mark.parametrize("seed", range(12))
def test_the_ideal_is_that_of_a_plain_model(seed: int) -> None:
    """The model: dicts and sets of names, limits typed again from the venues' documents."""
    rng = random.Random(f"efficiency {seed}")
    name, nominal = rng.choice([("upbit", change_storm.UPBIT), ("binance", change_storm.BINANCE)])
    size, rate = rng.choice([3, 40, 900]), rng.choice([0.3, 3.0, 30.0, 300.0])
    made, model = Optimum(venue(name)), change_storm.Optimum(change_storm.Windows(nominal))
    made.up(0, 0)
    wanted: set[int] = set()
    now = SECOND
    for _ in range(800):
        now += round(rng.expovariate(rate) * SECOND) + 1
        stream = rng.randrange(size)
        wanted ^= {stream}
        model.change(str(stream), stream in wanted, now)
        opened, closed = (ids(stream), ids()) if stream in wanted else (ids(), ids(stream))
        made.changed(opened, closed, now)
        assert made.messages == len(model.windows.sent), (name, size, rate, now)
    made.run(now + 200 * SECOND)
    model.run(now + 200 * SECOND)
    assert made.messages == len(model.windows.sent) > 2


def test_nothing_goes_before_a_link_is_up_and_what_it_loses_goes_once_more() -> None:
    made = Optimum(venue("upbit"))
    made.changed(ids(1, 2), ids(), SECOND)
    made.run(5 * SECOND)
    assert made.messages == 0
    made.up(0, 6 * SECOND)
    made.run(6 * SECOND)
    assert made.messages == 1
    made.changed(ids(), ids(2), 7 * SECOND)
    made.down(0, ids(1, 2), 8 * SECOND)  # 2 was leaving: its message is saved
    made.run(100 * SECOND)
    assert made.messages == 1
    made.up(0, 101 * SECOND)
    made.run(200 * SECOND)
    assert made.messages == 2


def test_the_score_is_the_product_of_both_factors() -> None:
    efficiency = Efficiency(8, 10, 30, 40)
    assert (efficiency.of_messages, efficiency.of_streams) == (0.8, 0.75)
    assert efficiency.score == efficiency_score(8, 10, 30, 40) == pytest.approx(0.6)
    assert "80.0%" in str(efficiency)
    assert Efficiency(10, 8, 0, 0).score == 1.0  # fewer than thought possible count as 1
    assert Efficiency(0, 0, 5, 0).score == 1.0


def test_a_managers_own_figures() -> None:
    async def main(world: World) -> None:

        async with world.manager() as manager:
            a, b = make(manager, "a"), make(manager, "b")
            a.subscribe("ticker", ["KRW-BTC", "KRW-ETH"])
            b.subscribe("ticker", "KRW-BTC")
            await a.live(10.0)
            first = manager.efficiency()
            assert (first.optimal_messages, first.streams_wanted, first.streams_on_wire) == (1, 2, 2)
            b.subscribe("trade", "KRW-XRP", standby=True)
            await asyncio.sleep(5.0)
            doubled = manager.efficiency()
            assert (doubled.streams_wanted, doubled.streams_on_wire) == (3, 4)
            assert doubled.of_streams == 0.75
            assert doubled.messages == manager.stats().messages_sent
            a.close()
            b.close()
            await asyncio.sleep(30.0)
            assert manager.efficiency().streams_wanted == manager.efficiency().streams_on_wire == 0

    World(rate=20.0).run(main)


@pytest.mark.parametrize("storm", [change_storm.Storm("upbit", 48, 10, 30, 8)], ids=lambda storm: storm.name)
def test_in_a_storm_the_engine_and_the_judge_agree(
    storm: change_storm.Storm, monkeypatch: pytest.MonkeyPatch
) -> None:
    drivers: list[change_storm.EngineDriver] = []
    judges: list[change_storm.Judge] = []
    make_usual = change_storm.make

    def noted(storm: change_storm.Storm) -> object:
        driver, judge, topics = make_usual(storm)
        drivers.append(driver)
        judges.append(judge)
        return driver, judge, topics

    monkeypatch.setattr(change_storm, "make", noted)
    change_storm.play(storm)
    judges[0].optimum.run(drivers[0].now)
    told = drivers[0].engine.efficiency(drivers[0].now)
    # The judge's link is up from the start, the engine's a moment later.
    assert abs(told.optimal_messages - len(judges[0].optimum.windows.sent)) <= 1
    assert told.of_streams == 1.0
    assert told.of_messages > 0.95
