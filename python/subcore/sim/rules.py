"""The venue's limits and those of its habits that nobody has measured: each a switch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Rules"]


@dataclass(frozen=True)
class Rules:
    """Numbers and switches of the exchange; times are in `Durations`."""

    messages_short: int = 5
    """Messages a connection may send in the short window (documented: 5 a second)."""
    messages_long: int = 100
    """And in the long one (documented: 100 a minute)."""
    connects: int = 5
    """Connects of one address in the connect window (documented: 5 a second)."""
    rest_requests: int = 10
    """REST requests of one address in the connect window (documented: 10 a second)."""
    over_limit: Literal["error", "close", "ignore"] = "error"
    """A message over the limit: error frame and close; close alone (1008); or served. Recorded in any
    case."""
    text_ping_counts: bool = True
    """A text PING counts as a message (not documented; the strict reading)."""
    ping_resets_idle: bool = True
    """A protocol ping alone keeps a connection from the idle drop (the venue's own sample relies on it)."""
    sent_resets_idle: bool = True
    """What the server sends keeps it too (measured: status frames kept a silent socket open)."""
    answers_ping_when_subscribed: bool = False
    """A text PING on a subscribed connection is answered with a status frame at once (captures disagree)."""
    late_frames: int = 2
    """Up to so many frames of dropped streams come after a replacement (measured: 0 to 2)."""
    gap_on_replace: bool = False
    """Streams kept by a replacement pause until their new snapshot (not documented)."""
    lists_unknown: bool = False
    """LIST_SUBSCRIPTIONS names codes that do not exist (not documented)."""
    lists_suffix: bool = False
    """LIST_SUBSCRIPTIONS shows the depth suffix of orderbook codes (not documented)."""
    max_message: int = 1 << 20
    """A longer client message ends the connection with close code 1009."""
