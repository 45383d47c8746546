"""Columns agree with the one-by-one reads they replace, and refuse ids that are not alive."""

from __future__ import annotations

import random

import numpy as np
import pytest

from subcore import _columns
from subcore._intern import Interner
from subcore._ledger import Ledger


@pytest.fixture
def ledger() -> Ledger:
    made = Ledger()
    rng = random.Random(7)
    for _ in range(200):
        stream = made.stream(rng.randrange(5), rng.randrange(50), rng.randrange(3))
        made.topic(stream, rng.choice([0, 1, 5, 15]))
    for stream in range(0, made.stream_count, 7):
        made.release_stream(stream)
    return made


def test_stream_columns_equal_the_single_reads(ledger: Ledger) -> None:
    streams = _columns.live_streams(ledger)
    assert len(streams) == ledger.stream_count
    columns = _columns.stream_columns(ledger, streams)
    assert list(zip(*(c.tolist() for c in columns), strict=True)) == [
        ledger.stream_key(s) for s in streams.tolist()
    ]


def test_what_is_wanted_of_streams_is_what_the_counts_say(ledger: Ledger) -> None:
    topics = np.concatenate([ledger.topics_of_stream(s) for s in _columns.live_streams(ledger)[5:].tolist()])
    for cls in range(4):
        ledger.add(ledger.open_component(), topics[cls::9], cls)
    streams = _columns.live_streams(ledger)
    *key, classes, widths = _columns.wanted_columns(ledger, streams)
    assert [c.tolist() for c in key] == [c.tolist() for c in _columns.stream_columns(ledger, streams)]
    assert classes.tolist() == [ledger.class_of(s) for s in streams.tolist()]
    assert widths.tolist() == [ledger.width(s) for s in streams.tolist()]
    assert len(set(classes.tolist())) == 5
    with pytest.raises(IndexError):
        _columns.wanted_columns(ledger, [10**6])


def test_columns_read_when_asked_for_are_the_columns(ledger: Ledger) -> None:
    interner, steps = Interner(), np.array([0.0, 100.0, 2.5])
    interner.intern_many([f"S{number}" for number in range(50)])
    topics = np.concatenate([ledger.topics_of_stream(s) for s in _columns.live_streams(ledger)[5:].tolist()])
    for cls in range(4):
        ledger.add(ledger.open_component(), topics[cls::9], cls)
    for streams in (_columns.live_streams(ledger), _columns.live_streams(ledger)[::-3]):
        read = _columns.columns_to_write(ledger, interner, steps, streams)
        channels, symbols, variants, classes, widths = _columns.wanted_columns(ledger, streams)
        assert read.streams.tolist() == streams.tolist()
        assert read.channels.tolist() == channels.tolist()
        assert list(read.symbols) == _columns.texts(interner, symbols)
        assert read.groupings.tolist() == steps[variants].tolist()
        assert read.priorities.tolist() == classes.tolist()
        assert read.widths.tolist() == widths.tolist()
        assert sorted(_columns.channels_of(ledger, streams)) == sorted(set(channels.tolist()))
        assert not _columns.columns_to_write(ledger, interner, steps[:1], streams).groupings.any()
    assert _columns.channels_of(ledger, streams[:0]) == []
    wrong = _columns.columns_to_write(ledger, interner, steps, np.array([10**6], np.int32))
    for name in ("channels", "symbols", "groupings", "widths", "priorities"):
        with pytest.raises(IndexError):
            getattr(wrong, name)
    with pytest.raises(IndexError):
        _columns.channels_of(ledger, [10**6])


def test_topic_columns_equal_the_single_reads(ledger: Ledger) -> None:
    for stream in _columns.live_streams(ledger).tolist():
        topics = ledger.topics_of_stream(stream)
        owners, channels, symbols, variants, cuts = _columns.topic_columns(ledger, topics)
        for i, topic in enumerate(topics.tolist()):
            assert ledger.topic_key(topic) == (owners[i], cuts[i])
            assert ledger.stream_key(stream) == (channels[i], symbols[i], variants[i])
            assert _columns.get_topic(ledger, stream, int(cuts[i])) == topic
        assert _columns.get_topic(ledger, stream, 999) == -1


def test_released_and_foreign_ids_are_refused(ledger: Ledger) -> None:
    for read in (_columns.stream_columns, _columns.topic_columns):
        for bad in (-1, 10**6):
            with pytest.raises(IndexError, match=str(bad)):
                read(ledger, [bad])
    with pytest.raises(IndexError, match="released"):
        _columns.stream_columns(ledger, [0])
    with pytest.raises(IndexError):
        _columns.get_topic(ledger, 0)


def test_holds_many(ledger: Ledger) -> None:
    component = ledger.open_component()
    topics = np.concatenate([ledger.topics_of_stream(s) for s in _columns.live_streams(ledger)[:20].tolist()])
    ledger.add(component, topics[::2])
    assert _columns.holds_many(ledger, component, topics).tolist() == [
        ledger.holds(component, t) for t in topics
    ]
    assert _columns.holds_many(ledger, component, [-5, 10**6]).tolist() == [False, False]
    with pytest.raises(IndexError):
        _columns.holds_many(ledger, 99, topics)


def test_texts_and_ids() -> None:
    interner = Interner()
    interner.intern_many(["KRW-A", "KRW-B", "KRW-C"])
    interner.release(1)
    assert _columns.interned_ids(interner).tolist() == [0, 2]
    assert _columns.texts(interner, [2, 0, 2]) == ["KRW-C", "KRW-A", "KRW-C"]
    for bad in (1, -1, 99):
        with pytest.raises(IndexError, match="no text"):
            _columns.texts(interner, [bad])


def test_topics_that_are_held_and_by_how_many(ledger: Ledger) -> None:
    rng = random.Random(3)
    topics = np.concatenate([ledger.topics_of_stream(s) for s in _columns.live_streams(ledger).tolist()])
    held: dict[int, set[int]] = {}
    for component in [ledger.open_component() for _ in range(9)]:
        mine = rng.sample(topics.tolist(), rng.randrange(40))
        ledger.add(component, np.array(mine, np.int32))
        ledger.pause(component, rng.random() < 0.5)
        held[component] = set(mine)
    gone = next(iter(held))
    ledger.close_component(gone)
    del held[gone]
    wanted = {topic: sum(topic in mine for mine in held.values()) for topic in set().union(*held.values())}
    ids, holders = _columns.held_topics(ledger)
    assert dict(zip(ids.tolist(), holders.tolist(), strict=True)) == wanted
    assert ids.tolist() == sorted(wanted)
    assert _columns.interest_counts(ledger, list(held)).tolist() == [len(mine) for mine in held.values()]
    with pytest.raises(IndexError):
        _columns.interest_counts(ledger, [gone])


def test_nothing_is_held_of_nothing() -> None:
    assert [column.tolist() for column in _columns.held_topics(Ledger())] == [[], []]
