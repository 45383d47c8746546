"""The async handlers of one component, each with its pump."""

from __future__ import annotations

from collections.abc import Iterator
from types import MethodType
from typing import TYPE_CHECKING, Any

from ._delivery import Delivery, Queue
from .checking import is_async
from .counts import add_up, renamed
from .pump_ties import PumpTies
from .pumping import AsyncHandler, Pump

if TYPE_CHECKING:
    from ._queue import EventQueue
    from .members import Member
    from .types import Int32Array

DEFAULT = Queue()


class Pumps:
    """The async handlers of one component. Figures may be asked for from any thread."""

    def __init__(self, member: Member, ties: PumpTies) -> None:
        self._member = member
        self._ties = ties
        self._pumps: dict[tuple[int, int | None], Pump] = {}
        self.dropped = 0
        self._lost_before = 0
        self._calls_before = 0
        self._losses_before: dict[int, int] = {}

    def __iter__(self) -> Iterator[Pump]:
        return iter(list(self._pumps.values()))

    def pump(self, handler: AsyncHandler, policy: Delivery | None) -> Pump:
        """That of this handler, made if there is none, with this policy if it is a `Queue`."""
        key = _key_of(handler)
        pump = self._pumps.get(key)
        if pump is not None and pump.is_gone:
            pump.end()  # another object may have the address of one that went
            pump = None
        if pump is None:
            given = policy if isinstance(policy, Queue) else DEFAULT
            pump = self._pumps[key] = Pump(self._member, handler, given, self._ties)
        pump.revive()
        return pump

    def policy_of(self, handler: Any) -> tuple[Queue | None, set[int]]:
        """The policy of a handler that is in use, and the sinks that put into its queue."""
        pump = self._pumps.get(_key_of(handler))
        return (None, set()) if pump is None else (pump.policy, pump.sinks)

    def change_policy(self, handler: Any, policy: Delivery | None) -> None:
        """Of a handler that is in use; nothing happens to others, and where no `Queue` is given."""
        pump = self._pumps.get(_key_of(handler)) if isinstance(policy, Queue) and self._pumps else None
        if pump is not None and isinstance(policy, Queue):
            pump.change_policy(policy)

    def check_room(self, handler: Any) -> None:
        """CapacityError where too many queues of this handler wait to be handed over for its policy to change."""
        pump = self._pumps.get(_key_of(handler))
        if pump is not None:
            pump.check_room()

    def released(self, sink: int) -> None:
        """Nothing is put through this sink any more."""
        for pump in self:
            if sink in pump.sinks:
                pump.drop_sink(sink)

    def of_sink(self, sink: int) -> Pump | None:
        """That whose queue a sink puts into; None where the sink is a plain handler's, or a box's."""
        return next((pump for pump in self if sink in pump.sinks), None)

    def sinks_into(self, queue: EventQueue) -> set[int]:
        """Those that put into this queue."""
        return {sink for pump in self if pump.queue is queue for sink in pump.sinks}

    def forget(self, pump: Pump) -> None:
        """It ended."""
        for key, known in list(self._pumps.items()):
            if known is pump:
                self._keep(key, pump)

    def _keep(self, key: tuple[int, int | None], pump: Pump) -> None:
        """Its counts, while it goes."""
        del self._pumps[key]
        self.dropped += pump.dropped
        self._calls_before += pump.steps.calls
        self._lost_before += pump.lost
        self._losses_before = add_up(self._losses_before, pump.losses)

    def mentioned(self, topics: Int32Array) -> set[int]:
        """See Box."""
        found = set(topics.tolist()).intersection(self._losses_before) if self._losses_before else set[int]()
        return found.union(*(pump.mentioned(topics) for pump in self))

    def rename(self, ids: dict[int, int]) -> None:
        """See Box."""
        for pump in self:
            pump.rename(ids)
        self._losses_before = renamed(self._losses_before, ids)

    def hold(self, flag: bool) -> None:
        """See Pump."""
        for pump in self:
            pump.hold(flag)

    def end(self) -> None:
        """End all; what waits is dropped, and counted in `dropped`."""
        for pump in self:
            pump.end()

    @property
    def is_used(self) -> bool:
        """Whether there is, or was, any."""
        return bool(self._pumps or self._calls_before or self._lost_before)

    @property
    def queues(self) -> list[EventQueue]:
        """See Pump."""
        return [queue for pump in self for queue in pump.queues] if self._pumps else []

    @property
    def waiting(self) -> int:
        """Events not yet handed over."""
        return sum(pump.waiting for pump in self) if self._pumps else 0

    @property
    def calls(self) -> int:
        """Of handlers so far, also of those that are no more."""
        return self._calls_before + (sum(pump.steps.calls for pump in self) if self._pumps else 0)

    @property
    def are_working(self) -> bool:
        """See Pump.is_working."""
        return any(pump.is_working for pump in self)

    @property
    def lost(self) -> int:
        """Events that found a queue full, also of handlers that are no more."""
        return self._lost_before + (sum(pump.lost for pump in self) if self._pumps else 0)

    @property
    def losses(self) -> dict[int, int]:
        """The same by topic."""
        return add_up(self._losses_before, *(pump.losses for pump in self))


def needs_pump(handler: Any) -> bool:
    """Whether this handler is awaited, and not just called."""
    return handler is not None and is_async(handler)


def _key_of(handler: Any) -> tuple[int, int | None]:
    if isinstance(handler, MethodType):
        return id(handler.__self__), id(handler.__func__)
    return id(handler), None
