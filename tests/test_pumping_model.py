"""Async handlers against a model in plain lists: whatever is done in whatever order, and after each step."""

from __future__ import annotations

import random
from typing import Any

import pytest

import subcore
from held_handler import Handler
from manager_rig import KEPT, make
from trades import BTC, handler_tasks, offline, send, turns

STEPS = 80
SIZES = (1, 2, 5)


class Model:
    """What one handler of one component should have been handed."""

    def __init__(self) -> None:
        self.queues: list[tuple[int, list[int]]] = []
        self.wanted = self.paused = False
        self.flight: int | None = None
        self.begun: list[int] = []
        self.lost = self.errors = 0

    def subscribe(self, size: int) -> None:
        self.wanted = True
        if not self.queues or self.queues[-1][0] != size:
            self.queues.append((size, []))

    def came(self, number: int) -> None:
        if self.wanted and not self.paused:
            size, waiting = self.queues[-1]
            waiting.append(number)
            if len(waiting) > size:
                del waiting[0]
                self.lost += 1

    def settle(self) -> None:
        if self.flight is None and not self.paused:
            for _, waiting in self.queues:
                if waiting:
                    self.flight = waiting.pop(0)
                    self.begun.append(self.flight)
                    break
        if not self.wanted and self.flight is None and not self.waits:
            self.queues.clear()  # its task ended

    @property
    def waits(self) -> int:
        return sum(len(waiting) for _, waiting in self.queues)


@pytest.mark.parametrize("seed", range(40))
async def test_as_the_model_says(seed: int) -> None:
    rng = random.Random(seed)
    model, handler, manager = Model(), Handler(), offline()
    component = make(manager, "c")
    for number in range(STEPS):
        step = rng.choice(("send",) * 6 + ("go",) * 4 + ("fail", "pause", "resume", "drop", "want", "want"))
        if step == "send":
            for at in range(rng.randint(1, 4)):
                send(manager, BTC, 10 * number + at)
                model.came(10 * number + at)
        elif step in ("go", "fail") and model.flight is not None:
            handler._calls[0].set_exception(ValueError("x")) if step == "fail" else handler._calls[
                0
            ].set_result(None)
            model.errors += step == "fail"
            model.flight = None
        elif step in ("pause", "resume"):
            getattr(component, step)()
            model.paused = step == "pause"
        elif step == "drop":
            component.unsubscribe("trade")
            model.wanted = False
        elif step == "want":
            size = rng.choice(SIZES)
            component.subscribe("trade", BTC, handler, delivery=subcore.Queue(size))
            model.subscribe(size)
        await turns(6)
        model.settle()
        _compare(seed, number, step, model, handler, component)
    component.close()
    await turns(6)
    assert handler_tasks() == []
    assert handler.begun == model.begun
    assert (await manager.close()).clean
    KEPT.clear()


def _compare(seed: int, number: int, step: str, model: Model, handler: Handler, component: Any) -> None:
    what = f"seed {seed}, step {number} ({step})"
    stats = component.stats()
    assert handler.begun == model.begun, what
    assert len(handler._calls) == (model.flight is not None), what
    assert (stats.queued, stats.lost, stats.handler_errors) == (model.waits, model.lost, model.errors), what
    assert len(handler_tasks()) <= 1, what
    rows = [component._hub.pumping.duties.table.row(pump.duty) for pump in component._member.pumps]
    assert sum(due - done for due, done, _ in rows) == model.waits + (model.flight is not None), (
        what,
        "a call under way is owed",
    )
