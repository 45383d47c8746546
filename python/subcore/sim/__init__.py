"""The embedded exchange: a strict, independent venue to run and test against, pure (`Exchange`) or on a port
(`SimServer`).

Imports nothing of venues, engine or core: what it knows of the venue it has read for itself.
"""

from __future__ import annotations

from .accounts import TEST_ACCESS_KEY, TEST_SECRET_KEY
from .connection import Output
from .durations import SECOND, Durations
from .exchange import Exchange, Refusal
from .faults import KINDS, Fault, FaultSpecError
from .limits import Violation
from .machine import Machine, Stats
from .markets import Market, generate_markets
from .rules import Rules

__all__ = [
    "KINDS",
    "SECOND",
    "TEST_ACCESS_KEY",
    "TEST_SECRET_KEY",
    "Durations",
    "Exchange",
    "Fault",
    "FaultSpecError",
    "Machine",
    "Market",
    "Output",
    "Refusal",
    "Rules",
    "Stats",
    "Violation",
    "generate_markets",
]
