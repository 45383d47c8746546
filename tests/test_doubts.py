"""For how long streams are bad, against a dict that is looked at as often."""

from __future__ import annotations

import random

import numpy as np

from subcore.engine.doubts import Doubts
from subcore.types import DataState, StreamState

LOST = {StreamState.WAITING, StreamState.RECOVERING}
DOUBTFUL = {StreamState.SENT, StreamState.OPEN}


def is_bad(state: StreamState, data: DataState) -> bool:
    return state in LOST or (state in DOUBTFUL and data is DataState.SUSPECT)


def test_ages_are_those_of_a_dict() -> None:
    rng, doubts, since = random.Random(3), Doubts(), {}
    run, streams, seen = 0, [(StreamState.CLOSED, DataState.NONE)] * 4, 0
    for _ in range(400):
        run += rng.randint(1, 5)
        if rng.random() < 0.05:
            streams = streams + [(StreamState.WAITING, DataState.NONE)] * rng.randint(1, 4)  # ids never seen
        for _ in range(rng.randint(0, 2)):
            of = (rng.choice(list(StreamState)), rng.choice(list(DataState)))
            streams[rng.randrange(len(streams))] = of
        if rng.random() < 0.1:  # some were wanted no more, and by now their ids are others'
            gone = rng.sample(range(len(streams)), 2)
            doubts.forget(np.array([*gone, 1000], np.int32))
            since = {i: at for i, at in since.items() if i not in gone}
        if rng.random() < 0.02:
            streams = [(StreamState.OPEN, DataState.GOOD)] * len(streams)
        states, data = (np.array(column, np.uint8) for column in zip(*streams, strict=True))
        doubts.look(states, data, run)
        since = {i: since.get(i, run) for i, (state, data) in enumerate(streams) if is_bad(state, data)}
        least = rng.randint(0, 30)
        old = doubts.older(least, run)
        assert old.tolist() == [i for i in sorted(since) if run - since[i] >= least]
        assert doubts.ages(old, run).tolist() == [run - since[i] for i in old.tolist()]
        seen += len(old)
    assert seen > 500
