"""When there is more to do than the process can: which measures to take, in which order, and when to take them back.

A signal (the loop's lag, the share of handlers in its time, the age of queues, memory, bytes of one link) is calm, busy
or overloaded; the worst of them is the load level. While it stays, one rung of a ladder after another is put on, lower
classes first; once it has been lower for long enough, they are taken off, the last rung first. Nothing is taken from
CRITICAL. Pure: pressures and times in, steps out; who carries them out says what each rung would touch.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, IntEnum

from subcore.engine.clock import SECOND, nanoseconds
from subcore.errors import UsageError
from subcore.types import Priority

__all__ = [
    "LADDER",
    "Adapt",
    "Adaptation",
    "Adaptive",
    "Level",
    "Measure",
    "MeasureTaken",
    "Pressure",
    "Rung",
    "Step",
]

HISTORY = 256
FLAPS_WITHIN = 3  # times its calm time: put on again so soon, a rung stays for twice as long


class Level(IntEnum):
    """How much there is to do."""

    CALM = 0
    BUSY = 1
    OVERLOADED = 2


class Measure(Enum):
    """What can be done about it."""

    SPLIT = "split"  # CRITICAL streams get a link that they share with nobody
    CONFLATE = "conflate"  # at most so many events a second and topic, the newest; never trades
    SLOW = "slow"  # still fewer
    SHALLOW = "shallow"  # books of few levels, from the next rewrite on
    SUSPEND = "suspend"  # nothing, and off the wire where nobody else wants it


@dataclass(frozen=True, slots=True)
class Rung:
    """A measure for a class, from that level on."""

    measure: Measure
    priority: Priority
    level: Level

    def __str__(self) -> str:
        return f"{self.measure.value} {self.priority.name}"


LADDER = (
    Rung(Measure.SPLIT, Priority.CRITICAL, Level.BUSY),
    Rung(Measure.CONFLATE, Priority.LOW, Level.BUSY),
    Rung(Measure.SLOW, Priority.LOW, Level.BUSY),
    Rung(Measure.SHALLOW, Priority.LOW, Level.BUSY),
    Rung(Measure.SUSPEND, Priority.LOW, Level.OVERLOADED),
    Rung(Measure.CONFLATE, Priority.NORMAL, Level.OVERLOADED),
    Rung(Measure.SLOW, Priority.NORMAL, Level.OVERLOADED),
    Rung(Measure.SHALLOW, Priority.NORMAL, Level.OVERLOADED),
    Rung(Measure.CONFLATE, Priority.HIGH, Level.OVERLOADED),
)
"""Put on from the first to the last, taken off from the last to the first. SPLIT takes nothing from anybody."""


@dataclass(frozen=True, slots=True)
class Adapt:
    """When measures against load are taken, and which; give it as `SubscriptionManager(..., adapt=Adapt(...))`.

    Pairs are (busy from, overloaded from). `lag`: seconds by which the loop runs a timer late; `callback_share`: of the
    loop's time that handlers take; `queue_age`: seconds that events of the median component wait; `memory`: share of
    `memory_limit` (bytes, None = not looked at) that the process has resident; `link_rate`: bytes a second of one link
    (None = not looked at). A level once reached is left below `falls` times where it begins.
    A level must last `after` seconds before the first measure, the next follows each `step` seconds, and one is taken
    back after `calm` seconds at a lower level; twice as long, up to `calm_most`, each time it was taken back too soon.
    `conflated` and `slowed`: events a second that CONFLATE and SLOW leave of each topic; `shallow`: book levels that
    SHALLOW leaves; `measures`: those that may be taken.
    """

    lag: tuple[float, float] = (0.05, 0.25)
    callback_share: tuple[float, float] = (0.7, 0.9)
    queue_age: tuple[float, float] = (1.0, 5.0)
    memory: tuple[float, float] = (0.75, 0.9)
    memory_limit: int | None = None
    link_rate: tuple[float, float] | None = None
    falls: float = 0.7
    after: float = 3.0
    step: float = 5.0
    calm: float = 20.0
    calm_most: float = 600.0
    conflated: float = 10.0
    slowed: float = 2.0
    shallow: int = 5
    measures: frozenset[Measure] = frozenset(Measure)

    def __post_init__(self) -> None:
        for name in ("lag", "callback_share", "queue_age", "memory", "link_rate"):
            pair = getattr(self, name)
            if pair is not None and not 0 < pair[0] <= pair[1] < math.inf:
                raise UsageError(
                    f"{name} is (busy from, overloaded from), both above 0 and in order, not {pair}"
                )
        if not 0 < self.falls <= 1:
            raise UsageError(
                f"falls is a share of where a level begins, above 0 and at most 1, not {self.falls}"
            )
        for name in ("after", "step", "calm", "conflated", "slowed", "shallow"):
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"{name} must be above 0, not {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Pressure:
    """What was seen in the last second; see `Adapt`."""

    lag: float = 0.0
    callback_share: float = 0.0
    queue_age: float = 0.0
    memory: float = 0.0
    link_rate: float = 0.0


_WORDS: dict[str, Callable[[float], str]] = {
    "lag": lambda value: f"the loop ran {value * 1e3:.0f} ms late",
    "callback_share": lambda value: f"handlers took {value:.0%} of the loop's time",
    "queue_age": lambda value: f"events waited {value:.1f} s to be read",
    "memory": lambda value: f"{value:.0%} of the memory limit was in use",
    "link_rate": lambda value: f"one link brought {value / 1e6:.1f} MB/s",
}


@dataclass(frozen=True, slots=True)
class MeasureTaken:
    """One measure: for which class, why, since when, until when (None = it still is), and what came of it.

    `effect` compares the signal that was to blame, when it was taken and one step later; None until then. Times are
    nanoseconds since 1970 UTC in what `manager.adaptation()` gives.
    """

    measure: Measure
    priority: Priority
    reason: str
    since_ns: int
    until_ns: int | None = None
    effect: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """Put a rung on, or take it off (`on` False); or (`on` None) its effect is known: `taken.effect`."""

    rung: Rung
    on: bool | None
    taken: MeasureTaken


@dataclass(frozen=True, slots=True)
class Adaptation:
    """How loaded a manager is, and what it does about it. `history`: measures that are over, the latest 256, oldest
    first. `interests`: how many are held back, by measure of their class."""

    enabled: bool
    level: Level
    signals: dict[str, float] = field(default_factory=dict)
    measures: tuple[MeasureTaken, ...] = ()
    history: tuple[MeasureTaken, ...] = ()
    interests: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _On:
    taken: MeasureTaken
    signal: str
    value: float
    lower_since: int | None = None  # at a level below its own


class Adaptive:
    """The ladder of one manager. A look costs O(rungs)."""

    def __init__(self, settings: Adapt) -> None:
        self.settings = settings
        self.level = Level.CALM
        self.history: deque[MeasureTaken] = deque(maxlen=HISTORY)
        self._levels: dict[str, Level] = dict.fromkeys(_WORDS, Level.CALM)
        self._on: dict[Rung, _On] = {}
        self._since: dict[Level, int] = {}  # at that level, or above, without a break
        self._stepped: int | None = None
        self._off_at: dict[Rung, int] = {}
        self._patience: dict[
            Rung, float
        ] = {}  # seconds of calm that it wants, where they are not the usual ones

    @property
    def on(self) -> tuple[Rung, ...]:
        """Rungs that are on, in the ladder's order. Asked at each call that subscribes, and mostly there is none."""
        return tuple(rung for rung in LADDER if rung in self._on) if self._on else ()

    @property
    def taken(self) -> tuple[MeasureTaken, ...]:
        """The same, as told."""
        return tuple(self._on[rung].taken for rung in self.on)

    def adapt(self, pressure: Pressure, now: int, touches: Callable[[Rung], bool]) -> list[Step]:
        """What to do, at `now`; call it about once a second. `touches`: whether a rung would touch anything now."""
        self._judge(pressure, now)
        steps = self._effects(pressure, now)
        step = self._back(pressure, now) or self._further(pressure, now, touches)
        return steps if step is None else [*steps, step]

    def stalled(self, lost: int) -> None:
        """Nothing ran for so many nanoseconds: they count for no level, and for no calm."""
        self._since = {level: since + lost for level, since in self._since.items()}
        self._stepped = None if self._stepped is None else self._stepped + lost
        for one in self._on.values():
            one.lower_since = None if one.lower_since is None else one.lower_since + lost

    # -- levels --

    def _judge(self, pressure: Pressure, now: int) -> None:
        for signal in _WORDS:
            self._levels[signal] = self._level_of(signal, getattr(pressure, signal))
        self.level = max(self._levels.values())
        for level in (Level.BUSY, Level.OVERLOADED):
            if self.level < level:
                self._since.pop(level, None)
            else:
                self._since.setdefault(level, now)
        for rung, one in self._on.items():
            if self.level >= rung.level:
                one.lower_since = None
            elif one.lower_since is None:
                one.lower_since = now

    def _level_of(self, signal: str, value: float) -> Level:
        bounds = getattr(self.settings, signal)
        if bounds is None or (signal == "memory" and self.settings.memory_limit is None):
            return Level.CALM
        level = Level.CALM
        for candidate, bound in zip((Level.BUSY, Level.OVERLOADED), bounds, strict=True):
            held = self._levels[signal] >= candidate
            if value >= (bound * self.settings.falls if held else bound):
                level = candidate
        return level

    def _worst(self) -> str:
        return max(self._levels, key=lambda signal: self._levels[signal])

    # -- steps --

    def _further(self, pressure: Pressure, now: int, touches: Callable[[Rung], bool]) -> Step | None:
        settings = self.settings
        if self._stepped is not None and now - self._stepped < nanoseconds(settings.step):
            return None
        for rung in LADDER:
            since = self._since.get(rung.level)
            if since is None or now - since < nanoseconds(settings.after):
                return None  # nor are those above it due
            if rung not in self._on and self._applies(rung) and touches(rung):
                return self._put_on(rung, pressure, now)
        return None

    def _applies(self, rung: Rung) -> bool:
        if rung.measure not in self.settings.measures:
            return False
        return rung.measure is not Measure.SPLIT or self._levels["link_rate"] > Level.CALM

    def _put_on(self, rung: Rung, pressure: Pressure, now: int) -> Step:
        usual = self.settings.calm
        off_at, patience = self._off_at.get(rung), self._patience.get(rung, usual)
        if off_at is not None and now - off_at < nanoseconds(FLAPS_WITHIN * patience):
            self._patience[rung] = min(2 * patience, max(usual, self.settings.calm_most))
        else:
            self._patience.pop(rung, None)
        signal = self._worst()
        value = getattr(pressure, signal)
        taken = MeasureTaken(rung.measure, rung.priority, _WORDS[signal](value), now)
        self._on[rung] = _On(taken, signal, value)
        self._stepped = now
        return Step(rung, True, taken)

    def _back(self, pressure: Pressure, now: int) -> Step | None:
        on = self.on
        if not on:
            return None
        last = on[-1]
        calm = nanoseconds(self._patience.get(last, self.settings.calm))
        since = self._on[last].lower_since
        if since is None or now - max(since, self._stepped or 0) < calm:
            return None
        signal = self._on[last].signal
        return self._take_off(last, now, _WORDS[signal](getattr(pressure, signal)))

    def _take_off(self, rung: Rung, now: int, reason: str) -> Step:
        one = self._on.pop(rung)
        effect = one.taken.effect or "too short to tell"
        taken = MeasureTaken(
            rung.measure,
            rung.priority,
            one.taken.reason,
            one.taken.since_ns,
            now,
            f"{effect}; over, since {reason}",
        )
        self.history.append(taken)
        self._off_at[rung] = self._stepped = now
        return Step(rung, False, taken)

    def _effects(self, pressure: Pressure, now: int) -> list[Step]:
        """Of measures one step old: what became of the signal that was to blame."""
        found = []
        for rung, one in self._on.items():
            taken = one.taken
            if taken.effect is None and now - taken.since_ns >= nanoseconds(self.settings.step):
                seconds = (now - taken.since_ns) / SECOND
                words = _WORDS[one.signal]
                value = getattr(pressure, one.signal)
                one.taken = MeasureTaken(
                    taken.measure,
                    taken.priority,
                    taken.reason,
                    taken.since_ns,
                    None,
                    f"{words(one.value)} before, and {seconds:.0f} s later {words(value)}",
                )
                found.append(Step(rung, None, one.taken))
        return found
