"""What memory a manager takes: the core's tables exactly, Python objects by estimate, the process by the system."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

from .figures import MemoryStats

with contextlib.suppress(ImportError):  # not on Windows
    import resource

if TYPE_CHECKING:
    from .hub import Hub

# Estimates, in bytes; tests/test_figures_memory.py holds them against what tracemalloc sees.
A_MANAGER = 250_000
A_COMPONENT = 4_000
AN_EVENT = 420


def memory_of(hub: Hub, waiting: int, boxes: int) -> MemoryStats:
    """`waiting` events and `boxes` bytes: what all components' boxes hold, and take."""
    core = {
        "ledger": hub.ledger.nbytes,
        "symbols": hub.interner.nbytes,
        "routes": hub.router.nbytes,
        "meter": hub.meter.nbytes,
        "scanner": hub.scanner.nbytes,
        **hub.engine.nbytes,
        "duties": hub.duties.nbytes + hub.pumping.duties.nbytes,
        "delays": 0 if hub.duties.delays is None else hub.duties.delays.nbytes,
        "rates": hub.monitoring.nbytes,
        "boxes": boxes,
    }
    python = A_MANAGER + A_COMPONENT * len(hub.members) + AN_EVENT * waiting + hub.alerting.nbytes
    return MemoryStats(core, python, resident_bytes())


def resident_bytes() -> int | None:
    """Bytes of the process in memory now; where the system does not tell, the most it ever had."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return _peak_bytes()


def _peak_bytes() -> int | None:
    try:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    except NameError:
        return None
    return peak if sys.platform == "darwin" else peak * 1024
