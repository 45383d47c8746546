"""All times divided, for the scripts that play losses over real sockets: the engine's and the venue's windows."""

from __future__ import annotations

import dataclasses
from typing import Any

import subcore
from subcore.engine.context import Settings
from subcore.venue import Limit, Venue

FASTER = 20
COUNTS = ("hurts", "crowd", "slice", "looks", "awaited", "messages", "ask_most")
WHOLE = ("connect_timeout", "denied_patience")  # a busy machine needs its time to shake hands


def faster_settings() -> Settings:
    """The engine's defaults, times divided."""
    usual = Settings()
    values: dict[str, Any] = {}
    for field in dataclasses.fields(usual):
        value = getattr(usual, field.name)
        if field.name in COUNTS or field.name in WHOLE:
            continue
        if isinstance(value, tuple):
            values[field.name] = tuple(part / FASTER for part in value)
        else:
            values[field.name] = value // FASTER if isinstance(value, int) else value / FASTER
    return Settings(**values)


def faster_venue() -> Venue:
    """Upbit with its windows divided."""
    made = subcore.venue("upbit")
    return dataclasses.replace(made, limits=tuple(map(_faster_limit, made.limits)), error_window=0.05)


def _faster_limit(limit: Limit) -> Limit:
    windows = [
        dataclasses.replace(w, seconds=w.seconds / FASTER, planned_seconds=w.planned_seconds / FASTER + 0.02)
        for w in limit.windows
    ]
    return dataclasses.replace(limit, windows=tuple(windows))
