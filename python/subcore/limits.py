"""A venue's limits as values: how much of what fits into which time, counted over what."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

from subcore.errors import UsageError

__all__ = ["Capacity", "Counted", "Limit", "OnBreach", "Scope", "Window"]

WINDOWS_AT_MOST = 8  # of one limit
SENDS_AT_MOST = 1 << 20  # of one window: the time of each is kept


class Scope(Enum):
    """Over what a limit counts."""

    LINK = "link"
    IP = "ip"
    ACCOUNT = "account"


class Counted(StrEnum):  # a plain member is hashed by a call of Python, and each message looks for its limits
    """What a limit counts. LOGIN is declared and not counted yet: the engine sends no message to log in."""

    CONNECT = "connect"
    MESSAGE = "message"
    PING = "ping"
    PONG = "pong"
    LOGIN = "login"


class OnBreach(Enum):
    """What the venue does to one who passes a limit. For readers: the engine passes none, and does not read it."""

    UNKNOWN = "unknown"
    ERROR = "error"
    CLOSE = "close"
    REFUSE = "refuse"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Window:
    """At most `amount` in any `seconds`. It is planned over `planned_seconds`, which leaves room for
    jitter, and `reserve` of the amount is kept for repair (restores, re-asks), out of reach of
    ordinary changes.
    """

    amount: int
    seconds: float
    planned_seconds: float
    reserve: int = 0

    def __post_init__(self) -> None:
        if self.amount < 1 or self.seconds <= 0 or self.planned_seconds < self.seconds:
            raise UsageError(f"{self}: amount must be at least 1, and planned_seconds at least seconds > 0")
        if self.amount > SENDS_AT_MOST:
            raise UsageError(
                f"{self}: amount must be at most {SENDS_AT_MOST}; where there is no limit, give none"
            )
        if not 0 <= self.reserve < self.amount:
            raise UsageError(f"{self}: reserve must lie in [0, amount)")


@dataclass(frozen=True, slots=True)
class Limit:
    """One rate limit: all windows must have room for each event in `counts`.

    `group` names the venue's counter; limits of one group and host share it (scopes IP and ACCOUNT,
    whole process). `burst`: so many may follow each other freely after calm, then they are spread evenly
    over the longest window (0 = never spread). `min_gap_seconds`: least distance of two. `routes`: it counts
    on these alone (empty = on all).
    """

    group: str
    scope: Scope
    counts: frozenset[Counted]
    windows: tuple[Window, ...]
    burst: int = 0
    min_gap_seconds: float = 0.0
    on_breach: OnBreach = OnBreach.UNKNOWN
    routes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= len(self.windows) <= WINDOWS_AT_MOST:
            raise UsageError(
                f"limit {self.group!r} has {len(self.windows)} windows: give it 1 to {WINDOWS_AT_MOST}"
            )
        if self.burst < 0 or self.min_gap_seconds < 0:
            raise UsageError(f"limit {self.group!r}: burst and min_gap_seconds must be at least 0")


@dataclass(frozen=True, slots=True)
class Capacity:
    """How much of a resource fits: `streams` on a link, `connections` of an IP or account. `soft` = advice only."""

    resource: str
    amount: int
    scope: Scope = Scope.LINK
    soft: bool = False
