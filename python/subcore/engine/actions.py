"""What the engine wants done, in this order. Nobody changes an action; none of them may block. Those of each
plan are made by hand and not frozen: a generated constructor stays Python where the engine is compiled.

An action that names a link and generation which is no longer open is skipped by whoever carries it out:
its LinkDown is on the way, and the engine learns from that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from subcore.engine.restored import Restore
from subcore.types import Int32Array, StatusKind

__all__ = [
    "Action",
    "Arbitrate",
    "AskLatest",
    "AwaitEvidence",
    "Connect",
    "Disconnect",
    "Log",
    "Notify",
    "Ping",
    "ReleaseStreams",
    "RequestMarkets",
    "Restored",
    "Send",
]


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a connection. Answered by exactly one LinkUp and later one LinkDown, or by one LinkDown alone."""

    link: int
    generation: int
    route: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, init=False)
class Send:
    """Write one message. `request` numbers the link's requests (0 = not a subscription request, e.g. a
    listing).
    """

    link: int
    generation: int
    payload: bytes
    opcode: int
    request: int

    def __init__(self, link: int, generation: int, payload: bytes, opcode: int, request: int = 0) -> None:
        self.link = link
        self.generation = generation
        self.payload = payload
        self.opcode = opcode
        self.request = request


@dataclass(frozen=True, slots=True)
class Ping:
    """Send a protocol ping; its answer comes back as Pong."""

    link: int
    generation: int


@dataclass(frozen=True, slots=True)
class Disconnect:
    """End the connection: a close frame with `code`, then the socket, at once if it does not answer."""

    link: int
    generation: int
    reason: str
    code: int = 1000


@dataclass(slots=True, init=False, eq=False)
class AwaitEvidence:
    """Tell the meter, before the Send that follows goes out, to report these streams' first data from
    now on.

    A SNAPSHOT counts at once; a REALTIME frame only if it is received at or after
    `realtime_not_before_ns` (same clock as `now`; 0 = at once), because late frames of an earlier
    request must not prove a new one.
    """

    link: int
    generation: int
    streams: Int32Array
    realtime_not_before_ns: int

    def __init__(
        self, link: int, generation: int, streams: Int32Array, realtime_not_before_ns: int = 0
    ) -> None:
        self.link = link
        self.generation = generation
        self.streams = streams
        self.realtime_not_before_ns = realtime_not_before_ns


@dataclass(frozen=True, slots=True, eq=False)
class Arbitrate:
    """From now on two links carry these streams, or (`on` False) one does again: deliver each event once.

    Between the two, copies are told apart: trades by id, other channels by time and content. On before the second
    carrier is asked; off when no late frame of the one that goes can come any more.
    """

    streams: Int32Array
    on: bool


@dataclass(frozen=True, slots=True)
class RequestMarkets:
    """Fetch the venue's list of markets anew; answered by SymbolsKnown."""


@dataclass(frozen=True, slots=True, eq=False)
class AskLatest:
    """Ask the venue, beside the links, for the exchange time of the newest event of each of these streams.

    Answered by one LatestKnown or several, or by none where it cannot be had; `serials` go back with them. Sent at
    most once in `ask_gap`; whoever carries it out spaces and bounds its own requests.
    """

    streams: Int32Array
    serials: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Notify:
    """Tell the holders of these streams, one Status per component."""

    kind: StatusKind
    streams: Int32Array
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class ReleaseStreams:
    """Neither wanted nor on any wire: the ledger may give these ids to other streams."""

    streams: Int32Array


@dataclass(frozen=True, slots=True, eq=False)
class Restored:
    """Everything that was lost with a link is back, refused, or wanted no more."""

    restore: Restore


@dataclass(frozen=True, slots=True)
class Log:
    """A line for the log. `level` as in the logging module; `fields` are for machines."""

    level: int
    text: str
    fields: Mapping[str, Any] = field(default_factory=dict)


Action = (
    Connect
    | Send
    | Ping
    | Disconnect
    | AwaitEvidence
    | Arbitrate
    | RequestMarkets
    | AskLatest
    | Notify
    | ReleaseStreams
    | Restored
    | Log
)
