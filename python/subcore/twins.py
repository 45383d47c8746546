"""The frame's bytes, asked for or not of topics that stay where they go: a place of delivery has a sink for either."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from types import MethodType
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

import numpy as np

from .errors import UsageError

if TYPE_CHECKING:
    from ._route import Router
    from .component import Handler
    from .intent import Resolved
    from .members import Member
    from .types import Int32Array

__all__ = ["BOX", "RING", "Twins"]

BOX, RING = "box", "ring"  # what the keys of sinks that are no handler begin with


class Twins:
    """Of one component. `sinks`: its own by key, which ends with whether they get bytes, but for a ring's."""

    __slots__ = ("_handlers", "_member", "_router", "_sinks")

    def __init__(self, member: Member, router: Router, sinks: dict[tuple[Any, ...], int]) -> None:
        self._member = member
        self._router = router
        self._sinks = sinks
        self._handlers: dict[
            int, Callable[[], Handler | None]
        ] = {}  # of sinks that do not say whom they call

    def made(self, sink: int, handler: Handler) -> None:
        """A sink of a handler that the router does not know as it was given: a method, or one that is awaited."""
        self._handlers[sink] = lambda: handler
        if isinstance(handler, MethodType):
            with suppress(TypeError):  # else its object knows no weak references, and is held by the sink
                self._handlers[sink] = WeakMethod(handler)

    def gone(self, sink: int) -> None:
        """It is no more."""
        self._handlers.pop(sink, None)

    @property
    def have_bytes(self) -> bool:
        """Whether any topic may come with the frame's bytes."""
        return any(key[2] is True for key in self._sinks)

    def check(self, resolved: Iterable[Resolved], held: Int32Array) -> None:
        """UsageError where one of these asks for bytes of what is in a ring by its turn. `held`: wanted before."""
        rings = {sink for key, sink in self._sinks.items() if key[0] == RING}
        inside = {topic for sink in rings for topic in self._router.topics_of_sink(sink).tolist()}
        wanted = set(held.tolist())
        for wish, adds, removes, sink in resolved:
            if wish.component != self._member.id:
                continue
            gone, named = set(removes.tolist()), set(adds.tolist())
            inside, wanted = inside - gone, wanted - gone
            moved = named - wanted if wish.keeps_sinks else named
            inside = inside | moved if sink in rings else inside - moved
            wanted |= named
            if wish.raw and wish.keeps_sinks and inside & named:
                raise UsageError(
                    "a ring keeps numbers, not the frame's bytes: leave raw= out, or give delivery=Queue()"
                )

    def match(self, topics: Int32Array, raw: bool) -> None:
        """These go where they went, from now on with the frame's bytes or without."""
        for key, sink in list(self._sinks.items()):
            if key[0] == RING or key[2] is raw:
                continue
            moved = np.intersect1d(self._router.topics_of_sink(sink), topics).astype(np.int32)
            if len(moved) and (twin := self._twin(key, sink, raw)) is not None:
                self._router.connect(twin, moved)

    def _twin(self, key: tuple[Any, ...], sink: int, raw: bool) -> int | None:
        if key[0] == BOX:
            return self._member.sink(None, raw, key[1])
        known = self._handlers.get(sink)
        handler: Any = self._router.handler_of(sink) if known is None else known()
        return None if handler is None else self._member.sink(handler, raw)  # None: its object went
