"""Faults at random for simulations of both venues, each so that it hits somebody."""

from __future__ import annotations

import random

from subcore.sim.faults import Fault
from subcore.testing import EngineDriver

OF_CONNECTS = ("refuse", "cut", "hang", "status")


def have_fault(driver: EngineDriver, rng: random.Random, kind: str) -> None:
    """Often once somebody is connected, who can be hit; where connects fail, along with a loss: else nobody connects.

    Pongs are muted while nobody changes anything: only a link that is idle is pinged.
    """
    if rng.random() < 0.7:
        driver.run_until(lambda: bool(driver.exchange.connections), 20)
    code = rng.choice((429, 418)) if kind == "status" else 0
    seconds = rng.uniform(2.0 if kind in OF_CONNECTS else 0.5, 12.0)
    driver.exchange.inject(Fault(kind, seconds=seconds, code=code), driver.now)
    if kind in OF_CONNECTS:
        driver.exchange.inject(Fault("drop_rst"), driver.now)
    elif kind == "mute_pong":
        driver.run(10)
