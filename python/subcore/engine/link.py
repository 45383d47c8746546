"""What is kept of one link: its connection, its requests, its health, and what is usual on it.

A record holds everything that belongs to one link, so that any number of links can stand side by side.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from subcore.engine.clock import SECOND, nanoseconds
from subcore.engine.context import NO_STREAMS
from subcore.engine.pacing import Pacer
from subcore.engine.ports import WireSet
from subcore.types import Int32Array
from subcore.venue import Route

__all__ = ["HOMES", "Group", "Habit", "Life", "Link", "Phase", "Request", "Role", "SnapshotsDue", "Trial"]

REMEMBERED: Final = 32  # requests whose window is over
GAPS_TO_KNOW: Final = 30  # before that a link's habit is not known
MEDIANS: Final = 20.0  # of its gaps, that a silence must last to be none of its habits
WORST_MARGIN: Final = 3.0  # and of its longest gap of the last day
YOUNG_MARGIN: Final = 20.0  # over the logarithm of its gaps: the longest of a few says little
PATIENCE_MOST: Final = 6  # times it doubles: a link that is full is asked for more about once an hour
WIDENED_MOST: Final = 30  # times: more streams than there are
AGE_MARGIN: Final = 0.02  # of the greatest age, for the successor to be proven in
AGE_SPREAD: Final = 0.03  # links opened together are not replaced together
RATE_MEMORY_NS: Final = 10 * SECOND  # frames a second are averaged over about this
GAP_STEP: Final = 0.05  # of the running median, a gap
WORST_MEMORY: Final = 24 * 3600.0 * SECOND


class Role(IntEnum):
    """What a link is for."""

    OWN = 0  # carries what asked for a link of its own
    SETTLED = 1  # carries what has come to stay
    NURSERY = 2  # carries what is not yet proven or settled, so that its changes disturb nobody
    STANDBY = 3  # carries streams a second time, for those who asked for it
    RETIRED = 4  # its streams move to a successor; it takes no new ones


HOMES: Final = (Role.OWN, Role.SETTLED)  # where streams come to stay


class Phase(IntEnum):
    """Where a link is in its life."""

    IDLE = 0  # nothing to carry
    BACKOFF = 1  # to be opened at `connect_at`
    CONNECTING = 2
    UP = 3


UP: Final = Phase.UP


class Request:
    """A message on its way: what it added, all that it stated (empty where a message says what changes), and until when
    its error window lasts.
    """

    __slots__ = (
        "acquits_at",
        "adds",
        "id",
        "lived_at",
        "number",
        "removes",
        "sent_ns",
        "whole",
        "window_ends",
    )

    def __init__(
        self,
        number: int,
        ident: str | None,
        adds: Int32Array,
        removes: Int32Array,
        whole: Int32Array,
        sent_ns: int,
        window_ends: int,
        acquits_at: int,
    ) -> None:
        self.number = number
        self.id = ident
        self.adds = adds
        self.removes = removes
        self.whole = whole
        self.sent_ns = sent_ns
        self.window_ends = window_ends
        self.acquits_at = acquits_at  # runnable time: a connection that lives then did not die of it
        self.lived_at: int | None = None  # the same, when that was first seen to be over


class SnapshotsDue:
    """A request that owes new snapshots of all that it stated; `at`: runnable time at which they are overdue. Of so
    many streams it was `seen` then whether they came; of the `doubted` they did not."""

    __slots__ = ("at", "doubted", "request", "seen")

    def __init__(self, at: int, request: Request) -> None:
        self.at = at
        self.request = request
        self.seen = 0
        self.doubted: list[Int32Array] = []


@dataclass(slots=True, eq=False)
class Trial:
    """Streams asked for a group at a time, so that one which kills its connection is found."""

    waiting: deque[Group] = field(default_factory=deque)
    current: Group | None = None
    passed_at: int = -1  # when streams were last found innocent

    @property
    def groups(self) -> list[Group]:
        """Those that wait, and the one on trial."""
        return [*self.waiting, *(() if self.current is None else (self.current,))]

    def holds(self, streams: Int32Array) -> npt.NDArray[np.bool_]:
        """Which of these are on trial, or wait for it."""
        return np.isin(streams, np.concatenate([NO_STREAMS, *(group.streams for group in self.groups)]))

    def forget(self, streams: Int32Array) -> None:
        """These ids are given back: whoever gets one of them next is not on trial."""
        for group in self.groups:
            group.streams = group.streams[~np.isin(group.streams, streams)]


@dataclass(slots=True, eq=False)
class Group:
    """Streams on trial together; `deaths`: connections that ended, without a word, right after the request. `doubted`:
    when one of them was refused beside streams that had been proven before: these are to pass without it first.
    `patient`: all of it had been served before, so that it is halved only once something is seen to live, since it was
    `halved` first. `since`: when the first of its deaths was.
    """

    streams: Int32Array
    deaths: int = 0
    doubted: int | None = None
    patient: bool = False
    halved: int = 0
    since: int = 0


@dataclass(slots=True, eq=False)
class Life:
    """What is known of the present connection's health. Idle and ping times are loop-runnable."""

    last_receive: int = 0
    frames: int = 0
    idle_since: int = 0
    pinged: int | None = None
    rate: float = 0.0  # frames a second
    busy: bool = False
    counted_at: int = 0
    spoke_at: int = 0  # runnable time of its last frame, or of its opening

    def count(self, frames: int, runnable: int, busy_rate: float) -> None:
        """So many frames have come so far."""
        elapsed = runnable - self.counted_at
        if elapsed > 0:
            share = min(1.0, elapsed / RATE_MEMORY_NS)
            self.rate += share * ((frames - self.frames) * SECOND / elapsed - self.rate)
            if frames > self.frames:  # judged while it speaks; silence must not make a busy link look idle
                self.busy = self.rate >= busy_rate
            self.counted_at, self.frames = runnable, frames


@dataclass(slots=True, eq=False)
class Habit:
    """What is usual on a link since its last request. Gaps in nanoseconds; what comes within a tick ends one."""

    gaps: int = 0
    median: float = 0.0
    worst: float = 0.0  # longest of the last day

    def learn(self, gap: float) -> None:
        """Frames came after so long."""
        if self.gaps:
            self.median *= math.exp(math.copysign(GAP_STEP, gap - self.median))
        else:
            self.median = gap
        self.gaps += 1
        self.worst = max(gap, self.worst * math.exp(-gap / WORST_MEMORY))

    def forget(self) -> None:
        """As if nothing had been heard: cheaper than a new one, and most messages need it."""
        self.gaps, self.median, self.worst = 0, 0.0, 0.0

    def limit(self, least: float) -> float:
        """A silence longer than this is none of its habits; infinite while they are not known."""
        if self.gaps < GAPS_TO_KNOW:
            return math.inf
        margin = max(WORST_MARGIN, YOUNG_MARGIN / math.log(self.gaps))
        return max(least, MEDIANS * self.median, margin * self.worst)


@dataclass(slots=True, eq=False)
class Link:
    """One link. Times are monotonic nanoseconds unless said otherwise."""

    id: int
    route: Route
    wire: WireSet
    pacer: Pacer
    phase: Phase = Phase.IDLE
    generation: int = 0
    attempts: int = 0  # failed ones since the link was last healthy
    ended_by: str = ""  # what the last one failed of, or the connection before it ended of
    denied: int = 0  # of them, logins refused in a row
    no_token: bool = False  # one of them had no login to come with, and that was told
    connect_at: int = 0
    connect_by: int = 0
    up_since: int = 0
    rtt_ns: int = 0
    requests: int = 0  # numbers every request of this link, over all its generations
    carries_all: int = 0  # number of the last request that stated the whole set, 0 = none
    first_request: int = 0  # number of the present generation's first request
    in_flight: list[Request] = field(default_factory=list)
    answered: deque[Request] = field(
        default_factory=lambda: deque(maxlen=REMEMBERED)
    )  # a late answer may name one
    last_request: Request | None = None  # of this generation, whether answered or not
    resized: set[int] = field(default_factory=set)  # on the wire with another width than wanted, perhaps
    repairs: bool = False  # what waits is a restore or a re-ask
    lost: bool = False  # with what it carried, and nothing was asked for since
    remove_by: int | None = None
    kept: int = 0  # removals in a row that the venue refused or did not answer
    takes_off: bool = False  # it has answered one
    linger_by: int | None = None
    snapshots_due: list[SnapshotsDue] = field(default_factory=list)
    unproven: Int32Array = field(default_factory=lambda: NO_STREAMS)
    unproven_from: int = 0  # where the look at them goes on, where they are many
    doubted: bool = False  # streams of it are silent for longer than usual, and nobody else can tell why
    listing_sent: tuple[int, str | None, int] | None = None  # when, its id, the last request before it
    list_first: bool = False  # changes have kept the next one from going for too long: it goes before them
    ping_first: bool = False  # a ping is due and found no room: it goes before changes
    role: Role = Role.SETTLED
    trial: Trial | None = None
    suspects: Int32Array = field(default_factory=lambda: NO_STREAMS)
    deaths: int = 0
    died_at: int = 0  # the first of these
    rewrites: deque[int] = field(
        default_factory=deque
    )  # when it was asked anew for what it carried, latest last
    took: int | None = None  # streams, when it was refused more than these
    narrowed_at: int = 0  # runnable time of that
    patience: int = 0  # so long it was not asked for more, the last time
    spared_until: int = 0  # what is new goes to the nursery
    doubled_from: int = 0  # second carriers beside this link are asked for not before; the last ones failed
    looked_from: int = 0  # where the look at those with two carriers goes on, while it is replaced
    sent_at: int = 0  # the last request
    life: Life = field(default_factory=Life)
    habit: Habit = field(default_factory=Habit)
    bound: Habit = field(
        default_factory=Habit
    )  # known, since it carried a part: the whole is silent no longer
    former: Habit = field(default_factory=Habit)  # known last, of a set of which some was removed since
    unanswered: int | None = None  # the first request since which no frame came
    refused_moves: int = 0  # in a row, of what it carries, by another link's error
    asked: int | None = None  # runnable time when what is newest was asked for because all of it is silent
    sample: Int32Array = field(default_factory=lambda: NO_STREAMS)  # about these
    doubts: int = 0  # restarts on the venue's word since one brought what it had told of
    told: dict[int, tuple[int, int]] = field(
        default_factory=dict
    )  # at the last one: stream -> serial, newest time
    rests_until: int = 0  # runnable time: the venue has nothing newer, so its silence accuses it not before
    judged_since: int = (
        -1
    )  # it is silent since then (runnable time), and by its streams' habits shall be so long
    streams_limit: float = math.inf
    in_vain: int = 0  # restarts for that since it brought more than what a request owes
    wake: int | None = None

    @property
    def is_up(self) -> bool:
        """Whether it can carry messages."""
        return self.phase is UP

    @property
    def is_unused(self) -> bool:
        """Whether it has no connection, and nothing to open one for."""
        return self.phase is Phase.IDLE and not self.wire.len_target

    def is_old(self, most: float | None, now: int) -> bool:
        """ "a single connection is only valid for 24 hours": replaced before that, each link at its own time."""
        if most is None:
            return False
        spread = (self.id * 7919 % 97) / 97 * AGE_SPREAD
        return now - self.up_since >= nanoseconds(most * (1 - AGE_MARGIN - spread))

    def remove_before(self, when: int) -> None:
        """What is to leave goes by then at the latest."""
        self.remove_by = when if self.remove_by is None else min(self.remove_by, when)

    def has_more(self) -> None:
        """It carries more than it did: no silence of that is longer, and most are shorter."""
        self.judged_since = -1  # by the habits of other streams
        if self.habit.gaps >= GAPS_TO_KNOW:
            self.bound, self.habit = self.habit, Habit()
        elif self.habit.gaps:
            self.habit.forget()

    def has_other_set(self) -> None:
        """It carries less than it did, or is another connection: its habit says nothing of that."""
        self.has_more()
        if self.bound.gaps:
            self.former, self.bound = self.bound, Habit()

    def silence_limit(self, least: float) -> float:
        """A silence longer than this is none of its habits; infinite while they are not known."""
        return min(self.habit.limit(least), self.bound.limit(least))

    def narrow(self, streams: int, runnable: int, least: int) -> None:
        """It was refused more than these. Where that happens after it was asked for more, the next time is later."""
        if self.took is None or runnable - self.narrowed_at >= self.patience:
            self.patience = max(least, min(2 * self.patience, least << PATIENCE_MOST))
        self.took, self.narrowed_at = streams, runnable

    def takes(self, runnable: int) -> int | None:
        """Streams, at most: twice as many each time its patience is over, since a venue's trouble passes; None = it was
        never refused more than it carried."""
        if self.took is None:
            return None
        return self.took << min((runnable - self.narrowed_at) // self.patience, WIDENED_MOST)

    def widen(self) -> None:
        """Another connection was refused nothing yet."""
        self.took, self.patience = None, 0

    def expect(self, streams: Int32Array) -> None:
        """These were asked for, and are not proven yet."""
        some = len(self.unproven)
        self.unproven = np.unique(np.concatenate([self.unproven, streams])) if some else streams

    def forget(self, streams: Int32Array) -> None:
        """These ids are given back: whoever gets one of them next is no suspect of this link."""
        self.suspects = np.setdiff1d(self.suspects, streams)
        if self.trial is not None:
            self.trial.forget(streams)
