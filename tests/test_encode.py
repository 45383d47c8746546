"""Joining names for a request, against the plain way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subcore._encode import Names, in_parts, join_quoted
from subcore._intern import Interner

NAMES = st.lists(st.text("ABC-1é币😀", max_size=60), min_size=1, max_size=40)


class Odd(str):
    """A text that says it is another."""

    __slots__ = ()

    def __str__(self) -> str:
        return "odd"


@given(NAMES, st.lists(st.integers(0, 1000), max_size=60), st.text("x.5é", max_size=5))
def test_names_are_quoted_and_joined_in_the_order_of_rows(
    names: list[str], picks: list[int], end: str
) -> None:
    rows = np.array([pick % len(names) for pick in picks], np.int64)
    wanted = ",".join(f'"{names[row]}{end}"' for row in rows.tolist())
    assert join_quoted(names, rows, end.encode()) == wanted.encode()
    assert join_quoted(names, rows[::-1].astype(np.int32), end.encode()).count(b'"') == 2 * len(rows)


@given(st.lists(st.text("ABC-1é币😀", max_size=60), min_size=1, max_size=40, unique=True), st.data())
def test_names_read_from_the_interner_are_the_same(names: list[str], data: st.DataObject) -> None:
    interner = Interner()
    ids = interner.intern_many(names)
    picks = data.draw(st.lists(st.integers(0, len(names) - 1), max_size=60))
    read = Names(interner, ids[::-1])
    assert list(read) == names[::-1]
    assert len(read) == len(names)
    for end in (b"", b".5"):  # short texts without an end are copied as whole rows
        assert join_quoted(read, picks, end) == join_quoted(names[::-1], picks, end)


def test_a_name_that_was_released_is_named_not_read() -> None:
    interner = Interner()
    ids = interner.intern_many(["KRW-BTC", "a long name of more than twenty-two bytes", "KRW-ETH"])
    read = Names(interner, ids)
    interner.release(int(ids[1]))
    with pytest.raises(IndexError, match="no text has id"):
        join_quoted(read, [0, 1])
    with pytest.raises(IndexError, match="no text has id"):
        read[1]
    assert join_quoted(read, [0, 2]) == b'"KRW-BTC","KRW-ETH"'
    for row in (-1, 3):
        with pytest.raises(IndexError, match="of 3 texts"):
            join_quoted(read, [row])
        with pytest.raises(IndexError, match="of 3 texts"):
            read[row]


def test_the_characters_of_a_subclass_count() -> None:
    assert join_quoted([Odd("A"), "B"], [0, 1]) == b'"A","B"'


@pytest.mark.parametrize("rows", [[3], [-1], [0, 1, 2, 3], [0] * 20 + [10**12]])
def test_a_row_that_is_not_there_is_named(rows: list[int]) -> None:
    with pytest.raises(IndexError, match="of 3 texts"):
        join_quoted(["A", "B", "C"], rows)


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(TypeError):
        join_quoted(["A", b"B"], [0, 1])  # type: ignore[list-item]
    with pytest.raises(UnicodeEncodeError):
        join_quoted(["\ud800"], [0])
    with pytest.raises(TypeError):
        join_quoted(("A",), [0])  # type: ignore[arg-type]


ROW = st.tuples(st.integers(0, 3), st.sampled_from([0.0, 0.5, 100.0]), st.integers(-1, 3), st.booleans())


@given(st.lists(ROW, max_size=60), st.booleans())
def test_rows_of_a_part_share_all_but_the_name_and_stand_in_order_of_class(
    rows: list[tuple[int, float, int, bool]], flagged: bool
) -> None:
    parts: dict[tuple[int, float, bool], list[int]] = {}
    for row in sorted(range(len(rows)), key=lambda row: -rows[row][2]):
        channel, step, _, flag = rows[row]
        parts.setdefault((channel, step, flag and flagged), []).append(row)
    channels, steps, classes, flags = (
        (list(column) for column in zip(*rows, strict=True)) if rows else ([],) * 4
    )
    found = in_parts(channels, steps, classes, flags if flagged else None)
    assert [(part.tolist(), what) for part, *what in found] == [
        (part, list(what)) for what, part in parts.items()
    ]


def test_rows_of_unequal_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        in_parts([1], [0.0, 0.0], [1])
    with pytest.raises(ValueError, match="one flag"):
        in_parts([1], [0.0], [1], [True, False])
    for cls in (-2, 4):
        with pytest.raises(ValueError, match="a class"):
            in_parts([1], [0.0], [cls])
