"""Set algebra, packing and the wire set against Python's own sets and lists."""

from __future__ import annotations

import gc
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from examples import examples
from model import WireSetModel, messages_of
from subcore._sets import diff, intersect, is_sorted_unique, pack, subtract, union
from subcore._wire_set import WireSet
from traced import traced_bytes

INT32 = st.integers(-(2**31), 2**31 - 1)
members = st.sets(st.integers(0, 20) | INT32, max_size=30)


def array(values: set[int]) -> np.ndarray:
    ids = np.array(sorted(values), np.int32)
    ids.flags.writeable = False
    return ids


@given(members, members)
@example(set(), set())
@example({-(2**31)}, {2**31 - 1})
def test_algebra_equals_that_of_python_sets(left: set[int], right: set[int]) -> None:
    a, b = array(left), array(right)
    added, removed = diff(a, b)
    assert added.tolist() == sorted(left - right)
    assert removed.tolist() == sorted(right - left)
    assert union(a, b).tolist() == sorted(left | right)
    assert intersect(a, b).tolist() == sorted(left & right)
    assert subtract(a, b).tolist() == sorted(left - right)
    for result in (added, removed, union(a, b), intersect(a, b), subtract(a, b)):
        assert result.dtype == np.int32
        assert result.base is None
        assert is_sorted_unique(result)


@given(st.lists(INT32, max_size=6))
def test_is_sorted_unique(values: list[int]) -> None:
    assert is_sorted_unique(values) == (values == sorted(set(values)))


@pytest.mark.parametrize("bad", [[2, 1], [1, 1], [0, 1, 2, 3, 3]])
def test_an_unsorted_argument_is_refused_by_name(bad: list[int]) -> None:
    for function in (union, intersect):
        with pytest.raises(ValueError, match="left must be sorted"):
            function(bad, [1])
        with pytest.raises(ValueError, match="right must be sorted"):
            function([1], bad)
    for function in (diff, subtract):
        with pytest.raises(ValueError, match="target must be sorted"):
            function(bad, [1])
        with pytest.raises(ValueError, match="wire must be sorted"):
            function([1], bad)
    with pytest.raises(TypeError, match="target must be integers"):
        diff([1.0], [1])


@given(
    st.lists(st.integers(0, 40), max_size=60),
    st.integers(1, 10),
    st.integers(0, 30),
    st.integers(0, 60),
)
def test_pack_fills_each_message_as_far_as_it_goes(
    sizes: list[int], max_count: int, overhead: int, spare: int
) -> None:
    max_bytes = overhead + max([spare, *sizes])
    offsets = pack(np.array(sizes, np.int32), max_count, max_bytes, overhead).tolist()
    assert offsets[0] == 0
    cut = [sizes[start:end] for start, end in pairwise(offsets)]
    assert cut == messages_of(sizes, max_count, max_bytes, overhead)


def test_pack_names_what_cannot_be_sent() -> None:
    assert pack([], 1, 0).tolist() == [0]
    with pytest.raises(ValueError, match="entry 1 of 11 bytes fits no message: 10 of 12 bytes are left"):
        pack([10, 11], 5, 12, 2)
    with pytest.raises(ValueError, match="entry 0 of -1 bytes"):
        pack([-1], 5, 12)
    with pytest.raises(ValueError, match="max_count must be at least 1"):
        pack([1], 0, 12)
    for overhead in (-1, 13):
        with pytest.raises(ValueError, match="overhead must be 0 to max_bytes"):
            pack([1], 5, 12, overhead)
    assert pack([2**31 - 1] * 3, 10, 2**33).tolist() == [0, 3]


class WireSetMachine(RuleBasedStateMachine):
    LIMIT = 400
    streams = st.lists(st.integers(0, 12) | st.integers(0, LIMIT - 1), max_size=20)

    @initialize()
    def make(self) -> None:
        self.wire = WireSet(self.LIMIT)
        self.model = WireSetModel()

    @rule(streams=streams, flag=st.booleans())
    def set_target(self, streams: list[int], flag: bool) -> None:
        self.wire.set_target(streams, flag)
        self.model.change(self.model.target, streams, flag)

    @rule(streams=streams, flag=st.booleans())
    def set_wire(self, streams: list[int], flag: bool) -> None:
        self.wire.set_wire(streams, flag)
        self.model.change(self.model.wire, streams, flag)

    @rule(start=st.integers(0, LIMIT), size=st.integers(80, 300), flag=st.booleans())
    def set_many(self, start: int, size: int, flag: bool) -> None:
        streams = list(range(start, min(start + size, self.LIMIT)))
        self.wire.set_target(np.array(streams, np.int32), flag)
        self.model.change(self.model.target, streams, flag)

    @rule()
    def settle(self) -> None:
        self.wire.set_wire(self.wire.added())
        self.wire.set_wire(self.wire.removed(), False)
        self.model.wire = set(self.model.target)

    @rule()
    def lose_the_link(self) -> None:
        self.wire.clear_wire()
        self.model.wire.clear()

    @rule(streams=streams, bad=st.sampled_from([-1, LIMIT, 2**31 - 1]), flag=st.booleans())
    def a_bad_id_changes_nothing(self, streams: list[int], bad: int, flag: bool) -> None:
        before = self.wire.nbytes
        for change in (self.wire.set_target, self.wire.set_wire):
            with pytest.raises(IndexError, match=f"a stream id must be 0 to 399, not {bad}"):
                change([*streams, bad], flag)
        assert self.wire.nbytes == before

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "model"):
            return
        wire, model = self.wire, self.model
        assert wire.target().tolist() == sorted(model.target)
        assert wire.wire().tolist() == sorted(model.wire)
        assert wire.added().tolist() == sorted(model.target - model.wire)
        assert wire.removed().tolist() == sorted(model.wire - model.target)
        assert (wire.len_target, wire.len_wire) == (len(model.target), len(model.wire))
        assert wire.len_added == len(model.target - model.wire)
        assert wire.len_removed == len(model.wire - model.target)
        assert wire.verify(sorted(model.target), sorted(model.wire)).size == 0
        for stream in (0, 5, self.LIMIT - 1, self.LIMIT, -1):
            assert wire.has_target(stream) == (stream in model.target)
            assert wire.has_wire(stream) == (stream in model.wire)


WireSetMachine.TestCase.settings = examples(60, stateful_step_count=30)
TestWireSetAgainstSets = WireSetMachine.TestCase


def test_verify_names_where_the_truth_differs() -> None:
    wire = WireSet()
    wire.set_target([1, 2, 3])
    wire.set_wire([2, 3, 4])
    assert wire.verify().size == 0
    assert wire.verify([1, 2, 3], [2, 3, 4]).size == 0
    assert wire.verify([1, 2, 5], [3, 4]).tolist() == [2, 3, 5]
    with pytest.raises(ValueError, match="target must be sorted"):
        wire.verify([2, 1])


def test_limits_of_a_wire_set() -> None:
    for limit in (0, -1, 2**28 + 1):
        with pytest.raises(ValueError, match="max_streams must be 1 to"):
            WireSet(limit)
    wire = WireSet(1)
    wire.set_target([0] * 100)
    assert wire.added().tolist() == [0]


def test_a_failed_allocation_changes_nothing() -> None:
    testcapi = pytest.importorskip("_testcapi", reason="this Python ships no allocation failures")
    many = np.arange(1_000, dtype=np.int32)
    failures = 0
    for attempt in range(12):
        wire = WireSet()
        wire.set_target([3])
        before = wire.nbytes
        failed = False
        testcapi.set_nomemory(attempt, attempt + 1)
        try:
            wire.set_target(many)
        except MemoryError:
            failed = True
        finally:
            testcapi.remove_mem_hooks()
        failures += failed
        assert wire.added().tolist() == ([3] if failed else many.tolist())
        assert (wire.nbytes == before) == failed
        assert wire.verify().size == 0
    assert failures >= 2


def test_traced_memory_equals_nbytes_and_churn_never_grows_it() -> None:
    streams = np.arange(20_000, dtype=np.int32)
    gc.collect()
    tracemalloc.start()
    try:
        before = traced_bytes()
        wire = WireSet()
        wire.set_target(streams)
        wire.set_wire(streams[::2])
        # Python's own integers and frames come and go: a few hundred bytes are not ours.
        assert abs(traced_bytes() - before - wire.nbytes) < 1_000
        full = wire.nbytes
        for _ in range(200):
            wire.set_target(streams[7:8], False)
            wire.set_wire(wire.added())
            wire.set_target(streams[7:8])
            wire.clear_wire()
        assert wire.nbytes == full
        assert wire.len_added == 20_000
        del wire
        assert traced_bytes() - before < 1_000
    finally:
        tracemalloc.stop()
