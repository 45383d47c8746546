"""Figures are read from any thread, in the middle of whatever the loop does."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from manager_rig import KEPT, SOON, make
from subcore.component import ComponentStats
from subcore.manager import SubscriptionManager

MOMENT_S = 0.1  # for the loop to get on, where nothing keeps it


class Held:
    """Passes on to `real`, but holds up the first call of `name` until the loop has got on, or cannot."""

    def __init__(self, real: Any, name: str) -> None:
        self._real, self._name = real, name
        self.reached, self.go_on = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        if name == self._name and threading.current_thread() is not threading.main_thread():
            self.reached.set()
            self.go_on.wait(MOMENT_S)
        return getattr(self._real, name)


@pytest.mark.parametrize("change", ["close", "handler"])
@pytest.mark.parametrize("at", ["sink_info", "interests"])
def test_a_component_may_change_while_its_figures_are_read(change: str, at: str) -> None:
    manager = SubscriptionManager("upbit", url="ws://127.0.0.1:9", seed=1)
    component = make(manager, "c")
    component.subscribe("ticker", ["KRW-BTC", "KRW-ETH"], lambda _: None)
    hub: Any = manager._hub
    where = "router" if at == "sink_info" else "ledger"
    held = Held(getattr(hub, where), at)
    setattr(hub, where, held)
    got: list[ComponentStats | Exception] = []

    def read() -> None:
        try:
            got.append(component.stats())
        except Exception as error:
            got.append(error)

    reading = threading.Thread(target=read)
    reading.start()
    assert held.reached.wait(SOON)
    setattr(hub, where, held._real)
    if change == "close":
        component.close()
    else:
        component.subscribe("ticker", ["KRW-BTC", "KRW-ETH"], lambda _: None)
    held.go_on.set()
    reading.join(SOON)
    (stats,) = got
    assert isinstance(stats, ComponentStats), stats
    assert (stats.name, stats.interests) == ("c", 2)
    component.close()
    KEPT.clear()
