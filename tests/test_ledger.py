"""The ledger: edges, groups, limits, failure of memory, reuse, bytes."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest

from subcore._ledger import Ledger
from subcore.errors import CapacityError
from traced import traced_bytes


def ledger_with(streams: int, **limits: int) -> tuple[Ledger, np.ndarray]:
    ledger = Ledger(**limits)
    return ledger, ledger.topics(0, np.arange(streams, dtype=np.int32))


def test_changes_that_cancel_before_the_take_yield_nothing() -> None:
    ledger, topics = ledger_with(3)
    a, b = ledger.open_component(), ledger.open_component()
    ledger.add(a, topics)
    ledger.remove(a, topics[1:])
    assert ledger.take_edges().opened.tolist() == [0]
    ledger.remove(a, topics)
    ledger.add(b, topics[:1])
    assert not ledger.take_edges()


def test_it_is_known_whether_anything_was_touched_since_the_take() -> None:
    """Though it may cancel: what is read of a stream meanwhile may be newer than what was taken."""
    ledger, topics = ledger_with(3)
    component = ledger.open_component()
    assert not ledger.has_edges
    ledger.add(component, topics)
    assert ledger.has_edges
    ledger.take_edges()
    assert not ledger.has_edges
    ledger.remove(component, topics[:1])
    ledger.add(component, topics[:1])
    assert ledger.has_edges
    assert not ledger.take_edges()
    assert not ledger.has_edges


def test_a_class_or_width_edge_only_when_the_strongest_holder_differs() -> None:
    ledger = Ledger()
    stream = ledger.stream(2, 7)
    narrow, wide, full = ledger.topic(stream, 5), ledger.topic(stream, 30), ledger.topic(stream)
    a, b = ledger.open_component(), ledger.open_component()
    ledger.add(a, [narrow], 2)
    assert ledger.take_edges().opened.tolist() == [stream]
    ledger.add(b, [narrow], 1)
    assert not ledger.take_edges()
    ledger.add(b, [wide], 0)
    assert ledger.take_edges().changed.tolist() == [stream]
    assert ledger.width(stream) == 30
    ledger.add(b, [full], 0)
    assert ledger.take_edges().changed.tolist() == [stream]
    assert ledger.width(stream) == 0
    ledger.remove(a, [narrow])
    assert ledger.class_of(stream) == 1
    assert ledger.take_edges().changed.tolist() == [stream]
    assert ledger.class_counts(stream) == (2, 1, 0, 0)
    counts, classes, widths = ledger.columns([stream, stream])
    assert (counts.tolist(), classes.tolist(), widths.tolist()) == ([[2, 1, 0, 0]] * 2, [1, 1], [0, 0])


def test_a_stream_id_reused_before_the_take_carries_no_edge_of_the_old_one() -> None:
    ledger, topics = ledger_with(1)
    component = ledger.open_component()
    ledger.add(component, topics)
    ledger.remove(component, topics)
    ledger.release_stream(0)
    assert not ledger.take_edges()
    again = ledger.stream(9, 9)
    assert again == 0
    ledger.add(component, [ledger.topic(again, 4)])
    ledger.remove(component, [ledger.topic(again, 4)])
    ledger.release_stream(again)
    assert ledger.stream(8, 8) == again
    assert not ledger.take_edges()
    assert ledger.columns([again])[1].tolist() == [-1]


def test_a_stream_whose_edge_nobody_has_seen_yet_is_not_let_go() -> None:
    """Whoever took it as opened would never hear that it closed."""
    ledger, topics = ledger_with(1)
    component = ledger.open_component()
    ledger.add(component, topics)
    ledger.take_edges()
    ledger.remove(component, topics)
    with pytest.raises(ValueError, match="take_edges"):
        ledger.release_stream(0)
    assert (ledger.stream_generation(0), ledger.stream_count) == (0, 1)
    assert ledger.take_edges().closed.tolist() == [0]
    ledger.release_stream(0)
    assert (ledger.stream_generation(0), ledger.stream_count) == (1, 0)


def test_ids_not_in_use_are_named() -> None:
    ledger, topics = ledger_with(2)
    component = ledger.open_component()
    ledger.add(component, topics)
    for bad in (-1, 2, 2**31 - 1):
        for call in (ledger.stream_key, ledger.topics_of_stream, ledger.release_stream, ledger.count):
            with pytest.raises(IndexError, match=f"no stream has id {bad}"):
                call(bad)
        for call in (ledger.class_of, ledger.width, ledger.class_counts, ledger.topic):
            with pytest.raises(IndexError, match=f"no stream has id {bad}"):
                call(bad)
        with pytest.raises(IndexError, match=f"no stream has id {bad}"):
            ledger.columns([0, bad])
        for call in (ledger.topic_key, ledger.release_topic, lambda id: ledger.holds(component, id)):
            with pytest.raises(IndexError, match=f"no topic has id {bad}"):
                call(bad)
        for call in (ledger.close_component, ledger.interests, ledger.pause, ledger.is_paused):
            with pytest.raises(IndexError, match=f"no component has id {bad}"):
                call(bad)
        for change in (ledger.add, ledger.remove):
            with pytest.raises(IndexError, match=f"no component has id {bad}"):
                change(bad, topics)
        for generation in (ledger.generation, ledger.stream_generation, ledger.topic_generation):
            with pytest.raises(IndexError, match=f"had id {bad}"):
                generation(bad)
    ledger.remove(component, [1])
    with pytest.raises(ValueError, match="component 0 does not hold topic 1"):
        ledger.payload(component, 1)
    with pytest.raises(ValueError, match="does not hold"):
        ledger.set_payload(component, 1, 5)
    ledger.set_payload(component, 0, -7)
    assert ledger.payload(component, 0) == -7


def test_bad_values_are_named_and_change_nothing() -> None:
    ledger, topics = ledger_with(2)
    component = ledger.open_component()
    for cls in (-1, 4):
        with pytest.raises(ValueError, match="class must be 0 to 3"):
            ledger.add(component, topics, cls)
    for wrong in (-1, 65_536):
        with pytest.raises(ValueError, match="channel must be 0 to 65535"):
            ledger.stream(wrong, 0)
        with pytest.raises(ValueError, match="variant must be"):
            ledger.topics(0, [0], variant=wrong)
        with pytest.raises(ValueError, match="cut must be"):
            ledger.topic(0, wrong)
        assert ledger.get_stream(wrong, 0) == ledger.get_stream(0, 0, wrong) == -1
    for symbol in (-1, 2**31):
        with pytest.raises(ValueError, match="symbol"):
            ledger.stream(0, symbol)
        with pytest.raises(ValueError, match="symbol"):
            ledger.topics(0, [5, symbol])
        assert ledger.get_stream(0, symbol) == -1
    with pytest.raises(ValueError, match="one-dimensional"):
        ledger.add(component, topics.reshape(1, 2))
    with pytest.raises(TypeError, match="topics must be integers, not float64"):
        ledger.add(component, [0.0])
    with pytest.raises(TypeError, match="topics must be integers, not bool"):
        ledger.add(component, [True])
    with pytest.raises(ValueError, match="fit 32 bits"):
        ledger.add(component, [2**32])
    with pytest.raises(ValueError, match="one payload per topic: 1 for 2"):
        ledger.add(component, topics, 1, [4])
    for limits in ({"max_streams": 0}, {"max_topics": 0}, {"max_components": 0}, {"max_topics": 2**28 + 1}):
        with pytest.raises(ValueError, match=next(iter(limits))):
            Ledger(**limits)
    assert (len(ledger), ledger.stream_count, ledger.topic_count) == (0, 2, 2)


def test_arrays_of_any_integer_layout_are_read() -> None:
    ledger, topics = ledger_with(6)
    component = ledger.open_component()
    assert ledger.add(component, topics[::2]) == 3
    assert ledger.add(component, topics.astype(np.int64)) == 3
    frozen = topics.copy()
    frozen.flags.writeable = False
    assert ledger.remove(component, frozen) == 6
    assert ledger.add(component, range(6)) == 6
    assert ledger.remove(component, []) == 0


def test_topics_is_all_or_nothing_and_counts_a_repeated_symbol_once() -> None:
    ledger = Ledger(max_streams=3, max_topics=4)
    ledger.topics(0, [0])
    before = ledger.nbytes
    with pytest.raises(CapacityError, match="3 new streams, 2 of 3"):
        ledger.topics(0, [0, 1, 2, 3])
    assert (ledger.stream_count, ledger.topic_count, ledger.nbytes) == (1, 1, before)
    assert ledger.topics(0, [2, 1, 2, 1, 2, 0]).tolist() == [2, 1, 2, 1, 2, 0]
    with pytest.raises(CapacityError, match="3 new topics, 1 of 4"):
        ledger.topics(0, [0, 1, 2], cut=5)
    assert (ledger.stream_count, ledger.topic_count) == (3, 3)


def test_a_failed_allocation_changes_nothing() -> None:
    testcapi = pytest.importorskip("_testcapi", reason="this Python ships no allocation failures")
    symbols = np.arange(40, dtype=np.int32)
    failures = 0
    for attempt in range(60):
        ledger, topics = ledger_with(30)
        component = ledger.open_component()
        ledger.add(component, topics[:20], 1)
        ledger.take_edges()
        state = ledger.nbytes, len(ledger), ledger.stream_count, ledger.topic_count
        failed = False
        testcapi.set_nomemory(attempt, attempt + 1)
        try:
            topics = ledger.topics(0, symbols)
            ledger.add(component, topics, 2)
        except MemoryError:
            failed = True
        finally:
            testcapi.remove_mem_hooks()
        failures += failed
        made = ledger.topic_count == 40
        assert len(ledger) == (20 if failed else 40)
        assert made or (ledger.stream_count, ledger.topic_count) == state[2:]
        assert ledger.interests(component).tolist() == list(range(20 if failed else 40))
        assert {ledger.class_of(stream) for stream in range(20)} == {1 if failed else 2}
        ledger.close_component(component)
        assert ledger.take_edges().closed.tolist() == list(range(20))
    assert failures >= 5


def test_colliding_topics_survive_removal_in_any_order() -> None:
    # Ids a Fibonacci number apart land beside each other in golden-ratio hashing.
    ledger, topics = ledger_with(40_000)
    component = ledger.open_component()
    held = topics[:: 28_657 // 17][:20].tolist() + topics[::987].tolist()
    held = list(dict.fromkeys(held))
    assert ledger.add(component, held) == len(held)
    for gone in [held[at] for at in (0, -1, 7, 3, 12, 5)]:
        assert ledger.remove(component, [gone]) == 1
        held.remove(gone)
        assert ledger.interests(component).tolist() == sorted(held)


def test_traced_memory_equals_nbytes_and_nothing_stays() -> None:
    symbols = np.arange(3_000, dtype=np.int32)
    components = list(range(300))
    gc.collect()
    tracemalloc.start()
    try:
        before = traced_bytes()
        ledger = Ledger()
        for component in components:
            assert ledger.open_component() == component
        for component in components[:50]:
            topics = ledger.topics(component % 3, symbols[component * 50 : component * 50 + 500])
            ledger.add(component, topics, component % 4)
        ledger.topics(1, symbols[:100], cut=15)
        del topics
        assert abs(traced_bytes() - before - ledger.nbytes) < 1_400
        full = ledger.nbytes
        for component in components[:50]:
            ledger.remove(component, ledger.interests(component)[: 10 * component])
        gc.collect()
        assert ledger.nbytes < full
        assert abs(traced_bytes() - before - ledger.nbytes) < 1_400
        del ledger
        assert traced_bytes() - before < 1_500
    finally:
        tracemalloc.stop()


def test_churn_never_grows_anything() -> None:
    ledger, topics = ledger_with(300)
    keeper, churner = ledger.open_component(), ledger.open_component()
    ledger.add(keeper, topics)
    ledger.add(churner, topics[:200])
    ledger.take_edges()
    ledger.topic(ledger.stream(7, 0))
    ledger.release_stream(300)
    before = ledger.nbytes
    for n in range(5_000):
        ledger.remove(keeper, topics[n % 300 : n % 300 + 1])
        ledger.add(keeper, topics[n % 300 : n % 300 + 1], n % 4)
        if n % 10 == 0:
            ledger.close_component(churner)
            churner = ledger.open_component()
            ledger.add(churner, topics[:200])
            stream = ledger.stream(7, n)
            ledger.topic(stream, n)
            ledger.release_stream(stream)
            ledger.take_edges()
    assert ledger.nbytes == before
    assert (len(ledger), ledger.stream_count, ledger.topic_count) == (500, 300, 300)


@pytest.mark.parametrize(("batch", "upto"), [(1, 600), (3, 600), (200, 200), (200, 1_000)])
def test_an_interest_costs_at_most_twelve_bytes_averaged_over_fill_levels(batch: int, upto: int) -> None:
    ledger, topics = ledger_with(1_000)
    components = [ledger.open_component() for _ in range(100)]
    before = ledger.nbytes
    costs = []
    for at in range(0, upto, batch):
        for component in components:
            ledger.add(component, np.roll(topics, 7 * component)[at : at + batch])
        if at + batch >= 30:
            costs.append((ledger.nbytes - before) / len(ledger))
    assert sum(costs) / len(costs) <= 12
    assert max(costs) <= 13
