"""What a change of 20 topics costs, from the edge to the message, on a link that carries few topics and very many."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator, Mapping

from bench_planning import CHANGE, SIZES, Planning

from subcore.scenarios.plain_manager import PlainManager

from .measure import Contest, Effort, Row, Sample, Target

__all__ = ["contests"]

TURNS = 5


def contests() -> Iterator[Contest]:
    yield Contest(
        "20 topics come and 20 go on a link",
        [
            Row("of 50,000 topics, in one message, against the plain manager's two", "large", "plain, large"),
            Row("of 500 topics", "small", "plain, small"),
            Row(
                "planning of 50,000, encoding apart, against 500",
                "planning, large",
                "planning, small",
                Target(1.5),
            ),
            Row(
                "where requests add and remove, 50,000 against 500",
                "delta, large",
                "delta, small",
                Target(1.5),
            ),
        ],
        _open,
    )


def _open(effort: Effort) -> Mapping[str, Sample]:
    found: dict[str, Sample] = {}
    for word, size in zip(("small", "large"), SIZES, strict=True):
        replaces, adds = Planning("upbit", size), Planning("binance", size)
        found[word] = _whole(replaces)
        found[f"planning, {word}"] = _planning(replaces)
        found[f"delta, {word}"] = _planning(adds)
        found[f"plain, {word}"] = _plain(size)
    return found


def _whole(of: Planning) -> Sample:
    return lambda: statistics.median(sum(of.change()) for _ in range(TURNS))


def _planning(of: Planning) -> Sample:
    return lambda: statistics.median(of.change()[0] for _ in range(TURNS))


class _Nobody:
    def on_data(self, channel: str, symbol: str, data: dict[str, object]) -> None:
        """Nothing comes."""

    def on_reconnect(self) -> None:
        """Nor is anything lost."""


def _plain(size: int) -> Sample:
    manager, component = PlainManager(), _Nobody()
    names = [f"KRW-T{number}" for number in range(size + 2 * CHANGE)]
    coming = (names[size : size + CHANGE], names[size + CHANGE :])
    manager.subscribe(component, "trade", names[:size])
    manager.connected(lambda payload: None)
    manager.subscribe(component, "trade", coming[1])
    turns = itertools.count()

    def once() -> float:
        here, gone = coming[(turn := next(turns)) % 2], coming[1 - turn % 2]
        start = time.thread_time_ns()
        manager.subscribe(component, "trade", here)
        manager.unsubscribe(component, "trade", gone)
        return time.thread_time_ns() - start

    return lambda: statistics.median(once() for _ in range(TURNS))
