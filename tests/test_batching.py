"""Cutting topics into messages, against the plainest way to do it."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from subcore.batching import batches
from subcore.venue import Packing


@given(
    st.lists(st.integers(1, 60), max_size=60),
    st.none() | st.integers(1, 70),
    st.none() | st.integers(1, 200),
    st.integers(0, 30),
)
def test_batches_fit_and_none_could_take_the_next_item(
    sizes: list[int], count: int | None, room: int | None, frame: int
) -> None:
    found = [sizes[part] for part in batches(sizes, Packing(max_topics=count, max_bytes=room), frame)]
    assert [size for part in found for size in part] == sizes

    def fits(part: list[int]) -> bool:
        return (count is None or len(part) <= count) and (room is None or frame + sum(part) <= room)

    assert all(part and (fits(part) or len(part) == 1) for part in found)
    for part, following in pairwise(found):
        assert not fits([*part, following[0]])


def test_nothing_is_cut_into_nothing() -> None:
    assert list(batches([], Packing(max_topics=3), 10)) == []
