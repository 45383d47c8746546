"""What happened in a driver, for reading after a failure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from subcore.engine import actions, events
from subcore.engine.clock import SECOND

__all__ = ["Happened", "read_history"]

Happened = tuple[int, events.Event | actions.Action]
"""When, in nanoseconds, and what."""


def read_history(history: Iterable[Happened]) -> str:
    """A line for each; what the engine did stands indented under what it was told."""
    told = get_args(events.Event)
    return "\n".join(
        f"{at / SECOND:12.6f}  {'' if isinstance(what, told) else '    '}{what!r}" for at, what in history
    )
