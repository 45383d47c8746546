"""The life of every stream: two axes, one table, columns over stream ids.

`NEXT` says for each state and event which state follows, `KEEP` that nothing does, `LATE` that the event
came too late or from elsewhere: it is dropped and counted. `NEXT_DATA` is the same for the data axis.
Everything works on arrays of ids; a change of n streams costs O(n), whatever else exists.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from subcore import _states
from subcore.engine.legs import NO_LINK, Legs
from subcore.engine.reasons import Reasons
from subcore.errors import InternalError
from subcore.types import DataState, Evidence, Int32Array, StreamState

__all__ = ["KEEP", "LATE", "NEXT", "NEXT_DATA", "Moved", "Streams", "TopicEvent", "TopicRow"]


class TopicEvent(IntEnum):
    """What can happen to a stream."""

    WANTED = 0  # its first interest came
    RESUMED = 1  # wanted again while the wire still carries it, asked for and not proven
    RESUMED_HELD = 2  # wanted again while the wire still carries it, proven
    UNWANTED = 3  # its last interest went
    ASKED = 4  # sent as an addition
    PROVEN_DATA = 5  # first data since it was asked for, or its new snapshot
    PROVEN_LISTED = 6  # the venue lists or acknowledges it, where that proves
    LOST = 7  # its link is gone; it was never proven
    LOST_PROVEN = 8  # its link is gone; it was proven before
    FAILED = 9  # its request was refused or is not in force, nobody blamed; it was never proven
    FAILED_PROVEN = 10  # the same, and it was proven before
    REFUSED = 11  # it is to blame, or not listed
    ASKED_AGAIN = 12  # a holder asked anew
    OVERDUE = 13  # data is due and absent


# What each change calls: found once, by compiled code without a look into any dict.
_step: Final = _states.step
_chosen: Final = _states.chosen
_clear: Final = _states.clear
_largest: Final = _states.largest
_split: Final = _states.split
_turn: Final = _states.turn

KEEP: Final = 254
LATE: Final = 255

_CLOSED, _WAITING, _SENT, _OPEN, _RECOVERING, _REFUSED = (int(s) for s in StreamState)

# One row for each event; columns: CLOSED, WAITING, SENT, OPEN, RECOVERING, REFUSED.
_ROWS: Final[dict[TopicEvent, tuple[int, int, int, int, int, int]]] = {
    TopicEvent.WANTED: (_WAITING, KEEP, KEEP, KEEP, KEEP, KEEP),
    TopicEvent.RESUMED: (_SENT, LATE, KEEP, LATE, LATE, LATE),
    TopicEvent.RESUMED_HELD: (_OPEN, LATE, LATE, KEEP, LATE, LATE),
    TopicEvent.UNWANTED: (KEEP, _CLOSED, _CLOSED, _CLOSED, _CLOSED, _CLOSED),
    TopicEvent.ASKED: (LATE, _SENT, KEEP, LATE, _SENT, LATE),
    TopicEvent.PROVEN_DATA: (LATE, LATE, _OPEN, KEEP, LATE, LATE),
    TopicEvent.PROVEN_LISTED: (LATE, LATE, _OPEN, KEEP, LATE, LATE),
    TopicEvent.LOST: (LATE, KEEP, _WAITING, _RECOVERING, KEEP, KEEP),
    TopicEvent.LOST_PROVEN: (LATE, KEEP, _RECOVERING, _RECOVERING, KEEP, KEEP),
    TopicEvent.FAILED: (LATE, KEEP, _WAITING, _WAITING, KEEP, KEEP),
    TopicEvent.FAILED_PROVEN: (LATE, KEEP, _RECOVERING, _RECOVERING, KEEP, KEEP),
    TopicEvent.REFUSED: (LATE, _REFUSED, _REFUSED, _REFUSED, _REFUSED, KEEP),
    TopicEvent.ASKED_AGAIN: (LATE, KEEP, KEEP, KEEP, KEEP, _WAITING),
    TopicEvent.OVERDUE: (LATE, LATE, LATE, KEEP, LATE, LATE),
}
NEXT: Final[npt.NDArray[np.uint8]] = np.array([_ROWS[e] for e in TopicEvent], np.uint8).T.copy()

_NONE, _GOOD, _SUSPECT = (int(d) for d in DataState)
_SAME: Final = (_NONE, _GOOD, _SUSPECT)
_DOUBT: Final = (_NONE, _SUSPECT, _SUSPECT)

# Columns: NONE, GOOD, SUSPECT. Applied only where the state axis did not say LATE.
_DATA_ROWS: Final[dict[TopicEvent, tuple[int, int, int]]] = {
    TopicEvent.WANTED: _SAME,
    TopicEvent.RESUMED: _SAME,
    TopicEvent.RESUMED_HELD: _SAME,
    TopicEvent.UNWANTED: (_NONE, _NONE, _NONE),
    TopicEvent.ASKED: _SAME,
    TopicEvent.PROVEN_DATA: (_GOOD, _GOOD, _GOOD),
    TopicEvent.PROVEN_LISTED: _SAME,
    TopicEvent.LOST: _DOUBT,
    TopicEvent.LOST_PROVEN: _DOUBT,
    TopicEvent.FAILED: _DOUBT,
    TopicEvent.FAILED_PROVEN: _DOUBT,
    TopicEvent.REFUSED: _DOUBT,
    TopicEvent.ASKED_AGAIN: _SAME,
    TopicEvent.OVERDUE: _DOUBT,
}
NEXT_DATA: Final[npt.NDArray[np.uint8]] = np.array([_DATA_ROWS[e] for e in TopicEvent], np.uint8).T.copy()


_COLUMNS: Final[tuple[str, ...]] = (
    *("state", "data", "proven", "retries", "left_out", "since"),
    *("leaving", "standby", "own_link", "alone_until", "alone_tries"),
)
UNWANTED: Final = TopicEvent.UNWANTED
TRIES_MOST: Final = 10  # doublings of the wait for a second carrier
NO_IDS: Final[Int32Array] = np.empty(0, np.int32)
NO_IDS.flags.writeable = False


class Moved(NamedTuple):
    """What an event changed: streams whose state is another now; whose data became SUSPECT; whose data was
    SUSPECT and is GOOD again.
    """

    state: Int32Array
    doubted: Int32Array
    recovered: Int32Array


NOTHING_MOVED: Final = Moved(NO_IDS, NO_IDS, NO_IDS)


class TopicRow(NamedTuple):
    """One stream as it stands."""

    state: StreamState
    data: DataState
    evidence: Evidence
    link: int  # that carries or shall carry it, -1 = none
    other_link: int  # a second one: it moves, or has a standby; -1 = none
    since_ns: int  # of the state
    retries: int
    reason: str


class Streams:
    """The columns. Grows with the greatest id; nothing in it is sized by anything else."""

    def __init__(self, capacity: int = 64) -> None:
        self.state = np.zeros(capacity, np.uint8)
        self.data = np.zeros(capacity, np.uint8)
        self.proven = np.zeros(capacity, np.bool_)  # at least once since it was wanted
        self.retries = np.zeros(capacity, np.uint16)  # failures since it was proven or asked for anew
        self.left_out = np.zeros(capacity, np.uint8)  # of them, lists of the venue that left it out
        self.since = np.zeros(capacity, np.int64)
        self.leaving = np.zeros(capacity, np.bool_)  # its id is to be given back, once that is safe
        self.standby = np.zeros(capacity, np.bool_)  # two links shall carry it
        self.own_link = np.zeros(
            capacity, np.bool_
        )  # it shall share a link only with those that asked for it
        self.have_own = False  # whether any ever did
        self.alone_until = np.zeros(capacity, np.int64)  # its second carrier failed: no other one before
        self.alone_tries = np.zeros(capacity, np.uint8)  # how often that was in a row
        self.legs = Legs(capacity)  # what is known of each on the links that carry it
        self.reasons = Reasons()
        self.late = 0  # events dropped because they came too late or from elsewhere
        self.pairs = np.zeros(NEXT.shape, np.int64)  # how often each (state, event) occurred

    def ensure(self, streams: Int32Array) -> None:
        """Make room for these ids. Raises nothing but MemoryError, and then nothing has changed."""
        need, have = _largest(streams) + 1, len(self.state)
        if need <= have:
            return
        size = max(need, 2 * have)
        grown = {}
        for name in _COLUMNS:
            old = getattr(self, name)
            new = np.zeros(size, old.dtype)
            new[:have] = old
            grown[name] = new
        self.legs.grow(size)
        for name, column in grown.items():
            setattr(self, name, column)

    def apply(self, event: TopicEvent, streams: Int32Array, now: int) -> Moved:
        """Let `event` happen to `streams` (distinct ids). Late ones are dropped and counted."""
        if not len(streams):
            return NOTHING_MOVED
        moved, valid, late = _step(NEXT, event, KEEP, LATE, self.state, self.since, self.pairs, streams, now)
        self.late += late
        doubted, recovered = _turn(NEXT_DATA, event, _SUSPECT, _GOOD, self.data, valid)
        return Moved(moved, doubted, recovered)

    def move(self, event: TopicEvent, streams: Int32Array, now: int) -> Int32Array:
        """`apply` for WANTED and ASKED, which leave the data axis as it is: those whose state is another now."""
        moved, _, late = _step(NEXT, event, KEEP, LATE, self.state, self.since, self.pairs, streams, now)
        self.late += late
        return moved

    def close(self, streams: Int32Array, now: int) -> Int32Array:
        """`apply` for UNWANTED, after which nothing is known of any data: those whose state is another now."""
        moved, valid, late = _step(
            NEXT, UNWANTED, KEEP, LATE, self.state, self.since, self.pairs, streams, now
        )
        self.late += late
        _clear(valid, self.data)
        return moved

    def knows(self, streams: Int32Array) -> npt.NDArray[np.bool_]:
        """Which of these ids are in use: not closed, or on their way off a wire."""
        known = np.zeros(len(streams), np.bool_)
        seen = streams < len(self.state)
        rows = streams[seen]
        known[seen] = (self.state[rows] != StreamState.CLOSED) | self.leaving[rows]
        return known

    def forget(self, streams: Int32Array) -> None:
        """Reset the rows of streams whose ids are given back."""
        if len(self.in_state(streams, StreamState.CLOSED)) != len(streams):
            raise InternalError("a stream that is not CLOSED was to be forgotten; please report this")
        _clear(streams, *(getattr(self, name) for name in _COLUMNS))
        self.legs.forget(streams)
        self.explain(streams, "")

    def begin(self, streams: Int32Array) -> None:
        """What was before counts no more for these, which are CLOSED: neither proof nor failures."""
        again, _ = _split(self.leaving, streams)  # of the others nothing is kept
        if len(again):
            _clear(again, self.proven, self.retries, self.left_out, self.alone_tries, self.alone_until)
            self.legs.put_evidence(again)

    def start_over(self, streams: Int32Array) -> None:
        """What failed before counts no more for these."""
        _clear(streams, self.retries, self.left_out)

    def rest_alone(self, streams: Int32Array, now: int, unit: int) -> None:
        """No second carrier for these: for one unit of time, then two, four ...; who rests already is left alone."""
        tired = streams[self.alone_until[streams] <= now]
        tries = np.minimum(self.alone_tries[tired], TRIES_MOST)
        self.alone_until[tired] = now + (unit << tries.astype(np.int64))
        self.alone_tries[tired] = tries + 1

    def explain(self, streams: Int32Array, reason: str) -> None:
        """Note one reason for these streams; "" takes it away. O(their number), and nothing while none has one."""
        if reason or self.reasons:
            self.reasons.put(streams, reason)

    def in_state(self, streams: Int32Array, *states: StreamState) -> Int32Array:
        """Those of `streams` that are in one of `states`."""
        return _chosen(self.state, streams, *states)

    def row(self, stream: int) -> TopicRow:
        """One stream as it stands; an id never seen is CLOSED."""
        if not 0 <= stream < len(self.state):
            return TopicRow(StreamState.CLOSED, DataState.NONE, Evidence.NONE, NO_LINK, NO_LINK, 0, 0, "")
        return TopicRow(
            StreamState(int(self.state[stream])),
            DataState(int(self.data[stream])),
            self.legs.evidence_of(stream),
            int(self.legs.link[2 * stream]),
            int(self.legs.link[2 * stream + 1]),
            int(self.since[stream]),
            int(self.retries[stream]),
            self.reasons.of(stream),
        )

    @property
    def nbytes(self) -> int:
        """Bytes of the columns."""
        return self.legs.nbytes + sum(int(getattr(self, name).nbytes) for name in _COLUMNS)
