"""What the parts of the engine share: the venue, the columns, the defaults, the counters, and the
actions so far.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from subcore.engine.actions import Action, Log, Notify
from subcore.engine.clock import SECOND, RunnableClock
from subcore.engine.pacing import LimitRegistry
from subcore.engine.ports import StreamTable, WireSet
from subcore.engine.topics import Streams
from subcore.types import Int32Array, StatusKind, StreamColumns
from subcore.venue import Scope, Venue

__all__ = ["NO_STREAMS", "Context", "EngineStats", "Settings"]

NO_STREAMS: Final[Int32Array] = np.empty(0, np.int32)
NO_STREAMS.flags.writeable = False


@dataclass(frozen=True, slots=True)
class Settings:
    """Every default of the engine, in nanoseconds unless named otherwise."""

    tick: int = SECOND // 4
    remove_wait: int = 2 * SECOND  # a removal rides along with an addition, or goes alone after this
    slice: int = 8192  # streams of a lost link that are seen to before the loop goes on
    looks: int = 1024  # streams on their way between links that a tick looks at
    awaited: int = 8192  # streams that are not proven, or owed a new snapshot, that a tick looks at
    messages: int = 2  # that are written, to all links, before the loop goes on
    starvation: int = 10 * SECOND  # what waited so long for a message goes first, whatever its class
    linger: int = 5 * SECOND  # a link that carries nothing is closed after this
    connect_timeout: int = 15 * SECOND
    login_timeout: int = 15 * SECOND  # and this more where a login must be fetched before
    denied_patience: int = 3  # logins refused in a row ...
    denied_wait_seconds: float = 30.0  # ... after which the link is tried at most once in this time
    backoff_first_seconds: float = 0.25
    backoff_most_seconds: float = 30.0
    backoff_reset: int = 30 * SECOND  # up so long, with data: the next loss starts from the first backoff
    late_frames: int = 2 * SECOND  # frames of a dropped stream may come so long after, in runnable time
    blame: int = SECOND  # a link that dies so soon after a request may have died of it
    snapshot_due: int = 3 * SECOND  # a rewrite's new snapshots are due within this
    listing_silence: int = 2 * SECOND  # only streams silent so long after their send are looked up
    listing_gap: int = 10 * SECOND
    doubt_gap: int = 60 * SECOND  # where they are proven and all that is wrong is their silence
    markets_gap: int = 10 * SECOND
    retry_seconds: tuple[float, ...] = (2.0, 8.0, 30.0)  # until a stream that failed is asked for again
    minute: int = 60 * SECOND
    hurts: int = 6  # rewrites a minute of a link that should be left alone
    crowd: int = 50  # streams, beyond which a link should be left alone
    calm: int = (
        60 * SECOND
    )  # unchanged so long, a nursery's streams move back; least gap of settled rewrites for that
    move_timeout: int = 30 * SECOND  # a move that is not proven by then is given up
    silent_link: int = (
        5 * SECOND
    )  # least silence, in runnable time, of a link that is dead although its pongs come
    frozen: int = 10 * SECOND  # least silence of a stream that is asked for again while its link lives
    ask_gap: int = SECOND  # between two questions about what is newest
    ask_most: int = 200  # streams in one of them
    narrow: int = 3600 * SECOND
    block_429: int = 10 * SECOND  # where the reply names no time
    block_418: int = 120 * SECOND


@dataclass(slots=True)
class EngineStats:
    """Counts since the engine was made."""

    plans: int = 0  # requests sent
    messages: int = 0  # requests and listings
    additions: int = 0
    removals: int = 0
    connects: int = 0
    losses: int = 0  # open links that ended unasked
    refused_connects: int = 0
    pings: int = 0
    listings: int = 0
    failed_requests: int = 0
    late_events: int = 0  # of an older generation, or a link that is not
    unknown_control: int = 0
    restores: int = 0  # requests after a loss
    reasks: int = 0  # streams asked for again because they were silent
    needless_reasks: int = 0  # of them, those that had had nothing to say
    questions: int = 0  # about what is newest of silent streams
    reasks_held: int = 0  # looks at which one was due that the allowance held back


@dataclass(slots=True)
class Context:
    """One engine's shared state. `out` collects the actions of the event in hand."""

    venue: Venue
    table: StreamTable
    make_wire_set: Callable[[], WireSet]
    rng: random.Random
    registry: LimitRegistry
    settings: Settings = Settings()
    account: str = ""  # whose limits of scope ACCOUNT count
    can_ask: Callable[[StreamColumns], npt.NDArray[np.bool_]] | None = (
        None  # about which the newest can be told
    )
    streams: Streams = field(default_factory=Streams)
    stats: EngineStats = field(default_factory=EngineStats)
    out: list[Action] = field(default_factory=list)
    clock: RunnableClock = field(init=False)
    link_capacity: int | None = field(init=False)  # streams a connection takes, as far as the venue says
    overlapping: frozenset[int] = field(init=False)  # channels with a stream of all beside those of markets

    def __post_init__(self) -> None:
        capacities = [c for c in self.venue.capacities if c.resource == "streams" and c.scope is Scope.LINK]
        self.link_capacity = min((c.amount for c in capacities), default=None)
        self.clock = RunnableClock(self.settings.tick)
        self.overlapping = frozenset(
            index for index, c in enumerate(self.venue.channels) if c.takes_symbol and not c.needs_symbol
        )

    def shared(self, streams: Int32Array) -> Int32Array:
        """Those of channels where a frame is due to two streams: that of its market, and that of all. What carries
        either brings both their frames, so one with a single carrier may have them from two links."""
        if self.overlapping.isdisjoint(self.table.channels_of(streams)):
            return NO_STREAMS
        found: Int32Array = streams[np.isin(self.table.columns(streams).channels, sorted(self.overlapping))]
        return found

    def notify(self, kind: StatusKind, streams: Int32Array, reason: str) -> None:
        """Tell holders, if there is anything to tell."""
        if len(streams):
            self.out.append(Notify(kind, streams, reason))

    def log(self, level: int, text: str, **fields: Any) -> None:
        """A line for the log."""
        self.out.append(Log(level, text, fields))

    def info(self, text: str, **fields: Any) -> None:
        """A line at level INFO."""
        self.log(logging.INFO, text, **fields)

    def warn(self, text: str, **fields: Any) -> None:
        """A line at level WARNING."""
        self.log(logging.WARNING, text, **fields)
