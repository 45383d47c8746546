"""The keys of `subcore top`: read whole however they come, and what they scroll, sort and search."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import examples
from subcore.cli.top_keys import keys_of
from subcore.cli.top_state import Pane, State, press
from subcore.cli.top_tables import COLUMNS, rows_of, visible
from top_screen import seen


def test_keys_are_read_whole_however_they_come() -> None:
    typed = b"q\t/\x1b[A\x1b[6~\x1bOB\x7f\r\xed\x95\x9c\x1b[Z\x1b[1;5C!\x1b"
    wanted = [
        "q",
        "tab",
        "/",
        "up",
        "page_down",
        "down",
        "backspace",
        "enter",
        "한",
        "back_tab",
        "!",
        "escape",
    ]
    assert keys_of(typed, is_all=True) == (wanted, b"")
    rng = random.Random(1)
    for _ in range(50):
        keys, rest, at = [], b"", 0
        while at < len(typed):
            step = rng.randrange(1, 5)
            more, rest = keys_of(rest + typed[at : at + step], is_all=False)
            keys += more
            at += step
        assert [*keys, *keys_of(rest, is_all=True)[0]] == wanted


@examples(200)
@given(st.binary(max_size=40), st.booleans())
def test_any_bytes_are_keys_or_nothing(data: bytes, is_all: bool) -> None:
    keys, rest = keys_of(data, is_all=is_all)
    assert all(keys)
    assert len(rest) < 17
    assert not (is_all and rest)


def pressed(state: State, *keys: str, rows: int = 100, page: int = 10) -> State:
    for key in keys:
        state = press(state, key, rows=rows, page=page, columns=5)
    return state


def test_scrolling_stays_within_the_rows() -> None:
    for keys, first in (
        (["down"], 1),
        (["up"], 0),
        (["page_down", "page_down", "up"], 19),
        (["end"], 90),
        (["end", "down"], 90),
        (["end", "home"], 0),
        ([" ", "g"], 0),
        (["G", "page_up"], 80),
    ):
        assert pressed(State(), *keys).pane.first == first, keys
    assert pressed(State(), "end", rows=3).pane.first == 0


def test_sorting_and_panes() -> None:
    state = pressed(State(), ">", ">", "<", "r")
    assert (state.pane.sort, state.pane.is_descending, state.pane.first) == (1, False, 0)
    assert pressed(State(), "<").pane.sort == 4
    assert pressed(State(), "tab").shown == pressed(State(), "t").shown == 1
    assert pressed(State(), "tab", "tab").shown == pressed(State(), "t", "c").shown == 0
    assert pressed(state, "tab").pane == Pane(), "each pane has its own"
    assert pressed(State(), "p").is_frozen
    assert pressed(State(), "q").has_ended


def test_typing_a_search() -> None:
    state = pressed(State(), "down", "/", *"qtx", "backspace", "enter")
    assert (state.pane.search, state.pane.first, state.is_typing, state.has_ended) == ("qt", 0, False, False)
    assert pressed(state, "escape").pane.search == ""
    assert pressed(state, "/", "clear", "a", "escape").pane.search == ""
    assert len(pressed(State(), "/", *"x" * 500).pane.search) == 64


@pytest.mark.parametrize("pane", [0, 1])
def test_rows_are_those_that_contain_what_is_searched_in_the_order_asked(pane: int) -> None:
    rows = rows_of(seen(), pane)
    for sort, column in enumerate(COLUMNS[pane]):
        for descending in (False, True):
            found = visible(rows, Pane(sort, descending), pane)
            keys = [column.key(row) for row in found]
            assert keys == sorted(keys, reverse=descending), column.title
    name, text = ("topic", "KRW") if pane else ("name", "ROGUE")
    found = visible(rows, Pane(search=text), pane)
    assert [row for row in rows if text.lower() in row[name].lower()] == sorted(found, key=rows.index)
    assert found
