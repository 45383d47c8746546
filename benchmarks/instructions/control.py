"""Instructions of the control plane's loops: those that a change of 20 topics runs, and a request of 500 names."""

from __future__ import annotations

import numpy as np

from subcore._encode import Names, in_parts, join_quoted
from subcore._intern import Interner
from subcore.engine.legs import Legs
from subcore.engine.topics import Streams, TopicEvent
from subcore.types import Evidence, StreamState

STREAMS = 500
CHANGE = 20


def carried() -> tuple[Streams, Legs]:
    """Streams that one link carries, all proven."""
    streams = Streams(STREAMS)
    ids = np.arange(STREAMS, dtype=np.int32)
    streams.legs.settle_free(0, ids)
    streams.legs.put_in_force(0, ids, np.zeros(STREAMS, np.int32))
    for event in (TopicEvent.WANTED, TopicEvent.ASKED, TopicEvent.PROVEN_DATA):
        streams.apply(event, ids, 1)
    return streams, streams.legs


def bench_change(n: int = 500) -> None:
    """A unit is 20 streams that leave, come, are asked for and proven, as far as states and legs go."""
    streams, legs = carried()
    ids, widths = np.arange(CHANGE, dtype=np.int32), np.zeros(CHANGE, np.int32)
    for now in range(2, n + 2):
        streams.apply(TopicEvent.UNWANTED, ids, now)
        legs.by_link(ids)
        legs.turn(0, ids, now)
        legs.put_left(0, ids, now)
        legs.carried(streams.in_state(ids, StreamState.CLOSED))
        streams.apply(TopicEvent.WANTED, ids, now)
        legs.enter(0, ids, now)
        legs.put_in_force(0, ids, widths)
        legs.late(0, ids, now)
        legs.put_asked(0, ids, now)
        streams.apply(TopicEvent.ASKED, ids, now)
        legs.heard(0, ids, now, Evidence.DATA)
        streams.apply(TopicEvent.PROVEN_DATA, ids, now)


def bench_request(n: int = 200) -> None:
    """A unit is the names of 500 streams of two channels and two classes, put in order and joined."""
    interner = Interner()
    names = Names(interner, interner.intern_many([f"KRW-T{number}" for number in range(STREAMS)]))
    channels, classes = (np.arange(STREAMS, dtype=np.int32) // part % 2 for part in (7, 3))
    steps = np.zeros(STREAMS)
    for _ in range(n):
        for rows, *_ in in_parts(channels, steps, classes):
            join_quoted(names, rows)
