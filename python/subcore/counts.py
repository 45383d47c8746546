"""Counts by id, in dicts, and the oldest of what waits in several places."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class Waits(Protocol):
    """Where events wait."""

    def oldest_ns(self) -> int: ...


def oldest_of(boxes: Iterable[Waits], oldest: int = -1) -> int:
    """When the oldest event that waits in any of them, or elsewhere, was received; -1 where none waits."""
    for box in list(boxes):
        when = box.oldest_ns()
        if when >= 0 and (oldest < 0 or when < oldest):
            oldest = when
    return oldest


def add_up(*counts: dict[int, int]) -> dict[int, int]:
    """One dict of sums."""
    total: dict[int, int] = {}
    for one in counts:
        for key, count in one.items():
            total[key] = total.get(key, 0) + count
    return total


def renamed(counts: dict[int, int], ids: dict[int, int]) -> dict[int, int]:
    """Counts with other keys for some, added up."""
    return add_up(*({ids.get(key, key): count} for key, count in counts.items()))
