"""Interests that enter the ledger and their routes in one call."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
import pytest

from subcore._events import Ticker
from subcore._ledger import Ledger
from subcore._route import Router


class Rig:
    """A ledger with `streams` topics, a router, and one component with two sinks."""

    def __init__(self, streams: int = 4) -> None:
        self.ledger = Ledger()
        self.router = Router(self.ledger, gone=deque())
        self.topics = self.ledger.topics(0, np.arange(streams, dtype=np.int32))
        self.component = self.ledger.open_component()
        self.first = self.router.new_sink(self.component, print)
        self.second = self.router.new_sink(self.component, repr)

    def sink_of(self, topic: int) -> int:
        """Where a topic goes; -1 = nowhere."""
        sinks = [row[3] for row in self.router.route(int(topic)) if row[:2] == (self.component, topic)]
        assert len(sinks) <= 1
        return sinks[0] if sinks else -1

    def state(self) -> tuple[object, ...]:
        held = self.ledger.interests(self.component).tolist()
        return (
            held,
            [self.ledger.class_held(self.component, topic) for topic in held],
            [self.router.route(int(topic)) for topic in self.topics],
            self.router.sink_info(self.first).interests,
            self.router.sink_info(self.second).interests,
        )


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_one_call_holds_and_delivers(rig: Rig) -> None:
    assert rig.router.add(rig.first, rig.topics[:2], 3) == 2
    assert rig.ledger.interests(rig.component).tolist() == [0, 1]
    assert rig.ledger.class_held(rig.component, 0) == 3
    assert [rig.sink_of(topic) for topic in rig.topics] == [rig.first, rig.first, -1, -1]
    assert rig.router.add(rig.first, []) == 0


@pytest.mark.parametrize("keep", [False, True])
def test_what_is_held_moves_or_stays_and_takes_the_class(rig: Rig, keep: bool) -> None:
    rig.router.add(rig.first, rig.topics[:2], 1)
    assert rig.router.add(rig.second, rig.topics[1:], 2, keep=keep) == 2
    stays = rig.first if keep else rig.second
    assert [rig.sink_of(topic) for topic in rig.topics] == [rig.first, stays, rig.second, rig.second]
    assert [rig.ledger.class_held(rig.component, topic) for topic in rig.topics] == [1, 2, 2, 2]
    assert rig.router.is_idle(rig.first) is False


def test_a_repeated_topic_is_one_interest(rig: Rig) -> None:
    assert rig.router.add(rig.first, [0, 0, 1, 0]) == 2
    assert rig.router.interest_count == len(rig.ledger) == 2
    assert rig.router.sink_info(rig.first).interests == 2


def test_ids_not_in_use_change_nothing(rig: Rig) -> None:
    rig.router.add(rig.first, rig.topics[:1])
    before = rig.state()
    with pytest.raises(IndexError, match="no topic has id 99"):
        rig.router.add(rig.second, [0, 1, 99])
    with pytest.raises(ValueError, match="a class must be 0 to 3"):
        rig.router.add(rig.second, [0, 1], 4)
    assert rig.state() == before
    rig.router.release_sink(rig.second)
    with pytest.raises(KeyError, match="no sink has id"):
        rig.router.add(rig.second, [0, 1])
    with pytest.raises(KeyError, match="no sink has id"):
        rig.router.is_idle(rig.second)
    assert rig.router.is_idle(rig.first) is False


@pytest.mark.parametrize("keep", [False, True])
def test_during_a_fan_out_the_ledger_changes_now_and_the_routes_after_it(keep: bool) -> None:
    rig = Rig()
    seen: list[object] = []

    def handler(event: object) -> None:
        assert rig.router.add(rig.second, rig.topics[:3], 2, keep=keep) == 2
        seen.append((rig.ledger.interests(rig.component).tolist(), [rig.sink_of(t) for t in rig.topics]))

    rig.router.set_handler(rig.first, handler)
    rig.router.add(rig.first, rig.topics[:1])
    rig.router.send(0, Ticker(venue="venue", channel="ticker", symbol="KRW-BTC"))
    assert seen == [([0, 1, 2], [rig.first, -1, -1, -1])]
    stays = rig.first if keep else rig.second
    assert [rig.sink_of(topic) for topic in rig.topics] == [stays, rig.second, rig.second, -1]


def failing(call: Callable[[], object], step: int) -> bool:
    """Run `call` with its allocation number `step` failing; whether it failed."""
    testcapi = pytest.importorskip("_testcapi", reason="this Python ships no allocation failures")
    testcapi.set_nomemory(step, step + 1)
    try:
        call()
    except MemoryError:
        return True
    finally:
        testcapi.remove_mem_hooks()
    return False


def test_a_failed_allocation_adds_nothing() -> None:
    failures = 0
    for step in range(1, 40):
        rig = Rig(30)
        others = [rig.ledger.open_component() for _ in range(3)]
        for other in others:
            rig.router.add(rig.router.new_sink(other, print), rig.topics)
        rig.router.add(rig.first, rig.topics[:5])
        before = rig.state()
        if failing(lambda rig=rig: rig.router.add(rig.second, rig.topics), step):  # type: ignore[misc]
            failures += 1
            assert rig.state() == before
    assert failures > 3
