"""A whole manager in virtual time, with what it tells of alerts. The memory of the process is on the virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from manager_rig import make
from subcore import Alert
from subcore.growth import MIB
from subcore.manager import SubscriptionManager
from virtual_manager import World

SYMBOLS = ["KRW-BTC", "KRW-ETH", "KRW-XRP"]


class Heard:
    """What a manager told."""

    def __init__(self, manager: SubscriptionManager) -> None:
        self.manager = manager
        self.alerts: list[Alert] = []
        manager.on_alert(self.alerts.append)

    @property
    def told(self) -> list[tuple[bool, str, str]]:
        return [(alert.raised, alert.issue.rule, alert.issue.subject) for alert in self.alerts]

    async def until(self, raised: bool, seconds: float) -> Alert:
        """The first such alert within `seconds`, from now or before."""
        for _ in range(round(seconds * 5)):
            for alert in self.alerts:
                if alert.raised == raised:
                    return alert
            await asyncio.sleep(0.2)
        raise AssertionError(f"told so far: {self.told}, standing: {self.manager.issues()}")


Play = Callable[[Any, SubscriptionManager, Heard], Awaitable[None]]


def play(make_world: Callable[[], World], script: Play, **options: Any) -> Heard:
    """Run a script with a manager whose process takes the same memory for ever."""

    async def main(world: World) -> Heard:
        async with world.manager(**options) as manager:
            gauges = manager._hub.alerting.gauges
            assert gauges is not None
            gauges.process_clock = world.clock.monotonic_ns
            gauges.growth.resident = lambda: 100 * MIB
            heard = Heard(manager)
            await script(world, manager, heard)
            assert manager.issues() == []
            return heard

    heard: Heard = make_world().run(main)
    return heard


def busy(seed: int) -> Callable[[], World]:
    return lambda: World(seed=seed, rate=4.0)


def calm(seed: int) -> Callable[[], World]:
    return lambda: World(seed=seed, rate=0.05)


async def reader(manager: SubscriptionManager, name: str = "reader") -> Any:
    component = make(manager, name)
    component.subscribe("ticker", SYMBOLS, lambda event: None)
    await component.live(timeout=10.0)
    return component


def told_of(heard: Heard, rule: str, subject: str, kind: str) -> Alert:
    """That it was raised and cleared once, and nothing else was told of; the first alert."""
    assert heard.told == [(True, rule, subject), (False, rule, subject)]
    assert heard.alerts[0].issue.kind == kind
    return heard.alerts[0]
