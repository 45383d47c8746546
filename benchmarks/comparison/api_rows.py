"""What one more component costs by names, through the public calls, beside many others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import subcore
from subcore.scenarios.plain_manager import PlainManager

from .ledger_rows import INTERESTS, JOINERS, LARGE, SMALL, Crowd, both_ways
from .measure import Contest, Effort, Row, Sample, Target

__all__ = ["contests"]


def contests() -> Iterator[Contest]:
    yield Contest(
        f"one more component of {INTERESTS} interests, by names",
        [
            Row(
                "beside 10,000 components and 50,000 symbols",
                "large",
                "plain, large",
                Target(20_000, "value"),
            ),
            Row("beside many, against beside few (100 and 500)", "large", "small", Target(1.5)),
            Row("and it leaves again", "large, leaving", "plain, large, leaving"),
        ],
        _open,
    )


def _names(crowd: Crowd, count: int, seed: int) -> Iterator[list[str]]:
    for chosen in crowd.choices(count, seed):
        yield [f"KRW-{number:05d}" for number in chosen.tolist()]


def _ignore(event: object) -> None:
    """A handler that does nothing."""


def _manager(crowd: Crowd, effort: Effort) -> tuple[Sample, Sample]:
    """A manager before its start: what is measured is the calls, not the one plan at the end of the loop turn."""
    manager = subcore.SubscriptionManager("upbit", url="ws://127.0.0.1:9", markets=None)
    for number, symbols in enumerate(_names(crowd, crowd.components, seed=1)):
        manager.component(f"component {number}").subscribe("ticker", symbols, _ignore)
    wanted = [(f"joiner {number}", symbols) for number, symbols in enumerate(_names(crowd, JOINERS, seed=2))]
    joined: list[subcore.Component] = []

    def join() -> None:
        for name, symbols in wanted:
            component = manager.component(name)
            component.subscribe("ticker", symbols, _ignore)
            joined.append(component)

    def leave() -> None:
        for component in joined:
            component.close()
        joined.clear()

    return both_ways(join, leave, effort)


class _Component:
    def on_data(self, channel: str, symbol: str, data: dict[str, Any]) -> None:
        """Nothing."""

    def on_reconnect(self) -> None:
        """Nothing."""


def _plain(crowd: Crowd, effort: Effort) -> tuple[Sample, Sample]:
    """The plain manager before its first connect, which spares it the message it sends at each change."""
    manager = PlainManager()
    crowded = [_Component() for _ in range(crowd.components)]
    for component, symbols in zip(crowded, _names(crowd, crowd.components, seed=1), strict=True):
        manager.subscribe(component, "ticker", symbols)
    wanted = list(_names(crowd, JOINERS, seed=2))
    joined: list[tuple[_Component, list[str]]] = []

    def join() -> None:
        for symbols in wanted:
            component = _Component()
            manager.subscribe(component, "ticker", symbols)
            joined.append((component, symbols))

    def leave() -> None:
        assert len(crowded) == crowd.components  # the manager holds them weakly
        for component, symbols in joined:
            manager.unsubscribe(component, "ticker", symbols)
        joined.clear()

    return both_ways(join, leave, effort)


def _open(effort: Effort) -> Mapping[str, Sample]:
    crowd = LARGE.scaled(effort.scale)
    join, leave = _manager(crowd, effort)
    plain_join, plain_leave = _plain(crowd, effort)
    return {
        "large": join,
        "large, leaving": leave,
        "small": _manager(SMALL, effort)[0],
        "plain, large": plain_join,
        "plain, large, leaving": plain_leave,
    }
