"""Links that are replaced carry all there is: a tick looks at so much of it, and the next one goes on from there.

Counted, not timed: streams that are handed to the core, or come from it, in one tick.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import engine_script
from engine_script import Script
from subcore import _transit
from subcore._wire_set import WireSet
from subcore.engine import events
from subcore.engine.clock import SECOND
from subcore.engine.context import Settings
from subcore.engine.legs import Legs
from subcore.types import Int32Array, StreamState
from subcore.venues import venue

LOOKS = 1000
ASKED_OF_LEGS = ("on", "rows", "other_link", "has_other", "doubled", "by_link", "turned_since", "pending")
looked = 0


class Watched(WireSet):
    """Counts what is read of it."""

    def target(self) -> Int32Array:
        global looked
        looked += self.len_target
        return super().target()

    def added(self) -> Int32Array:
        global looked
        looked += self.len_added
        return super().added()


def counting(inner: Callable[..., Any], place: int) -> Callable[..., Any]:
    def count(*args: Any) -> Any:
        global looked
        looked += len(args[place])
        return inner(*args)

    return count


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts what legs are asked of streams, and what is read of the links' sets."""
    monkeypatch.setattr(engine_script, "WireSet", Watched)
    for name in ASKED_OF_LEGS:
        place = 1 if name in ("has_other", "doubled", "by_link") else 2
        monkeypatch.setattr(Legs, name, counting(getattr(Legs, name), place))
    for name in ("undecided", "stirred"):
        monkeypatch.setattr(_transit, name, counting(getattr(_transit, name), 3))


def rotating(count: int, looks: int = LOOKS, house: str = "binance") -> Script:
    """So many streams, on as many links as they take, which are replaced: the successors are to be connected."""
    s = Script(venue(house), settings=Settings(looks=looks))
    written = "M{}USDT" if house == "binance" else "KRW-M{}"
    s.want("trade", *(written.format(number) for number in range(count)), tell=False)
    s.turn()
    first = list(s.engine.links.values())
    for link in first:
        s.up(link=link.id)
    for _ in range(40):
        s.wait(0.25, frames=1)
    for link in first:
        s.data(link.wire.wire(), link=link.id)
    everything = np.arange(count, dtype=np.int32)
    assert s.engine.streams.in_state(everything, StreamState.OPEN).size == count
    s.tell(events.Rotate())
    assert len(s.engine.links) == 2 * len(first)
    return s


def tick(s: Script) -> int:
    """How many streams are looked at in one."""
    global looked
    s.now += SECOND // 4
    looked = 0
    s.tell(events.Tick())
    return looked


@pytest.mark.usefixtures("watched")
def test_a_tick_looks_at_no_more_where_more_is_under_way() -> None:
    few, many = rotating(1000), rotating(4000)
    tick(few), tick(many)  # this one has them connect, in the order of all that waits for each
    few_looks, many_looks = [tick(few) for _ in range(12)], [tick(many) for _ in range(12)]
    assert max(few_looks) > 0, "nothing is counted"
    assert max(many_looks) <= 2 * max(few_looks), "at the end of a round the last link may be one more"
    assert sum(many_looks) <= 1.5 * sum(few_looks)


@pytest.mark.parametrize("house", ["binance", "upbit"])
@pytest.mark.parametrize("looks", [100, 1000, 100_000])
def test_all_arrive_a_slice_at_a_time_and_none_is_left_behind(looks: int, house: str) -> None:
    """What has come on the new links leaves the old ones, at most so many streams in a tick, each of them once."""
    count = 2500
    s = rotating(count, looks, house)
    links = list(s.engine.links.values())
    old, new = links[: len(links) // 2], links[len(links) // 2 :]
    for link in new:
        s.up(link=link.id)
    while any(link.wire.len_added for link in new):
        s.wait(0.25, frames=1)
    for link in new:
        s.data(link.wire.wire(), link=link.id)
    left, ticks = sum(link.wire.len_target for link in old), 0
    assert left == count
    while left:
        tick(s)
        now = sum(link.wire.len_target for link in old)
        # Some are found on their way, others on the links that are replaced, of which the last is looked at whole.
        assert now < left or ticks < 2, "a tick in which nothing goes on"
        assert left - now <= 2 * looks + 1024
        left, ticks = now, ticks + 1
    assert sorted(stream for link in new for stream in link.wire.target().tolist()) == list(range(count))
    s.wait(40.0, frames=1)
    assert all(not link.wire.len_wire for link in old)
    assert not s.engine.streams.legs.doubled(np.arange(count, dtype=np.int32)).size
    assert s.engine.streams.in_state(np.arange(count, dtype=np.int32), StreamState.OPEN).size == count
