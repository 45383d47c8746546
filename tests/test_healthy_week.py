"""Healthy figures raise nothing; without durations and hysteresis they would. The week: scripts/healthy_week.py."""

from __future__ import annotations

import sys

import pytest

from conftest import ROOT
from subcore.engine.alerts import AlertRules

sys.path.insert(0, str(ROOT / "scripts"))

from healthy_week import hasty, play_figures

SEED = 1


@pytest.mark.simulation
def test_an_hour_of_healthy_figures_are_silent() -> None:
    assert play_figures(SEED, 1.0, AlertRules()) == {}


@pytest.mark.simulation
def test_they_are_not_silent_because_nothing_happens() -> None:
    raised = play_figures(SEED, 1.0, hasty(AlertRules()))
    assert set(raised) >= {"loop_lag", "budget"}, raised
