"""The figures of the scenario table against cases made by hand, its plays, and `subcore demo --scenario`."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

pytest.importorskip("orjson", reason="the plain manager needs orjson: install the extra [dev]")

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

import make_scenarios_doc
from page_parts import kept, placed

from subcore.cli import main
from subcore.engine import actions
from subcore.engine.clock import SECOND
from subcore.scenarios import bad_ends, drops, growth, month, plain_month, sides, table, troubles
from subcore.scenarios.changes import change_fast, markets, overlap
from subcore.scenarios.figures import FIGURES, Figure, Outcome, show_fact
from subcore.scenarios.finding import Finder, median, worst
from subcore.scenarios.stage import Stage, market_values
from subcore.scenarios.traces import FIRST_FOUR, fast_changes, overlapping
from subcore.sim import Refusal


def test_bounds_and_how_they_are_shown() -> None:
    assert Figure("efficiency", 0.5, 0.95).met
    assert not Figure("efficiency", 0.5, 0.9499).met
    assert Figure("found_worst", None, 10.0).met
    assert not Figure("found_worst", 600.0, None).met
    assert FIGURES["found_worst"].show(None) == "never"
    assert FIGURES["memory"].show_wanted() == "<= 0.60x"
    assert FIGURES["availability"].show(0.99912) == "99.91%"
    assert show_fact("it ends, worst, seconds", None) == "never"
    assert show_fact("stream-seconds lost: a drop", None) == ""
    assert show_fact("bytes", 62035211.0) == "62,035,211"
    assert show_fact("share", 0.999052) == "0.999052"


def test_the_same_seed_gives_the_same_traces() -> None:
    codes = [f"KRW-{number}" for number in range(60)]
    for make in (overlapping, fast_changes):
        one, same, other = (make(seed, codes, seconds=30.0) for seed in (1, 1, 2))
        assert one == same != other
    first = [(c.who, c.channel, c.symbols) for c in overlapping(1, codes, seconds=30.0) if c.at == 0]
    assert first == [each[:3] for each in FIRST_FOUR]


def figures(outcome: Outcome) -> dict[str, tuple[float | None, float | None]]:
    return {figure.key: (figure.before, figure.after) for figure in outcome.figures}


def test_components_that_overlap_cost_one_message() -> None:
    outcome = overlap(3, seconds=20.0, plays=1)
    assert outcome.facts["messages for the four that overlap"] == (5, 1)
    before, after = figures(outcome)["efficiency"]
    assert before is not None
    assert after is not None
    assert before < after
    assert after > 0.9
    assert not outcome.faults


def test_fast_changes_keep_the_limit_and_use_it() -> None:
    outcome = change_fast(3, seconds=20.0)
    assert outcome.facts["messages over the venue's limits"][0] > 0
    assert outcome.facts["messages over the venue's limits"][1] == 0
    assert figures(outcome)["rate_use"][1] > 0.9  # type: ignore[operator]
    assert outcome.is_good


def test_a_manager_that_forgets_to_unsubscribe_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(self: Any, who: str, channel: str, symbols: list[str]) -> None:
        pass

    monkeypatch.setattr(sides.SubcoreSide, "drop", forget)
    outcome = change_fast(3, seconds=20.0)
    assert figures(outcome)["efficiency"][1] < 0.9  # type: ignore[operator]
    assert outcome.faults
    assert not outcome.is_good


def play_of(good: bool) -> Any:
    def play(seed: int, full: bool, tell: Any) -> Outcome:
        return Outcome(1, f"seed {seed}, full {full}", [Figure("efficiency", 0.1, 0.99 if good else 0.9)])

    return play


@pytest.mark.parametrize("good", [True, False])
def test_the_command_prints_the_table_and_says_by_its_exit_code_whether_all_is_kept(
    monkeypatch: pytest.MonkeyPatch, good: bool
) -> None:
    monkeypatch.setitem(table.SCENARIOS, 1, play_of(good))
    done = CliRunner().invoke(main, ["demo", "--scenario", "1", "--seed", "7"])
    assert done.exit_code == (0 if good else 1)
    assert "met" in done.output
    assert "seed 7, full False" in " ".join(done.output.split())
    done = CliRunner().invoke(main, ["demo", "--scenario", "1", "--full", "--json"])
    said = json.loads(done.stdout)
    assert said["good"] is good
    (figure,) = said["scenarios"][0]["figures"]
    assert (figure["before"], figure["met"]) == (0.1, good)
    assert said["scenarios"][0]["title"] == "seed 1, full True"


def test_without_orjson_the_command_says_so_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    done = CliRunner().invoke(main, ["demo", "--scenario", "all", "--json"])
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.strip().splitlines() == [f"Error: {table.NEEDS}"]


def test_full_is_a_size_of_a_scenario() -> None:
    done = CliRunner().invoke(main, ["demo", "--full"])
    assert done.exit_code == 2
    assert "--scenario" in done.stderr


def test_what_was_heard_before_the_fault_or_on_a_dead_connection_is_not_back() -> None:
    stage = Stage(1, ["KRW-BTC", "KRW-ETH"])
    stage.note(("one", *key, True) for key in (BTC, ETH, ("trade", "KRW-BTC")))
    conn = stage.exchange.connect(stage.ns())
    assert isinstance(conn, int)
    stage.heard = {BTC: (100, conn), ETH: (200, conn), ("trade", "KRW-BTC"): (200, conn + 1)}
    assert set(drops._proven(stage, after=100)) == {ETH}
    assert drops.share([restored(proven=3), restored(proven=1)]) == 0.5


BTC, ETH = ("ticker", "KRW-BTC"), ("ticker", "KRW-ETH")


def restored(proven: int) -> drops.Restored:
    return drops.Restored("reset", 4, proven, None, None, 0)


def test_after_a_drop_subcore_has_everything_back() -> None:
    result = drops.played(sides.SubcoreSide, "reset, and connects refused for 3 s", 1)
    assert result.proven == result.wanted > 100
    assert result.seconds is not None
    assert 3.0 < result.seconds < 30.0
    assert result.critical_seconds is not None
    assert result.over_limits == 0


def test_a_manager_that_cannot_connect_again_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    knock, knocks = Stage.knock, []

    async def once(self: Stage, headers: Any, path: str) -> Any:
        knocks.append(path)
        return await knock(self, headers, path) if len(knocks) == 1 else Refusal("refuse")

    monkeypatch.setattr(Stage, "knock", once)
    result = drops.played(sides.SubcoreSide, "reset", 1)
    assert result.proven == 0
    assert result.seconds is None


def test_what_was_never_found_is_the_worst_and_counts_in_the_median() -> None:
    assert worst([3.0, 1.0, 2.0]) == 3.0
    assert worst([3.0, None]) is None
    assert worst([]) is None
    assert median([3.0, 1.0, 2.0]) == 2.0
    assert median([1.0, None, None]) is None
    assert median([1.0, 2.0, None]) == 2.0
    assert median([1.0, 2.0]) == 2.0


def test_only_the_event_that_names_a_fault_ends_its_time() -> None:
    now = [0]
    finder = Finder(lambda: now[0])
    first = finder.inject("a", "1", lambda event: event == "one")
    second = finder.inject("b", "2", lambda event: event == "two")
    now[0] = 4 * SECOND
    finder.told("one")
    now[0] = 9 * SECOND
    finder.told("one")
    assert (first.seconds, second.seconds) == (4.0, None)
    assert finder.seconds("b") == [None]
    assert finder.seconds() == [4.0, None]


def test_faults_are_named_by_what_a_component_is_told() -> None:
    kinds = ("its task dies", "nobody reads any more", "a heartbeat promised each 1 s ends")
    found = bad_ends.play_subcore(1, frozen=0, silent=1, kinds=kinds, warm_s=8.0)
    assert [fault.kind for fault in found.faults] == ["a link falls silent", *kinds]
    times = found.seconds()
    assert worst(times) is not None, times
    assert min(time for time in times if time is not None) > 0.0
    assert worst(times) <= 10.0  # type: ignore[operator]


def test_where_nobody_is_judged_a_dead_component_is_never_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bad_ends, "Obligations", lambda **given: None)
    monkeypatch.setattr(bad_ends, "PATIENCE_S", 12.0)
    found = bad_ends.play_subcore(1, frozen=0, silent=0, kinds=("nobody reads any more",), warm_s=5.0)
    assert found.seconds() == [None]


def test_memory_is_measured_with_the_events_that_wait() -> None:
    outcome = Outcome(5, "growth")
    growth.add_memory(outcome, (12, 30, 2, 100))
    assert not outcome.faults
    assert outcome.facts["events that wait in the slow ones"] == (200, 200)
    before, after = outcome.facts["bytes"]
    assert 0 < after < before < 10_000_000
    ((key, ratio),) = ((figure.key, figure.after) for figure in outcome.figures)
    assert key == "memory"
    assert ratio == pytest.approx(after / before, abs=1e-4)


def test_a_month_has_the_troubles_it_is_defined_by() -> None:
    drawn = troubles.draw_troubles(3, 30)
    assert drawn == troubles.draw_troubles(3, 30) != troubles.draw_troubles(4, 30)
    began = next(one.at for one in drawn if one.kind == troubles.MAINTENANCE)
    kept = [one for one in drawn if not began < one.at < began + 7200]
    assert kept == drawn == sorted(drawn, key=lambda one: one.at)
    counts = Counter(one.kind for one in drawn)
    assert counts[troubles.MAINTENANCE] == 1
    for kind, a_day in ((troubles.DROP, 6), (troubles.STALL, 1), (troubles.REFUSAL, 1)):
        assert 30 * a_day - 4 <= counts[kind] <= 30 * a_day


def test_what_the_plain_manager_loses_of_a_month() -> None:
    drawn = [
        troubles.Trouble(1000.0, troubles.DROP), troubles.Trouble(2000.0, troubles.STALL),
        troubles.Trouble(3000.0, troubles.REFUSAL, 12.0), troubles.Trouble(4000.0, troubles.MAINTENANCE, 7200.0),
    ]  # fmt: skip
    servable = 86_400.0 - 7200.0
    lost = 5.34 + 35.34 + 15.34 + 0.34
    assert plain_month.availability(drawn, 1, 5) == pytest.approx(1 - lost / servable)
    assert plain_month.availability(drawn, 1, 6) == pytest.approx(1000.0 / servable)  # nothing comes back
    assert plain_month.messages_after_a_loss(1) == 30


def test_lost_stream_seconds_have_a_cause_and_what_is_left_out_is_taken_as_what_was_played() -> None:
    book = month.Ledger(played=900.0, calm=400.0, left_out=9100.0)
    book.lost["a drop"] = 20.0
    assert book.availability == pytest.approx(1 - 20 / 10_000)
    book.lost[month.NEEDLESS] = 4.0
    assert book.lost_left_out == pytest.approx(91.0)
    assert book.availability == pytest.approx(1 - (24 + 91) / 10_000)


DROPPED = [troubles.Trouble(100.0, troubles.DROP), troubles.Trouble(200.0, troubles.STALL)]


def played_month(drawn: list[troubles.Trouble]) -> month.Ledger:
    world = month.Month(market_values(markets(3)), 5)
    return world.run_month(drawn, 1)


def test_a_drop_and_a_stall_cost_what_they_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(month, "WARM_S", 60.0)
    book = played_month(DROPPED)
    assert book.servable == pytest.approx(9 * 86_400.0, abs=9)
    drop, stall, unfound = (book.lost[cause] / 9 for cause in sorted(book.lost))
    assert 0.5 <= drop <= 5.0
    assert 2.0 <= unfound <= 10.0
    assert 0.5 <= stall <= 5.0


def test_a_link_that_is_never_opened_again_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    carry_out = month.Month._carry_out

    def all_but_connects(world: month.Month, action: actions.Action) -> None:
        if not (isinstance(action, actions.Connect) and world._stalled):
            carry_out(world, action)

    monkeypatch.setattr(month, "WARM_S", 60.0)
    monkeypatch.setattr(month, "GIVE_UP_S", 60.0)
    monkeypatch.setattr(month.Month, "_carry_out", all_but_connects)
    with pytest.raises(RuntimeError, match="was not over"):
        played_month(DROPPED[1:])


def test_the_page_has_the_table_between_its_marks_and_keeps_all_else() -> None:
    outcome = Outcome(4, "bad ends", [Figure("found_worst", None, 8.0)], {"faults": (1, 2.5)})
    runs = [
        table.as_dict([outcome], 1, full=False),
        table.as_dict([Outcome(2, "the link drops")], 1, full=False),
    ]
    said = make_scenarios_doc.together(runs)
    assert [each["scenario"] for each in said["scenarios"]] == [2, 4]
    page = "# Performance\n\nFirst.\n\n## The table\n\nOld.\n"
    text = make_scenarios_doc.section(said)
    once = placed(page, "scenarios", text, before="## ")
    assert once.index("First.") < once.index("What it is for") < once.index("## The table")
    assert "| 4. bad ends | a fault is found after, worst | never | 8.0 s | <= 10.0 s | met |" in once
    assert "| faults | 1 | 2.5 |" in once
    assert placed(once, "scenarios", text, before="## ") == once
    assert kept(once, "scenarios") == text
    assert kept(page, "scenarios") == kept(once, "load") == ""
