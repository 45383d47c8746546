"""What `stats()` says against a recount by plain dicts, fed with the same frames."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from fed_manager import START_NS, SYMBOLS, manager, play, ticker
from manager_rig import KEPT
from subcore.engine.clock import SECOND
from subcore.figures import Delays, Rates, Stats, as_json
from subcore.manager import SubscriptionManager
from subcore.topic_figures import TOPIC_STATS
from subcore.types import Priority, StreamState, Topic

__all__ = ["manager"]


def exact(values: list[int], share: float) -> int:
    return sorted(values)[max(0, -(-len(values) * round(share * 100) // 100) - 1)]


@pytest.mark.parametrize("seed", range(3))
def test_every_count_is_that_of_a_recount(manager: SubscriptionManager, seed: int) -> None:
    fed = play(manager, seed, 2000)
    stats = manager.stats()
    assert stats.frames == sum(fed.frames.values())
    assert stats.bytes == sum(fed.bytes.values())
    assert stats.snapshots == sum(fed.snapshots.values())
    assert stats.bad_frames == dict(fed.bad)
    assert stats.events == stats.frames
    assert stats.delivered == sum(fed.delivered.values())
    assert {name: one.delivered for name, one in stats.components.items()} == dict(fed.delivered)
    assert {name: one.queued for name, one in stats.components.items()} == {**fed.delivered, "a": 0}
    assert stats.components["a"].calls == fed.delivered["a"]
    assert (stats.interests, stats.topics, stats.component_count) == (6, 3, 3)
    channel = stats.channels["ticker"]
    assert (channel.frames, channel.bytes, channel.streams) == (stats.frames, stats.bytes, 3)
    assert list(stats.channels) == ["ticker"]


@pytest.mark.parametrize("seed", range(3))
def test_percentiles_are_within_two_percent_of_the_exact_ones(
    manager: SubscriptionManager, seed: int
) -> None:
    fed = play(manager, seed, 2000)
    delays = [delay for each in fed.delays.values() for delay in each]
    said = manager.stats().delay
    assert (said.count, said.worst_ns) == (len(delays), max(delays))
    assert said.mean_ns == pytest.approx(sum(delays) / len(delays))
    for share, value in ((0.5, said.p50_ns), (0.9, said.p90_ns), (0.99, said.p99_ns)):
        assert value == pytest.approx(exact(delays, share), rel=0.02)


def test_topics_have_the_figures_of_their_streams(manager: SubscriptionManager) -> None:
    fed = play(manager, 7, 1000)
    rows = manager.topic_stats()
    assert rows.dtype == TOPIC_STATS
    by_name = {str(row["symbol"]): row for row in rows}
    assert sorted(by_name) == sorted(SYMBOLS)
    for symbol, row in by_name.items():
        assert (row["channel"], row["frames"]) == ("ticker", fed.frames["ticker", symbol])
        assert row["bytes"] == fed.bytes["ticker", symbol]
        assert row["snapshots"] == fed.snapshots[symbol]
        assert row["last_receive_time_ns"] == fed.last[symbol]
        assert row["last_delay_ns"] == fed.delays[symbol][-1]
        assert row["worst_delay_ns"] == max(fed.delays[symbol])
        assert row["priority"] == Priority.HIGH
        assert row["holders"] == 3 - SYMBOLS.index(symbol)


def test_what_closed_components_counted_stays_in_the_totals(manager: SubscriptionManager) -> None:
    fed = play(manager, 3, 500)
    manager.components["b"].close()
    stats = manager.stats()
    assert stats.delivered == sum(fed.delivered.values())
    assert sorted(stats.components) == ["a", "c"]


def test_losses_are_counted_by_reason(manager: SubscriptionManager) -> None:
    import subcore

    small = manager.component("small", delivery=subcore.Queue(4))
    small.subscribe("ticker", SYMBOLS[0])
    polls = manager.component("polls", delivery=subcore.Ring(4))
    polls.subscribe("ticker", SYMBOLS[0])
    reader = polls.ring("ticker")
    KEPT.extend([small, polls])
    for number in range(10):
        manager._hub.feed.feed(0, ticker(SYMBOLS[0], number, number + 1.0), START_NS + number)
    reader.read()
    stats = manager.stats()
    assert stats.losses == {"queue_full": 6, "ring_overrun": 6}
    small.close()
    assert manager.stats().losses["queue_full"] == 6


# -- as JSON


def is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(type(key) is str and is_plain(each) for key, each in value.items())
    if isinstance(value, list):
        return all(is_plain(each) for each in value)
    return value is None or type(value) in (bool, int, float, str)


def test_all_of_it_is_plain_json(manager: SubscriptionManager) -> None:
    play(manager, 5, 300)
    said = as_json(manager.stats())
    assert is_plain(said)
    assert json.loads(json.dumps(said, allow_nan=False)) == said
    assert set(said) == set(Stats.__dataclass_fields__)
    assert said["components"]["a"]["priority"] == "HIGH"
    assert set(said["streams"]) == {s.name for s in StreamState} - {"CLOSED"}
    topics = as_json(manager.topic_stats())
    assert is_plain(topics)
    assert set(topics) == set(TOPIC_STATS.names or ())
    assert len(topics["symbol"]) == 3


def test_what_is_no_figure_is_refused_and_what_is_no_number_is_none() -> None:
    assert as_json({Topic("trade", "KRW-BTC"): np.float64("nan")}) == {"trade:KRW-BTC": None}
    assert as_json(Rates(1.0, float("inf"), 0.0)) == {"over_1s": 1.0, "over_10s": None, "over_60s": 0.0}
    assert as_json((np.int64(3), Delays().count)) == [3, 0]
    with pytest.raises(TypeError, match="no figure"):
        as_json(object())


def test_a_table_of_topics_is_one_call(manager: SubscriptionManager) -> None:
    import pandas

    play(manager, 6, 100)
    table = pandas.DataFrame(manager.topic_stats())
    assert sorted(table["symbol"]) == sorted(SYMBOLS)
    assert table["frames"].sum() == manager.stats().frames


def test_windows_say_what_is_used_and_left(manager: SubscriptionManager) -> None:
    from subcore.engine.pacing import JITTER_NS, LimitRegistry, Pacer
    from subcore.limits import Counted

    pacer = Pacer(manager.venue.limits, "host", LimitRegistry())
    sent: list[int] = []
    for now in range(0, 4 * SECOND, SECOND // 10):
        while pacer.try_spend(Counted.MESSAGE, now):
            sent.append(now)
        for use in pacer.usage(now):
            if "message" in use.counts and use.scope == "link":
                planned = next(
                    w.planned_seconds
                    for k in manager.venue.limits
                    for w in k.windows
                    if w.seconds == use.seconds
                )
                late = use.seconds + JITTER_NS / SECOND  # by then the venue has surely forgotten it
                assert use.used == sum(when + max(planned, late) * SECOND > now for when in sent)
                assert use.left == use.amount - use.used
    assert sent
