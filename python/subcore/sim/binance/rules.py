"""The venue's limits, its times, and those of its habits that nobody has measured: each a switch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from subcore.sim.durations import Times

__all__ = ["BinanceDurations", "BinanceRules"]


@dataclass(frozen=True)
class BinanceDurations(Times):
    """All times in seconds; `divided(20)` keeps every proportion and makes a long test short."""

    message_window: float = 1.0
    """Rolling window of the message limit (documented: 5 a second and connection)."""
    connect_window: float = 300.0
    """Rolling window of the connect limit (documented: 300 in 5 minutes and address), and of REST."""
    origin_window: float = 10.0
    """Not a rule of this venue; connects with an Origin header are like any other."""
    block: float = 120.0
    """First block (418) of an address that kept on after refusals (documented: from 2 minutes); doubles each time."""
    max_age: float = 86_400.0
    """A connection ends at this age (documented: 24 hours)."""
    ping_every: float = 20.0
    """Between two pings of the server (documented)."""
    pong_within: float = 60.0
    """A ping unanswered so long ends the connection (documented: a minute)."""
    request_delay: float = 0.004
    """From the arrival of a request to its effect."""
    ack_spread: float = 0.06
    """An acknowledgement follows within this time, before or after the first data."""
    late_frames: float = 0.12
    """For up to this time after a removal the stream may still send."""
    book_fast: float = 0.1
    book_slow: float = 1.0
    """How often a book of 5, 10 or 20 levels is looked at, with and without @100ms."""
    candle_every: float = 2.0
    """Between two frames of a candle that changes (documented: 2 s)."""
    frame_delay: float = 0.003
    """A frame's event time lies this long after the trade it tells of."""


@dataclass(frozen=True)
class BinanceRules:
    """Numbers and switches of the exchange; times are in `BinanceDurations`."""

    messages: int = 5
    """Messages, pings and pongs a connection may send in the window (documented)."""
    connects: int = 300
    """Connects of one address in the connect window (documented)."""
    rest_requests: int = 1500
    """REST requests of one address in the connect window (6,000 weights a minute at 20 a request)."""
    streams: int = 1024
    """Streams a connection may hold (documented)."""
    max_message: int = 65_536
    """Bytes of a client's message (not documented)."""
    over_limit: Literal["close", "ignore"] = "close"
    """A message over the limit: close 1008 (documented: disconnected); or served. Recorded in any case."""
    over_streams: Literal["close", "error"] = "close"
    """A request for too many streams: error 4 and close 1008 (measured on futures); or the error alone."""
    names_ignored_above: int = 400
    """A request that names more streams is lost without a word (one report of 437; not documented)."""
    wrapped_errors: bool = True
    """Errors stand in an `error` object (seen on the wire), else plainly (documented)."""
