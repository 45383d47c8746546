"""The components of a plan, on a manager: with handlers that do nothing, and readers that drop what they read."""

from __future__ import annotations

import asyncio
from typing import Any

from subcore._delivery import Delivery, Latest, Queue, Ring
from subcore.component import Component
from subcore.manager import SubscriptionManager
from subcore.planning.plans import Plan, PlannedComponent

__all__ = ["RING_ROWS", "cast", "delivery_of", "handler_of", "read"]

RING_ROWS = 4096


def cast(manager: SubscriptionManager, plan: Plan, *, calls_async: bool = True) -> list[Component]:
    """Make them, and have each ask for what it is to. Who calls keeps them. `calls_async`: False has events of async
    handlers wait in a queue that nobody reads, for where no loop runs."""
    made: list[Component] = []
    try:
        for planned in plan.components:
            for number in range(planned.count):
                name = planned.name if planned.count == 1 else f"{planned.name}-{number + 1}"
                made.append(manager.component(name, priority=planned.priority))
                _ask(made[-1], planned, calls_async)
    except BaseException:
        for component in made:
            component.close()
        raise
    return made


def _ask(component: Component, planned: PlannedComponent, calls_async: bool) -> None:
    for interests in planned.interests:
        handler = handler_of(interests.policy, calls_async=calls_async)
        component.subscribe(
            interests.channel,
            interests.symbols,
            handler,
            delivery=None if handler is not None else delivery_of(interests.policy),
            depth=interests.depth,
            priority=interests.priority,
            max_rate=interests.max_rate,
            standby=interests.standby,
            own_link=interests.own_link,
        )


def handler_of(policy: str, *, calls_async: bool = True) -> Any:
    """A handler of its own for each that asks, None where events wait to be read."""

    def handle(event: object) -> None:
        """Does nothing."""

    async def handle_async(event: object) -> None:
        """Does nothing."""

    if policy == "callback":
        return handle
    return handle_async if policy == "async" and calls_async else None


def delivery_of(policy: str) -> Delivery:
    """Where events wait for who reads."""
    if policy == "latest":
        return Latest()
    return Ring(RING_ROWS) if policy == "ring" else Queue()


def read(component: Component) -> asyncio.Task[None]:
    """A task that takes all that waits."""

    async def take() -> None:
        async for _ in component:
            pass

    return asyncio.create_task(take())
