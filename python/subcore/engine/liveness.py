"""Who keeps what it owes, and the steps that follow where somebody does not. Pure, and in columns by component.

A component is judged by what it owes alone: events somebody must take, heartbeats it promised, handlers that do not
raise, an owner. A tick is one pass over all components; Python objects exist only for what changed. Nobody is
accused before his time: what happened between two ticks is taken to have happened at the later one, and a tick that
comes late (a stall, a sleep) accuses nobody, since those who were to read had no time either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from subcore import _obliged
from subcore.engine.breakers import Action, Breakers, SinkFacts
from subcore.engine.clock import SECOND, RunnableClock, nanoseconds
from subcore.engine.obligations import Cause, Obligations
from subcore.engine.owing import NEVER, Owing
from subcore.engine.takers import Handlers, Takers
from subcore.types import Int64Array, StatusKind

__all__ = ["TICK_NS", "Liveness", "Look", "Step"]

TICK_NS = 250_000_000
WELL, SLOW, QUARANTINED = 0, 1, 2
KINDS = (StatusKind.RECOVERED, StatusKind.SLOW, StatusKind.QUARANTINED)
LADDER = (Cause.UNREAD, Cause.BEATS, Cause.RAISES)
WELL_AGAIN = {
    Cause.UNREAD: "it takes its events again",
    Cause.BEATS: "its heartbeats come again",
    Cause.RAISES: "its handler works again",
    Cause.LONG_CALL: "no handler of it held the event loop of late",
}


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What is known at a tick, by component id: events that had to be read so far, how many of them were taken or
    lost, and how many were lost. `handlers`: the same of async ones, which are none of these. `gone`: components whose
    owner went. `sinks`: how those of `Liveness.broken` stand; one that is missing was given up. `held`: components that
    are judged though they are excused.
    """

    due: Int64Array
    done: Int64Array
    lost: Int64Array | None = None
    gone: Iterable[int] = ()
    sinks: Mapping[int, SinkFacts] = field(default_factory=dict)
    held: Sequence[int] = ()
    handlers: Handlers | None = None


class Step(NamedTuple):
    """One step about one component: up or down the ladder, or off it. Figures as in Verdict.

    `rises`: it restricts the component further, and may be vetoed.
    """

    component: int
    kind: StatusKind
    cause: Cause
    reason: str
    waiting: int = 0
    seconds: float = 0.0
    rises: bool = True


class Liveness:
    """Judges the components of one manager.

    `look` gives what is to be done. A step counts only once it was `carried` out; or it is `vetoed`. All other calls
    say what happened between two looks, and cost O(1).
    """

    def __init__(self, rules: Obligations) -> None:
        self.rules = rules
        self._rows = Owing()
        self._takers = Takers()
        self._breakers = Breakers(rules)
        self._clock = RunnableClock(TICK_NS)
        self._last: int | None = None
        self._forbore = False  # at the last look
        self._held_loop: dict[int, int] = {}  # components that did, and when last
        self._slow, self._grace = nanoseconds(rules.slow), nanoseconds(rules.grace)
        self._calm = nanoseconds(rules.calm)
        self._limits = (
            self._slow,
            nanoseconds(rules.quarantine),
            self._grace,
            self._calm,
            nanoseconds(rules.beats_reap),
            2 * TICK_NS,  # a beat is seen at a tick, and a late one forbears: it is over by then all the same
        )

    # What is heard between two looks

    def add(self, component: int, heartbeat: float | None = None) -> None:
        """A component is there; it promised a heartbeat each so many seconds."""
        interval = 0 if heartbeat is None else nanoseconds(heartbeat)
        missed = max(self.rules.beats_missed * interval, 2 * TICK_NS + interval)
        self._rows.add(component, interval, missed if interval else NEVER)

    def forget(self, component: int) -> None:
        """A component is no more; its id may be another's soon."""
        if component < self._rows.used:
            self._rows.clear(component)
            self._breakers.forget(component)
        self._held_loop.pop(component, None)

    def beat(self, component: int) -> None:
        """A heartbeat came."""
        self._rows.beaten[component] = True

    def excuse(self, component: int, by: int) -> None:
        """It waits in `live()` (+1), or does so no more (-1): it need not read or beat. Its async handlers run."""
        self._rows.excuses[component] += by
        if by < 0:
            self._rows.beaten[component] = True
            self._rows.begin_to_read(component)

    def pause(self, component: int, flag: bool) -> None:
        """It need not read while it is paused, and what its handlers raised before waits."""
        self._rows.paused[component] = flag
        self._rows.begin_to_read(component)
        self._takers.begin_to_read(component)

    def failed(self, sink: int, component: int, facts: SinkFacts) -> bool:
        """A handler raised. Whether the sink is to be cut off at once."""
        return self._breakers.failed(sink, component, facts)

    def held_loop(self, component: int) -> None:
        """A handler of it held the event loop, and it was told so. It is well again once none did for a while."""
        self._held_loop[component] = self._clock.runnable

    def forgive(self, component: int) -> list[Action]:
        """All that is held against it is forgotten, and it has all its time again."""
        self._rows.levels[:, component] = WELL
        for cause in LADDER:
            self._rows.restart(component, cause, whole=True)
        self._takers.restart(component, whole=True, most=WELL)
        if component in self._held_loop:
            self._held_loop[component] = self._clock.runnable - self._calm
        return self._breakers.spare(component, StatusKind.SLOW, self._clock.runnable)

    @property
    def broken(self) -> Mapping[int, int]:
        """Sinks that are cut off, and whose they are."""
        return self._breakers.components

    def is_stopped(self, component: int) -> bool:
        """Whether nothing is to be delivered to it."""
        return bool(self._rows.shown[component] >= QUARANTINED)

    def level(self, component: int) -> int:
        """How far up the ladder it was brought: WELL, SLOW or QUARANTINED."""
        return int(self._rows.shown[component]) if component < self._rows.used else WELL

    # Judging

    def look(self, look: Look, now: int) -> list[Step | Action]:
        """What is to be done at `now`. About 5 ns a component, and what changed."""
        gone = [Step(c, StatusKind.REAPED, Cause.OWNER, "its owner is done or gone") for c in look.gone]
        self._forbore = self._forbears(now)
        self._last = now
        before = self._clock.runnable
        runnable = self._clock.read(now)
        self._hold_paused(runnable - before)
        actions = self._judge_sinks(look, runnable) if self._breakers.components and not self._forbore else []
        lost = np.zeros(len(look.due), np.int64) if look.lost is None else look.lost
        limits = (runnable, runnable - before, *self._limits)
        held = np.array(look.held, np.intp)
        excuses, self._rows.excuses[held] = self._rows.excuses[held], 0
        found: Iterable[int] = _obliged.age(self._rows, look.due, look.done, lost, limits, not self._forbore)
        self._rows.excuses[held] = excuses
        if look.handlers is not None:
            found = sorted({*found, *self._takers.look(look.handlers, self._rows, limits, not self._forbore)})
        calm = self._let_go(runnable)
        return [*actions, *calm, *[step for c in found for step in self._steps(c, look, runnable)], *gone]

    def carried(self, step: Step) -> None:
        """It was done."""
        if step.kind is not StatusKind.REAPED:
            self._rows.shown[step.component] = KINDS.index(step.kind)

    def vetoed(self, step: Step) -> list[Action]:
        """A step that rises is not to be done: the component has that time again. What is to be done instead."""
        component, cause, rows, now = step.component, step.cause, self._rows, self._clock.runnable
        if step.kind is StatusKind.REAPED:
            if cause in LADDER:
                rows.reap_at[cause, component] = now + self._grace
            if cause is Cause.UNREAD:
                self._takers.put_off(component, now + self._grace)
            return []
        rows.restart(component, cause, whole=step.kind is StatusKind.SLOW)
        if cause is Cause.UNREAD:
            shown = int(rows.shown[component])
            self._takers.restart(component, whole=step.kind is StatusKind.SLOW, most=shown)
        rows.levels[cause, component] = min(rows.levels[cause, component], rows.shown[component])
        return self._breakers.spare(component, step.kind, now) if cause is Cause.RAISES else []

    # Inside

    def _forbears(self, now: int) -> bool:
        """Whether this look comes so late that nobody is accused at it. Never twice in a row: a loop that is always
        late must not hide who is dead."""
        late = self._last is not None and not 0 <= now - self._last <= 2 * TICK_NS
        return late and not self._forbore

    def _let_go(self, now: int) -> list[Step]:
        """Who held the loop, and did not for a while: well again, unless there is something else."""
        calm = [c for c, at in self._held_loop.items() if now - at >= self._calm]
        for component in calm:
            del self._held_loop[component]
        cause = Cause.LONG_CALL
        return [
            Step(component, StatusKind.RECOVERED, cause, WELL_AGAIN[cause], rises=False)
            for component in calm
            if self._rows.shown[component] == WELL
        ]

    def _hold_paused(self, elapsed: int) -> None:
        if self._breakers.components:
            for component in self._breakers.hold(self._is_paused, elapsed):
                self._rows.reap_at[Cause.RAISES, component] += elapsed

    def _is_paused(self, component: int) -> bool:
        return bool(self._rows.paused[component])

    def _gets_none(self, component: int) -> bool:
        return self.is_stopped(component) or self._is_paused(component)

    def _judge_sinks(self, look: Look, now: int) -> list[Action]:
        rows = self._rows
        actions, levels = self._breakers.look(look.sinks, self._gets_none, now)
        for component, level in levels.items():
            if level == QUARANTINED > rows.levels[Cause.RAISES, component]:
                rows.reap_at[Cause.RAISES, component] = now + self._grace
            rows.levels[Cause.RAISES, component] = level
        return actions

    def _steps(self, component: int, look: Look, now: int) -> list[Step]:
        """What follows for one whose level is another than what was carried out, or the last of the ladder."""
        rows = self._rows
        levels = rows.levels[:, component].tolist()
        handler = self._takers.worst(component)
        if handler is not None and self._takers.level(handler) > levels[Cause.UNREAD]:
            levels[Cause.UNREAD] = self._takers.level(handler)
        else:
            handler = None
        level = max(levels)
        waiting = int(look.due[component] - look.done[component]) if component < len(look.due) else 0
        waiting += self._takers.waiting(component)
        if level == WELL:
            return self._down(component, waiting)
        if level != rows.shown[component]:
            rows.cause[component] = cause = LADDER[levels.index(level)]
            step = self._told(component, KINDS[level], cause, waiting, now, handler)
            return [step._replace(rises=level > int(rows.shown[component]))]
        over = [c for c in LADDER if levels[c] == QUARANTINED and self._reap_at(c, component) <= now]
        return [self._told(component, StatusKind.REAPED, cause, waiting, now, handler) for cause in over[:1]]

    def _down(self, component: int, waiting: int) -> list[Step]:
        """What was held against it is over. Who held the loop of late stays SLOW, and is told once that it is well."""
        cause = Cause(int(self._rows.cause[component]))
        kind, reason = StatusKind.RECOVERED, WELL_AGAIN[cause]
        if component in self._held_loop:
            if not self.is_stopped(component):
                return []
            kind, reason = StatusKind.SLOW, f"{reason}; a handler of it held the event loop of late"
        return [Step(component, kind, cause, reason, waiting, rises=False)]

    def _reap_at(self, cause: Cause, component: int) -> int:
        own = self._rows.levels[cause, component] == QUARANTINED
        at = int(self._rows.reap_at[cause, component]) if own else NEVER
        return min(at, self._takers.reap_at(component)) if cause is Cause.UNREAD else at

    def _told(
        self, component: int, kind: StatusKind, cause: Cause, count: int, now: int, handler: int | None
    ) -> Step:
        """The step with its figures, and a sentence that has them."""
        rows = self._rows
        if cause is Cause.BEATS:
            seconds = int(rows.beat_age[component]) / SECOND
            every = int(rows.interval[component]) / SECOND
            reason = f"no heartbeat for {seconds:.1f} s, and it promised one each {every:g} s"
        elif cause is Cause.RAISES:
            errors, since = self._breakers.figures(component)
            seconds = (now - since) / SECOND
            reason = f"a handler raised {errors} times in a row and is cut off, for {seconds:.1f} s by now"
        elif handler is not None:
            rows, taker = self._takers.rows, self._takers
            seconds, reason = self._unread(
                kind, int(rows.mark_age[handler]), int(rows.stuck[handler]), "done"
            )
            reason = (
                f"its handler {taker.name(handler)} has {taker.waiting_for(handler)} events to do, {reason}"
            )
        else:
            seconds, reason = self._unread(
                kind, int(rows.mark_age[component]), int(rows.stuck[component]), "taken"
            )
            reason = f"{count - self._takers.waiting(component)} events wait, {reason}"
        return Step(component, kind, cause, reason, count, seconds)

    def _unread(self, kind: StatusKind, oldest: int, stuck: int, what: str) -> tuple[float, str]:
        if kind is not StatusKind.SLOW or self._slow <= stuck >= oldest:
            return stuck / SECOND, f"and none was {what} for {stuck / SECOND:.1f} s"
        if oldest >= self._slow:
            return oldest / SECOND, f"the oldest for at least {oldest / SECOND:.1f} s"
        return oldest / SECOND, "and it was late a moment ago"
