"""Hostile components of every kind at once: found, named and removed, and nobody else loses or pays anything."""

from __future__ import annotations

from hostile_world import HOSTILE, HostileWorld


def test_hostile_components_harm_nobody_and_are_gone_in_time() -> None:
    played = HostileWorld(3, rate=6.0)
    played.play(70.0)
    failed = {actor.kind for actor in played.actors if actor.gone or actor.fails_at is not None}
    assert len(failed & set(HOSTILE)) >= len(HOSTILE) - 2
