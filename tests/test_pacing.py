"""Pacing judged where the venue judges: at arrival, under jitter, by counters that share no code with it."""

from __future__ import annotations

import random
import threading

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyrate_limiter import InMemoryBucket, Rate, RateItem

from examples import examples
from subcore.engine.clock import SECOND
from subcore.engine.pacing import LimitRegistry, Pacer
from subcore.errors import UsageError
from subcore.venue import Counted, Limit, Scope, Window
from subcore.venues import venue

MS = SECOND // 1000
HOST = "example.test:443"
UPBIT = venue("upbit").limits
# What the venue promises to enforce, typed again: (amount, interval).
WIRE = ((5, SECOND), (100, 60 * SECOND))


def upbit_pacer(registry: LimitRegistry | None = None) -> Pacer:
    return Pacer(UPBIT, HOST, registry or LimitRegistry())


def breaches(arrivals: list[int], amount: int, interval: int) -> int:
    """Arrivals that are one too many in the half-open interval that ends with them."""
    return sum(
        1
        for i, at in enumerate(arrivals)
        if sum(1 for other in arrivals[: i + 1] if other > at - interval) > amount
    )


def second_oracle_refuses(arrivals: list[int]) -> int:
    bucket = InMemoryBucket([Rate(amount, interval) for amount, interval in WIRE])
    return sum(not bucket.put(RateItem("message", at)) for at in arrivals)


class Wire:
    """One ordered connection: each message takes 0 to 300 ms, none overtakes another. `answer`: some are answered as
    soon as they arrive, before the next is sent or while later ones are under way."""

    def __init__(self, pacer: Pacer, rng: random.Random, answer: bool) -> None:
        self.pacer, self.rng, self.answer = pacer, rng, answer
        self.now = 0
        self.sends: list[int] = []
        self.arrivals: list[int] = []
        self.unanswered: list[tuple[int, int]] = []  # arrival and send

    def hear(self) -> None:
        """What has been answered by now is told, when it came."""
        for arrival, sent in [pair for pair in self.unanswered if pair[0] <= self.now]:
            self.unanswered.remove((arrival, sent))
            self.pacer.settle(sent, arrival)

    def send_when_allowed(self, repair: bool) -> int:
        """Waits as told, sends; returns how long it waited beyond what the venue's own windows ask for."""
        wanted = max(self.now, *(self.sends[-n] + w if len(self.sends) >= n else 0 for n, w in WIRE))
        self.hear()
        while not self.pacer.try_spend(Counted.MESSAGE, self.now, repair=repair):
            when = self.pacer.next_allowed(Counted.MESSAGE, self.now, repair=repair)
            assert when > self.now, "a refusal must say when"
            self.now = when
        self.sends.append(self.now)
        arrival = max(self.now + self.rng.randint(0, 300 * MS), self.arrivals[-1] if self.arrivals else 0)
        self.arrivals.append(arrival)
        if self.answer and self.rng.random() < 0.7:
            self.unanswered.append((arrival, self.now))
            if self.rng.random() < 0.5:
                self.now = max(self.now, arrival)  # the next send waits for the answer
        return self.now - wanted


@given(
    seed=st.integers(0, 2**32),
    gaps=st.lists(
        st.one_of(st.just(0), st.integers(0, 50 * MS), st.integers(0, 70 * SECOND)), min_size=1, max_size=160
    ),
    repair=st.sampled_from([0.0, 0.1, 1.0]),
    answer=st.booleans(),
)
@example(seed=0, gaps=[0] * 160, repair=1.0, answer=False)
@example(seed=1, gaps=[0] * 160, repair=1.0, answer=True)
@example(seed=2, gaps=[59_700 * MS] + [0] * 120, repair=1.0, answer=False)
@examples(60)
def test_no_window_is_ever_exceeded_at_the_receiver(
    seed: int, gaps: list[int], repair: float, answer: bool
) -> None:
    rng = random.Random(seed)
    wire = Wire(upbit_pacer(), rng, answer)
    for gap in gaps:
        wire.now += gap
        wire.send_when_allowed(repair=rng.random() < repair)
    for amount, interval in WIRE:
        assert breaches(wire.arrivals, amount, interval) == 0
    assert second_oracle_refuses(wire.arrivals) == 0


def test_a_token_bucket_would_not_do() -> None:
    """The judge itself must see the burst that a bucket of 5 with refill 5/s lets through."""
    bucket = [0] * 5 + [i * SECOND // 5 for i in range(1, 5)]
    assert breaches(bucket, 5, SECOND) > 0
    assert second_oracle_refuses(bucket) > 0


def test_sustained_use_takes_at_least_nine_tenths_and_keeps_a_reserve() -> None:
    wire = Wire(upbit_pacer(), random.Random(3), answer=False)
    waits = []
    while wire.now < 600 * SECOND:
        waits.append(wire.send_when_allowed(repair=False))
    assert len(wire.sends) >= 0.9 * 10 * 100
    assert max(waits) <= 900 * MS  # the windows themselves had room all the time
    for end in wire.sends:
        assert sum(1 for s in wire.sends if end - 60 * SECOND < s <= end) <= 93


@given(st.lists(st.integers(0, 3 * SECOND), min_size=50, max_size=400), st.integers(0, 70))
@examples(40)
def test_spreading_never_stalls_whatever_came_before(gaps: list[int], quiet: int) -> None:
    """However ordinary wishes came, none waits longer than evenly spread sends and one burst's debt
    explain."""
    wire = Wire(upbit_pacer(), random.Random(1), answer=False)
    for gap in gaps:
        wire.now += gap
        assert wire.send_when_allowed(repair=False) <= 900 * MS
    wire.now += quiet * SECOND
    assert wire.send_when_allowed(repair=False) <= 900 * MS


def test_a_burst_of_five_goes_at_once_and_the_sixth_is_spread() -> None:
    pacer = upbit_pacer()
    assert [pacer.try_spend(Counted.MESSAGE, 0) for _ in range(5)] == [True] * 5
    sixth = pacer.next_allowed(Counted.MESSAGE, 0)
    assert 1_300 * MS <= sixth <= 1_400 * MS  # the short window, arrivals unanswered, not the spreading
    for _ in range(5):
        pacer.settle(0, 10 * MS)
    assert pacer.next_allowed(Counted.MESSAGE, 0) == 1_100 * MS  # all had arrived by 10 ms


def test_an_answer_tells_nothing_of_what_left_after_its_request() -> None:
    pacer = upbit_pacer()
    for at in range(5):
        assert pacer.try_spend(Counted.MESSAGE, at * MS)
    pacer.settle(0, 10 * MS)
    assert pacer.next_allowed(Counted.MESSAGE, 20 * MS) == 1_100 * MS  # the first had arrived by 10 ms
    assert pacer.try_spend(Counted.MESSAGE, 1_100 * MS)
    assert pacer.next_allowed(Counted.MESSAGE, 1_200 * MS) >= 1_301 * MS  # the second perhaps only after 301


def test_of_two_that_left_at_once_an_answer_tells_of_one() -> None:
    pacer = upbit_pacer()
    for _ in range(5):
        assert pacer.try_spend(Counted.MESSAGE, 0)
    pacer.settle(0, 10 * MS)
    assert pacer.try_spend(Counted.MESSAGE, 1_100 * MS)
    assert pacer.next_allowed(Counted.MESSAGE, 1_200 * MS, repair=True) >= 1_300 * MS


def test_repairs_may_use_what_ordinary_changes_may_not() -> None:
    pacer, now = upbit_pacer(), 0
    for _ in range(93):
        now = pacer.next_allowed(Counted.MESSAGE, now, repair=True)
        assert pacer.try_spend(Counted.MESSAGE, now, repair=True)
    assert pacer.next_allowed(Counted.MESSAGE, now + 2 * SECOND) >= 61 * SECOND
    for _ in range(7):
        now = pacer.next_allowed(Counted.MESSAGE, now, repair=True)
        assert pacer.try_spend(Counted.MESSAGE, now, repair=True)
    assert now < 61 * SECOND <= pacer.next_allowed(Counted.MESSAGE, now, repair=True)


def test_a_refused_try_spends_nothing() -> None:
    pacer = upbit_pacer()
    for _ in range(5):
        pacer.try_spend(Counted.MESSAGE, 0)
    before = pacer.next_allowed(Counted.MESSAGE, 0)
    for _ in range(10):
        assert not pacer.try_spend(Counted.MESSAGE, 0)
    assert pacer.next_allowed(Counted.MESSAGE, 0) == before


def test_pings_are_free_where_the_venue_does_not_count_them() -> None:
    pacer = upbit_pacer()
    assert all(pacer.try_spend(Counted.PING, 0) for _ in range(1000))
    assert pacer.next_allowed(Counted.MESSAGE, 0) == 0


def test_a_new_connection_starts_its_own_windows_but_not_those_of_the_address() -> None:
    pacer = upbit_pacer()
    for _ in range(5):
        assert pacer.try_spend(Counted.MESSAGE, 0)
        assert pacer.try_spend(Counted.CONNECT, 0)
    pacer.renew()
    assert pacer.next_allowed(Counted.MESSAGE, 1) == 1
    assert pacer.next_allowed(Counted.CONNECT, 1) >= 1_100 * MS


def test_connects_of_all_managers_to_a_host_share_one_window() -> None:
    registry = LimitRegistry()
    pacers = [upbit_pacer(registry) for _ in range(10)]
    assert sum(p.try_spend(Counted.CONNECT, 0) for p in pacers) == 5
    elsewhere = Pacer(UPBIT, "other.test:443", registry)
    assert elsewhere.try_spend(Counted.CONNECT, 0)


def test_a_block_stops_every_connect_to_the_host_until_its_end() -> None:
    registry = LimitRegistry()
    one, other = upbit_pacer(registry), upbit_pacer(registry)
    registry.block(HOST, 30 * SECOND)
    registry.block(HOST, 10 * SECOND)  # a shorter one does not shorten it
    for pacer in (one, other):
        assert not pacer.try_spend(Counted.CONNECT, 29 * SECOND)
        assert pacer.next_allowed(Counted.CONNECT, 0) == 30 * SECOND
        assert pacer.next_allowed(Counted.MESSAGE, 0) == 0
    assert one.try_spend(Counted.CONNECT, 30 * SECOND)
    assert Pacer(UPBIT, "other.test:443", registry).try_spend(Counted.CONNECT, 0)


def test_after_a_rate_refusal_links_of_the_process_share_the_message_windows() -> None:
    registry = LimitRegistry()
    one, other = upbit_pacer(registry), upbit_pacer(registry)
    for _ in range(5):
        assert one.try_spend(Counted.MESSAGE, 0)
    assert other.next_allowed(Counted.MESSAGE, 0) == 0
    registry.narrow(HOST, 3600 * SECOND)
    assert other.next_allowed(Counted.MESSAGE, 0) >= 1_100 * MS  # what was sent before counts too
    assert other.next_allowed(Counted.MESSAGE, 3600 * SECOND) == 3600 * SECOND


def test_least_distance_and_pings_that_count() -> None:
    counts = frozenset({Counted.MESSAGE, Counted.PING})
    limit = Limit("messages", Scope.LINK, counts, (Window(5, 1.0, 1.1),), min_gap_seconds=0.3)
    pacer = Pacer([limit], HOST, LimitRegistry())
    assert pacer.try_spend(Counted.PING, 0)
    assert pacer.next_allowed(Counted.MESSAGE, 0) == 300 * MS
    assert pacer.next_allowed(Counted.MESSAGE, 0, repair=True) == 300 * MS


def test_account_limits_are_shared_by_account() -> None:
    limit = Limit("messages", Scope.ACCOUNT, frozenset({Counted.MESSAGE}), (Window(1, 1.0, 1.1),))
    registry = LimitRegistry()
    mine, yours = Pacer([limit], HOST, registry, "me"), Pacer([limit], HOST, registry, "you")
    assert mine.try_spend(Counted.MESSAGE, 0)
    assert not Pacer([limit], HOST, registry, "me").try_spend(Counted.MESSAGE, 0)
    assert yours.try_spend(Counted.MESSAGE, 0)


def test_threads_never_overspend_a_shared_window() -> None:
    registry = LimitRegistry()
    start = threading.Barrier(8)
    taken: list[bool] = []

    def many() -> None:
        pacer = upbit_pacer(registry)
        start.wait()
        taken.extend([pacer.try_spend(Counted.CONNECT, 0) for _ in range(200)])

    threads = [threading.Thread(target=many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 5


def test_memory_of_a_log_is_bounded() -> None:
    pacer, now = upbit_pacer(), 0
    for _ in range(5000):
        now = pacer.next_allowed(Counted.MESSAGE, now)
        pacer.try_spend(Counted.MESSAGE, now)
    assert all(100 <= len(log) <= 200 for log in pacer._own)


@pytest.mark.parametrize(
    "bad",
    [
        {"windows": ()},
        {"windows": (Window(1, 1.0, 1.1),) * 9},
        {"burst": -1},
        {"min_gap_seconds": -0.1},
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(bad: dict[str, object]) -> None:
    good = {"windows": (Window(1, 1.0, 1.1),), "burst": 0, "min_gap_seconds": 0.0}
    Limit("messages", Scope.LINK, frozenset({Counted.MESSAGE}), **good)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="'messages'"):
        Limit("messages", Scope.LINK, frozenset({Counted.MESSAGE}), **{**good, **bad})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "bad", [(0, 1.0, 1.0, 0), (5, 0.0, 1.0, 0), (5, 1.0, 0.9, 0), (5, 1.0, 1.1, 5), (2**60, 1.0, 1.1, 0)]
)
def test_a_window_that_makes_no_sense_is_refused(bad: tuple[int, float, float, int]) -> None:
    with pytest.raises(UsageError):
        Window(*bad)


def test_limits_of_one_group_share_a_counter() -> None:
    """A venue may say one limit as two: each send was counted twice."""
    windows = Window(4, 1.0, 1.1), Window(100, 60.0, 61.0)
    limits = [Limit("message", Scope.IP, frozenset({Counted.MESSAGE}), (window,)) for window in windows]
    pacer, now = Pacer(limits, HOST, LimitRegistry()), 1000 * SECOND
    assert [pacer.try_spend(Counted.MESSAGE, now) for _ in range(5)] == [True] * 4 + [False]
    assert [use.used for use in pacer.usage(now)] == [4, 4]


def test_who_shares_what_it_sends_with_others() -> None:
    """Links of a venue whose windows are each link's own do not, but for connects, and while it counts over all."""
    registry = LimitRegistry()
    made = venue("binance").at("ws://shares.test:80")
    pacer = Pacer(made.limits, made.host, registry)
    assert pacer.shares(Counted.CONNECT, SECOND)
    assert not pacer.shares(Counted.MESSAGE, SECOND)
    registry.narrow(made.host, 5 * SECOND)
    assert pacer.shares(Counted.MESSAGE, 4 * SECOND)
    assert not pacer.shares(Counted.MESSAGE, 5 * SECOND)
