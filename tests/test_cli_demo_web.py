"""`subcore demo --web` goes on for hours: what it does in each round is over before the next."""

from __future__ import annotations

from manager_rig import manager, server, until
from subcore.cli.demo_web import WebDemo
from subcore.manager import SubscriptionManager
from subcore.sim.server import SimServer

__all__ = ["manager", "server"]
ROGUES = 10


async def test_those_that_misbehave_do_not_pile_up(manager: SubscriptionManager, server: SimServer) -> None:
    demo = WebDemo(server, manager, lambda line: None)
    for _ in range(3):
        await demo._cause(())
        rogues, before = demo._rogues, manager.stats().delivered
        await until(lambda before=before: manager.stats().delivered > before + 200)
        assert len(rogues._components) <= ROGUES
        assert manager.stats().component_count <= ROGUES + 1, "and what a handler made just now"
        errors = {each.name: each.handler_errors for each in manager.stats().components.values()}
        assert sum(1 for count in errors.values() if count) <= 1, errors
    await demo._rogues.end()
    assert manager.stats().component_count == 0
