"""The same trace through subcore's engine and through the plain manager: components that change what they want, and a
lost link. What reaches the venue is counted, and the CPU time that deciding it took.

Both run under a virtual clock. subcore's side has the embedded exchange behind a network with delays; the plain
manager's connection takes everything at once and never minds, which is more than the venue would do for it: what is
over the venue's limits is only counted.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from subcore.engine import actions
from subcore.engine.engine import Engine
from subcore.scenarios.plain_manager import PlainManager
from subcore.sim.exchange import Exchange
from subcore.sim.faults import Fault
from subcore.testing import EngineDriver
from subcore.venues import venue

from .measure import Contest, Effort, Row, Sample, Target

__all__ = ["contests"]

COMPONENTS, SYMBOLS, EACH = 120, 300, 5
CHANNELS = ("ticker", "trade")
CHANGES_A_SECOND, SECONDS, SECONDS_TIMED = 10, 60, 10
SETTLES = 10.0  # seconds
LIMITS = ((5, 1.0), (100, 60.0))  # "5 per second, 100 per minute", of a connection

Change = tuple[float, int, str, str, bool]
"""When, whose, channel, symbol, whether it comes or goes."""


def contests() -> Iterator[Contest]:
    played: dict[str, _Played] = {}

    def once(name: str) -> _Played:
        if name not in played:
            played[name] = (_play_subcore if name == "subcore" else _play_plain)(_trace(1, SECONDS))
        return played[name]

    def counted(effort: Effort) -> Mapping[str, Sample]:
        return {
            f"{what}, {name}": (lambda name=name, of=of: of(once(name)))  # type: ignore[misc]
            for name in ("subcore", "plain")
            for what, of in _COUNTS.items()
        }

    def timed(effort: Effort) -> Mapping[str, Sample]:
        seeds = {name: itertools.count(1) for name in ("subcore", "plain")}
        plays: dict[str, Callable[[list[Change]], _Played]] = {"subcore": _play_subcore, "plain": _play_plain}
        return {
            name: (lambda name=name: plays[name](_trace(next(seeds[name]), SECONDS_TIMED)).ns_a_change)  # type: ignore[misc]
            for name in plays
        }

    yield Contest(
        f"{COMPONENTS} components change {CHANGES_A_SECOND} topics a second for a minute, then lose the link",
        [
            Row("messages for the changes", "changes, subcore", "changes, plain"),
            Row("messages over the venue's limits", "over, subcore", "over, plain", Target(0.0, "value")),
            Row("messages that bring all back", "restore, subcore", "restore, plain"),
        ],
        counted,
        unit="messages",
        exact=True,
    )
    yield Contest(
        f"{COMPONENTS} components change {CHANGES_A_SECOND} topics a second, then lose the link: CPU time",
        [Row("a change, with its part of all else the engine does meanwhile", "subcore", "plain")],
        timed,
    )


@dataclass
class _Played:
    """What the venue got by connection, first for the changes and then for the restore, and what it cost here."""

    changes: int
    sent: dict[object, list[float]] = field(default_factory=dict)
    restore: dict[object, list[float]] = field(default_factory=dict)
    ns: int = 0

    @property
    def ns_a_change(self) -> float:
        return self.ns / self.changes

    @property
    def over_limits(self) -> int:
        """Messages that some rolling window of their connection had no room for."""
        over = 0
        for times in (*self.sent.values(), *self.restore.values()):
            for at, when in enumerate(times):
                over += any(at >= n and when - times[at - n] < window for n, window in LIMITS)
        return over


def _count(of: Mapping[object, list[float]]) -> float:
    return float(sum(map(len, of.values())))


_COUNTS: dict[str, Callable[[_Played], float]] = {
    "changes": lambda played: _count(played.sent),
    "over": lambda played: float(played.over_limits),
    "restore": lambda played: _count(played.restore),
}


def _trace(seed: int, seconds: int) -> list[Change]:
    """Each component begins with a few topics; then one after the other gives one up for another."""
    rng = random.Random(f"trace {seed}")
    names = [(channel, f"KRW-T{number}") for channel in CHANNELS for number in range(SYMBOLS)]
    held = [rng.sample(names, EACH) for _ in range(COMPONENTS)]
    trace = [(0.0, who, *topic, True) for who in range(COMPONENTS) for topic in held[who]]
    for step in range(CHANGES_A_SECOND * seconds // 2):
        when, who = 5.0 + 2 * step / CHANGES_A_SECOND, rng.randrange(COMPONENTS)
        gone = held[who].pop(rng.randrange(EACH))
        new = rng.choice([name for name in names if name not in held[who]])
        held[who].append(new)
        trace += [(when, who, *new, True), (when, who, *gone, False)]
    return trace


def _timed(call: Callable[..., Any], played: _Played) -> Callable[..., Any]:
    def inside(*given: Any) -> Any:
        start = time.thread_time_ns()
        try:
            return call(*given)
        finally:
            played.ns += time.thread_time_ns() - start

    return inside


class _TimedEngine:
    """An engine, and what it took it to handle events."""

    def __init__(self, engine: Engine, played: _Played) -> None:
        self._engine = engine
        self.handle = _timed(engine.handle, played)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


def _turns(trace: Iterable[Change]) -> Iterator[tuple[float, list[Change]]]:
    for when, changes in itertools.groupby(trace, key=lambda change: change[0]):
        yield when, list(changes)


def _play_subcore(trace: list[Change]) -> _Played:
    played = _Played(len(trace))
    exchange = Exchange(1, markets=[f"KRW-T{number}" for number in range(SYMBOLS)], rate=0.1)
    driver = EngineDriver(venue("upbit").at("ws://sim.test:80"), exchange, seed=1)
    driver.engine = _TimedEngine(driver.engine, played)  # type: ignore[assignment]
    start = driver.now
    for when, changes in _turns(trace):
        driver.run(when - (driver.now - start) / 1e9)
        for _, who, channel, symbol, comes in changes:
            (driver.subscribe if comes else driver.unsubscribe)(f"c{who}", channel, [symbol])
    driver.run(SETTLES)
    before = len(driver.sent)
    exchange.inject(Fault("drop_rst"), driver.now)
    driver.run(SETTLES)
    if not driver.all_settled():
        raise RuntimeError("the trace ended before everything was proven again")
    played.sent, played.restore = _times(driver, 0, before), _times(driver, before, None)
    return played


def _times(driver: EngineDriver, first: int, last: int | None) -> dict[object, list[float]]:
    found: dict[object, list[float]] = {}
    sends = [(at, what) for at, what in driver.history if isinstance(what, actions.Send)]
    for at, what in sends[first:last]:
        found.setdefault((what.link, what.generation), []).append(at / 1e9)
    return found


class _Asking:
    """Asks again after a reconnect, as its author remembered to make it."""

    def __init__(self, manager: PlainManager) -> None:
        self.manager = manager
        self.wants: dict[tuple[str, str], None] = {}

    def on_data(self, channel: str, symbol: str, data: dict[str, Any]) -> None:
        """Nothing comes in this trace."""

    def on_reconnect(self) -> None:
        for channel in CHANNELS:
            if symbols := [symbol for of, symbol in self.wants if of == channel]:
                self.manager.subscribe(self, channel, symbols)


def _play_plain(trace: list[Change]) -> _Played:
    played, now = _Played(len(trace)), 0.0
    manager = PlainManager(clock=lambda: now)
    components = [_Asking(manager) for _ in range(COMPONENTS)]
    manager.connected(lambda payload: played.sent.setdefault(0, []).append(now))
    subscribe, unsubscribe = _timed(manager.subscribe, played), _timed(manager.unsubscribe, played)
    for now, changes in _turns(trace):  # noqa: B007 - the clock and what counts read it
        for _, who, channel, symbol, comes in changes:
            component = components[who]
            (subscribe if comes else unsubscribe)(component, channel, [symbol])
            if comes:
                component.wants[channel, symbol] = None
            else:
                del component.wants[channel, symbol]
    now += SETTLES
    manager.disconnected()
    _timed(manager.connected, played)(lambda payload: played.restore.setdefault(1, []).append(now))
    return played
