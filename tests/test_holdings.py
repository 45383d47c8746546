"""What everybody holds, copied in one call: it equals the one-by-one reads, and no other thread can come between."""

from __future__ import annotations

import itertools
import random
import sys
import threading
from typing import Any

import numpy as np
import pytest

from subcore import _columns
from subcore._holdings import holdings
from subcore._intern import Interner
from subcore._ledger import Ledger


def filled(seed: int) -> tuple[Ledger, Interner, dict[int, str]]:
    rng = random.Random(seed)
    ledger, interner, members = Ledger(seed=1), Interner(seed=1), {}
    texts = interner.intern_many([f"KRW-{number}" for number in range(40)])
    topics = np.concatenate(
        [ledger.topics(rng.randrange(3), texts, rng.randrange(2), rng.choice([0, 5])) for _ in range(4)]
    )
    for number in range(12):
        component = ledger.open_component()
        members[component] = f"component {number}"
        for topic in rng.sample(topics.tolist(), rng.randrange(30)):
            ledger.add(component, [topic], rng.randrange(4))
        ledger.pause(component, rng.random() < 0.3)
    for component in rng.sample(sorted(members), 3):
        ledger.close_component(component)  # still among the members: on its way out
    return ledger, interner, members


@pytest.mark.parametrize("seed", range(5))
def test_it_equals_the_single_reads(seed: int) -> None:
    ledger, interner, members = filled(seed)
    owners, rows, interests, texts = holdings(ledger, interner, members)
    held, paused = rows
    ends = np.cumsum(held)
    assert len(owners) == 9
    for (component, name), end, count, stopped in zip(owners, ends, held, paused, strict=True):
        assert members[component] == name
        assert ledger.is_paused(component) == stopped
        mine = interests[:, end - count : end].T.tolist()
        assert sorted(row[0] for row in mine) == ledger.interests(component).tolist()
        for topic, cls, stream, channel, symbol, variant, cut in mine:
            assert ledger.class_held(component, topic) == cls
            assert ledger.topic_key(topic) == (stream, cut)
            assert ledger.stream_key(stream) == (channel, symbol, variant)
            assert texts[symbol] == interner.text(symbol)


def test_nothing_and_nobody() -> None:
    owners, rows, interests, texts = holdings(Ledger(), Interner(), {})
    assert (owners, rows.shape, interests.shape, texts) == ([], (2, 0), (7, 0), [])
    with pytest.raises(TypeError):
        holdings(None, Interner(), {})  # type: ignore[arg-type]


def test_what_another_thread_reads_was_true_together() -> None:
    """One topic after the other goes to every component; whoever looks sees them all in the same place, but for one."""
    ledger, interner = Ledger(seed=1), Interner(seed=1)
    (text,) = interner.intern_many(["KRW-BTC"])
    topics = ledger.topics(0, [text]).tolist() + ledger.topics(1, [text]).tolist()
    members = {ledger.open_component(): number for number in range(200)}
    for component in members:
        ledger.add(component, [topics[0]])
    seen: list[Any] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            _, rows, interests, _ = holdings(ledger, interner, members)
            seen.append((rows[0].tolist(), interests[0].tolist()))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for turn in range(2_000):
            if turn >= 20 and len(seen) > 10:
                break
            for component in members:  # in order: at any moment the first so many have the new one
                ledger.add(component, [topics[(turn + 1) % 2]])
                ledger.remove(component, [topics[turn % 2]])
    finally:
        stop.set()
        watcher.join()
        sys.setswitchinterval(interval)
    assert len(seen) > 10
    for held, interests in seen:
        assert sum(count != 1 for count in held) <= 1
        turns = sum(a != b for a, b in itertools.pairwise(interests))
        assert turns <= 3  # one edge, and the component that has both


def test_the_tables_are_only_read() -> None:
    ledger, interner, members = filled(9)
    before = ledger.nbytes, len(ledger), interner.nbytes, _columns.live_streams(ledger).tolist()
    holdings(ledger, interner, members)
    assert before == (ledger.nbytes, len(ledger), interner.nbytes, _columns.live_streams(ledger).tolist())
