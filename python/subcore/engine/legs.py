"""The legs of every stream: which links carry it, or shall, and what is known of it on each.

A stream has one leg in the ordinary case, and two while it moves to another link, while its link is replaced, or where
a standby was asked for. The first is its home. Columns are indexed by leg: row 2 * stream is the home, row
2 * stream + 1 the other one. What was said on one link proves nothing about the other.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from subcore import _transit
from subcore._legs import LegColumns
from subcore.types import Evidence, Int32Array

__all__ = ["NO_LINK", "PROVEN", "Legs", "Rows"]

Rows = npt.NDArray[np.int64]
NO_LINK = -1
PROVEN = np.uint8(Evidence.DATA | Evidence.LISTED)

_COLUMNS: dict[str, tuple[type[np.generic], int]] = {
    "link": (np.int16, NO_LINK),  # that carries the stream or shall
    "turned": (np.int64, 0),  # when it last came into that link's target, or left it
    "width": (np.int32, -1),  # in force on the wire, -1 = the wire does not carry it
    "evidence": (np.uint8, 0),
    "request": (
        np.int32,
        0,
    ),  # that asked for it last as an addition; see Link.carries_all for what is carried
    "answered": (np.int32, 0),  # last request after which data came
    "left": (np.int64, 0),  # when it last left that wire
}


class Legs(LegColumns):
    """Columns over legs. All calls cost O(streams given); every stream given must have been `ensure`d.

    What is asked of many streams a message is a loop of the core; here is what happens when a second leg comes or goes.
    """

    def __init__(self, capacity: int) -> None:
        self.take({name: np.full(2 * capacity, fill, kind) for name, (kind, fill) in _COLUMNS.items()})

    def grow(self, capacity: int) -> None:
        """Room for so many streams. MemoryError: nothing has changed."""
        grown = {}
        for name, (kind, fill) in _COLUMNS.items():
            old = getattr(self, name)
            grown[name] = np.full(2 * capacity, fill, kind)
            grown[name][: len(old)] = old
        self.take(grown)

    def attach(self, link: int, streams: Int32Array, late: int) -> None:
        """Give each a leg on `link`: its home if it has none, or one that carries nothing; else its other leg.

        A leg that no wire carries is given up for it. But where it left its wire after `late`, frames may still come
        there: it stays beside the new one, if there is room for both. One that a wire carries still is never given up
        for one that none does.
        """
        streams = self.settle_free(link, streams)
        if not len(streams):
            return
        rows = 2 * streams.astype(np.int64)
        idle = self.width[rows] < 0
        homes = rows[idle]
        leaving = homes[(self.left[homes] > late) & (self.link[homes + 1] == NO_LINK)]
        if len(leaving):
            for name in _COLUMNS:
                column = getattr(self, name)
                column[leaving + 1] = column[leaving]
            self.left[leaving] = 0
        self._occupy(link, homes)
        self._occupy(link, rows[~idle] + 1)

    def _occupy(self, link: int, rows: Rows) -> None:
        """These are of that link now. When what was there before left its wire is kept: till none of it can be late, a
        stream counts as carried twice."""
        left = self.left[rows]
        self._clear(rows)
        self.link[rows], self.left[rows] = link, left

    def _without(self, link: int, streams: Int32Array) -> tuple[Int32Array, Rows]:
        rows = 2 * streams.astype(np.int64)
        lacks = (self.link[rows] != link) & (self.link[rows + 1] != link)
        return streams[lacks], rows[lacks]

    def add(self, link: int, streams: Int32Array) -> None:
        """Give each a second leg on `link`, beside its home, whatever that carries."""
        streams, rows = self._without(link, streams)
        self._occupy(link, rows + 1)

    def detach(self, link: int, streams: Int32Array) -> None:
        """Take away the leg on `link`; the other one, if there is one, is home then."""
        _transit.detach(self, link, streams)

    def settle_on(self, link: int, streams: Int32Array) -> None:
        """Make the leg on `link` home, where a stream has two."""
        _transit.settle_on(self, link, streams)

    def evidence_of(self, stream: int) -> Evidence:
        """What speaks for the stream, on any link."""
        return Evidence(int(self.evidence[2 * stream] | self.evidence[2 * stream + 1]))

    def is_carried_twice(self, stream: int) -> bool:
        """Whether both of its links were asked for it in their present connection."""
        return bool(self.width[2 * stream] >= 0 and self.width[2 * stream + 1] >= 0)

    def forget(self, streams: Int32Array) -> None:
        """Reset both legs."""
        rows = 2 * streams.astype(np.int64)
        self._clear(rows)
        self._clear(rows + 1)

    def _clear(self, rows: Rows) -> None:
        for name, (_, fill) in _COLUMNS.items():
            getattr(self, name)[rows] = fill

    @property
    def nbytes(self) -> int:
        """Bytes of the columns."""
        return sum(int(getattr(self, name).nbytes) for name in _COLUMNS)
