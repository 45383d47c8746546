"""What `stats().memory` says against what tracemalloc sees."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import numpy as np
import pytest

from engine_script import Script
from subcore.manager import SubscriptionManager
from subcore.memory import resident_bytes
from subcore.testing import VirtualClock
from traced import traced_bytes

SYMBOLS = [f"KRW-T{number}" for number in range(40)]
FACTOR = 2.0  # an estimate may be off by so much


async def nowhere(url: str, headers: Any, listener: Any) -> Any:
    raise OSError("nobody connects here")


def test_the_estimate_for_components_is_of_the_right_size() -> None:
    manager = SubscriptionManager("upbit", url="ws://nowhere", clock=VirtualClock(), connect=nowhere)
    kept = []
    tracemalloc.start()
    try:
        gc.collect()
        traced, said = traced_bytes(), manager.stats(components=False).memory
        for number in range(300):
            kept.append(manager.component(f"component-{number}"))
            kept[-1].subscribe("ticker", SYMBOLS[number % 40 :])
        gc.collect()
        seen = traced_bytes() - traced
    finally:
        tracemalloc.stop()
    now = manager.stats(components=False).memory
    core = sum(now.core.values()) - sum(said.core.values())
    estimate = now.python - said.python
    print(
        f"seen {seen:,}, core {core:,}, so {(seen - core) / 300:,.0f} a component; estimate {estimate / 300:,.0f}"
    )
    assert (seen - core) / FACTOR <= estimate <= (seen - core) * FACTOR
    for component in kept:
        component.close()
    assert manager.stats().memory.python == said.python


def test_columns_of_the_engine_are_counted_whole() -> None:
    """What numpy took for it, as tracemalloc sees that."""
    columns = [tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)]
    tracemalloc.start()
    try:
        script = Script()
        script.open_with("ticker", *(f"KRW-T{number}" for number in range(4000)))
        for _ in range(20):
            script.wait(1.0, frames=1)
            script.engine.to_look_at(script.now)
        gc.collect()
        seen = sum(
            trace.size for trace in tracemalloc.take_snapshot().filter_traces(columns).statistics("filename")
        )
    finally:
        tracemalloc.stop()
    said = {name: size for name, size in script.engine.nbytes.items() if name != "wires"}  # no numpy there
    assert min(said.values()) > 0
    print(seen, said)
    assert sum(said.values()) == pytest.approx(seen, rel=0.1)


def test_the_process_is_larger_than_what_is_known_of_it() -> None:
    resident = resident_bytes()
    assert resident is not None
    assert 10_000_000 < resident < 100_000_000_000
