"""How a venue is asked, beside its links, what is newest of some streams: values and pure functions.

A stream that is silent rests or is frozen; an event that is newer than its last one tells which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from subcore.limits import Limit
from subcore.types import Int32Array, StreamColumns

__all__ = ["Latest", "Question", "take"]

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One request. `read` gets the answer's bytes, whatever they are, and gives the exchange time (nanoseconds since
    the epoch) of the newest event by symbol, as far as it tells; it raises ValueError for what is no answer.
    """

    path: str  # with its query
    streams: Int32Array
    symbols: Sequence[str]  # of these streams
    read: Callable[[bytes], Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Latest:
    """Where and how to ask. Every time it gives must be one that the stream's own events have or pass: a time that
    moves without a frame would accuse a stream that rests.

    can_ask(streams) -> of which it can be told. questions(streams, most) -> requests, each of `most` symbols at most.
    """

    url: str  # https://host[:port]
    can_ask: Callable[[StreamColumns], Flags]
    questions: Callable[[StreamColumns, int], list[Question]]
    limits: tuple[Limit, ...]  # each request is a CONNECT of theirs, over the whole process
    symbols_at_most: int = 100  # in one request


def take(columns: StreamColumns, rows: npt.NDArray[np.intp]) -> StreamColumns:
    """These rows of the columns."""
    return StreamColumns(
        columns.streams[rows],
        columns.channels[rows],
        [columns.symbols[row] for row in rows.tolist()],
        columns.widths[rows],
        columns.groupings[rows],
        columns.priorities[rows],
    )
