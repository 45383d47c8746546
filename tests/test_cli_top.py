"""`subcore top` draws what is recorded, whatever is in it, into any width and height."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import examples
from subcore.cli.top_source import Seen
from subcore.cli.top_state import Pane, State
from subcore.cli.top_text import amount, bar, clean, count, duration
from subcore.cli.top_view import draw
from top_screen import RECORDED, seen, shown

HOSTILE = (
    "\x1b[2Jgone",
    "[bold red]x[/]",
    "two\nlines",
    "a\tb",
    "\u202eright to left",
    "한글" * 40,
    "é" * 300,
    "\ud800",
    "",
)


@pytest.mark.parametrize("width", [80, 110, 200])
def test_what_is_recorded_is_shown(width: int) -> None:
    lines = shown(seen(), width=width)
    text = "\n".join(lines)
    stats = RECORDED["stats"]
    assert f"frames {stats['frame_rate']['over_10s']:,.0f}/s" in text
    assert f"interests {stats['interests']:,}" in text
    assert "0/5 in 1 s" in text
    assert "/100 in 60 s" in text
    assert "last restore" in text
    assert f"{RECORDED['issues'][0]['severity']} {RECORDED['issues'][0]['rule']}" in text
    for name in stats["components"]:
        assert name in text
    rows = [line for line in lines if line.startswith(("well", "slow", "quarantined"))]
    assert len(rows) == len(stats["components"])
    healths = [line.split()[0] for line in rows]
    assert healths == sorted(healths, key=["quarantined", "slow", "well"].index), "the worst first"
    assert lines[39].startswith("q quit")


def test_topics_say_why_they_are_worth_a_look() -> None:
    topics = copy.deepcopy(RECORDED["topics"])
    topics["state"][3], topics["data"][5] = 5, 2
    lines = shown(seen(topics=topics), State(shown=1))
    (head,) = [index for index, line in enumerate(lines) if line.startswith("state ")]
    assert lines[head + 1].startswith("refused")
    assert f"{topics['channel'][3]}:{topics['symbol'][3]}" in lines[head + 1]
    assert "suspect" in lines[head + 2]
    assert all(line.startswith("open") for line in lines[head + 3 : head + 12])
    assert "topics are not known here" in "\n".join(shown(seen(topics=None), State(shown=1)))


@pytest.mark.parametrize("width", [30, 80, 110])
def test_hostile_names_move_nothing(width: int) -> None:
    figures = seen()
    record = next(iter(figures.stats["components"].values()))
    figures.stats["components"] = {str(n): {**record, "name": name} for n, name in enumerate(HOSTILE)}
    issue = {**RECORDED["issues"][0], "subject": HOSTILE[0], "evidence": HOSTILE[2]}
    restore = {**RECORDED["restores"][0], "reason": HOSTILE[0]}
    topics = {
        **RECORDED["topics"],
        "symbol": [HOSTILE[n % len(HOSTILE)] for n in range(len(RECORDED["topics"]["symbol"]))],
    }
    figures = Seen(figures.stats, topics, [issue], [restore])
    for state in (State(), State(shown=1), State(is_typing=True, panes=(Pane(search="\x1b[2J"), Pane()))):
        lines = shown(figures, state, width=width, trouble=HOSTILE[0])
        assert "\u202e" not in "".join(lines)
        assert "\t" not in "".join(lines)
    if width > 100:
        assert "[bold red]x[/]" in "\n".join(shown(figures, width=width)), "no markup"


SHAPES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@examples(30)
@given(st.data())
def test_figures_of_any_shape_are_drawn(data: st.DataObject) -> None:
    figures = (
        RECORDED if data.draw(st.booleans()) else {"stats": data.draw(st.dictionaries(st.text(), SHAPES))}
    )
    figures = copy.deepcopy(figures)
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        keys = (
            list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        )
        for key in keys:
            places.append((value, key))
            walk(value[key])

    walk(figures)
    for _ in range(4):
        if places:
            where, key = places[data.draw(st.integers(0, len(places) - 1))]
            with contextlib.suppress(KeyError, IndexError):
                where[key] = data.draw(SHAPES)
    whole = Seen(
        **{
            name: figures.get(name) if isinstance(figures.get(name), kind) else empty
            for name, kind, empty in (
                ("stats", dict, {}),
                ("topics", dict, None),
                ("issues", list, None),
                ("restores", list, None),
                ("load", dict, None),
            )
        }
    )
    sort = data.draw(st.integers(0, 20))
    state = State(shown=data.draw(st.integers(0, 1)), panes=(Pane(sort=sort), Pane(sort=sort)))
    width, height = data.draw(st.integers(1, 150)), data.draw(st.integers(1, 50))
    screen = draw(whole, state, name="x", width=width, height=height)
    assert len(screen.lines) == height
    assert max(line.cell_len for line in screen.lines) <= width


@pytest.mark.parametrize("height", range(1, 40, 3))
def test_any_height_is_filled_and_not_more(height: int) -> None:
    screen = draw(seen(), State(), name="x", width=100, height=height)
    assert len(screen.lines) == height
    assert screen.rows == len(RECORDED["stats"]["components"])


def test_nothing_read_yet_says_why() -> None:
    lines = shown(Seen(), trouble="http://nowhere/ does not answer")
    assert lines[1].startswith("! http://nowhere/ does not answer")
    assert "figures are 12 s old: gone" in shown(seen(), trouble="gone", age_s=12.0)[1]


def test_short_texts() -> None:
    assert [count(n) for n in (0, 99_999, 100_000, 1_234_567, 5e9, None, "x")] == [
        "0",
        "99,999",
        "100k",
        "1,235k",
        "5,000M",
        "0",
        "0",
    ]
    assert [amount(n) for n in (0, 999, 1000, 88_000_000, 3e12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "88.0 MB",
        "3.0 TB",
    ]
    assert [duration(n) for n in (None, 0, 950, 1500, 2.5e6, 3e9, 150e9, 8e12, 1e15)] == [
        "-",
        "0 ns",
        "950 ns",
        "1.5 us",
        "2.5 ms",
        "3.0 s",
        "2 m",
        "2 h",
        "12 d",
    ]
    assert (bar(0, 5, 4), bar(1, 100, 4), bar(5, 5, 4), bar(9, 5, 4), bar(1, 0, 4)) == (
        "░░░░",
        "█░░░",
        "████",
        "████",
        "░░░░",
    )
    assert clean("a\x1b[2J\u202e\nb") == "a·[2J··b"


def test_what_is_held_back_for_load_is_shown() -> None:
    measure = {"measure": "conflate", "priority": "LOW", "reason": "the loop is late", "effect": None}
    lines = shown(seen(load={"level": "BUSY", "measures": [measure, "odd", {}]}))
    assert "LOAD conflate LOW: the loop is late" in "\n".join(lines)
    assert not any("LOAD" in line for line in shown(seen(load={"level": "CALM", "measures": []})))
