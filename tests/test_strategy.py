"""Cython strategies, compiled as a user would compile them."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

import subcore
import subcore._strategy
from compiled import ROOT, compiled
from routing import World, orderbook
from subcore._events import Asset, Candle, Event, Order, Orderbook, Ticker, Trade

NAMED = {"venue": "venue", "channel": "channel", "symbol": "KRW-BTC"}


@pytest.fixture(scope="module")
def probe() -> ModuleType:
    return compiled("strategies")


@pytest.mark.parametrize(
    ("event", "call"),
    [
        (Ticker(**NAMED, price=1.5), ("ticker", 1.5)),
        (Trade(**NAMED, price=2.5), ("trade", 2.5)),
        (orderbook(3), ("orderbook", 3, 2, 102.0)),
        (Candle(**NAMED, close=3.5), ("candle", 3.5)),
        (Order(**NAMED, price=4.5), ("order", 4.5)),
        (Asset(**NAMED, balances=[("KRW", 1.0, 0.0)]), ("asset", 1)),
    ],
)
def test_each_kind_reaches_its_method(probe: ModuleType, event: Event, call: tuple) -> None:
    world = World()
    told, topic = probe.Told(), world.topic()
    world.component(told, [topic])
    world.component(probe.Quiet(), [topic])
    world.send(topic, event)
    assert told.calls == [call]


def test_books_are_cut_to_each_depth_and_stay_whole_for_others(probe: ModuleType) -> None:
    world = World()
    topics = [world.topic(cut=cut) for cut in (2, 0, 1, 50)]
    told = [probe.Told() for _ in topics]
    seen: list[Orderbook] = []
    for strategy, topic in zip(told, topics, strict=True):
        world.component(strategy, [topic])
    world.component(seen.append, [topics[1]])
    world.send(topics[0], orderbook(5))
    assert [strategy.calls[0] for strategy in told] == [
        ("orderbook", 2, 2, 101.0),
        ("orderbook", 5, 4, 104.0),
        ("orderbook", 1, 1, 100.0),
        ("orderbook", 5, 4, 104.0),
    ]
    assert len(seen[0].bids) == 5


def test_an_exception_is_isolated_and_named(probe: ModuleType) -> None:
    errors: list[BaseException] = []
    world = World(on_error=lambda component, sink, error: errors.append(error))
    topic = world.topic()
    bad, good = probe.Told(ValueError("no position")), probe.Told()
    _, sink = world.component(bad, [topic])
    world.component(good, [topic])
    world.send(topic)
    assert [repr(error) for error in errors] == ["ValueError('no position')"]
    assert world.router.sink_info(sink).last_error.where.split(":")[0].endswith("strategies.pyx")  # type: ignore[union-attr]
    assert len(good.calls) == 1


def test_among_strategies_who_is_kept_from_events_gets_none(probe: ModuleType) -> None:
    world = World()
    topic, told = world.topic(), [probe.Told() for _ in range(5)]
    sinks = [world.component(strategy, [topic])[1] for strategy in told]
    world.router.mute_sink(sinks[1])
    world.router.block_sink(sinks[3])
    world.send(topic)
    assert [len(strategy.calls) for strategy in told] == [1, 0, 1, 0, 1]
    world.router.mute_sink(sinks[1], False)
    world.router.block_sink(sinks[3], False)
    world.send(topic)
    assert [len(strategy.calls) for strategy in told] == [2, 1, 2, 1, 2]


def test_the_class_carries_the_abi_number(probe: ModuleType) -> None:
    assert probe.COMPILED_ABI == subcore._strategy.STRATEGY_ABI
    assert subcore._strategy.Strategy.__name__ == f"StrategyAbi{probe.COMPILED_ABI}"


def test_a_strategy_of_another_abi_is_refused(tmp_path: Path) -> None:
    package = tmp_path / "subcore"
    package.mkdir()
    for declaration in Path(subcore.__file__).parent.glob("*.pxd"):
        text = declaration.read_text().replace("StrategyAbi1", "StrategyAbi999")
        (package / declaration.name).write_text(text)
    with pytest.raises(
        ImportError, match="compiled against ABI 999 of subcore, but the installed subcore has ABI 1"
    ):
        compiled("strategies", package=package)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = subcore._strategy.nothing  # type: ignore[attr-defined]


def test_the_example_compiles_and_signals() -> None:
    module = compiled("imbalance", source=ROOT / "examples" / "strategy" / "imbalance.pyx")
    world = World()
    topic = world.topic()
    strategy = module.Imbalance(levels=2, threshold=0.7)
    world.component(strategy, [topic])
    level = (100.0, 1.0)
    for bids, asks in ([(100.0, 8.0)], [level]), ([level], [level]), ([level], [(101.0, 9.0)]), ([], []):
        world.send(topic, Orderbook(**NAMED, bids=bids, asks=asks, receive_time_ns=7))
    assert strategy.books == 4
    assert strategy.signals == [(7, pytest.approx(8 / 9)), (7, pytest.approx(0.1))]
