"""What all async handlers of one manager share: where their events come from, and who is told what becomes of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._delays import DelayTable
    from ._delivery import WakeBatch
    from ._queue import EventQueue
    from ._route import Router
    from .handling import HandlerDuties
    from .members import Member
    from .types import Status


@dataclass(frozen=True, slots=True)
class PumpTies:
    """What the pumps of one manager share. `tasks`: of all of them that did not end yet, also of those told to.

    `on_loss` tells a component of lost events, and gives back what shall stand in its iteration; `on_change` of a queue
    that fills or ends; `on_given_up` of events that nobody will be handed, and why. `failed` is told of an exception of
    a call whose sinks, or component, are no more.
    """

    router: Router
    wakes: WakeBatch
    gone: deque[int]
    on_loss: Callable[[Member, int, dict[int, int]], Status | None]
    on_change: Callable[[Member, EventQueue], None]
    on_given_up: Callable[[Member, dict[int, int], str], None]
    failed: Callable[[Member, BaseException], None]
    duties: HandlerDuties
    delays: DelayTable | None = None
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
