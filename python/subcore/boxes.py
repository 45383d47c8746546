"""What a component reads from, by policy: its boxes, of which one inbox is made, and its rings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ._delivery import Box, Delivery, Latest, Queue, WakeBatch
from ._duties import DutyTable
from ._inbox import Inbox
from ._latest import LatestBox
from ._queue import EventQueue
from ._ring import RecordRing, RingReader
from .counts import oldest_of
from .errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from .types import Status
    from .venue import Channel

STATUS_QUEUE = 1  # events that the box of statuses alone would hold: none ever come


class Boxes:
    """The boxes and rings of one component. Subscriptions with an equal policy share one.

    `on_loss` and `on_change`: see EventQueue. `default`: the component's own policy; its box stays as long as the
    component does, the others go when nothing comes into them any more and they are read.
    """

    def __init__(
        self,
        default: Delivery,
        component: int,
        wakes: WakeBatch,
        duties: DutyTable,
        on_loss: Callable[[int, dict[int, int]], Status | None],
        on_change: Callable[[EventQueue], object],
    ) -> None:
        self.default = default
        self.inbox = Inbox()
        self._component = component
        self._wakes = wakes
        self._duties = duties
        self._on_loss = on_loss
        self._on_change = on_change
        self._boxes: dict[Delivery, Box] = {}
        self._statuses: EventQueue | None = None
        self._told: set[tuple[int, str]] = set()
        self._rings: dict[tuple[str, int], RecordRing] = {}  # by channel and size
        self._overrun_before = 0

    def box(self, policy: Delivery) -> Box:
        """The box of a policy, made if there is none. CapacityError: too many wait to be read."""
        box = self._boxes.get(policy)
        if box is None or not self.inbox.stay(box):
            box = self._make(policy)
            self.inbox.add(box, bounded=policy != self.default)
            self._boxes[policy] = box
        return box

    def _make(self, policy: Delivery) -> Box:
        if isinstance(policy, Latest):
            return LatestBox(wakes=self._wakes, delays=self._duties.delays, owner=self._component)
        assert isinstance(policy, Queue)
        return EventQueue(
            policy.maxsize,
            policy.overflow,
            wakes=self._wakes,
            on_loss=self._on_loss,
            on_change=self._on_change,
            duties=self._duties,
            component=self._component,
        )

    @property
    def queues(self) -> list[EventQueue]:
        """Those of its boxes that are to be read event by event: what `Latest` keeps may be left unread."""
        return [box for box in self._boxes.values() if isinstance(box, EventQueue)]

    def oldest_ns(self) -> int:
        """When the oldest event that waits in its queues was received; -1 where none waits."""
        return oldest_of(self.queues)

    def put_status(self, status: Status) -> None:
        """Into the iteration, behind what waits now. There is always room for the box of these."""
        if isinstance(self.default, Queue):
            queue = self.box(self.default)
            assert isinstance(queue, EventQueue)
        elif self._statuses is None:
            queue = self._statuses = EventQueue(STATUS_QUEUE, wakes=self._wakes)
            self.inbox.add(queue, bounded=False)
        else:
            queue = self._statuses
        queue.put_status(status)

    def leave(self, policy: Delivery) -> None:
        """Nothing comes by this policy any more; what waits can still be read, in order."""
        box = self._boxes.get(policy)
        if box is not None and policy != self.default:
            self.inbox.leave(box)
            for gone, kept in list(self._boxes.items()):
                if kept not in self.inbox:
                    self.forget_told(self._boxes.pop(gone))

    def holds(self, policy: Delivery, box: Box) -> bool:
        """Whether that is the box of this policy."""
        return self._boxes.get(policy) is box

    def forget_told(self, box: Box) -> None:
        """It goes: another may have its address."""
        self._told -= {told for told in self._told if told[0] == id(box)}

    def told_of(self, queue: EventQueue, what: str, *, on: bool) -> bool:
        """Note that something is so, or is not so any more; False if that was noted before."""
        key = (id(queue), what)
        if (key in self._told) == on:
            return False
        (self._told.add if on else self._told.discard)(key)
        return True

    # -- rings --

    def ring(self, channel: Channel, size: int) -> RecordRing:
        """The ring of a channel, made if there is none. ValueError for a kind of event that is no row of numbers."""
        ring = self._rings.get((channel.name, size))
        if ring is None:
            ring = self._rings[channel.name, size] = RecordRing(channel.kind, size)
        return ring

    def leave_ring(self, channel: str, size: int) -> None:
        """Nothing comes into it any more; its readers keep it as long as they like."""
        ring = self._rings.pop((channel, size), None)
        if ring is not None:
            ring.closed = True
        self._overrun_before += 0 if ring is None else ring.overrun

    def reader(
        self,
        channel: str,
        size: int | None,
        text_of: Callable[[npt.NDArray[np.int32]], list[str]],
    ) -> RingReader:
        """A new reader of a channel's ring. UsageError where there is none, or several."""
        sizes = [held for at, held in self._rings if at == channel and size in (None, held)]
        if not sizes:
            which = "no ring" if size is None else f"no ring of {size} rows"
            raise UsageError(
                f"it has {which} of {channel}: subscribe to {channel} with delivery=Ring(size) first"
            )
        if len(sizes) > 1:
            raise UsageError(f"it has rings of {channel} with {sizes} rows: say which, size={sizes[0]}")
        return RingReader(self._rings[channel, sizes[0]], text_of)

    @property
    def has_rings(self) -> bool:
        """Whether it has, or had, any ring."""
        return bool(self._rings or self._overrun_before)

    @property
    def overrun(self) -> int:
        """Rows of rings that readers missed. May be asked from any thread."""
        rings = self._rings
        return self._overrun_before + (sum(ring.overrun for ring in list(rings.values())) if rings else 0)

    @property
    def nbytes(self) -> int:
        """Bytes of boxes and rings; events are not counted, they may be shared. May be asked from any thread."""
        rings = self._rings
        return self.inbox.nbytes + (sum(ring.nbytes for ring in list(rings.values())) if rings else 0)

    # -- the end --

    def close(self) -> None:
        """What waits can still be read, then reading ends."""
        self.inbox.close()
