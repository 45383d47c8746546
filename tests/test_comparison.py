"""How comparisons are made: rounds, medians, repeats of unsteady runs, verdicts, and what is written of them."""

from __future__ import annotations

import io
import itertools
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))

import make_load_doc
import make_performance_doc
from comparison.measure import Contest, Effort, Row, Sample, Target, run_contest, spread_of
from comparison.table import as_json, machine, print_table, target_text, value_text
from page_parts import kept, placed

EFFORT = Effort(rounds=5)


def contest(rows: list[Row], contestants: Mapping[str, Sample], **options: object) -> Contest:
    return Contest("a contest", rows, lambda effort: contestants, **options)  # type: ignore[arg-type]


def cycle(*values: float) -> Callable[[], float]:
    return itertools.cycle(values).__next__


def test_rounds_are_interleaved_and_begin_with_another_contestant_each_time() -> None:
    order: list[str] = []

    def contestant(name: str) -> Sample:
        return lambda: order.append(name) or 1.0  # type: ignore[func-returns-value]

    run_contest(contest([Row("x", "a", "b")], {name: contestant(name) for name in "abc"}), EFFORT)
    assert "".join(order) == "abcbcacababcbca"


def test_ratios_are_those_of_the_rounds() -> None:
    slow, quick = (8.0, 16.0), (3.0, 4.0)
    ours, other = zip(*[quick, slow, slow, quick, slow], strict=True)
    (result,) = run_contest(
        contest([Row("x", "ours", "other")], {"ours": cycle(*ours), "other": cycle(*other)}), EFFORT
    )
    assert (result.ours, result.reference, result.ratio, result.excess) == (8, 16, 0.5, -8)


@pytest.mark.parametrize(
    ("target", "met"),
    [
        (None, None), (Target(0.5), True), (Target(0.49), False), (Target(3, "value"), True),
        (Target(2.9, "value"), False), (Target(-3, "excess"), True), (Target(-3.1, "excess"), False),
    ],
)  # fmt: skip
def test_targets(target: Target | None, met: bool | None) -> None:
    (result,) = run_contest(
        contest([Row("x", "ours", "other", target)], {"ours": cycle(3), "other": cycle(6)}), EFFORT
    )
    assert result.met is met


def test_a_run_whose_reference_spreads_is_repeated_and_the_calmest_counts() -> None:
    wild, calm = [10, 20, 10, 20, 10], [10, 11, 10, 11, 12]
    (result,) = run_contest(contest([Row("x", "a", "b")], {"a": cycle(1), "b": cycle(*wild, *calm)}), EFFORT)
    assert (result.attempts, result.reference, result.noisy) == (2, 11, False)


def test_one_that_never_holds_still_is_measured_three_times_and_marked() -> None:
    sample = cycle(10, 30)
    (result,) = run_contest(contest([Row("x", "a", "b")], {"a": cycle(1), "b": sample}), EFFORT)
    assert (result.attempts, result.noisy) == (3, True)


def test_counts_are_taken_once() -> None:
    once = iter([7.0])
    (result,) = run_contest(
        contest([Row("x", "a", "b")], {"a": lambda: next(once), "b": cycle(14)}, exact=True), EFFORT
    )
    assert result.ratio == 0.5


def test_what_was_opened_is_closed_whatever_happens() -> None:
    closed: list[bool] = []

    def fails() -> float:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        run_contest(contest([Row("x", "a", "a")], {"a": fails}, close=lambda: closed.append(True)), EFFORT)
    assert closed == [True]


def test_spread_leaves_out_a_tenth_at_each_end() -> None:
    assert spread_of([1.0] + [10.0] * 13 + [99.0]) == 1.0
    assert spread_of([1.0, 2.0]) == 2.0


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (4.25, "ns", "4.2 ns"),
        (312.4, "ns", "312 ns"),
        (12_345, "ns", "12.3 us"),
        (5.2e6, "ns", "5.2 ms"),
        (21.9, "B", "21.9 B"),
    ],
)
def test_values(value: float, unit: str, text: str) -> None:
    assert value_text(value, unit) == text


def test_target_texts() -> None:
    texts = [
        target_text(t, "ns")
        for t in (None, Target(0.3), Target(1 / 40), Target(60, "excess"), Target(6e3, "value"))
    ]
    assert texts == ["", "≤ 0.30x", "≤ 0.025x", "≤ +60.0 ns", "≤ 6000 ns"]


def test_the_table_and_the_page_say_what_was_met_and_what_was_left_out() -> None:
    rows = [Row("first", "a", "b", Target(0.5)), Row("second", "b", "a", Target(0.5)), Row("third", "a", "b")]
    results = run_contest(contest(rows, {"a": cycle(50), "b": cycle(200)}), EFFORT)
    skipped = ["ccxt: not installed"]
    out = io.StringIO()
    print_table(results, skipped, out)
    printed = out.getvalue().splitlines()
    assert [line.split()[-1] for line in printed if " first" in line or " second" in line] == ["met", "MET"]
    assert any("skipped: ccxt: not installed" in line for line in printed)
    run = json.loads(json.dumps(as_json(results, skipped, EFFORT, 1.0)))
    page = make_performance_doc.document(run)
    assert "| first | 50.0 ns | 200 ns | 0.250x | ≤ 0.50x | met |" in page
    assert "| second | 200 ns | 50.0 ns | 4.000x | ≤ 0.50x | **not met** |" in page
    assert "1 of 2 targets met." in page
    assert "Left out: ccxt: not installed." in page


def test_the_table_of_many_components_says_what_was_met_and_keeps_its_place() -> None:
    side = {
        "cpu_us": 2.0,
        "events_a_core_s": 500_000.0,
        "full_p50_ms": 1.0,
        "full_p99_ms": 2.0,
        "paced_p50_ms": 0.1,
        "paced_p99_ms": 0.2,
        "rss_mib": 70.4,
        "lost": 0,
    }
    each = {"subcore": side, "plain": {**side, "lost": 3}, "ratio": 3.4, "wanted": 3.5}
    run = {"machine": machine(), "rounds": 7, "fan_outs": {"1": each, "10": {**each, "wanted": 2.5}}}
    text = make_load_doc.section(run)
    assert (
        "| 1 | subcore | 2.000 us | 500,000 a second | 3.40x | ≥ 3.5x, **not met** | 1.0 / 2.0 ms |" in text
    )
    assert "| 3.40x | ≥ 2.5x, met |" in text
    assert "| plain manager |" in text
    assert text.count("| 70 MiB | 3 |") == 2
    page = "# Performance\n\n## The table\n\nRows.\n\n## How it is measured\n\nSo.\n"
    once = placed(page, "load", text, before=make_load_doc.BEFORE)
    assert once.index("Rows.") < once.index("A thousand components") < once.index("## How it is measured")
    assert kept(once, "load") == text
