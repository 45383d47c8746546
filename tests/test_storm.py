"""Short storms of changes, judged as scripts/change_storm.py judges long ones; and the judge, judged by hand."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from change_storm import (
    BINANCE,
    UPBIT,
    Judge,
    Optimum,
    Result,
    Storm,
    Windows,
    play,
    read_binance,
    read_upbit,
)

from engine_script import Script
from subcore.engine.clock import SECOND

pytestmark = pytest.mark.simulation


@pytest.mark.parametrize(
    "storm",
    [
        Storm("upbit", 48, 100, 65, 1),
        Storm("upbit", 48, 1000, 2, 2),
        Storm("upbit", 48, 1, 60, 5),
        Storm("binance", 900, 1, 60, 6),
        Storm("upbit", 120, 20, 30, 3),
        Storm("binance", 900, 40, 20, 4),
        Storm("upbit", 120, 20, 50, 7, reset_every=20),
        Storm("binance", 900, 40, 50, 8, reset_every=20),
    ],
    ids=lambda storm: storm.name,
)
def test_a_storm_of_changes_keeps_every_promise(storm: Storm) -> None:
    result = play(storm)
    assert result.messages > 5
    assert result.resets >= len(storm.resets())
    assert not list(result.broken()), result


def test_a_link_that_shrinks_while_the_storm_goes_on_is_left_alone_all_the_same() -> None:
    """Its streams leave one by one and are asked for anew on the nursery: what is new must not go back and forth."""
    s = Script()
    names = [f"KRW-A{i}" for i in range(60)]
    s.open_with("ticker", *names)
    for name in names[:30]:
        s.want("trade", name)
        s.wait(0.1, frames=1)
        if 1 in s.generations:
            break
        s.wait(2.9, frames=1)
    s.up(link=1)
    s.unwant("ticker", *names[:30])
    for name in names[30:]:
        s.wait(3.0, frames=1)
        (stream,) = s.want("trade", name).tolist()
        assert s.engine.links[0].wire.len_target <= 40
        assert stream in s.engine.links[1].wire.target(), f"at {s.now / SECOND} s"
    s.wait(100, frames=1)
    s.data(s.engine.links[1].wire.target(), link=1)
    (last,) = s.want("trade", names[0]).tolist()
    assert last in s.engine.links[0].wire.target(), "after calm the storm is over"


def test_windows_are_full_when_a_count_says_so() -> None:
    rng = random.Random(1)
    for nominal in (UPBIT, BINANCE):
        windows, now = Windows(nominal), 0
        for _ in range(150):
            now = max(windows.opens(), now + rng.choice((0, 0, SECOND // 10, SECOND)))
            windows.send(now)
        step, full = SECOND // 100, 0
        for at in range(0, now + 2 * SECOND, step):
            inside = [sum(at - w < sent <= at for sent in windows.sent) >= n for n, w in nominal.windows]
            full += any(inside) or any(at - nominal.gap < sent <= at for sent in windows.sent)
        assert abs(windows.time_full(now + 2 * SECOND) - full * step) < len(windows.sent) * step


def test_the_optimum_of_a_trace_by_hand() -> None:
    best = Optimum(Windows(UPBIT))
    for at in range(5):
        best.change(f"a{at}", True, at)
    best.change("b", True, 5)  # the window is full for a second now
    best.change("c", True, 6)
    best.change("c", False, 7)
    best.change("a0", False, SECOND // 2)  # rides along
    best.run(3 * SECOND)
    assert best.windows.sent == [0, 1, 2, 3, 4, SECOND]
    best.change("a1", False, 4 * SECOND)
    best.change("a1", True, 5 * SECOND)  # comes to nothing
    best.change("a2", False, 7 * SECOND)  # alone, two seconds later
    best.run(20 * SECOND)
    assert best.windows.sent[6:] == [9 * SECOND]


def test_the_judge_sees_what_comes_late_and_what_is_too_much() -> None:
    judge = Judge(UPBIT, read_upbit)
    judge.change("ticker KRW-A", True, 0)
    judge.sent(0, b'[{"ticket":"1"},{"type":"ticker","codes":["KRW-A"]},{"format":"SIMPLE"}]', 0)
    judge.change("trade KRW-A", True, SECOND)
    both = b'[{"type":"ticker","codes":["KRW-A"]},{"type":"trade","codes":["KRW-A"]}]'
    judge.sent(0, both, 3 * SECOND)
    judge.sent(0, both, 4 * SECOND)
    assert judge.latest == 2 * SECOND
    assert judge.busy == 2 * SECOND
    assert judge.messages == 3
    assert len(judge.optimum.windows.sent) == 2


def test_the_judge_asks_for_the_allowance_where_work_waits_nearly_always() -> None:
    kept = Result(0, 0, 0.9, 0.9, 0.9, 0.9, 0.9, 100, 1.05, 60, 0, 0)
    assert not list(kept.broken())
    assert list(replace(kept, used=0.89).broken()) == ["used"]
    assert not list(replace(kept, used=0.89, waits=0.89).broken())
    assert list(replace(kept, gone=0.91).broken()) == ["gone"]
    assert not list(replace(kept, gone=0.91, resets=1).broken())


def test_the_judge_counts_from_when_a_lost_link_is_open_again() -> None:
    judge = Judge(UPBIT, read_upbit)
    for name in ("ticker KRW-A", "ticker KRW-B"):
        judge.change(name, True, 0)
    both = b'[{"type":"ticker","codes":["KRW-A","KRW-B"]}]'
    for _ in range(5):
        judge.sent(0, both, 0)
    judge.change("ticker KRW-B", False, SECOND // 10)
    judge.lost(0, SECOND // 5)
    assert judge.waiting == {"ticker KRW-A": SECOND // 5}
    assert not judge.leaving
    judge.opened(0, SECOND // 2)
    judge.sent(0, b'[{"type":"ticker","codes":["KRW-A"]}]', SECOND)
    assert judge.latest == SECOND // 2, "the windows of the new connection are empty"
    assert judge.carried == {0: {"ticker KRW-A"}}
    judge.sent(1, b'[{"type":"ticker","codes":["KRW-A"]}]', SECOND)
    judge.lost(1, 2 * SECOND)
    assert not judge.waiting, "the other link carries it"


def test_the_judge_reads_messages_that_add_and_remove() -> None:
    judge = Judge(BINANCE, read_binance)
    judge.change("trade a", True, 0)
    judge.sent(0, b'{"method":"SUBSCRIBE","params":["a@trade"],"id":1}', 0)
    judge.change("trade b", True, SECOND // 10)
    judge.sent(0, b'{"method":"SUBSCRIBE","params":["b@trade"],"id":2}', SECOND // 2)
    assert judge.latest == SECOND // 5, "for the rest of it there was no room"
    judge.change("trade a", False, SECOND)
    judge.sent(0, b'{"method":"UNSUBSCRIBE","params":["a@trade"],"id":3}', 4 * SECOND)
    assert judge.carried == {0: {"trade b"}}
    assert judge.latest_gone == SECOND, "it may wait for two of the three seconds"
    assert judge.busy == SECOND // 10 * 4 + SECOND, "a removal is work after two seconds"
