"""How a batch of streams that no link takes whole is cut up: the channels of a symbol together, on no link more.

Pure: streams and free places in, parts out. Costs nothing where the first link with a free place takes all; else
O(streams of the batch).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, repeat

import numpy as np

from subcore.types import Int32Array

__all__ = ["share"]


def share(
    streams: Int32Array, rooms: Sequence[int], each: int, symbols_of: Callable[[Int32Array], Sequence[str]]
) -> list[Int32Array]:
    """What each link is to take, in the order of `rooms`: the free places of the links there are; then of new ones,
    which take `each` (at least 1).

    A link is left with places free rather than given part of a symbol, as long as that takes no link more than filling
    every one would. Parts of a batch that is cut are sorted.
    """
    if not len(streams):
        return []
    full = next((place for place, room in enumerate(rooms) if room), len(rooms))
    if (rooms[full] if full < len(rooms) else each) >= len(streams):
        return [*[streams[:0]] * full, streams]
    grouped, ends = _by_symbol(streams, symbols_of(streams))
    parts: list[Int32Array] = []
    at, free = 0, sum(rooms)
    for room in chain(rooms, repeat(each)):
        if at == len(grouped):
            break
        free = max(free - room, 0)  # on the links there are after this one
        end = min(at + room, len(grouped))
        whole = max(at, int(ends[np.searchsorted(ends, end, "right") - 1]))
        if _new_links(len(grouped) - whole, free, each) > _new_links(len(grouped) - end, free, each):
            whole = end
        parts.append(np.sort(grouped[at:whole]))
        at = whole
    return parts


def _by_symbol(streams: Int32Array, symbols: Sequence[str]) -> tuple[Int32Array, Int32Array]:
    """The same with those of a symbol side by side, symbols as they come; and where each symbol ends, 0 first."""
    numbers: dict[str, int] = {}
    of = np.array([numbers.setdefault(symbol, len(numbers)) for symbol in symbols], np.int32)
    ends = np.concatenate([[0], np.cumsum(np.bincount(of))]).astype(np.int32)
    return streams[np.argsort(of, kind="stable")], ends


def _new_links(left: int, free: int, each: int) -> int:
    """How many are needed for so many streams beyond the free places."""
    return -(-max(left - free, 0) // each)
