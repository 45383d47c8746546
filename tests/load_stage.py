"""Load that is made up for a manager in virtual time, and the caps that come of it."""

from __future__ import annotations

from subcore.engine.adaptive import Adapt, Pressure
from subcore.manager import SubscriptionManager
from subcore.types import Cap, Priority

MARKETS = ["KRW-BTC", "KRW-ETH", "KRW-XRP"]
LOW, NORMAL, HIGH, CRITICAL = Priority
CALM, BUSY, OVERLOADED = Pressure(), Pressure(lag=0.1), Pressure(lag=1.0)
QUICK = Adapt(after=1.0, step=2.0, calm=4.0)


def press(manager: SubscriptionManager) -> list[Pressure]:
    """What the manager believes to feel is the first of this list."""
    felt = [CALM]
    manager._hub.granting.adapting._read = lambda seconds: felt[0]  # type: ignore[method-assign]
    return felt


def caps_of(manager: SubscriptionManager, name: str, *, depth: bool = False) -> dict[str, Cap]:
    """By topic, the load's caps on one component: on rates, or on depths."""
    return {
        str(info.topic): cap
        for info in manager.topics()
        for cap in info.caps
        if cap.component == name and cap.by == "load" and (cap.max_depth is not None) == depth
    }
