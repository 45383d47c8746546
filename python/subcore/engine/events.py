"""What the engine is told. Every event is immutable; `now` (monotonic nanoseconds) comes beside it.

`link` and `generation` name one connection: the engine counts a link's generation up with every Connect,
and drops (and counts) events of an older one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from subcore.types import Control, Int32Array

__all__ = [
    "AskedAgain",
    "Changed",
    "CloseAll",
    "ControlFrame",
    "Event",
    "LatestKnown",
    "LinkActivity",
    "LinkDown",
    "LinkUp",
    "OwnLink",
    "Pong",
    "Restoring",
    "Rotate",
    "StandBy",
    "StreamEvidence",
    "StreamsHeard",
    "SymbolsKnown",
    "Tick",
]


def _no_streams() -> Int32Array:
    return np.empty(0, np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class Changed:
    """The ledger's edges of one loop turn.

    opened: first interest came; closed: last one left; changed: width or class of a wanted stream is
    another now. A stream that opened and closed within the turn is in neither. `urgent`: removals do not
    wait to ride along (their component was reaped). `patient`: what is narrower now waits until its link is rewritten
    for something else.
    """

    opened: Int32Array = field(default_factory=_no_streams)
    closed: Int32Array = field(default_factory=_no_streams)
    changed: Int32Array = field(default_factory=_no_streams)
    urgent: bool = False
    patient: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class AskedAgain:
    """A component asked anew for streams that are REFUSED and still wanted: they get another chance."""

    streams: Int32Array


@dataclass(frozen=True, slots=True, eq=False)
class StandBy:
    """Two links shall carry these streams, whichever copy comes first wins; or (`on` False) one is enough again."""

    streams: Int32Array
    on: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class OwnLink:
    """These streams shall have a link that carries nobody else's; or (`on` False) any link will do again."""

    streams: Int32Array
    on: bool = True


@dataclass(frozen=True, slots=True)
class Rotate:
    """Replace every open link by a new one, make before break; or those of these numbers."""

    links: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class LinkUp:
    """The handshake of a Connect succeeded. `rtt_ns`: its best known round trip (request to 101)."""

    link: int
    generation: int
    rtt_ns: int


@dataclass(frozen=True, slots=True)
class LinkDown:
    """A Connect failed, or an open link ended, whoever ended it. Exactly one for each Connect.

    `code` is the close code received, None without a close frame. `http_status` and `retry_after_ns`
    come from a refused handshake. `no_token`: no login could be had for it, so that the venue was not asked.
    """

    link: int
    generation: int
    reason: str
    code: int | None = None
    http_status: int | None = None
    retry_after_ns: int | None = None
    no_token: bool = False


@dataclass(frozen=True, slots=True)
class LinkActivity:
    """Sent once a tick for each open link: when its last frame came (same clock as `now`; 0 = none yet)
    and how many frames of data it carried since it opened. Pongs, lists and errors are none. Noted only: the Tick that
    follows does what is due.
    """

    link: int
    generation: int
    last_receive_ns: int
    frames: int


@dataclass(frozen=True, slots=True, eq=False)
class StreamEvidence:
    """Awaited data came for these streams since their AwaitEvidence (once for each stream and AwaitEvidence).

    `at_ns`: when the first of it was received, 0 = just now; it is never believed to be later than `now`.
    """

    link: int
    generation: int
    streams: Int32Array
    at_ns: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class StreamsHeard:
    """Sent once a tick, for the streams that `Engine.to_look_at` names: what was heard of each so far.

    One column each: frames and, of them, snapshots; when the last frame came (same clock as `now`, 0 = none yet) and
    the exchange's time of it (0 = none). What comes of it is done with the Tick that follows.
    """

    streams: Int32Array
    frames: npt.NDArray[np.int64]
    snapshots: npt.NDArray[np.int64]
    received_ns: npt.NDArray[np.int64]
    exchange_ns: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ControlFrame:
    """A frame that is not data, as the venue's decode_control read it."""

    link: int
    generation: int
    control: Control


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a Ping; `rtt_ns` from its sending."""

    link: int
    generation: int
    rtt_ns: int


@dataclass(frozen=True, slots=True)
class SymbolsKnown:
    """A list of the venue's markets arrived; None = it cannot be had, go by spelling alone.

    `asked_ns`: when it was asked for, which may have been before a RequestMarkets; None = on account of one.
    """

    symbols: frozenset[str] | None
    asked_ns: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class LatestKnown:
    """The venue told, beside its links, the exchange time of the newest event of these streams (0 = not known).

    `serials`: as the AskLatest had them. It may come late, or never.
    """

    streams: Int32Array
    serials: npt.NDArray[np.int64]
    newest_ns: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed. Sent whenever `deadline()` is reached, after its LinkActivity, StreamEvidence and StreamsHeard."""


@dataclass(frozen=True, slots=True, eq=False)
class Restoring:
    """Intent came back from a snapshot: these wanted streams are accounted for as a restore is."""

    streams: Int32Array
    reason: str


@dataclass(frozen=True, slots=True)
class CloseAll:
    """Close every link and open none again. The engine sends nothing after this."""


Event = (
    Changed
    | AskedAgain
    | StandBy
    | OwnLink
    | Rotate
    | LinkUp
    | LinkDown
    | LinkActivity
    | StreamEvidence
    | StreamsHeard
    | ControlFrame
    | Pong
    | SymbolsKnown
    | LatestKnown
    | Tick
    | Restoring
    | CloseAll
)
