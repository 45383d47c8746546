"""Bytes that Python has traced, without what the interpreter keeps for reuse and what a test runner's thread holds."""

from __future__ import annotations

import gc
import tracemalloc

MEASURING = ("/tracemalloc.py", "/traced.py")
# A worker of a parallel run hears from its master in a thread of its own, at any moment, and keeps what it heard.
# What such a thread allocates has one of these files as its innermost frame.
RUNNERS = ("/execnet/", "/xdist/", "/_pytest/", "/threading.py", "/queue.py")


def traced_bytes() -> int:
    """What is allocated since `tracemalloc.start()` and still in use.

    The interpreter keeps freed dicts, tuples and floats for reuse, and lets go of them in a full collection, whenever
    that comes: without one here, how much is kept depends on what ran before.
    """
    gc.collect()
    statistics = tracemalloc.take_snapshot().statistics("filename")
    return sum(one.size for one in statistics if not is_no_test(one.traceback[0].filename))


def is_no_test(filename: str) -> bool:
    return any(part in filename for part in MEASURING + RUNNERS)
