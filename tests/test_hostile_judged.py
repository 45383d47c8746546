"""What `scripts/hostile_components.py` makes of a run: what a busy machine excuses, and what nothing does."""

from __future__ import annotations

import random
import sys
from collections import Counter
from typing import Any

import pytest

from conftest import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

from hostile_blocking import Blocked
from hostile_crowd import KINDS, one_missing
from hostile_member import Hostile
from hostile_outcome import Outcome, Segment


def played(*, busy: bool = False, sent: float = 5000.0, troubled_ms: float = 3.0) -> Outcome:
    """A run in which all went well, but for what is said."""
    stolen = 0.1 if busy else 0.0
    outcome = Outcome(events_wanted=5000.0, events_due=100_000, events_got=100_000, rss_kib=[1000] * 40)
    for _ in range(5):
        for hostile in (False, True):
            p99 = troubled_ms if hostile else 2.0
            outcome.segments.append(Segment(hostile, 2.0, 1.0, p99, 20_000, 1.0, stolen, sent))
    outcome.steps = {kind.name: [] for kind in KINDS}
    outcome.blocked = Blocked()
    return outcome


def judged(outcome: Outcome) -> Outcome:
    outcome.judge(full=False)
    return outcome


def test_a_run_that_went_well_has_no_faults_and_all_of_it_was_judged() -> None:
    outcome = judged(played())
    assert (outcome.faults, outcome.unshown) == ([], [])
    assert outcome.last_line == "all of it was judged"


@pytest.mark.parametrize(("sent", "is_enough"), [(4490.0, False), (4510.0, True), (900.0, False)])
def test_the_trades_that_were_to_come_must_have_come(sent: float, is_enough: bool) -> None:
    outcome = judged(played(sent=sent))
    assert bool(outcome.faults) is not is_enough
    assert is_enough or f"{sent:,.0f} trades a second were sent, 5,000 were to be" in outcome.faults[0]


def test_a_busy_machine_excuses_times_alone_and_the_last_line_says_so() -> None:
    outcome = played(busy=True, sent=900.0, troubled_ms=80.0)
    outcome.late.append("one: not named within 10 s")
    judged(outcome)
    assert outcome.faults == []
    assert outcome.last_line.startswith("NOT JUDGED, since the machine was too busy (0 calm pairs")
    assert outcome.last_line.endswith("3 of it would have failed")
    outcome = played(busy=True)
    outcome.faults.append("one: was never named")
    assert judged(outcome).faults == ["one: was never named"]


def hostile(kind: str, steps: list[str], did: dict[str, int], *, named: bool) -> Hostile:
    made: Any = Hostile(kind, "hostile-1", [], None, random.Random(1))  # type: ignore[arg-type]
    made.steps, made.did, made.named = steps, Counter(did), (1.0, "SLOW") if named else None
    return made  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("steps", "did", "named", "missing"),
    [
        (["SLOW", "QUARANTINED", "REAPED"], {"hung": 1}, True, []),
        (["SLOW", "QUARANTINED", "REAPED"], {}, True, ["never hung"]),
        (["SLOW", "QUARANTINED"], {"hung": 1}, True, ["was not REAPED, but ['SLOW', 'QUARANTINED']"]),
        ([], {"hung": 1}, False, ["was never named", "was not REAPED, but []"]),
    ],
)
def test_what_must_be_so_however_fast_a_machine_is(
    steps: list[str], did: dict[str, int], named: bool, missing: list[str]
) -> None:
    assert one_missing(hostile("its async handler hangs", steps, did, named=named)) == missing


def test_who_is_free_of_blame_needs_no_name() -> None:
    did = {"read": 1, "turned away": 1, "wanted again": 1, "cancelled": 1}
    assert one_missing(hostile("is of several tasks", [], did, named=False)) == []
