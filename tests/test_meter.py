"""Meter: counters against a plain recount, memory as told."""

from __future__ import annotations

import random
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiled import compiled
from examples import examples
from meter_events import ticker, trade
from subcore._histogram import Histogram
from subcore._meter import Meter
from subcore.errors import CapacityError
from traced import traced_bytes

feed = compiled("meter_feed").feed
judge = compiled("meter_feed").judge
lose = compiled("meter_feed").lose

SECOND = 1_000_000_000
EXAMPLES = examples(80)


FRAMES = st.lists(
    st.tuples(
        st.integers(0, 3),  # link
        st.integers(-1, 9),  # stream
        st.integers(0, 4),  # channel, one beyond what there is
        st.integers(0, 10**13),  # receive
        st.none() | st.integers(-(10**13), 2 * 10**13),  # exchange
        st.booleans(),  # snapshot
        st.integers(0, 5000),  # size
    ),
    max_size=60,
)


def recount(frames: list[tuple[Any, ...]]) -> dict[str, Any]:
    out: dict[str, Any] = {"frames": len(frames), "bytes": sum(f[6] for f in frames)}
    out["snapshots"] = sum(f[5] for f in frames)
    delays = [f[3] - f[4] for f in frames if f[4] is not None and not f[5]]
    out["skewed"] = sum(d < 0 for d in delays)
    out["delays"] = [d for d in delays if d >= 0]
    out["last_receive_ns"] = frames[-1][3] if frames else 0
    out["last_exchange_ns"] = next((f[4] for f in reversed(frames) if f[4] is not None), 0)
    out["last_delay_ns"] = delays[-1] if delays else 0
    out["worst_delay_ns"] = max(out["delays"], default=0)
    return out


def histogram_of(values: list[int]) -> list[int]:
    histogram = Histogram()
    histogram.add_many(np.array(values, np.int64))
    return histogram.to_numpy()[1].tolist()


@EXAMPLES
@given(FRAMES)
def test_counts_are_a_recount(frames: list[tuple[Any, ...]]) -> None:
    meter = Meter(4)
    meter.enable_histogram(3)
    for link, stream, channel, receive, exchange, snapshot, size in frames:
        assert not feed(meter, ticker(receive, exchange, snapshot), link, stream, channel, size)
    for place, figures in ((0, meter.link), (2, meter.channel)):
        for number in range(5):
            wanted = recount([f for f in frames if f[place] == number])
            if place == 2 and number == 4:
                wanted = recount([])
            found = figures(number)
            assert found.delays.to_numpy()[1].tolist() == histogram_of(wanted["delays"])
            for name in ("frames", "bytes", "snapshots", "skewed", "last_receive_ns"):
                assert getattr(found, name) == wanted[name], name
    known = [f for f in frames if f[2] < 4]
    assert meter.total().frames == len(known)
    assert meter.total().delays.to_numpy()[1].tolist() == histogram_of(recount(known)["delays"])
    rows = meter.streams()
    for stream in range(10):
        wanted = recount([f for f in frames if f[1] == stream])
        for name in rows.dtype.names if stream < len(rows) else ():
            if name in wanted:
                assert rows[stream][name] == wanted[name], (stream, name)
    assert meter.histogram(3).to_numpy()[1].tolist() == histogram_of(  # type: ignore[union-attr]
        recount([f for f in frames if f[1] == 3])["delays"]
    )
    assert meter.histogram(4) is None
    assert meter.link_activity(0) == (meter.link(0).last_receive_ns, meter.link(0).frames)


@EXAMPLES
@given(st.lists(st.tuples(st.integers(0, 10 * SECOND), st.booleans()), max_size=30))
def test_interval_is_an_average_between_live_frames(steps: list[tuple[int, bool]]) -> None:
    meter, now, average, last = Meter(1), SECOND, 0.0, None
    for step, snapshot in steps:
        now += step
        feed(meter, ticker(now, snapshot=snapshot))
        if not snapshot and last is not None:
            average = step if average == 0 else average + (step - average) / 16
        last = None if snapshot else now
    assert (meter.streams()["interval_ns"][0] if steps else 0) == pytest.approx(average, rel=1e-5)


@pytest.mark.parametrize("seed", range(6))
def test_median_is_near_the_median_between_live_frames(seed: int) -> None:
    rng = random.Random(seed)
    scale = 10 ** rng.uniform(-2.5, 2.5)
    gaps = [rng.lognormvariate(0, 0.5 + seed % 3) * scale for _ in range(3000)]
    meter, now = Meter(1), SECOND
    for n, gap in enumerate(gaps):
        now += round(gap * SECOND)
        feed(meter, ticker(now, snapshot=n % 50 == 7))
    learned = float(meter.streams()["median_ns"][0]) / SECOND
    within = sorted(gaps)
    assert within[600] < learned < within[2400], "half, as near as steps of a sixteenth come"


def test_heard_is_what_the_rows_say() -> None:
    meter, rng = Meter(1), random.Random(5)
    for n in range(200):
        stream = rng.randrange(0, 9)
        feed(meter, ticker(n * SECOND, n * SECOND - 5, snapshot=rng.random() < 0.2), stream=stream)
    rows, asked = meter.streams(), [7, 0, 3, 40, -1]
    names = ("frames", "snapshots", "last_receive_ns", "last_exchange_ns")
    for name, column in zip(names, meter.heard(np.array(asked, np.int32)), strict=True):
        assert column.tolist() == [rows[name][s] if 0 <= s < len(rows) else 0 for s in asked], name
    assert all(len(column) == 0 for column in meter.heard([]))


def test_hostile_exchange_times() -> None:
    meter = Meter(1)
    feed(meter, ticker(2**62, -(2**63) + 1))
    feed(meter, ticker(-(2**62), 2**63 - 1))
    assert meter.total().skewed == 1
    assert meter.total().delays.max == 2**63 - 1


def test_rows_are_copies_that_cannot_be_written() -> None:
    meter = Meter(1)
    feed(meter, ticker(5), stream=2)
    rows = meter.streams()
    feed(meter, ticker(6), stream=2)
    assert rows["frames"].tolist() == [0, 0, 1]
    with pytest.raises(ValueError, match="read-only"):
        rows["frames"][0] = 1


def test_losses() -> None:
    meter = Meter(1)
    lose(meter, 3, 5)
    meter.add_losses(3)
    assert meter.streams()["losses"].tolist() == [0, 0, 0, 6]


def test_bounds() -> None:
    meter = Meter(1, max_streams=4)
    feed(meter, ticker(1), stream=4)
    feed(meter, ticker(1), stream=2**31 - 1, link=5000)
    assert judge(meter, ticker(1), stream=4) == (False, False)
    assert judge(meter, ticker(1), stream=-1) == (False, False)
    assert meter.uncounted_frames == 2
    assert meter.total().frames == 2
    assert meter.link(5000).frames == meter.link(-1).frames == meter.channel(-1).frames == 0
    for call in (meter.enable_histogram, meter.add_losses, lambda s: meter.await_evidence(0, [1, s])):
        for stream in (-1, 4):
            with pytest.raises(CapacityError):
                call(stream)
    assert meter.awaiting == 0
    meter.reset_streams([-1, 3, 4, 2**31 - 1])
    meter.disable_histogram(77)
    for wrong in ({"channels": -1}, {"channels": 65_537}, {"channels": 1, "max_streams": 0}):
        with pytest.raises(ValueError, match="must be"):
            Meter(**wrong)


# Memory.


def use(meter: Meter, streams: int) -> None:
    for stream in range(streams):
        feed(meter, TICKER, stream % 5, stream, stream % 3)
        for id in range(stream % 70):
            judge(meter, TRADES[id], stream, 1)
    meter.enable_histogram(0)
    meter.await_evidence(1, range(streams))


TICKER = ticker(5, 3)
TRADES = [trade(id) for id in range(70)]


def test_bytes_are_what_is_said_and_leave_nothing() -> None:
    use(Meter(3, seed=1), 300)
    tracemalloc.start()
    try:
        base = traced_bytes()
        meter = Meter(3, seed=1)
        use(meter, 300)
        traced = traced_bytes() - base
        said = meter.nbytes
        meter.reset_streams(range(300))
        freed = traced - (traced_bytes() - base)
        said_freed = said - meter.nbytes
        del meter
        left = traced_bytes() - base
    finally:
        tracemalloc.stop()
    assert said - 1000 <= traced <= said + 1500  # a message to the test runner's thread may go meanwhile
    assert freed == pytest.approx(said_freed, abs=1000)
    assert left < 1500


def test_churn_of_one_stream_grows_nothing() -> None:
    meter = Meter(3)

    def churn() -> None:
        use(meter, 40)
        meter.take_evidence()
        meter.reset_streams(range(40))

    churn()
    before = meter.nbytes
    for _ in range(50):
        churn()
    assert meter.nbytes == before
    assert not meter.streams()["frames"].any()


def test_one_column_alone_is_that_of_all_rows() -> None:
    meter, rng = Meter(2), random.Random(5)
    assert meter.frames().tolist() == []
    assert meter.count_gaps() == 0
    for number in range(200):
        event = trade(number, snapshot=rng.random() < 0.5)
        judge(meter, event, rng.randrange(20))
        feed(meter, event, 0, rng.randrange(30), 1, 10)
    rows = meter.streams()
    assert meter.frames().tolist() == rows["frames"].tolist()
    assert meter.count_gaps() == rows["gaps"].sum() > 0
