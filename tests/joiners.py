"""Who joins a stream that a router carries."""

from __future__ import annotations

from typing import Any

import pytest

from routing import World


@pytest.fixture
def world() -> World:
    return World()


def join(world: World, topic: int, target: Any, **options: Any) -> tuple[int, int]:
    component = world.ledger.open_component()
    sink = world.router.new_sink(component, target, **options)
    world.router.add(sink, [topic])
    return component, sink
