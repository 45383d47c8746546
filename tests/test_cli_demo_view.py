"""What `subcore demo` shows on a terminal, and what it keeps to itself where there is none."""

from __future__ import annotations

import re
import subprocess
import sys
import time

import pytest

from subcore.cli.demo_view import Report, _window, print_summary
from terminals import on_terminal

NUMBER = r"[0-9][0-9,]*"
TIME = r"[0-9][0-9,.]* (?:us|ms)"
FIGURES = (
    rf"frames from the exchange +│ +{NUMBER}/s +│ +{NUMBER} so far",
    rf"events to handlers +│ +{NUMBER}/s +│ +by 3,004 interests",
    r"streams +│ +1,749 +│ +1,749 open",
    rf"exchange's stamp to arrival +│ +p50 {TIME} +│ +p99 {TIME}",
    rf"arrival to handler +│ +p50 {TIME} +│ +p99 {TIME}",
    r"messages sent +│ +[3-5] +│ +0 against the limits",
    r"in the last second +│ +[0-3] of 5 +│ +█{0,12}░{8,20} ",
    r"in the last minute +│ +[3-5] of 100 +│ +█░{19} ",
    r"link lost: [^┏]+ whole after [0-9.]+ s",
    r"critical +│ +1 │ +1 │ +1 │ +[0-9.]+ s",
    r"high +│ +2 │ +2 │ +2 │ +[0-9.]+ s",
    rf"low +│ +{NUMBER} │ +{NUMBER} │ +{NUMBER} │ +[0-9.]+ s",
)


@pytest.mark.parametrize("columns", [80, 120])
def test_the_figures_of_the_live_view(columns: int) -> None:
    shown = on_terminal("demo", "--seconds", "2", columns=columns)
    assert shown.status == 0, shown.text
    drawn = shown.text.split("subcore demo: ")
    (*_, last) = [each for each in drawn if each.startswith("124 components, watched for 2 s, the link cut")]
    for figure in FIGURES:
        assert re.search(figure, last), (figure, last)
    assert "watched for" not in shown.text[shown.text.rindex("└") :], "the summary takes the view's place"
    assert max(map(len, shown.text.splitlines())) <= columns
    prose = " ".join(shown.text.split())
    assert "exchange counted 0 violations" in prose
    assert re.search(r"cut the connection: 1,749 of 1,749 streams proven again after [0-9.]+ s", prose)
    assert "\x1b[?25h" in shown.raw, "the cursor is there again"


def test_no_view_and_no_colour_without_a_terminal() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "subcore.cli", "demo", "--seconds", "0.5"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "0 violations" in done.stdout
    assert not done.stderr
    assert not re.search("[\x1b\r│█░]", done.stdout + done.stderr)


def test_a_run_stopped_early_tells_only_what_came_about(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(Report(1, 1.0), stopped=True)
    assert capsys.readouterr().out == "Stopped early.\n"
    print_summary(
        Report(1, 1.0, four_components=4, four_topics=8, four_messages=1, four_live_s=0.3), stopped=True
    )
    assert "4 components that overlap wanted 8 topics: 1 message to" in capsys.readouterr().out


def test_a_window_counts_what_still_lies_in_it() -> None:
    now = time.monotonic()
    sends = [now - 70.0, now - 30.0, now - 2.0, now]
    assert _window(sends, 1.0, 5) == ("1 of 5", "█" * 4 + "░" * 16)
    assert _window(sends, 60.0, 6) == ("3 of 6", "█" * 10 + "░" * 10)
