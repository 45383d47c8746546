"""The whole state x event table, written out by hand a second time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subcore.engine.topics import KEEP, LATE, NEXT, NEXT_DATA, Streams, TopicEvent
from subcore.errors import InternalError
from subcore.types import DataState, Evidence, StreamState

# What follows, by event, for CLOSED, WAITING, SENT, OPEN, RECOVERING, REFUSED in this order.
# C W S O R X = the state that follows; "=" = nothing changes; "!" = late or from elsewhere, dropped and
# counted.
TABLE = {
    "WANTED": "W=====",
    "RESUMED": "S!=!!!",
    "RESUMED_HELD": "O!!=!!",
    "UNWANTED": "=CCCCC",
    "ASKED": "!S=!S!",
    "PROVEN_DATA": "!!O=!!",
    "PROVEN_LISTED": "!!O=!!",
    "LOST": "!=WR==",
    "LOST_PROVEN": "!=RR==",
    "FAILED": "!=WW==",
    "FAILED_PROVEN": "!=RR==",
    "REFUSED": "!XXXX=",
    "ASKED_AGAIN": "!====W",
    "OVERDUE": "!!!=!!",
}
LETTERS = {
    "C": StreamState.CLOSED,
    "W": StreamState.WAITING,
    "S": StreamState.SENT,
    "O": StreamState.OPEN,
    "R": StreamState.RECOVERING,
    "X": StreamState.REFUSED,
}
# The data axis for NONE, GOOD, SUSPECT: N G S.
DATA = {
    "WANTED": "NGS",
    "RESUMED": "NGS",
    "RESUMED_HELD": "NGS",
    "UNWANTED": "NNN",
    "ASKED": "NGS",
    "PROVEN_DATA": "GGG",
    "PROVEN_LISTED": "NGS",
    "LOST": "NSS",
    "LOST_PROVEN": "NSS",
    "FAILED": "NSS",
    "FAILED_PROVEN": "NSS",
    "REFUSED": "NSS",
    "ASKED_AGAIN": "NGS",
    "OVERDUE": "NSS",
}
DATA_LETTERS = {"N": DataState.NONE, "G": DataState.GOOD, "S": DataState.SUSPECT}
PAIRS = [(state, event) for state in StreamState for event in TopicEvent]


def ids(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def test_the_hand_table_names_every_event() -> None:
    assert set(TABLE) == set(DATA) == {event.name for event in TopicEvent}
    assert NEXT.shape == (6, len(TopicEvent))
    assert NEXT_DATA.shape == (3, len(TopicEvent))


@pytest.mark.parametrize(("state", "event"), PAIRS, ids=lambda v: v.name)
def test_every_pair(state: StreamState, event: TopicEvent) -> None:
    said = TABLE[event.name][state]
    for data in DataState:
        streams = Streams(4)
        streams.state[2], streams.data[2] = state, data
        moved = streams.apply(event, ids(2), now=7)
        after, after_data = StreamState(int(streams.state[2])), DataState(int(streams.data[2]))
        assert streams.pairs[state, event] == 1
        if said == "!":
            assert (after, after_data, streams.late) == (state, data, 1)
            assert [len(part) for part in moved] == [0, 0, 0]
            continue
        expected = state if said == "=" else LETTERS[said]
        expected_data = DATA_LETTERS[DATA[event.name][data]]
        assert (after, after_data, streams.late) == (expected, expected_data, 0)
        assert moved.state.tolist() == ([2] if said != "=" else [])
        assert streams.since[2] == (7 if said != "=" else 0)
        assert len(moved.doubted) == (data != expected_data == DataState.SUSPECT)
        assert len(moved.recovered) == (data == DataState.SUSPECT and expected_data == DataState.GOOD)


def test_only_states_and_marks_stand_in_the_table() -> None:
    assert set(np.unique(NEXT).tolist()) <= {*map(int, StreamState), KEEP, LATE}


def test_many_at_once_are_the_same_as_one_by_one() -> None:
    rng = np.random.default_rng(1)
    for event in TopicEvent:
        together, alone = Streams(600), Streams(600)
        together.state[:] = rng.integers(0, 6, 600)
        together.data[:] = rng.integers(0, 3, 600)
        alone.state[:], alone.data[:] = together.state, together.data
        chosen = rng.permutation(600)[:300].astype(np.int32)
        moved = together.apply(event, chosen, 5)
        single = [alone.apply(event, ids(i), 5) for i in chosen.tolist()]
        assert np.array_equal(together.state, alone.state)
        assert np.array_equal(together.data, alone.data)
        assert together.late == alone.late
        assert np.array_equal(together.pairs, alone.pairs)
        for name in moved._fields:
            assert getattr(moved, name).tolist() == [i for m in single for i in getattr(m, name).tolist()]


@given(st.lists(st.integers(0, 5000), max_size=20))
def test_columns_grow_and_keep_what_they_held(streams: list[int]) -> None:
    columns = Streams(4)
    columns.state[3], columns.legs.link[6] = StreamState.OPEN, 9
    columns.ensure(ids(*streams))
    assert len(columns.state) > max(streams, default=0)
    assert (columns.state[3], columns.legs.link[6]) == (StreamState.OPEN, 9)
    assert np.all(columns.legs.width == -1)
    assert np.count_nonzero(columns.state) == 1


def test_churn_of_one_stream_never_grows_anything() -> None:
    columns = Streams(8)
    before = columns.nbytes
    for now in range(1000):
        columns.apply(TopicEvent.WANTED, ids(3), now)
        columns.explain(ids(3), "why")
        columns.apply(TopicEvent.UNWANTED, ids(3), now)
        columns.forget(ids(3))
        columns.ensure(ids(3))
    assert columns.nbytes == before
    assert not columns.reasons


def test_a_forgotten_row_is_as_new_and_a_wanted_one_is_not_forgotten() -> None:
    columns = Streams(8)
    fresh = columns.row(3)
    columns.apply(TopicEvent.WANTED, ids(3), 5)
    columns.explain(ids(3), "because")
    columns.retries[3] = 2
    columns.legs.evidence[6] = Evidence.DATA
    with pytest.raises(InternalError):
        columns.forget(ids(3))
    assert columns.row(3).reason == "because"
    columns.apply(TopicEvent.UNWANTED, ids(3), 6)
    columns.forget(ids(3))
    assert columns.row(3) == fresh
    assert columns.row(999) == fresh


@pytest.mark.parametrize("state", StreamState, ids=lambda state: state.name)
def test_closing_is_what_the_table_says_of_unwanted(state: StreamState) -> None:
    closed, applied = Streams(8), Streams(8)
    for streams in (closed, applied):
        streams.state[2:5], streams.data[2:5] = state, list(DataState)
    moved = closed.close(ids(2, 3, 4), 7)
    assert moved.tolist() == applied.apply(TopicEvent.UNWANTED, ids(2, 3, 4), 7).state.tolist()
    for column in ("state", "data", "since", "pairs", "late"):
        assert np.array_equal(getattr(closed, column), getattr(applied, column)), column
    assert not closed.data.any()


def test_what_begins_anew_before_its_id_is_given_back_has_no_past() -> None:
    columns = Streams(8)
    for stream in (2, 3):
        columns.proven[stream] = columns.alone_tries[stream] = columns.retries[stream] = columns.left_out[
            stream
        ] = 1
        columns.alone_until[stream] = 5
        columns.legs.evidence[2 * stream] = Evidence.DATA
        columns.leaving[stream] = True
    columns.begin(ids(2, 5))
    for name in ("proven", "alone_tries", "retries", "left_out", "alone_until"):
        assert getattr(columns, name)[[2, 3]].astype(bool).tolist() == [False, True], name
    assert [columns.legs.evidence_of(stream) for stream in (2, 3)] == [Evidence.NONE, Evidence.DATA]
