"""Breakers of handlers that raise on every call: cut off, tried again, and held against their component."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from subcore.engine.clock import nanoseconds
from subcore.engine.obligations import Obligations
from subcore.types import StatusKind

__all__ = ["Action", "Breakers", "SinkFacts", "Try", "Unblock"]

WELL, SLOW, QUARANTINED = 0, 1, 2


class SinkFacts(NamedTuple):
    """How a sink stands: errors in a row, 0 = its last call was good; and what its component got done so far (calls
    that did not raise, events taken)."""

    errors: int
    worked: int


class Try(NamedTuple):
    """Let one call through to a sink that is cut off: that of an event that waits for it, else of the next."""

    sink: int
    component: int


class Unblock(NamedTuple):
    """A sink works again: no breaker holds it."""

    sink: int
    component: int


Action = Try | Unblock


@dataclass(slots=True)
class _Breaker:
    component: int
    errors: int  # in a row, at its opening
    errors_now: int  # at the last look
    worked: int
    opened_at: int | None = None  # the first look at it
    idle_since: int = 0  # the component got nothing done since
    tried: int = 0
    tried_at: int = 0
    used: int = 0  # tries that failed


class Breakers:
    """The open breakers of one manager. Costs nothing while there are none."""

    def __init__(self, rules: Obligations) -> None:
        self._rules = rules
        self._tries = [nanoseconds(seconds) for seconds in rules.tries]
        self._failing = nanoseconds(rules.failing)
        self._open: dict[int, _Breaker] = {}
        self._spared: dict[int, int] = {}
        self.components: dict[int, int] = {}  # by sink

    def failed(self, sink: int, component: int, facts: SinkFacts) -> bool:
        """A call raised. Whether the sink is to be cut off now."""
        if sink in self._open:
            return False
        spared = self._spared.get(sink, 0)
        if facts.errors <= spared:  # it worked meanwhile
            del self._spared[sink]
            spared = 0
        if facts.errors - spared < self._rules.errors:
            return False
        self._spared.pop(sink, None)
        self._open[sink] = _Breaker(component, facts.errors, facts.errors, facts.worked)
        self.components[sink] = component
        return True

    def look(
        self, sinks: Mapping[int, SinkFacts], gets_none: Callable[[int], bool], now: int
    ) -> tuple[list[Action], dict[int, int]]:
        """What is to be done, and the level of each component that has, or had, a breaker open. `gets_none`: whether a
        component gets no events, so that nothing can be tried with it."""
        actions: list[Action] = []
        levels: dict[int, int] = {}
        for sink, breaker in list(self._open.items()):
            facts = sinks.get(sink)
            level = WELL
            if facts is None or facts.errors < breaker.errors:
                self._close(sink)
                if facts is not None:
                    actions.append(Unblock(sink, breaker.component))
            else:
                level = self._level(breaker, facts, now)
                if level < QUARANTINED and not gets_none(breaker.component) and self._is_to_try(breaker, now):
                    breaker.tried += 1
                    breaker.tried_at = now
                    actions.append(Try(sink, breaker.component))
            levels[breaker.component] = max(level, levels.get(breaker.component, WELL))
        return actions, levels

    def hold(self, is_paused: Callable[[int], bool], elapsed: int) -> set[int]:
        """For who is paused no time went by: it got no events to show itself with. Who that is, of those cut off."""
        held = set()
        for breaker in self._open.values():
            if is_paused(breaker.component):
                held.add(breaker.component)
                breaker.idle_since += elapsed
                breaker.tried_at += elapsed
                if breaker.opened_at is not None:
                    breaker.opened_at += elapsed
        return held

    def _level(self, breaker: _Breaker, facts: SinkFacts, now: int) -> int:
        if facts.errors > breaker.errors_now and breaker.used < breaker.tried:
            breaker.used += 1  # a call that was under way when the sink was cut off is no try
        breaker.errors_now = facts.errors
        if breaker.opened_at is None:
            breaker.opened_at = breaker.idle_since = now
        if facts.worked != breaker.worked:
            breaker.worked, breaker.idle_since = facts.worked, now
        if breaker.used >= len(self._tries) and now - breaker.idle_since >= self._failing:
            return QUARANTINED
        return SLOW

    def _is_to_try(self, breaker: _Breaker, now: int) -> bool:
        """At its times, and each so long after them; but not before the last try was used: a market may be quiet."""
        if breaker.used < breaker.tried:
            return False
        if breaker.tried < len(self._tries):
            return now - (breaker.opened_at or 0) >= self._tries[breaker.tried]
        return now - breaker.tried_at >= self._failing

    def spare(self, component: int, kind: StatusKind, now: int) -> list[Action]:
        """A step was vetoed: it may raise as often again, or is given that time again."""
        actions: list[Action] = []
        for sink, breaker in list(self._open.items()):
            if breaker.component != component:
                continue
            breaker.idle_since = now
            if kind is StatusKind.SLOW:
                self._spared[sink] = breaker.errors_now
                self._close(sink)
                actions.append(Unblock(sink, breaker.component))
        return actions

    def forget(self, component: int) -> list[int]:
        """A component is no more, or is forgiven. Its sinks that were cut off."""
        if not self.components:
            return []
        sinks = [sink for sink, owner in self.components.items() if owner == component]
        for sink in sinks:
            self._close(sink)
        return sinks

    def figures(self, component: int) -> tuple[int, int]:
        """Most errors in a row of a component's sinks that are cut off, and since when."""
        own = [breaker for breaker in self._open.values() if breaker.component == component]
        return max(one.errors_now for one in own), min(one.opened_at or 0 for one in own)

    def _close(self, sink: int) -> None:
        del self._open[sink]
        del self.components[sink]
