"""Evidence: the first fitting frame of what is awaited, against a list."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from compiled import compiled
from examples import examples
from meter_events import ticker
from subcore._meter import Meter

feed = compiled("meter_feed").feed


def taken(meter: Meter) -> list[tuple[int, list[int], int]]:
    return [(link, streams.tolist(), time) for link, streams, time in meter.take_evidence()]


def test_first_fitting_frame_is_evidence_once() -> None:
    meter = Meter(1)
    meter.await_evidence(2, np.array([4, 5], np.int32), 100)
    assert meter.awaiting == 2
    assert not feed(meter, ticker(99), link=2, stream=4)  # too early for a live one
    assert not feed(meter, ticker(200, snapshot=True), link=1, stream=4)  # another link
    assert not feed(meter, ticker(200), link=2, stream=6)  # not awaited
    assert feed(meter, ticker(50, snapshot=True), link=2, stream=4)
    assert not feed(meter, ticker(60, snapshot=True), link=2, stream=4)
    assert feed(meter, ticker(100), link=2, stream=5)
    assert meter.awaiting == 0
    assert taken(meter) == [(2, [4, 5], 100)]
    assert taken(meter) == []


def test_awaiting_anew_forgets_what_was_not_taken() -> None:
    meter = Meter(1)
    meter.await_evidence(0, [1, 2])
    feed(meter, ticker(5), stream=1)
    feed(meter, ticker(6), stream=2)
    meter.await_evidence(1, [1, 1])
    assert meter.awaiting == 1
    assert taken(meter) == [(0, [2], 6)]
    assert not feed(meter, ticker(7), link=0, stream=1)
    assert feed(meter, ticker(8), link=1, stream=1)
    meter.reset_streams([1])
    assert taken(meter) == []
    meter.await_evidence(1, [1])
    meter.reset_streams([1])
    assert meter.awaiting == 0
    assert not feed(meter, ticker(9), link=1, stream=1)


class EvidenceMachine(RuleBasedStateMachine):
    """Against a dict of what is awaited and a list of what was proven."""

    def __init__(self) -> None:
        super().__init__()
        self.meter = Meter(1)
        self.awaited: dict[int, tuple[int, int]] = {}
        self.proven: list[tuple[int, int, int]] = []

    @rule(link=st.integers(0, 2), streams=st.lists(st.integers(0, 40), max_size=20), at=st.integers(0, 9))
    def wait(self, link: int, streams: list[int], at: int) -> None:
        self.meter.await_evidence(link, streams, at)
        self.awaited |= dict.fromkeys(streams, (link, at))
        self.proven = [proof for proof in self.proven if proof[1] not in streams]

    @rule(link=st.integers(0, 2), stream=st.integers(0, 40), now=st.integers(0, 9), snapshot=st.booleans())
    def frame(self, link: int, stream: int, now: int, snapshot: bool) -> None:
        wanted = self.awaited.get(stream)
        proves = wanted is not None and wanted[0] == link and (snapshot or now >= wanted[1])
        assert feed(self.meter, ticker(now, snapshot=snapshot), link, stream) == proves
        if proves:
            del self.awaited[stream]
            self.proven.append((link, stream, now))

    @rule(streams=st.lists(st.integers(0, 50), max_size=5))
    def reset(self, streams: list[int]) -> None:
        self.meter.reset_streams(streams)
        for stream in streams:
            self.awaited.pop(stream, None)
        self.proven = [proof for proof in self.proven if proof[1] not in streams]

    @rule()
    def take(self) -> None:
        wanted: dict[int, tuple[list[int], int]] = {}
        for link, stream, now in self.proven:
            wanted[link] = ([*wanted.get(link, ([], 0))[0], stream], now)
        assert taken(self.meter) == [(link, *rest) for link, rest in wanted.items()]
        self.proven = []

    @invariant()
    def awaits_the_same(self) -> None:
        assert self.meter.awaiting == len(self.awaited)


TestEvidenceMachine = EvidenceMachine.TestCase
TestEvidenceMachine.settings = examples(60, stateful_step_count=40)
