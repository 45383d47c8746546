"""What is compared of the planner is what its rows say: the same topics on both sides, and all of the work."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("orjson", reason="the plain manager needs orjson: install the extra [dev]")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))

from bench_planning import CHANGE, Planning
from comparison.measure import Contest, Effort, run_contest
from comparison.planning_rows import PlainLink, contests

from subcore.types import StreamState

SIZE = 300
SMALL = Effort(rounds=1, scale=0.01)  # links of 500 topics


def on_the_wire(link: Planning) -> set[str]:
    carried = np.isin(link.topics, link.engine.links[0].wire.wire())
    return {f"KRW-T{number}" for number in np.flatnonzero(carried)}


def topics_of(link: PlainLink) -> set[str]:
    return {symbol for _, symbol in link.topics()}


@pytest.mark.parametrize("contest", list(contests()), ids=lambda contest: contest.name)
def test_each_row_has_both_its_sides(contest: Contest) -> None:
    results = run_contest(contest, SMALL)
    assert [result.what for result in results] == [row.what for row in contest.rows]
    assert all(result.ours > 0 and result.reference > 0 for result in results)


def test_both_sides_have_the_same_topics_after_the_same_changes() -> None:
    ours, plain = Planning("upbit", SIZE), PlainLink(SIZE)
    begun = on_the_wire(ours)
    assert begun == topics_of(plain)
    assert len(begun) == SIZE + CHANGE
    for _ in range(3):
        ours.change()
        plain.change()
        assert on_the_wire(ours) == topics_of(plain)
    assert len(begun - topics_of(plain)) == CHANGE


def test_a_lost_link_ends_with_all_asked_for_and_proven() -> None:
    ours, sent = Planning("upbit", SIZE), list[bytes]()
    ours.change()
    carried = on_the_wire(ours)
    for _ in range(3):
        calls = ours.lose()
        assert on_the_wire(ours) == carried
        assert np.count_nonzero(ours.engine.streams.state == StreamState.OPEN) == SIZE + CHANGE
        assert [call.encoding > 0 for call in calls].count(True) >= 1, (
            "the message was written in one of them"
        )
    plain = PlainLink(SIZE)
    plain.change()
    before = topics_of(plain)
    plain.disconnected()
    plain.connected(sent.append)
    (message,) = sent
    assert set(json.loads(message)[1]["codes"]) == before == topics_of(plain)


@pytest.mark.parametrize("house", ["upbit", "binance"])
def test_a_link_that_was_lost_is_measured_as_any_other(house: str) -> None:
    link = Planning(house, SIZE)
    link.lose()
    before = on_the_wire(link)
    assert link.change().planning > 0
    assert len(on_the_wire(link) - before) == CHANGE
    assert link.tick() > 0
