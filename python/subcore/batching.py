"""Which topics share a message, where messages add and remove: by count and by bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from subcore.venue import Packing

__all__ = ["batches"]


def batches(sizes: Sequence[int], packing: Packing, frame: int) -> Iterator[slice]:
    """Cut items of these sizes in bytes into runs that each fit a message, in order. O(len(sizes)).

    `frame`: bytes of a message without items. An item that fits no message gets one of its own.
    """
    most = packing.max_topics or len(sizes)
    room = None if packing.max_bytes is None else packing.max_bytes - frame
    start = used = 0
    for at, size in enumerate(sizes):
        if at > start and (at - start >= most or (room is not None and size > room - used)):
            yield slice(start, at)
            start, used = at, 0
        used += size
    if start < len(sizes):
        yield slice(start, len(sizes))
