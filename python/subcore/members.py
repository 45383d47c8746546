"""What the manager keeps of each component: its sinks, its queue, and how it is told of things."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from types import MethodType
from typing import TYPE_CHECKING, Any

from ._delivery import Delivery, EventQueue, Queue, WakeBatch
from ._route import Router
from .types import Priority, Status

if TYPE_CHECKING:
    from .component import Component, Handler, OnStatus

log = logging.getLogger("subcore.component")

# The sinks that are the component's own queue.
_OWN, _OWN_RAW = (None, None, False), (None, None, True)


class Member:
    """One component as the manager sees it. The user's `Component` refers to it, never the other way round strongly."""

    def __init__(
        self,
        id: int,
        name: str,
        *,
        priority: Priority,
        delivery: Delivery | None,
        on_status: OnStatus | None,
        include_status: bool,
        router: Router,
        wakes: WakeBatch,
        left: deque[int],
        on_loss: Callable[[Member, int, dict[int, int]], Status | None],
    ) -> None:
        self.id = id
        self.name = name
        self.priority = priority
        self.delivery = delivery if isinstance(delivery, Queue) else Queue()
        self.on_status = on_status
        self.include_status = include_status
        self.closed = False
        self.paused = False
        self.handle: weakref.ref[Component] | None = None
        self._owner: weakref.ref[Any] | None = None
        self.handler_errors = 0
        self.last_error: str | None = None
        self.delivered_before = 0  # through sinks that are no more
        self._left = left
        self._router = router
        self._sinks: dict[tuple[Any, ...], int] = {}
        self.queue = EventQueue(
            self.delivery.maxsize,
            self.delivery.overflow,
            wakes=wakes,
            on_loss=lambda count, topics: on_loss(self, count, topics),
        )

    # -- sinks --

    @property
    def has_handlers(self) -> bool:
        """True where any sink is not the component's own queue."""
        return len(self._sinks) > (_OWN in self._sinks) + (_OWN_RAW in self._sinks)

    @property
    def sinks(self) -> list[int]:
        """Ids of its sinks."""
        return list(self._sinks.values())

    def sink_maker(self, handler: Handler | None, raw: bool) -> Callable[[], int]:
        """The sink of this handler, made only when it is needed; None is the component's own queue."""
        return partial(self._sink, handler, raw)

    def _sink(self, handler: Handler | None, raw: bool) -> int:
        key = _key_of(handler, raw)
        sink = self._sinks.get(key)
        if sink is None:
            target = self.queue if handler is None else handler
            sink = self._sinks[key] = self._router.new_sink(self.id, target, raw=raw)
        return sink

    def release_idle_sinks(self) -> None:
        """Let go of handlers no topic uses any more."""
        for key, sink in list(self._sinks.items()):
            if self._router.is_idle(sink):
                self._release(key)

    def forget_sink(self, sink: int) -> None:
        """A sink's object is gone."""
        for key, known in list(self._sinks.items()):
            if known == sink:
                self._release(key)

    def release_all(self) -> None:
        """Nothing is delivered to any of its handlers from now on."""
        for key in list(self._sinks):
            self._release(key)

    def _release(self, key: tuple[Any, ...]) -> None:
        sink = self._sinks.pop(key)
        self.delivered_before += self._router.sink_info(sink).delivered
        self._router.release_sink(sink)

    def left_behind(self) -> None:
        """The user's last reference went. Called by the garbage collector: only notes the id."""
        self._left.append(self.id)

    def set_owner(self, owner: object) -> None:
        """Whoever is responsible for the component. TypeError where it knows no weak references."""
        self._owner = weakref.ref(owner, lambda _: self._left.append(self.id))

    def owner_done(self) -> bool:
        """True once the owner is collected, or a task that ended."""
        if self._owner is None:
            return False
        owner = self._owner()
        return owner is None or (isinstance(owner, asyncio.Future) and owner.done())

    # -- telling --

    def tell(self, status: Status) -> None:
        """Give a status to `on_status`, or into the iteration, or to nobody. A raising callback is logged."""
        if self.include_status:
            self.queue.put_status(status)
        if self.on_status is not None:
            self.call_on_status(status)

    def call_on_status(self, status: Status) -> None:
        """Call `on_status`, whose exceptions are logged and counted."""
        assert self.on_status is not None
        try:
            self.on_status(status)
        except Exception as error:
            self.handler_errors += 1
            self.last_error = f"on_status: {type(error).__name__}: {error}"
            log.exception("on_status of component %r raised", self.name)

    @property
    def listens(self) -> bool:
        """False where nobody would read a status."""
        return self.include_status or self.on_status is not None


def _key_of(handler: Handler | None, raw: bool) -> tuple[Any, ...]:
    """Bound methods of one object are one handler, though each access makes a new method object."""
    if isinstance(handler, MethodType):
        return (id(handler.__self__), id(handler.__func__), raw)
    return (None if handler is None else id(handler), None, raw)
