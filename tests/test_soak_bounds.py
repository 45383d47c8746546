"""The soak's look at what the engine keeps: it sees into the compiled engine, and says so where it cannot see."""

from __future__ import annotations

import sys

import pytest

from conftest import ROOT
from subcore.sim import Exchange
from subcore.testing import EngineDriver
from subcore.venues import venue

sys.path.insert(0, str(ROOT / "scripts" / "soak"))
from bounds import overgrown

CODES = ["KRW-BTC", "KRW-ETH", "KRW-XRP"]


def test_what_has_grown_is_named() -> None:
    driver = EngineDriver(venue("upbit").at("ws://sim.test:80"), Exchange(1, markets=CODES), seed=1)
    driver.subscribe("chart", "trade", CODES)
    driver.run(5)
    assert overgrown(driver.engine) is None
    assert driver.engine.links
    driver.engine.links.update({100 + number: driver.engine.links[0] for number in range(600)})
    assert overgrown(driver.engine) in (
        "engine.links holds 601, 512 allowed",
        "engine._lifecycle.links holds 601, 512 allowed",
    )


def test_what_cannot_be_seen_is_not_called_sound() -> None:
    with pytest.raises(TypeError, match="nothing would be judged"):
        overgrown(object())
