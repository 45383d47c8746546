"""Every time the exchange keeps, as one value, so that a test may divide them all at once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

__all__ = ["SECOND", "Durations", "Times"]

SECOND = 1_000_000_000
"""Nanoseconds in a second: the exchange counts time in int nanoseconds, `Durations` in float seconds."""


@dataclass(frozen=True)
class Times:
    """Times of an exchange as float seconds, each a field."""

    def divided(self, factor: float) -> Self:
        """A copy with every time divided by `factor` (> 0)."""
        if factor <= 0:
            raise ValueError(f"durations can only be divided by a positive number, not {factor}")
        return type(self)(**{f.name: getattr(self, f.name) / factor for f in fields(self)})

    def ns(self, name: str) -> int:
        """One of the times as int nanoseconds."""
        seconds: float = getattr(self, name)
        return round(seconds * SECOND)


@dataclass(frozen=True)
class Durations(Times):
    """All times of the exchange in seconds; the defaults are what was measured or documented of the real
    venue.

    `divided(20)` keeps every proportion and makes a long test short. Rates are not durations: they follow
    `rate`
    of the exchange.
    """

    idle: float = 60.0
    """A socket without traffic this long is dropped, with no close frame (documented 120 s, measured 60
    s)."""
    error_to_close: float = 0.15
    """From an error frame to the close with code 1000."""
    up_every: float = 10.0
    """Between two status frames after a text PING on an unsubscribed socket."""
    up_first_min: float = 5.8
    up_first_max: float = 7.5
    """The first status frame comes this long after the PING (uniform)."""
    message_window: float = 1.0
    message_window_long: float = 60.0
    """Rolling windows of the message limit (5 and 100 a connection)."""
    connect_window: float = 1.0
    """Rolling window of the connect limit (5 an address)."""
    origin_window: float = 10.0
    """With an Origin header: one connect an address in this time."""
    block: float = 10.0
    """First block (418) of an address that kept on after refusals; doubles each time."""
    request_delay: float = 0.004
    """From the arrival of a request to its effect (LIST_SUBSCRIPTIONS answer, error frame, replacement)."""
    snapshot_first: float = 0.18
    snapshot_second: float = 0.34
    """After a request, the first half of its snapshots and the rest come this late."""
    late_frames: float = 0.12
    """Within this time after a replacement frames of dropped streams may still come."""
    book_grid: float = 0.1
    """Books of a KRW market lie on this grid, each market with a phase of its own."""
    book_gap_min: float = 0.19
    """Least gap between two books of a BTC or USDT market."""
    candle_cadence: float = 1.0
    """A candle that a trade changed is sent once in this time."""
    frame_delay: float = 0.046
    """A frame's `timestamp` lies this long after the trade it tells of."""
