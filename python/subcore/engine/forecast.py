"""What a set of interests will cost: arithmetic over what was rehearsed and calibrated. Nothing is measured here.

The processor's share is a sum of five: what the manager does by itself, reading from sockets, frames, deliveries, and
waking who reads. How often a socket is read follows from how many frames come and how many of them come together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from subcore.engine.clock import SECOND

__all__ = [
    "Costs",
    "Expected",
    "Forecast",
    "LinkLoad",
    "Load",
    "ReaderLoad",
    "cpu_share",
    "exactly",
    "together_of",
    "wakes_of",
]

CHANCE = 3.0  # standard deviations of the number of frames in a window of ...
CHANCE_S = 10.0  # ... so long
HALVINGS = 50
CPU_ERROR = 0.35  # what the sum may be off by, beside what was seen while calibrating
MEMORY_ERROR = 0.35


@dataclass(frozen=True, slots=True)
class Expected:
    """A forecast figure: most likely `value`, and the interval it should be found in."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if self.low == self.high:
            return f"{self.value:,.4g}"
        return f"{self.value:,.4g} ({self.low:,.4g} to {self.high:,.4g})"


def exactly(value: float) -> Expected:
    """What leaves no room."""
    return Expected(value, value, value)


@dataclass(frozen=True, slots=True)
class Costs:
    """Nanoseconds that things take on this machine; see `subcore.planning.calibration.calibrate`.

    `read`: one reading of a socket, its turn of the loop included. `frame`: one frame of a (channel, depth), delivered
    to nobody. `delivery`: handing one event over, by policy. `wake`: waking one reader, by policy; `turn`: what readers
    that are woken together take beside, once. `timer`: one timer. `spread`: how far rounds of the calibration lay
    apart, as a share.
    """

    read: float
    frame: Mapping[tuple[str, int], float]
    delivery: Mapping[str, float]
    wake: Mapping[str, float]
    turn: float
    timer: float
    spread: float = 0.0


@dataclass(frozen=True, slots=True)
class LinkLoad:
    """Frames a second of one link, by (channel, depth)."""

    frames: Mapping[tuple[str, int], float]

    @property
    def rate(self) -> float:
        """All of them."""
        return sum(self.frames.values())


@dataclass(frozen=True, slots=True)
class ReaderLoad:
    """One component by one policy: events a second, nanoseconds that each takes in its own code, and how many alike.

    `waking`: events a second that wake whoever takes them, those by other policies that he takes as well among them; 0
    where nobody is woken, or another one of these stands for it.
    """

    policy: str
    events: float
    waking: float = 0.0
    handler_ns: float = 0.0
    alike: int = 1


@dataclass(frozen=True, slots=True)
class Load:
    """What happens in a second. `together_s`: frames that come within so long are read together, whatever their link;
    `idle_ns`: what the manager does by itself; `timers`: how often a timer of it runs."""

    links: Sequence[LinkLoad]
    readers: Sequence[ReaderLoad]
    together_s: float = 0.0
    idle_ns: float = 0.0
    timers: float = 0.0

    @property
    def frames(self) -> float:
        """Frames a second over all links."""
        return sum(link.rate for link in self.links)

    @property
    def deliveries(self) -> float:
        """Events a second handed over."""
        return sum(reader.events * reader.alike for reader in self.readers)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a plan will take; see `subcore.predict`.

    `messages` are all that are sent until every stream is proven, `settled_s` is when that is, and `restored_s` is how
    long it takes after all links were lost at once. `cpu_share`: of one core, 0 to 1, parts of it in `cpu_parts`.
    `memory_bytes`: the core's tables and what Python objects are estimated to take, once every stream has had data and
    nothing waits unread. `notes` say what to mind.
    """

    venue: str
    components: int
    interests: int
    topics: int
    streams: int
    links: Expected
    connects: Expected
    messages: Expected
    frames_per_s: Expected
    bytes_per_s: Expected
    deliveries_per_s: Expected
    cpu_share: Expected
    memory_bytes: Expected
    settled_s: Expected
    restored_s: Expected
    cpu_parts: Mapping[str, float] = field(default_factory=dict)
    memory_parts: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def wakes_of(rate: float, together_s: float) -> float:
    """How often a second a socket is read that gets `rate` frames a second by chance, where those within `together_s`
    of each other come as one."""
    if rate <= 0:
        return 0.0
    return 1.0 / (together_s + math.exp(-rate * together_s) / rate)


def together_of(rate: float, reads: float) -> float:
    """Seconds for which `wakes_of` says so many readings, where they were counted: what comes in heaps, by a clock that
    many streams share, is read less often than what comes by chance."""
    low, high = 0.0, 1.0 / max(reads, 1e-9)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if wakes_of(rate, middle) > reads else (low, middle)
    return low


def by_chance(rate: float) -> Expected:
    """A rate of things that come by chance, over ten seconds."""
    off = CHANCE * math.sqrt(rate / CHANCE_S)
    return Expected(rate, max(0.0, rate - off), rate + off)


def cpu_share(load: Load, costs: Costs) -> tuple[Expected, dict[str, float]]:
    """Of one core, and its parts."""
    reads = wakes_of(load.frames, load.together_s)
    woken = [(reader, _woken(reader.waking, reads, load.frames)) for reader in load.readers]
    asleep = math.prod((1.0 - times / reads) ** r.alike for r, times in woken) if reads else 1.0
    parts = {
        "idle": load.idle_ns + load.timers * costs.timer,
        "reading": reads * costs.read,
        "frames": sum(rate * costs.frame[key] for link in load.links for key, rate in link.frames.items()),
        "delivering": sum(r.alike * r.events * costs.delivery[r.policy] for r in load.readers),
        "waking": sum(r.alike * times * costs.wake[r.policy] for r, times in woken)
        + reads * (1.0 - asleep) * costs.turn,
        "handlers": sum(r.alike * r.events * r.handler_ns for r in load.readers),
    }
    parts = {name: ns / SECOND for name, ns in parts.items()}
    share = sum(parts.values())
    off = min(0.9, CPU_ERROR + costs.spread)
    return Expected(share, share * (1 - off), share * (1 + off)), parts


def _woken(events: float, reads: float, frames: float) -> float:
    """How often a second a reader of so many events is woken: at each reading of a socket that brings it one."""
    if not frames or not reads:
        return 0.0
    together = max(1.0, frames / reads)
    none_of_them: float = (1.0 - min(1.0, events / frames)) ** together
    return reads * (1.0 - none_of_them)
