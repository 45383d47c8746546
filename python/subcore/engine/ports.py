"""What the engine asks of the core, as narrow protocols: the real ledger and sets satisfy them, so do
plain fakes.
"""

from __future__ import annotations

from typing import Protocol

from subcore.types import Int32Array, StreamColumns

__all__ = ["StreamTable", "WireSet"]


class StreamTable(Protocol):
    """Read side of the ledger. Stream ids are dense; every id given stays valid until its ReleaseStreams."""

    def columns(self, streams: Int32Array) -> StreamColumns:
        """The streams' keys and what their holders want of them now. O(len(streams))."""

    def find_stream(self, channel: int, symbol: str, grouping: float) -> int:
        """The live stream with this key, or -1. `grouping` 0.0 = none."""


class WireSet(Protocol):
    """One link's target (what it should carry) and wire (what was last sent).

    Differences cost what changed, not what is there.
    """

    def want(self, streams: Int32Array) -> None:
        """Put streams into the target; those in it stay."""

    def unwant(self, streams: Int32Array) -> None:
        """Take streams out of the target; those not in it stay out."""

    def target(self) -> Int32Array:
        """Sorted ids of the target."""

    def target_size(self) -> int:
        """Number of streams in the target. O(1)."""

    def wire(self) -> Int32Array:
        """Sorted ids of the wire."""

    def added(self) -> Int32Array:
        """Sorted ids in target, not in wire."""

    def removed(self) -> Int32Array:
        """Sorted ids in wire, not in target."""

    def sent(self, adds: Int32Array, removes: Int32Array) -> None:
        """The wire now also carries `adds`, and `removes` no longer."""

    def clear_wire(self) -> None:
        """The link is gone: the wire carries nothing."""
