"""Bytes that Python has traced, without what the interpreter keeps for reuse."""

from __future__ import annotations

import gc
import tracemalloc


def traced_bytes() -> int:
    """What is allocated since `tracemalloc.start()` and still in use.

    The interpreter keeps freed dicts, tuples and floats for reuse, and lets go of them in a full collection, whenever
    that comes: without one here, how much is kept depends on what ran before.
    """
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
