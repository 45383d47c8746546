"""What `stats()` gives: plain records, and the same as JSON.

All of them are values: nothing here reads anything. Counts are since the manager, link or component was made. Times are
nanoseconds; those whose name ends in `_time_ns` are since 1970 UTC. docs/operations.md says what each figure means.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .types import Priority, Topic

if TYPE_CHECKING:
    from .keeping import SnapshotStats

__all__ = [
    "ChannelStats",
    "ComponentStats",
    "Delays",
    "LinkStats",
    "MemoryStats",
    "Rates",
    "Stats",
    "WindowStats",
    "WireStats",
    "as_json",
]


@dataclass(frozen=True, slots=True)
class Rates:
    """So many a second, over the last 1, 10 and 60 s; while less is known, over what is known."""

    over_1s: float = 0.0
    over_10s: float = 0.0
    over_60s: float = 0.0


@dataclass(frozen=True, slots=True)
class Delays:
    """How long something took, in nanoseconds; None where `count` is 0. Percentiles are within 2 % from 1 us to 1 h."""

    count: int = 0
    mean_ns: int | None = None
    p50_ns: int | None = None
    p90_ns: int | None = None
    p99_ns: int | None = None
    worst_ns: int | None = None


@dataclass(frozen=True, slots=True)
class WindowStats:
    """One rolling window of a rate limit. A send is `used` until it has surely left the venue's own count.

    `counts`: "message", "connect", ...; `scope`: "link", "ip" or "account", the last two over the whole process.
    `reserve` of the `amount` is kept for repair, so ordinary changes have `left - reserve`.
    """

    counts: tuple[str, ...]
    scope: str
    amount: int
    seconds: float
    reserve: int
    used: int
    left: int


@dataclass(frozen=True, slots=True)
class LinkStats:
    """One link. `streams` are asked for or proven on it now, `waiting` are changes not sent yet.

    Counts are of its whole life, over all connections (`generation` numbers them). `delay` is receive time less the
    exchange's; `skewed` are frames that it cannot be told of, since the exchange's clock is ahead.
    """

    number: int
    up: bool
    generation: int
    frames: int
    bytes: int
    streams: int
    route: str = ""
    role: str = ""
    phase: str = ""
    snapshots: int = 0
    skewed: int = 0
    waiting: int = 0
    rtt_ns: int = 0
    last_receive_time_ns: int = 0
    frame_rate: Rates = Rates()
    byte_rate: Rates = Rates()
    delay: Delays = Delays()
    windows: tuple[WindowStats, ...] = ()


@dataclass(frozen=True, slots=True)
class ChannelStats:
    """One channel of the venue. `streams` are those somebody wants."""

    name: str
    streams: int
    frames: int
    bytes: int
    snapshots: int
    repeats: int
    skewed: int
    last_receive_time_ns: int
    frame_rate: Rates = Rates()
    byte_rate: Rates = Rates()
    delay: Delays = Delays()


@dataclass(frozen=True, slots=True)
class ComponentStats:
    """Figures of one component. `queued` events wait to be read, the oldest for `queue_age_ns`; `lost` were due and
    dropped.

    `calls` of its handlers took `mean_ns`, in half of them at most `p50_ns`, in all but 1 % at most `p99_ns`, and
    `worst_ns` in the longest seen (None before one was timed); together `loop_share` of the time, 0 to 1. They are
    timed by sampling, 1 in 32 and all while fan-outs are long; what runs for milliseconds is seen each time. Of async
    handlers each step is timed, from where the loop resumes it to where it waits; what it waits for is not.
    `withheld`: events that passed its handlers while they were kept from calls, since each of the last had raised.
    `conflated`: of topics with `Latest()` or `max_rate=`, newer events took their place; `overrun`: rows of rings that
    readers missed.
    `delay`: from receiving an event to handing it over, `recent_delay` the same of the last one to two minutes.
    `health`: "well", "slow" or "quarantined", as its obligations are judged; "closed" once it is.
    """

    name: str
    priority: Priority
    paused: bool
    interests: int
    delivered: int
    queued: int
    lost: int
    losses: dict[Topic, int]
    handler_errors: int
    last_error: str | None
    calls: int = 0
    mean_ns: int | None = None
    p50_ns: int | None = None
    p99_ns: int | None = None
    worst_ns: int | None = None
    loop_share: float = 0.0
    over_budget: int = 0
    withheld: int = 0
    conflated: int = 0
    conflations: dict[Topic, int] = field(default_factory=dict)
    overrun: int = 0
    queue_age_ns: int | None = None
    health: str = "well"
    rate: Rates = Rates()
    delay: Delays = Delays()
    recent_delay: Delays = Delays()


@dataclass(frozen=True, slots=True)
class WireStats:
    """What the control plane did since the manager was made.

    `plans` are requests sent, `messages` those and the listings asked for. `losses`: open links that ended unasked.
    `restores`: requests after a loss. `reasks`: streams asked for again because they were silent, `needless_reasks`
    those of them that had had nothing to say. `late_events` came of an older connection, and were dropped.
    """

    plans: int = 0
    messages: int = 0
    additions: int = 0
    removals: int = 0
    connects: int = 0
    refused_connects: int = 0
    losses: int = 0
    failed_requests: int = 0
    listings: int = 0
    pings: int = 0
    restores: int = 0
    reasks: int = 0
    needless_reasks: int = 0
    questions: int = 0
    late_events: int = 0
    unknown_control: int = 0


@dataclass(frozen=True, slots=True)
class MemoryStats:
    """Bytes. `core`: of the core's tables by part, exact. `python`: an estimate of all that is kept in Python objects,
    events that wait included. `rss`: of the process, by the system; None where it does not tell."""

    core: dict[str, int] = field(default_factory=dict)
    python: int = 0
    rss: int | None = None


@dataclass(frozen=True, slots=True)
class Stats:
    """Figures of one manager since it was made.

    `frames` were accepted, `bad_frames` refused by reason, `repeated` are snapshots equal to what was known,
    `duplicates` what the second of two carriers of a stream brought after the first, `gaps` snapshots that showed
    missed trades. `losses` are events that components were due and did not get, by reason. `streams`, `data` and
    `evidence` count the streams somebody wants, by state, by what its data are worth, and by each kind of evidence.
    `delay` is receive time less the exchange's time, snapshots excluded; `recent_delay` of the last one to two minutes;
    `fan_out` is how long one frame took to all its receivers; `loop_lag`, of the last one to two minutes, how late the
    event loop ran a timer. `steps` counts what was done about components: slow, quarantined, reaped, recovered.
    `components` is empty where it was not asked for.
    """

    time_ns: int
    uptime_ns: int
    interests: int
    topics: int
    streams: dict[str, int]
    data: dict[str, int]
    evidence: dict[str, int]
    links: tuple[LinkStats, ...]
    channels: dict[str, ChannelStats]
    components: dict[str, ComponentStats]
    component_count: int
    frames: int
    bytes: int
    snapshots: int
    repeated: int
    duplicates: int
    gaps: int
    skewed: int
    controls: int
    unknown_streams: int
    events: int
    delivered: int
    bad_frames: dict[str, int]
    losses: dict[str, int]
    handler_errors: int
    frame_rate: Rates
    byte_rate: Rates
    delivered_rate: Rates
    delay: Delays
    recent_delay: Delays
    fan_out: Delays
    loop_lag: Delays
    loop_share: float
    wire: WireStats
    steps: dict[str, int]
    memory: MemoryStats
    snapshot: SnapshotStats | None = None  # None where no file is kept

    @property
    def messages_sent(self) -> int:
        """Requests and listings sent."""
        return self.wire.messages

    @property
    def connects(self) -> int:
        """Connections tried."""
        return self.wire.connects

    @property
    def losses_of_link(self) -> int:
        """Open links that ended unasked."""
        return self.wire.losses

    @property
    def latency_p50_ns(self) -> int | None:
        """Half of all live frames were received so soon after the exchange's time."""
        return self.delay.p50_ns

    @property
    def latency_p99_ns(self) -> int | None:
        """All but 1 % of them were."""
        return self.delay.p99_ns

    @property
    def memory_bytes(self) -> int:
        """Bytes of the core's tables, exact."""
        return sum(self.memory.core.values())


def as_json(value: Any) -> Any:
    """The same as dicts, lists, texts, numbers and None alone: of any record of this package, or of `topic_stats()`.

    Names of enumerations and texts of topics stand for them; what is no number (NaN, infinite) is None. A structured
    array gives {column: [values]}. TypeError for what has no such form. O(size), some 10 us for each component.
    """
    return value if type(value) in _AS_THEY_ARE else _maker_of(type(value))(value)


_AS_THEY_ARE = frozenset({bool, int, str, type(None)})


_FOUND: dict[type[Any], Callable[[Any], Any]] = {}  # types of figures are few


def _maker_of(kind: type[Any]) -> Callable[[Any], Any]:
    """What makes JSON of the values of a type. TypeError for one that is none of figures."""
    found = _FOUND.get(kind)
    if found is None:
        found = next((maker for known, maker in _MAKERS if issubclass(kind, known)), None)
        if found is None and dataclasses.is_dataclass(kind):
            found = _of_record(kind)
        if found is None:
            raise TypeError(f"{kind.__name__} is no figure: give what stats() or topic_stats() gave")
        _FOUND[kind] = found
    return found


def _of_record(kind: type[Any]) -> Callable[[Any], dict[str, Any]]:
    names = [part.name for part in dataclasses.fields(kind)]
    values_of = (
        attrgetter(*names) if len(names) > 1 else lambda value: [getattr(value, name) for name in names]
    )

    def make(value: Any) -> dict[str, Any]:
        values = values_of(value)
        return {
            name: each if type(each) in _AS_THEY_ARE else _maker_of(type(each))(each)
            for name, each in zip(names, values, strict=True)
        }

    return make


def _of_float(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def _of_mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    return {_key(key): as_json(each) for key, each in value.items()}


def _of_several(value: Iterable[Any]) -> list[Any]:
    return [as_json(each) for each in value]


def _of_array(array: npt.NDArray[Any]) -> Any:
    if array.dtype.names is not None:
        return {name: _of_array(array[name]) for name in array.dtype.names}
    is_plain = array.dtype.kind in "iub" or (array.dtype.kind == "f" and bool(np.isfinite(array).all()))
    return array.tolist() if is_plain else _of_several(array.tolist())


def _key(key: object) -> str:
    return key.name if isinstance(key, Enum) else str(key)


_MAKERS: tuple[tuple[type[Any] | tuple[type[Any], ...], Callable[[Any], Any]], ...] = (
    ((bool, str, type(None)), lambda value: value),  # bool before int, which it is
    (Enum, lambda value: value.name),
    ((int, np.integer), int),
    ((float, np.floating), _of_float),
    (Topic, str),
    (Mapping, _of_mapping),
    ((list, tuple, set, frozenset), _of_several),
    (np.ndarray, _of_array),
)
