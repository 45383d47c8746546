"""Many streams at once through a table of what follows, against one at a time."""

from __future__ import annotations

import numpy as np
import pytest

from subcore import _states

KEEP, LATE = 254, 255
FOLLOWS = np.array([[1, KEEP], [LATE, 2], [KEEP, LATE]], np.uint8)  # states by events
DATA = np.array([[0, 1], [2, 1], [2, 1]], np.uint8)  # 1 = good, 2 = doubted


def ids(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


@pytest.mark.parametrize("seed", range(20))
def test_a_step_is_the_same_as_one_stream_at_a_time(seed: int) -> None:
    rng = np.random.default_rng(seed)
    states, since = rng.integers(0, 3, 50).astype(np.uint8), np.zeros(50, np.int64)
    counts = np.zeros(FOLLOWS.shape, np.int64)
    chosen = rng.permutation(50)[: rng.integers(0, 50)].astype(np.int32)
    event, before = int(rng.integers(0, 2)), states.tolist()
    moved, valid, late = _states.step(FOLLOWS, event, KEEP, LATE, states, since, counts, chosen, 7)
    after = {stream: int(FOLLOWS[before[stream], event]) for stream in chosen.tolist()}
    assert moved.tolist() == [s for s, new in after.items() if new < KEEP]
    assert valid.tolist() == [s for s, new in after.items() if new != LATE]
    assert late == len(chosen) - len(valid)
    for stream in range(50):
        new = after.get(stream, KEEP)
        assert states[stream] == (new if new < KEEP else before[stream])
        assert since[stream] == (7 if new < KEEP else 0)
    for state in range(3):
        assert counts[state, event] == sum(before[stream] == state for stream in after)
    assert counts.sum() == len(chosen)


@pytest.mark.parametrize("seed", range(10))
def test_a_turn_tells_who_is_doubted_and_who_is_good_again(seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 3, 40).astype(np.uint8)
    chosen, event, before = rng.permutation(40)[:25].astype(np.int32), seed % 2, data.tolist()
    doubted, recovered = _states.turn(DATA, event, 2, 1, data, chosen)
    after = {stream: int(DATA[before[stream], event]) for stream in chosen.tolist()}
    assert doubted.tolist() == [s for s, new in after.items() if new == 2 != before[s]]
    assert recovered.tolist() == [s for s, new in after.items() if new == 1 and before[s] == 2]
    assert data.tolist() == [after.get(stream, value) for stream, value in enumerate(before)]


def test_streams_are_chosen_and_split_in_the_order_given() -> None:
    values = np.array([0, 1, 2, 1, 0], np.uint8)
    assert _states.chosen(values, ids(4, 3, 2, 1), 1, 2).tolist() == [3, 2, 1]
    assert _states.chosen(values, ids(4, 0), 1).tolist() == []
    marks = values > 0
    assert [part.tolist() for part in _states.split(marks, ids(4, 3, 0, 1))] == [[3, 1], [4, 0]]
    assert [part.tolist() for part in _states.split(marks, ids())] == [[], []]
    _states.fill(marks, ids(0, 4), True)
    assert marks.all()
    assert (_states.largest(ids(3, 9, 1)), _states.largest(ids())) == (9, -1)


@pytest.mark.parametrize("seed", range(10))
def test_what_is_left_of_a_part_stands_in_the_order_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    streams = rng.permutation(30).astype(np.int32)
    left, right = (streams[rng.random(30) < share] for share in (0.5, (0.0, 0.4, 1.0)[seed % 3]))
    rest = _states.without(streams, left, right)
    assert rest.tolist() == [s for s in left.tolist() if s not in right.tolist()]
    with pytest.raises(ValueError, match="in its order"):
        _states.without(streams, streams[:2], streams[[3, 2]])


def test_places_and_times_that_are_not_set() -> None:
    column, times = np.array([-1, 2, 0, -1], np.int32), np.array([0, 5, 0], np.int64)
    assert _states.places(column, ids(9, 2, 0, 1)).tolist() == [0, 2]
    assert _states.unset(times, ids(2, 1, 0)).tolist() == [2, 0]
    with pytest.raises(IndexError):
        _states.unset(times, ids(3))
    for call in (_states.places, _states.unset):
        with pytest.raises(TypeError):
            call(np.zeros(4, np.float64), ids(0))


def test_times_are_stamped_once_where_a_column_says() -> None:
    column, times = np.array([-1, 2, 0, 1], np.int32), np.array([0, 5, 0], np.int64)
    _states.stamp(times, column, ids(9, 1, 0, -4, 3), 7)
    assert times.tolist() == [0, 5, 7]
    _states.stamp(times, column, ids(1, 2), 8)
    assert times.tolist() == [8, 5, 7]
    column[0] = 3
    times[1] = 0
    with pytest.raises(IndexError, match="place 3 of 3"):
        _states.stamp(times, column, ids(3, 0), 9)
    assert times.tolist() == [8, 0, 7]
    with pytest.raises(TypeError):
        _states.stamp(times.astype(np.int32), column, ids(1), 9)


def test_a_wrong_id_changes_nothing() -> None:
    states, since, counts = np.zeros(4, np.uint8), np.zeros(4, np.int64), np.zeros((3, 2), np.int64)
    for wrong in (ids(0, 4), ids(0, -1)):
        with pytest.raises(IndexError):
            _states.step(FOLLOWS, 0, KEEP, LATE, states, since, counts, wrong, 7)
        for call in (
            lambda wrong=wrong: _states.turn(DATA, 1, 2, 1, states, wrong),
            lambda wrong=wrong: _states.chosen(states, wrong, 0),
            lambda wrong=wrong: _states.split(states, wrong),
            lambda wrong=wrong: _states.fill(states, wrong, 1),
        ):
            with pytest.raises(IndexError):
                call()
    with pytest.raises(IndexError):
        _states.step(FOLLOWS, 2, KEEP, LATE, states, since, counts, ids(0), 7)
    states[0] = 3
    with pytest.raises(IndexError):
        _states.step(FOLLOWS, 0, KEEP, LATE, states, since, counts, ids(1, 0), 7)
    assert not since.any()
    assert not counts.any()
    assert states.tolist() == [3, 0, 0, 0]


@pytest.mark.parametrize("seed", range(20))
def test_columns_are_cleared_and_marked_where_the_streams_stand(seed: int) -> None:
    chance = np.random.default_rng(seed)
    streams = chance.permutation(30)[: chance.integers(0, 30)].astype(np.int32)
    columns = [chance.integers(1, 100, 30).astype(kind) for kind in (np.bool_, np.uint16, np.int32, np.int64)]
    plain = [dict(enumerate(column.tolist())) for column in columns]
    _states.clear(streams, *columns)
    for column, was in zip(columns, plain, strict=True):
        was.update(dict.fromkeys(streams.tolist(), 0))
        assert column.tolist() == list(was.values())
    marks = chance.integers(0, 2, 30).astype(np.bool_)
    marked = set(np.flatnonzero(marks).tolist())
    assert _states.mark(marks, streams).tolist() == [s for s in streams.tolist() if s not in marked]
    assert set(np.flatnonzero(marks).tolist()) == marked | set(streams.tolist())


def test_what_cannot_be_cleared_or_marked_changes_nothing() -> None:
    marks, times = np.ones(4, np.bool_), np.ones(3, np.int64)
    with pytest.raises(IndexError):
        _states.clear(ids(0, 3), marks, times)
    with pytest.raises(TypeError, match="written to"):
        _states.clear(ids(0), marks, np.ones(8, np.int64)[::2])
    with pytest.raises(IndexError):
        _states.mark(marks, ids(0, 4))
    assert marks.all()
    assert times.all()


def test_alike_is_all_of_one_value() -> None:
    for kind in (np.int32, np.int64):
        for values in ([], [3], [1 << 30, 1 << 30], [0, 0, 1], [1, 0, 0]):
            assert _states.alike(np.array(values, kind)) == (len(set(values)) <= 1)
    assert not _states.alike(np.array([1, 1 + (1 << 32)], np.int64))
    for wrong in (np.zeros(2), np.zeros(4, np.int32)[::2]):
        with pytest.raises(TypeError):
            _states.alike(wrong)
