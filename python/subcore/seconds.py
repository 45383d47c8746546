"""How long a time may be that somebody gives: what is counted in nanoseconds fits the tables, sums of some too."""

from __future__ import annotations

from numbers import Real
from typing import Any

__all__ = ["MAX_SECONDS", "is_number", "is_span"]

MAX_SECONDS = 1e9  # some 31 years; of nanoseconds, 64 bits hold nine times as many


def is_number(given: Any) -> bool:
    """Whether it can be compared with numbers, and is one."""
    return isinstance(given, Real) and given == given


def is_span(given: Any) -> bool:
    """Whether this is a number of seconds, 0 to MAX_SECONDS."""
    return is_number(given) and 0 <= given <= MAX_SECONDS
