"""Hostile components of every kind at once: found, named and removed, and nobody else loses or pays anything."""

from __future__ import annotations

import pytest

from hostile_world import HOSTILE, HostileWorld


@pytest.mark.parametrize("seed", range(2))
def test_hostile_components_harm_nobody_and_are_gone_in_time(seed: int) -> None:
    played = HostileWorld(seed)
    played.play()
    failed = {actor.kind for actor in played.actors if actor.gone or actor.fails_at is not None}
    assert len(failed & set(HOSTILE)) >= len(HOSTILE) - 2
