"""The built-in venues by name. Each is one module, imported only when first asked for."""

from __future__ import annotations

import importlib
from typing import Any

from subcore.errors import UsageError
from subcore.venue import Venue

__all__ = ["get_venue", "venue", "venue_names"]

_BUILT_IN: dict[str, str] = {
    "upbit": "subcore.venues.upbit",
    "upbit-sg": "subcore.venues.upbit",
    "upbit-id": "subcore.venues.upbit",
    "upbit-th": "subcore.venues.upbit",
    "binance": "subcore.venues.binance",
}


def venue_names() -> tuple[str, ...]:
    """Names of the built-in venues."""
    return tuple(_BUILT_IN)


def venue(name: str, **options: Any) -> Venue:
    """A built-in venue by name; its module is imported only now. Options are the venue's own
    (`format="DEFAULT"`).

    Raises UsageError for a name or option that does not exist.
    """
    module = _BUILT_IN.get(name)
    if module is None:
        raise UsageError(f"no venue is called {name!r}; there are {', '.join(_BUILT_IN)}")
    make = importlib.import_module(module).make_venue
    made: Venue = make(name, **options)
    return made


def get_venue(given: str | Venue) -> Venue:
    """The venue itself, or the built-in one of that name."""
    return given if isinstance(given, Venue) else venue(given)
