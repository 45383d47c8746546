"""Figures that came from elsewhere as short texts: whatever they are, a text comes out that harms no terminal. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

__all__ = ["amount", "bar", "clean", "clock", "count", "duration", "number", "part", "share"]

UNSHOWN = "·"
LONGEST = 200
LARGEST = 1e30


def clean(value: Any, longest: int = LONGEST) -> str:
    """One line without what moves the cursor, changes colours or turns the direction of writing."""
    text = str(value)[:longest]
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        UNSHOWN if unicodedata.category(each)[0] == "C" or each in "\u2028\u2029" else each for each in text
    )


def number(value: Any) -> float:
    """0 for what is no number, or none that can be shown."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if -LARGEST < value < LARGEST else 0.0


def part(record: Any, *path: str) -> Any:
    """What stands there, None where nothing does."""
    for name in path:
        record = record.get(name) if isinstance(record, Mapping) else None
    return record


def count(value: Any) -> str:
    """A whole number in at most seven places: 12,345, 1,200k."""
    found = number(value)
    for unit in ("", "k", "M", "G"):
        if abs(found) < 99_999.5:
            return f"{found:,.0f}{unit}" if unit == "" or found >= 100 else f"{found:.1f}{unit}"
        found /= 1000
    return f"{found:.0f}T"


def amount(value: Any) -> str:
    """Bytes: 1.4 MB."""
    found = number(value)
    for unit in ("B", "kB", "MB", "GB"):
        if abs(found) < 999.5:
            return f"{found:.0f} {unit}" if unit == "B" or found >= 100 else f"{found:.1f} {unit}"
        found /= 1000
    return f"{found:,.1f} TB"


def duration(ns: Any) -> str:
    """Nanoseconds as 12 us, 3.4 ms, 1.2 s, 5 m, 2 h; - where there are none."""
    if ns is None:
        return "-"
    found = number(ns)
    for unit, size, most in (("ns", 1, 1e3), ("us", 1e3, 1e6), ("ms", 1e6, 1e9), ("s", 1e9, 1.2e11)):
        if abs(found) < most:
            value = found / size
            return f"{value:.1f} {unit}" if value < 10 and unit != "ns" else f"{value:.0f} {unit}"
    minutes = found / 6e10
    if abs(minutes) < 120:
        return f"{minutes:.0f} m"
    return f"{minutes / 60:.0f} h" if minutes < 2880 else f"{minutes / 1440:.0f} d"


def share(value: Any) -> str:
    """0.0312 as 3.1 %."""
    return f"{100 * number(value):.1f} %"


def clock(time_ns: Any) -> str:
    """Of the day, UTC."""
    seconds = int(number(time_ns) // 1e9) % 86_400
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def bar(used: Any, most: Any, width: int) -> str:
    """How much of it is used."""
    share_used = min(1.0, max(0.0, number(used) / number(most))) if number(most) > 0 else 0.0
    filled = round(share_used * width)
    if share_used and not filled:
        filled = 1
    return "█" * filled + "░" * (width - filled)
