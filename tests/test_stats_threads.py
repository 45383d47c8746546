"""Figures are read from any thread, in the middle of whatever the loop does."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from fed_manager import ticker
from manager_rig import KEPT, SOON, make, until
from subcore import Queue, Ring
from subcore.component import ComponentStats
from subcore.engine.pacing import LimitRegistry, Pacer
from subcore.limits import Counted, Limit, Scope, Window
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


@pytest.mark.parametrize(
    "step",
    [
        "waits.forget",
        "granting.forget",
        "claims.forget",
        "notices.forget",
        "obligations.left",
        "monitoring.left",
    ],
)
def test_the_whole_can_be_read_at_each_step_of_a_closing(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Another thread runs where the loop's thread gives up the interpreter, which it may do at any of them.

    No total goes down for it: who scrapes would take that for a restart, and count all of it again.
    """
    manager = SubscriptionManager("upbit", url="ws://127.0.0.1:9", seed=1)
    closing, stays = make(manager, "closing"), make(manager, "stays")
    stays.subscribe("ticker", ["KRW-BTC", "KRW-ETH"], lambda _: None)
    closing.subscribe("ticker", "KRW-ETH", delivery=Queue(1))
    closing.subscribe("ticker", "KRW-BTC", delivery=Ring(2))
    ring = closing.ring("ticker")
    for number in range(20):
        for symbol in ("KRW-BTC", "KRW-ETH"):
            manager._hub.feed.feed(0, ticker(symbol, 1 + number, 1.0 + number), 1_000_000 * (2 + number))
    ring.read()
    before = manager.stats()
    part, name = step.split(".")
    owner = getattr(manager._hub, part)
    real = getattr(owner, name)
    got: list[Any] = []
    totals: list[tuple[int, dict[str, int]]] = []

    def read() -> None:
        try:
            stats = manager.stats()
            totals.append((stats.delivered, stats.losses))
            got.append((stats.topics, len(manager.topic_stats()), len(manager.costs().components)))
        except Exception as error:
            got.append(error)

    def read_then(*args: Any) -> Any:
        reading = threading.Thread(target=read)
        reading.start()
        reading.join(SOON)
        return real(*args)

    monkeypatch.setattr(owner, name, read_then)
    closing.close()
    ((topics, rows, _),) = got
    assert topics == rows == 2
    after = manager.stats()
    assert before.delivered
    assert set(before.losses) == {"queue_full", "ring_overrun"}
    assert totals == [(before.delivered, before.losses)] == [(after.delivered, after.losses)]
    assert "closing" not in manager.stats().components
    stays.close()
    KEPT.clear()


def test_the_whole_can_be_read_while_the_engine_s_columns_grow() -> None:
    manager = SubscriptionManager("upbit", url="ws://127.0.0.1:9", seed=1)
    columns = manager._hub.engine.streams
    component = make(manager, "c")
    component.subscribe("ticker", [f"KRW-A{number}" for number in range(len(columns.state) + 1)])
    columns.state = np.zeros(
        2 * len(columns.state), columns.state.dtype
    )  # the first of them, as `ensure` does
    assert sum(manager.stats().data.values()) == len(columns.data)
    component.close()
    KEPT.clear()


def test_the_windows_of_a_link_do_not_change_while_they_are_read() -> None:
    registry = LimitRegistry()
    pacer = Pacer(
        [Limit("g", Scope.LINK, frozenset({Counted.MESSAGE}), (Window(5, 1.0, 1.1),))], "host", registry
    )
    kept: list[bool] = []

    class Log:
        def clear(self) -> None:
            other = threading.Thread(target=lambda: kept.append(not registry.lock.acquire(blocking=False)))
            other.start()
            other.join(SOON)

        def settle(self, sent_at: int, now: int) -> None:
            self.clear()

    pacer._own = [Log()]  # type: ignore[list-item]
    pacer.renew()
    pacer.settle(1, 1)
    assert kept == [True, True]


@pytest.mark.parametrize("gone", ["ring", "pump"])
async def test_what_a_part_of_a_component_lost_is_never_missing(
    monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    """It goes and its counts are kept: no other thread reads between, or the total would go down for a moment."""
    manager = SubscriptionManager("upbit", url="ws://127.0.0.1:9", seed=1)
    component = make(manager, "c")

    async def handler(event: object) -> None: ...

    if gone == "ring":
        component.subscribe("ticker", "KRW-BTC", delivery=Ring(2))
    else:
        component.subscribe("ticker", "KRW-BTC", handler)
    (member,) = manager._hub.members.values()
    owner, name = (member.boxes, "leave_ring") if gone == "ring" else (member.pumps, "_keep")
    real, kept = getattr(owner, name), []

    def look(*args: Any) -> Any:
        other = threading.Thread(
            target=lambda: kept.append(not manager._hub.intent.whole.acquire(blocking=False))
        )
        other.start()
        other.join(SOON)
        return real(*args)

    monkeypatch.setattr(owner, name, look, raising=False)
    component.unsubscribe("ticker", "KRW-BTC")
    await until(lambda: kept)
    assert kept == [True]
    component.close()
    KEPT.clear()


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
