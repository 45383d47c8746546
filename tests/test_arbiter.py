"""Streams with two carriers, judged by a plain dict model."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from arbiter_events import HEAD, STATE, asset, book, candle, order, said, ticker, trade
from compiled import compiled
from examples import examples
from subcore._events import Asset, Event, Order, Trade
from subcore._meter import Meter
from subcore.errors import CapacityError

offer = compiled("meter_feed").offer


@dataclass
class Plain:
    """What a stream has said, as one would write it down."""

    ids: deque[Any] = field(default_factory=lambda: deque(maxlen=64))
    content: str | None = None
    last_time: int | None = None
    on: bool = False
    known: deque[Any] = field(default_factory=lambda: deque(maxlen=4096))
    states: deque[str] = field(default_factory=lambda: deque(maxlen=16))
    forwarded_time: int | None = None
    forwarded_number: int | None = None

    def switch(self, on: bool) -> None:
        if on and not self.on:
            self.known = deque(self.ids, maxlen=4096)
            self.states = deque([] if self.content is None else [self.content], maxlen=16)
            self.forwarded_time = self.last_time
            self.forwarded_number = None
        elif self.on and not on and self.forwarded_time is not None:
            self.last_time = self.forwarded_time
        self.on = on

    def take(self, event: Event) -> tuple[bool, bool, bool]:
        """(not delivered, a copy, trades were missed)"""
        if event.exchange_time_ns is not None:
            self.last_time = event.exchange_time_ns
        if self.on:
            copy = self.is_copy_state(event) if type(event) in STATE else self.is_copy(event)
            return copy, copy, False
        return self.judge(event)

    def is_copy_state(self, event: Event) -> bool:
        time, content = event.exchange_time_ns, said(event)
        if time is not None and self.forwarded_time is not None and time < self.forwarded_time:
            return True
        number = getattr(event, "update_id", None) if time is None else None
        if number is not None and self.forwarded_number is not None and number < self.forwarded_number:
            return True
        is_later = time is not None and (self.forwarded_time is None or time > self.forwarded_time)
        if not is_later and content in self.states:
            return True
        self.forwarded_time = self.forwarded_time if time is None else time
        self.forwarded_number = self.forwarded_number if number is None else number
        self.states.append(content)
        self.content = content
        return False

    def is_copy(self, event: Event) -> bool:
        id = getattr(event, "id", None)
        key = said(event) if id is None else id
        if key in self.known:
            return True
        self.known.append(key)
        if id is not None:
            self.ids.append(id)
        if event.exchange_time_ns is not None:
            self.forwarded_time = max(self.forwarded_time or event.exchange_time_ns, event.exchange_time_ns)
        return False

    def judge(self, event: Event) -> tuple[bool, bool, bool]:
        if isinstance(event, Trade):
            repeat = event.is_snapshot and event.id is not None and event.id in self.ids
            gap = event.is_snapshot and event.id is not None and not repeat and len(self.ids) > 0
            if event.id is not None and not repeat:
                self.ids.append(event.id)
            return repeat, False, gap
        if type(event) not in STATE:
            return False, False, False
        repeat = event.is_snapshot and self.content == said(event)
        self.content = said(event)
        return repeat, False, False


TIMES = st.none() | st.integers(1, 6)
PRICES = st.sampled_from([1.0, 2.0, 3.0])
KINDS: list[st.SearchStrategy[Event]] = [
    *(st.builds(make, TIMES, PRICES, st.booleans(), TIMES) for make in (ticker, book)),
    st.builds(candle, TIMES, PRICES, st.booleans()),
    st.builds(
        trade,
        st.none() | st.integers(0, 12) | st.sampled_from(["a", "b"]),
        st.booleans(),
        price=PRICES,
        exchange_time_ns=TIMES,
    ),
    st.builds(order, st.integers(0, 3), st.sampled_from(["wait", "done"]), TIMES),
    st.builds(asset, st.sampled_from(["BTC", "KRW"]), PRICES, TIMES),
]


@dataclass
class Awaited:
    """At most one proof a stream, two while it is arbitrated, oldest first."""

    slots: list[tuple[int, int]] = field(default_factory=list)

    def wait(self, link: int, not_before: int, on: bool) -> None:
        others = [slot for slot in self.slots if slot[0] != link] if on else []
        self.slots = [*others, (link, not_before)][-2:]

    def prove(self, link: int, snapshot: bool, now: int) -> bool:
        for slot in self.slots:
            if slot[0] == link and (snapshot or now >= slot[1]):
                self.slots.remove(slot)
                return True
        return False


class ArbiterMachine(RuleBasedStateMachine):
    """Every kind on a stream of its own, two of each, against the plain model."""

    def __init__(self) -> None:
        super().__init__()
        self.meter = Meter(1, max_streams=100, seed=1)
        self.empty = self.meter.nbytes
        self.plain: dict[int, Plain] = {}
        self.awaited: dict[int, Awaited] = {}
        self.proven: list[tuple[int, int]] = []
        self.copies = 0

    def stream(self, number: int) -> Plain:
        self.awaited.setdefault(number, Awaited())
        return self.plain.setdefault(number, Plain())

    @rule(
        data=st.data(),
        kind=st.integers(0, 5),
        second=st.booleans(),
        link=st.integers(0, 2),
        many=st.integers(1, 9),
    )
    def frames(self, data: st.DataObject, kind: int, second: bool, link: int, many: int) -> None:
        number = 2 * kind + second
        for event in data.draw(st.lists(KINDS[kind], min_size=1, max_size=many)):
            plain = self.stream(number)
            proves = self.awaited[number].prove(link, event.is_snapshot, event.receive_time_ns)
            if proves:
                self.proven.append((link, number))
            assert offer(self.meter, event, link, number) == (proves, *plain.take(event)), event

    @rule(streams=st.lists(st.integers(0, 11), max_size=12), on=st.booleans())
    def switch(self, streams: list[int], on: bool) -> None:
        self.meter.arbitrate(streams, on)
        for number in streams:
            self.stream(number).switch(on)
            if not on:
                self.awaited[number].slots = self.awaited[number].slots[-1:]

    @rule(link=st.integers(0, 2), streams=st.lists(st.integers(0, 11), max_size=12), at=st.integers(0, 1))
    def wait(self, link: int, streams: list[int], at: int) -> None:
        self.meter.await_evidence(link, streams, at)
        for number in streams:
            on = self.stream(number).on
            self.awaited[number].wait(link, at, on)
            self.proven = [p for p in self.proven if p[1] != number or (on and p[0] != link)]

    @rule()
    def take(self) -> None:
        wanted: dict[int, list[int]] = {}
        for link, number in self.proven:
            wanted.setdefault(link, []).append(number)
        assert [(link, s.tolist()) for link, s, _ in self.meter.take_evidence()] == list(wanted.items())
        self.proven = []

    @rule(streams=st.lists(st.integers(0, 11), max_size=4))
    def reset(self, streams: list[int]) -> None:
        self.meter.reset_streams(streams)
        for number in streams:
            self.plain.pop(number, None)
            self.awaited.pop(number, None)
            self.proven = [p for p in self.proven if p[1] != number]

    @rule()
    def fail(self) -> None:
        for call in (self.meter.arbitrate, lambda streams, on: self.meter.await_evidence(0, streams)):
            with pytest.raises(CapacityError):
                call([0, 1, 2, 100], True)

    @invariant()
    def same_counts(self) -> None:
        assert self.meter.arbitrated == sum(plain.on for plain in self.plain.values())
        assert self.meter.awaiting == sum(len(awaited.slots) for awaited in self.awaited.values())
        times = self.meter.streams()["last_exchange_ns"]
        for number, plain in self.plain.items():
            if not plain.on and number < len(times):
                assert times[number] == (plain.last_time or 0)


TestArbiterMachine = ArbiterMachine.TestCase
TestArbiterMachine.settings = examples(150, stateful_step_count=40)


@examples(10)
@given(st.integers(0, 2**32), st.integers(1, 8800), st.booleans())
def test_the_last_4096_ids_are_a_deque(seed: int, spread: int, texts: bool) -> None:
    rng = random.Random(seed)
    meter, plain = Meter(1), Plain()
    meter.arbitrate([0], True)
    plain.switch(True)
    for _ in range(12_000):
        number = rng.randrange(spread)
        event = trade(f"t{number}" if texts else number)
        assert offer(meter, event) == (False, *plain.take(event))


def test_the_4097th_trade_is_forgotten_and_no_other() -> None:
    meter = Meter(1)
    meter.arbitrate([0], True)
    for id in range(4097):
        assert offer(meter, trade(id)) == (False, False, False, False)
    for id in range(1, 4097):
        assert offer(meter, trade(id, snapshot=id % 2 == 0)) == (False, True, True, False)
    assert offer(meter, trade(0, snapshot=True)) == (False, False, False, False)


def test_the_17th_content_of_one_time_is_forgotten_and_no_other() -> None:
    for make in STATE.values():
        meter = Meter(1)
        meter.arbitrate([0], True)
        for price in range(17):
            assert not offer(meter, make(5, price))[1]
        for price in range(1, 17):
            assert offer(meter, make(5, price))[1:3] == (True, True)
        assert not offer(meter, make(5, 0))[1]


@pytest.mark.parametrize("make", [ticker, book])
def test_a_state_without_a_time_goes_by_the_venues_number(make: Any) -> None:
    """However many came meanwhile, so that its content is long forgotten."""
    meter = Meter(1)
    meter.arbitrate([0], True)
    for number in range(100):
        assert not offer(meter, make(None, number, number=number))[1]
    for number in range(100):
        assert offer(meter, make(None, number, number=number), 1)[1:3] == (True, True)
    assert not offer(meter, make(None, 5, number=99), 1)[1], "of one number the content decides"
    assert not offer(meter, make(None, 5), 1)[1], "what has none is judged by its content"
    assert not offer(meter, make(7, 5, number=3), 1)[1], "a time says more"
    assert offer(meter, make(None, 5, number=98), 1)[1]


def test_every_value_of_an_order_and_a_balance_counts() -> None:
    for cls, base in ((Order, {**HEAD, "channel": "o"}), (Asset, {"venue": "v", "channel": "a"})):
        meter = Meter(1)
        meter.arbitrate([0], True)
        assert not offer(meter, cls(**base))[1]
        tried = 0
        for name in vars(cls):
            doc = vars(cls)[name].__doc__ or ""
            other: Any = {"float": 3.5, "int": 7, "str": "x", "bool": True, "Side": 2}.get(doc.split(" |")[0])
            if other is None or "| None: " not in doc:
                continue
            tried += 1
            changed = cls(**base, **{name: other})
            assert offer(meter, changed)[1:3] == (False, False), name
            assert offer(meter, changed)[1:3] == (True, True), name
        assert tried == (25 if cls is Order else 2)
    meter.arbitrate([1], True)
    for balances in (
        [("BTC", 1.0, 0.0)],
        [("BTC", 1.0, 2.0)],
        [("KRW", 1.0, 0.0)],
        [("BTC", 1.0, 0.0), ("KRW", 1.0, 0.0)],
    ):
        event = Asset(venue="v", channel="a", balances=balances)
        assert [offer(meter, event, stream=1)[1] for _ in range(2)] == [False, True]


def test_after_the_switch_repeated_snapshots_are_told_by_what_was_forwarded() -> None:
    meter = Meter(1)
    for id in range(5):
        offer(meter, trade(id))
        offer(meter, ticker(10 + id, id), stream=1)
    meter.arbitrate([0, 1], True)
    for id in range(5):  # the second carrier lags
        assert offer(meter, trade(id, snapshot=id == 0), 1)[2]
        assert offer(meter, ticker(10 + id, id, snapshot=id == 0), 1, 1)[2]
    assert not offer(meter, trade(9), 1)[1]
    assert not offer(meter, trade(7, snapshot=True))[1]
    assert not offer(meter, ticker(20, 9), 1, 1)[1]
    assert offer(meter, ticker(17, 8), 0, 1)[2]
    meter.arbitrate([0, 1], False)
    assert meter.streams()["last_exchange_ns"][1] == 20
    for id in (0, 4, 7, 9):
        assert offer(meter, trade(id, snapshot=True), 1) == (False, True, False, False)
    assert offer(meter, ticker(20, 9, snapshot=True), 1, 1) == (False, True, False, False)
    assert offer(meter, trade(11, snapshot=True), 1) == (False, False, False, True)
    assert meter.streams()["gaps"].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("make", "numbered"), [(ticker, False), (book, False), (candle, False), (ticker, True), (book, True)]
)
def test_a_time_far_ahead_holds_nothing_back_for_ever(make: Any, numbered: bool) -> None:
    """Nor does a number, where there is no time: what comes from both links is taken up again after 10 s of it."""
    meter, second = Meter(1), 1_000_000_000

    def copies(at: int, received: float, link: int = 0) -> bool:
        when: dict[str, Any] = {"number": at} if numbered else {}
        state = make(None if numbered else at, float(at), receive_time_ns=round(received * second), **when)
        return bool(offer(meter, state, link)[1])

    meter.arbitrate([0], True)
    assert not copies(5, 100)
    assert not copies(10**15, 100.5)
    held = [copies(6 + number, 101 + number / 4, number % 2) for number in range(200)]  # four a second
    assert held.count(True) == held.index(False) == 38, "until 10 s after the bad one"
    assert not any(held[38:])


def test_a_link_that_lags_is_no_reason_to_go_back() -> None:
    """However much it brings at once; nor is a rare state that comes late."""
    meter, second = Meter(1), 1_000_000_000
    meter.arbitrate([0], True)

    def copies(time: int, received: float) -> bool:
        state = ticker(time, float(time), receive_time_ns=round(received * second))
        return bool(offer(meter, state, time % 2)[1])

    assert not copies(1000, 100)
    assert all(copies(time, 100 + time / 100) for time in range(999))
    assert not copies(1001, 200)
    assert all(copies(time, 201 + 4 * time) for time in range(15)), "few say little"
