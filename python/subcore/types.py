"""Plain values shared by every layer: topics, states, status messages, and what a venue's control frames say.

Nothing here does anything; all of it is immutable, hashable where it makes sense, and picklable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag

import numpy as np
import numpy.typing as npt

Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]

__all__ = [
    "MAX_RATE",
    "MIN_RATE",
    "Accepted",
    "Alive",
    "Cap",
    "CloseReport",
    "Control",
    "DataState",
    "Dropped",
    "Evidence",
    "Fault",
    "Float64Array",
    "GoingAway",
    "Int32Array",
    "Int64Array",
    "Listing",
    "MustAnswer",
    "Priority",
    "Ready",
    "ReasonClass",
    "Refused",
    "Side",
    "Status",
    "StatusKind",
    "StreamColumns",
    "StreamState",
    "Took",
    "Topic",
    "TopicInfo",
    "Unknown",
]

MIN_RATE = 0.001  # events a second that a cap may allow
MAX_RATE = 1_000_000


class Priority(IntEnum):
    """Class of an interest. What is higher goes to the wire first and is restored first."""

    LOW = 0
    NORMAL = 1
    HIGH = 2
    CRITICAL = 3


class Side(IntEnum):
    """Side of the taker: BUY = the taker bought."""

    BUY = 1
    SELL = 2


ALL = "*"  # asks for all symbols, where a channel has one stream for them; in a Topic it is ""


class StreamState(IntEnum):
    """How far a stream is towards the wire."""

    CLOSED = 0
    WAITING = 1  # wanted, not sent
    SENT = 2  # asked for, not proven
    OPEN = 3  # proven
    RECOVERING = 4  # was proven; its link is lost
    REFUSED = 5  # final until asked for again


class DataState(IntEnum):
    """Whether what a stream last said may be trusted."""

    NONE = 0
    GOOD = 1
    SUSPECT = 2  # link lost, stalled, or overdue by its own habit


class Evidence(IntFlag):
    """What speaks for a stream being on the wire."""

    NONE = 0
    QUIET = 1  # its request's error window passed without error or close
    ACKNOWLEDGED = 2
    LISTED = 4
    DATA = 8


class StatusKind(IntEnum):
    """Kind of a `Status`."""

    WAITING = 0
    OPEN = 1
    GAP = 2
    SUSPECT = 3
    GOOD = 4
    REFUSED = 5
    LOSS = 6
    ERROR = 7
    SLOW = 8
    QUARANTINED = 9
    REAPED = 10
    CAPPED = 11
    RECOVERED = 12


@dataclass(frozen=True, slots=True, order=True)
class Topic:
    """What a component asks for: a kind of data about one market, with parameters.

    `depth` is a number of book levels, `grouping` a price step of the book; None = the venue's widest,
    no grouping. A symbol of "" is all of them, as one asks for with "*", and so written. `str(topic)` is canonical: two
    topics that are held are equal exactly if their texts are.
    """

    channel: str
    symbol: str
    depth: int | None = None
    grouping: float | None = None

    def __str__(self) -> str:
        text = f"{self.channel}:{self.symbol or ALL}"
        if self.depth is not None:
            text += f":depth={self.depth}"
        if self.grouping is not None:
            text += f":grouping={self.grouping:.17g}"
        return text


@dataclass(frozen=True, slots=True)
class Cap:
    """Why a holder of a topic gets less than all of it, or nothing. `since_ns` is nanoseconds since 1970 UTC."""

    component: str
    # "pause", "user" (`max_rate=`): it asked itself; "ladder": quarantined; "snapshot": restored, not confirmed yet;
    # "load": a measure against load; else what laid the cap on it, which was told by a CAPPED status
    by: str
    reason: str
    since_ns: int
    max_rate: float | None = None  # events a second that it lets through; None: it lets none through, ...
    max_depth: int | None = None  # ... but for a cap on the levels of a book, which lets all through


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """One topic as it stands. Times are nanoseconds since 1970 UTC. `caps`: of its holders, one of a kind.

    `priority`: the highest class among its holders; one that is paused counts only if all are.
    `standby`, `own_link`: those of its holders that asked for two links, or for one of its own. `other_link`: the
    second that carries it now, for a standby or while it moves.
    """

    topic: Topic
    state: StreamState
    data: DataState
    evidence: Evidence
    priority: Priority
    holders: tuple[str, ...]
    link: int | None
    since_ns: int
    retries: int
    reason: str
    caps: tuple[Cap, ...] = ()
    standby: tuple[str, ...] = ()
    own_link: tuple[str, ...] = ()
    other_link: int | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """What a component is told beside its data: one object per component and cause, listing the topics
    it is about.

    `count` is the number of events lost for LOSS, of errors so far for ERROR, of events that wait where it is about the
    component as a whole (no topics), else the number of topics. `time_ns` is nanoseconds since 1970 UTC.
    """

    kind: StatusKind
    topics: tuple[Topic, ...]
    reason: str
    count: int
    time_ns: int


@dataclass(frozen=True, slots=True)
class CloseReport:
    """What `SubscriptionManager.close()` did. Times are seconds.

    `dropped` maps a component's name to the events that nobody took: those unread in its queue can still be read there,
    and go with the component; those that waited for an async handler are gone. Of components that were closed before,
    nothing is told. `unfinished` names what
    did not end within the deadline and was left to die on its own, and with its error what ended badly.
    """

    seconds: float
    links_closed: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    unfinished: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """Nothing was dropped and everything ended well and in time."""
        return not self.dropped and not self.unfinished


@dataclass(slots=True, eq=False)  # frozen would cost as much as reading a few streams
class StreamColumns:
    """Streams as columns of equal length, in the order asked for. Copies: safe to keep."""

    streams: Int32Array
    channels: Int32Array  # index into the venue's channel list
    symbols: Sequence[str]  # as the venue writes them
    widths: Int32Array  # levels of the widest holder; 0 = the venue's widest, or the channel has no depth
    groupings: Float64Array  # price step of the book; 0.0 = none
    priorities: Int32Array  # highest class over the holders


class ReasonClass(IntEnum):
    """What a refusal means for what to do next."""

    PERMANENT = 0  # told to the holders; never repeated by itself
    CAPACITY = 1  # another link may carry it
    RATE = 2  # wait, and slow down; nobody is to blame
    AUTH = 3  # new credentials, then again
    DUPLICATE = 4  # it is on the wire already
    TRANSIENT = 5  # again, later


@dataclass(frozen=True, slots=True)
class Accepted:
    """The venue acknowledged a request (`request_id`), or only these `topics`; neither = its oldest open
    request.
    """

    request_id: str | None = None
    topics: tuple[Topic, ...] | None = None


@dataclass(frozen=True, slots=True)
class Took:
    """Of request `request_id` exactly these topics were taken; the rest was refused."""

    request_id: str | None
    topics: tuple[Topic, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything the venue says this connection now carries. `request_id` is what the reply echoed, if
    anything.
    """

    topics: tuple[Topic, ...]
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The venue refused a request, or these topics of it.

    `name` is the venue's word to match on, `message` its prose (never matched on).
    """

    name: str
    message: str = ""
    reason: ReasonClass = ReasonClass.PERMANENT
    request_id: str | None = None
    topics: tuple[Topic, ...] | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """The venue ended streams that it carried before."""

    topics: tuple[Topic, ...]
    name: str = ""
    reason: ReasonClass = ReasonClass.TRANSIENT


@dataclass(frozen=True, slots=True)
class Alive:
    """The venue said no more than that it is there."""


@dataclass(frozen=True, slots=True)
class MustAnswer:
    """The venue tests the link; `payload` is to be sent back at once."""

    payload: bytes
    opcode: int = 1


@dataclass(frozen=True, slots=True)
class Ready:
    """Welcome or login accepted. The engine does not wait for it yet: it asks once a link is up."""


@dataclass(frozen=True, slots=True)
class GoingAway:
    """The venue will close this link, in `seconds` if it said so: open a successor."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """The venue says that data was lost: on these topics, or (None) on the whole connection."""

    topics: tuple[Topic, ...] | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A control frame this venue description does not know: counted, never fatal.

    `count`: for how many things of the frame this one stands.
    """

    raw: bytes
    count: int = 1


Control = (
    Accepted | Took | Listing | Refused | Dropped | Alive | MustAnswer | Ready | GoingAway | Fault | Unknown
)
