"""Rolling windows against the obvious: count every earlier arrival again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from subcore.sim.limits import ArrivalLog, Gate


@given(
    st.lists(st.integers(0, 400), max_size=80),
    st.integers(1, 6),
    st.integers(1, 1000),
)
def test_an_arrival_log_counts_like_a_list(gaps: list[int], limit: int, window: int) -> None:
    log = ArrivalLog((("rule", limit, window), ("loose", 10_000, window)))
    times: list[int] = []
    now = 0
    for gap in gaps:
        now += gap
        room_at = log.room_at(now)
        wanted = next(
            t for t in range(now, now + window + 1) if sum(t - window < x <= t for x in times) < limit
        )
        assert room_at == wanted
        times.append(now)
        inside = sum(now - window < x <= now for x in times)
        assert log.arrive(now) == ([("rule", inside, limit, window)] if inside > limit else [])


def test_the_edge_of_the_window_is_open() -> None:
    log = ArrivalLog((("rule", 1, 100),))
    assert not log.arrive(0)
    assert not log.arrive(100)
    assert log.arrive(199) == [("rule", 2, 1, 100)]


def test_blocks_double_and_patience_returns() -> None:
    gate = Gate("ip", limit=1, window_ns=100, origin_window_ns=1000, block_ns=5000)
    assert gate.knock(0, origin=False).status == 0
    assert [gate.knock(t, origin=False).status for t in (1, 2, 3, 4)] == [429, 429, 429, 418]
    assert gate.knock(5003, origin=False).status == 418
    assert gate.knock(5003, origin=False).retry_after_ns == 1
    assert gate.knock(5200, origin=False).status == 0
    verdicts = [gate.knock(5201 + n, origin=False) for n in range(4)]
    assert [v.status for v in verdicts] == [429, 429, 429, 418]
    assert verdicts[-1].retry_after_ns == 10_000


def test_a_pause_between_refusals_is_forgiven() -> None:
    gate = Gate("ip", limit=1, window_ns=100, origin_window_ns=1000, block_ns=5000)
    for start in range(0, 100_000, 2000):
        assert [gate.knock(start + n, origin=False).status for n in range(3)] == [0, 429, 429]


def test_retry_after_is_exact() -> None:
    gate = Gate("ip", limit=2, window_ns=100, origin_window_ns=1000, block_ns=5000)
    gate.knock(0, origin=False)
    gate.knock(30, origin=False)
    verdict = gate.knock(60, origin=False)
    assert (verdict.status, verdict.retry_after_ns) == (429, 70)
    assert gate.knock(60 + verdict.retry_after_ns, origin=False).status == 0
