"""What the engine asks of the core, as narrow protocols: the real ledger and sets satisfy them, so do
plain fakes, but for the sets: loops of the core read those where links are many.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from subcore.types import Int32Array, StreamColumns

__all__ = ["StreamTable", "WireSet"]


class StreamTable(Protocol):
    """Read side of the ledger. Stream ids are dense; every id given stays valid until its ReleaseStreams."""

    @property
    def is_ahead(self) -> bool:
        """Whether it may know of changes that the engine was not told of yet. O(1)."""

    def columns(self, streams: Int32Array) -> StreamColumns:
        """The streams' keys and what their holders want of them now. O(len(streams))."""

    def columns_to_write(self, streams: Int32Array) -> StreamColumns:
        """The same for use at once: each column is read when it is asked for. So is read all that a link carries."""

    def channels_of(self, streams: Int32Array) -> list[int]:
        """The channels that these are of, each once. O(len(streams))."""

    def find_stream(self, channel: int, symbol: str, grouping: float) -> int:
        """The live stream with this key, or -1. `grouping` 0.0 = none."""


class WireSet(Protocol):
    """One link's target (what it should carry) and wire (what was last sent); `subcore._wire_set.WireSet` is one.

    Ids come back sorted. Differences cost what changed, not what is there.
    """

    @property
    def len_target(self) -> int:
        """Number of streams in the target. O(1)."""

    @property
    def len_wire(self) -> int:
        """Number of streams on the wire. O(1)."""

    @property
    def len_added(self) -> int:
        """Number of streams in target and not in wire. O(1)."""

    @property
    def len_removed(self) -> int:
        """Number of streams in wire and not in target. O(1)."""

    @property
    def nbytes(self) -> int:
        """Bytes held."""

    def set_target(self, streams: Int32Array, flag: bool = True) -> None:
        """Put streams into the target, or take them out; all or none."""

    def set_wire(self, streams: Int32Array, flag: bool = True) -> None:
        """The wire carries streams now, or no longer; all or none."""

    def clear_wire(self) -> None:
        """The link is gone: the wire carries nothing."""

    def target(self) -> Int32Array:
        """What the link should carry."""

    def aims_at(self, streams: Int32Array) -> npt.NDArray[np.bool_]:
        """Which of these it should carry. O(len(streams))."""

    def wire(self) -> Int32Array:
        """What it was asked for."""

    def added(self) -> Int32Array:
        """In target, not in wire."""

    def removed(self) -> Int32Array:
        """In wire, not in target."""
