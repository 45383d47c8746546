"""What one more component costs beside many, and what an interest weighs."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from subcore._ledger import Ledger
from subcore._route import Router
from subcore._wire_set import WireSet

from .measure import Contest, Effort, Row, Sample, Target

__all__ = ["INTERESTS", "JOINERS", "LARGE", "SMALL", "Crowd", "both_ways", "contests"]

Ids = npt.NDArray[np.int32]
INTERESTS = 200
JOINERS = 64


@dataclass(frozen=True)
class Crowd:
    """Components and the symbols they choose their interests from."""

    components: int
    symbols: int

    def scaled(self, scale: float) -> Crowd:
        return Crowd(max(10, round(self.components * scale)), max(2 * INTERESTS, round(self.symbols * scale)))

    def choices(self, count: int, seed: int) -> Iterator[Ids]:
        """`count` sets of INTERESTS distinct symbols."""
        rng = np.random.default_rng(seed)
        for _ in range(count):
            yield rng.choice(self.symbols, INTERESTS, replace=False).astype(np.int32)


SMALL, LARGE = Crowd(100, 500), Crowd(10_000, 50_000)


def contests() -> Iterator[Contest]:
    yield Contest(
        "one more component of 200 interests, by ids",
        [
            Row(
                "beside 10,000 components and 50,000 symbols", "large", "sets, large", Target(6_000, "value")
            ),
            Row("beside many, against beside few (100 and 500)", "large", "small", Target(1.5)),
            Row("and it leaves again", "large, leaving", "sets, large, leaving"),
            Row("target minus wire after it", "difference", "sets, difference", Target(10_000, "value")),
        ],
        _open_join,
    )
    yield Contest(
        "bytes an interest",
        [
            Row("ledger, against dict of sets", "ledger", "two dicts of sets", Target(0.15)),
            Row(
                "ledger and routes, against dict of sets with handlers", "ledger and routes", "with handlers"
            ),
            Row("ledger and routes, in bytes", "ledger and routes", "with handlers", Target(24, "value")),
        ],
        _open_bytes,
        unit="B",
        exact=True,
    )


def _repeated(do: Callable[[], object], undo: Callable[[], object], effort: Effort, units: int) -> Sample:
    """CPU nanoseconds of a unit of `do`; what `undo` takes is not counted."""

    def sample() -> float:
        spent = done = 0
        gc.disable()
        while spent < effort.sample_seconds * 1e9:
            start = time.thread_time_ns()
            do()
            spent += time.thread_time_ns() - start
            done += units
            undo()
        gc.enable()
        return spent / done

    return sample


def both_ways(
    join: Callable[[], object], leave: Callable[[], object], effort: Effort
) -> tuple[Sample, Sample]:
    """Samples of joining and of leaving; nobody is left joined between samples."""

    def leaving() -> float:
        join()
        figure = _repeated(leave, join, effort, JOINERS)()
        leave()
        return figure

    return _repeated(join, leave, effort, JOINERS), leaving


def crowded_ledger(crowd: Crowd) -> tuple[Ledger, Ids]:
    """A ledger with the crowd in it and its edges taken, and the topic of each symbol."""
    ledger = Ledger()
    topics = ledger.topics(0, np.arange(crowd.symbols, dtype=np.int32))
    for chosen in crowd.choices(crowd.components, seed=1):
        ledger.add(ledger.open_component(), topics[chosen])
    ledger.take_edges()
    return ledger, topics


def _core_join(crowd: Crowd, effort: Effort) -> tuple[Sample, Sample]:
    ledger, topics = crowded_ledger(crowd)
    wanted = [topics[chosen] for chosen in crowd.choices(JOINERS, seed=2)]
    joined: list[int] = []

    def join() -> None:
        for ids in wanted:
            component = ledger.open_component()
            ledger.add(component, ids)
            ledger.take_edges()
            joined.append(component)

    def leave() -> None:
        for component in joined:
            ledger.close_component(component)
            ledger.take_edges()
        joined.clear()

    return both_ways(join, leave, effort)


class SetsLedger:
    """The same in plain Python: who holds a topic, what a component holds, and the edges of each change."""

    def __init__(self) -> None:
        self.holders: dict[int, set[int]] = {}
        self.held: dict[int, set[int]] = {}

    def add(self, component: int, topics: list[int]) -> list[int]:
        holders, opened = self.holders, []
        self.held[component] = set(topics)
        for topic in topics:
            who = holders.get(topic)
            if who is None:
                holders[topic] = {component}
                opened.append(topic)
            else:
                who.add(component)
        return opened

    def close(self, component: int) -> list[int]:
        holders, closed = self.holders, []
        for topic in self.held.pop(component):
            who = holders[topic]
            who.discard(component)
            if not who:
                del holders[topic]
                closed.append(topic)
        return closed


def crowded_sets(crowd: Crowd) -> SetsLedger:
    """The same crowd in plain Python."""
    ledger = SetsLedger()
    for component, chosen in enumerate(crowd.choices(crowd.components, seed=1)):
        ledger.add(component, chosen.tolist())
    return ledger


def _sets_join(crowd: Crowd, effort: Effort) -> tuple[Sample, Sample]:
    ledger = crowded_sets(crowd)
    wanted = [chosen.tolist() for chosen in crowd.choices(JOINERS, seed=2)]
    first = crowd.components

    def join() -> None:
        for component, topics in enumerate(wanted, first):
            ledger.add(component, topics)

    def leave() -> None:
        for component in range(first, first + JOINERS):
            ledger.close(component)

    return both_ways(join, leave, effort)


def _core_difference(crowd: Crowd, effort: Effort) -> Sample:
    """200 new streams enter a target of all others, and the difference is asked for."""
    wire = WireSet()
    old = np.arange(crowd.symbols, dtype=np.int32)
    wire.set_target(old)
    wire.set_wire(old)
    new = [np.arange(start, start + INTERESTS, dtype=np.int32) for start in _new_starts(crowd)]
    turn = 0

    def do() -> None:
        wire.set_target(new[turn])
        wire.added()
        wire.removed()

    def undo() -> None:
        nonlocal turn
        wire.set_target(new[turn], False)
        turn = (turn + 1) % len(new)

    return _repeated(do, undo, effort, 1)


def _sets_difference(crowd: Crowd, effort: Effort) -> Sample:
    target, wire = set(range(crowd.symbols)), set(range(crowd.symbols))
    new = [range(start, start + INTERESTS) for start in _new_starts(crowd)]
    turn = 0

    def do() -> tuple[set[int], set[int]]:
        target.update(new[turn])
        return target - wire, wire - target

    def undo() -> None:
        nonlocal turn
        target.difference_update(new[turn])
        turn = (turn + 1) % len(new)

    return _repeated(do, undo, effort, 1)


def _new_starts(crowd: Crowd) -> range:
    return range(crowd.symbols, crowd.symbols + JOINERS * INTERESTS, INTERESTS)


def _open_join(effort: Effort) -> Mapping[str, Sample]:
    large = LARGE.scaled(effort.scale)
    core_join, core_leave = _core_join(large, effort)
    sets_join, sets_leave = _sets_join(large, effort)
    return {
        "large": core_join,
        "large, leaving": core_leave,
        "small": _core_join(SMALL, effort)[0],
        "sets, large": sets_join,
        "sets, large, leaving": sets_leave,
        "difference": _core_difference(large, effort),
        "sets, difference": _sets_difference(large, effort),
    }


def _ignore(event: object) -> None:
    """A handler."""


def _traced(build: Callable[[], object], interests: int) -> float:
    """Bytes that `build` leaves behind, for each interest."""
    gc.collect()
    tracemalloc.start()
    kept = build()
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return size / interests


def _routed_ledger(crowd: Crowd) -> tuple[Ledger, Router]:
    ledger, _ = crowded_ledger(crowd)
    router = Router(ledger, gone=deque())
    for component in range(ledger.component_count):
        router.connect(router.new_sink(component, _ignore), ledger.interests(component))
    return ledger, router


def _handled_sets(crowd: Crowd) -> tuple[dict[int, dict[int, object]], dict[int, set[int]]]:
    handlers: dict[int, dict[int, object]] = {}
    held: dict[int, set[int]] = {}
    for component, chosen in enumerate(crowd.choices(crowd.components, seed=1)):
        topics = chosen.tolist()
        held[component] = set(topics)
        for topic in topics:
            handlers.setdefault(topic, {})[component] = _ignore
    return handlers, held


def _open_bytes(effort: Effort) -> Mapping[str, Sample]:
    crowd = LARGE.scaled(effort.scale)
    interests = crowd.components * INTERESTS
    return {
        "ledger": lambda: _traced(lambda: crowded_ledger(crowd), interests),
        "two dicts of sets": lambda: _traced(lambda: crowded_sets(crowd), interests),
        "ledger and routes": lambda: _traced(lambda: _routed_ledger(crowd), interests),
        "with handlers": lambda: _traced(lambda: _handled_sets(crowd), interests),
    }
