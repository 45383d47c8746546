"""A plan: components, what each will ask for, and how often each kind of data comes. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from subcore.errors import UsageError
from subcore.types import Priority
from subcore.venue import Venue

__all__ = [
    "BOXES",
    "POLICIES",
    "Plan",
    "PlannedComponent",
    "PlannedInterests",
    "Rate",
    "needing_login",
]

POLICIES = ("callback", "async", "queue", "latest", "ring")
BOXES = ("queue", "latest")  # that a component reads by itself, all of them as one
RTT_MS = 20.0
MOST_COMPONENTS = 65_536


@dataclass(frozen=True, slots=True)
class Rate:
    """Frames a second of one stream, and bytes of each (None = as the embedded exchange makes them)."""

    per_second: float
    bytes: float | None = None


@dataclass(frozen=True, slots=True)
class PlannedInterests:
    """One channel of some symbols, and how it is taken: one of `POLICIES`, "callback" and "async" by a handler."""

    channel: str
    symbols: tuple[str, ...]
    depth: int | None = None
    policy: str = "callback"
    priority: Priority | None = None
    max_rate: float | None = None
    standby: bool = False
    own_link: bool = False

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise UsageError(f"policy is one of {', '.join(POLICIES)}, not {self.policy!r}")


@dataclass(frozen=True, slots=True)
class PlannedComponent:
    """`count` components alike. `handler_us`: microseconds that one event takes in their own code."""

    name: str
    interests: tuple[PlannedInterests, ...]
    priority: Priority = Priority.NORMAL
    count: int = 1
    handler_us: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Who will ask for what. `rates`: by channel, or by "channel:symbol", which goes first.

    `rtt_ms`: round trip to the venue. `together_ms`: frames that come within so long of each other arrive together
    (0 = each by itself, which costs most).
    """

    venue: str | Venue
    components: tuple[PlannedComponent, ...] = ()
    rates: Mapping[str, Rate] = field(default_factory=dict)
    rtt_ms: float = RTT_MS
    together_ms: float = 0.0

    def __post_init__(self) -> None:
        if sum(component.count for component in self.components) > MOST_COMPONENTS:
            raise UsageError(f"a manager has at most {MOST_COMPONENTS:,} components: plan fewer")

    def rate_of(self, channel: str, symbol: str) -> Rate:
        """How often a stream speaks. UsageError where neither it nor its channel has a rate."""
        rate = self.rates.get(f"{channel}:{symbol}") or self.rates.get(channel)
        if rate is None:
            raise UsageError(
                f"no rate for {channel}: say how many frames a second one stream of it brings, "
                f"[rates] {channel!r} = {{ per_second = 1.0 }}"
            )
        return rate

    def bytes_of(self, channel: str, symbol: str) -> float | None:
        """Of a frame of this stream; None where neither it nor its channel says."""
        for key in (f"{channel}:{symbol}", channel):
            rate = self.rates.get(key)
            if rate is not None and rate.bytes is not None:
                return rate.bytes
        return None

    def beside(self, other: Plan) -> Plan:
        """Both at once: this one's rates, and the other's where this one has none."""
        return replace(
            self,
            components=(*self.components, *other.components),
            rates={**other.rates, **self.rates},
        )


def needing_login(venue: Venue) -> frozenset[str]:
    """Names of the channels that a plan cannot have."""
    return frozenset(channel.name for channel in venue.channels if venue.route(channel.route).grant)
