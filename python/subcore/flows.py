"""What was measured of a link, a channel, or everything."""

from __future__ import annotations

from typing import NamedTuple

from subcore._histogram import Histogram

__all__ = ["FlowStats"]


class FlowStats(NamedTuple):
    """Counts since the begin, as a copy.

    `repeats`: repeated snapshots that were dropped (of links 0: a repeat is a matter of its stream). `skewed`: live
    frames with an exchange time after their receive time, which no delay can be told of. `delays`: receive time -
    exchange time of all other live frames. `last_receive_ns`: 0 = nothing yet.
    """

    frames: int
    bytes: int
    snapshots: int
    repeats: int
    skewed: int
    last_receive_ns: int
    delays: Histogram
