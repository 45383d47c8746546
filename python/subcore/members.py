"""What the manager keeps of each component: its sinks, its queue, and how it is told of things."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import MethodType
from typing import TYPE_CHECKING, Any

from ._delivery import Box, Delivery, Queue, Ring, WakeBatch
from ._duties import DutyTable
from ._inbox import Inbox
from ._queue import EventQueue
from ._ring import RecordRing
from ._route import Router
from ._steps import Hook
from .boxes import Boxes
from .counts import renamed
from .errors import ComponentClosed, ComponentReaped, UsageError
from .handed import Handed, handed
from .naming import handler_name, words_of
from .pump_ties import PumpTies
from .pumps import Pumps, needs_pump
from .twins import BOX, RING, Twins
from .types import Priority, Status, Topic

if TYPE_CHECKING:
    from .component import Component, Handler, OnStatus
    from .types import Int32Array
    from .venue import Channel

log = logging.getLogger("subcore.component")

_DEFAULT_QUEUE = Queue()
DROPPED_AT_ONCE, RELEASED = 4096, 16
APART = "to have queues apart, give handlers apart: functools.partial(handler)"


@dataclass(frozen=True, slots=True)
class Ties:
    """What all members of one manager share. `whole`: see Intent; another thread reads figures of sinks under it."""

    router: Router
    wakes: WakeBatch
    left: deque[int]
    duties: DutyTable
    on_loss: Callable[[Member, int, dict[int, int]], Status | None]
    on_change: Callable[[Member, EventQueue], None]
    channels: tuple[Channel, ...]
    whole: AbstractContextManager[object]
    pumps: PumpTies


class Member:
    """One component as the manager sees it. The user's `Component` refers to it, never the other way round strongly."""

    __slots__ = (
        "_new_policies", "_owner", "_reader", "_released", "_router", "_sinks", "_ties", "boxes", "calls_before",
        "closed", "delivered_before", "delivery", "former", "given_up", "handle", "handler_errors", "id",
        "include_status", "last", "last_conflations", "last_error", "name", "on_status", "paused",
        "paused_ns", "priority", "promised_beats", "pumps", "reaped", "stopped", "stopped_ns", "twins",
        "withheld_before",
    )  # fmt: skip

    def __init__(
        self,
        id: int,
        name: str,
        ties: Ties,
        priority: Priority,
        delivery: Delivery | None,
        on_status: OnStatus | None,
        include_status: bool,
    ) -> None:
        self.id = id
        self.name = name
        self.priority = priority
        self.delivery = _DEFAULT_QUEUE if delivery is None else delivery
        self.on_status = on_status
        self.include_status = include_status
        self.closed = False
        self.paused = False
        self.paused_ns = self.stopped_ns = 0  # since when, in wall time
        self.stopped = False  # quarantined: nothing is delivered to it
        self.promised_beats = False
        self.reaped: str | None = None  # when and why
        self.handle: weakref.ref[Component] | None = None
        self._owner: weakref.ref[Any] | None = None
        self.handler_errors = 0
        self.last_error: str | None = None
        self.last: Handed | None = None  # once it is closed
        self.last_conflations: dict[int, int] = {}  # by rate caps
        self.former: dict[int, Topic] = {}  # by the ids they have in it: see FormerNames
        self.given_up: tuple[int, str] | None = None  # sink and handler of the last call that gave itself up
        self.delivered_before = self.calls_before = self.withheld_before = 0  # through sinks that are no more
        self._ties = ties
        self._router = ties.router
        self._sinks: dict[tuple[Any, ...], int] = {}
        self._released: tuple[int, ...] = ()  # the last few; an id is never another sink's
        self._new_policies: list[tuple[Handler, Delivery]] = []
        self._reader: weakref.ref[asyncio.Task[Any]] | None = None
        self.twins = Twins(self, ties.router, self._sinks)
        self.pumps = Pumps(self, ties.pumps)
        self.boxes = Boxes(
            self.delivery,
            id,
            ties.wakes,
            ties.duties,
            self._told_loss,
            lambda queue: ties.on_change(self, queue),
        )

    # -- what reads it --

    @property
    def inbox(self) -> Inbox:
        """What is read by iteration."""
        return self.boxes.inbox

    @property
    def queues(self) -> list[EventQueue]:
        """All that are to be emptied: by who reads, and by async handlers."""
        return self.boxes.queues + self.pumps.queues

    @property
    def reader(self) -> asyncio.Task[Any] | None:
        """The task that last waited for its events, while it lives."""
        return None if self._reader is None else self._reader()

    def reads(self, task: asyncio.Task[Any] | None) -> None:
        """This task reads its events."""
        if task is not None and self.reader is not task:
            self._reader = weakref.ref(task)

    # -- sinks --

    @property
    def has_handlers(self) -> bool:
        """True where any sink is neither a box nor a ring."""
        return any(key[0] != BOX and key[0] != RING for key in self._sinks)

    @property
    def has_choice(self) -> bool:
        """True where any sink is not the box of the component's own policy: a topic may go elsewhere than there."""
        own = (BOX, self.delivery)
        return any(key[:2] != own for key in self._sinks)

    @property
    def has_one_sink(self) -> bool:
        """True where nothing can be idle but the sink in use."""
        return len(self._sinks) == 1

    @property
    def sinks(self) -> list[int]:
        """Ids of its sinks."""
        return list(self._sinks.values())

    def had_sink(self, sink: int) -> bool:
        """Whether a sink is its own, or was when the call that gave it up began."""
        return sink in self._released or sink in self._sinks.values()

    def sink_maker(
        self, handler: Handler | None, raw: bool, delivery: Delivery | None, channel: int
    ) -> Callable[[], int]:
        """As `sink`, made only when it is needed."""
        return lambda: self.sink(handler, raw, delivery, channel)

    def sink(
        self, handler: Handler | None, raw: bool = False, delivery: Delivery | None = None, channel: int = -1
    ) -> int:
        """The sink of this handler, or where there is none, of this policy (the component's own) for a channel.

        Made if there is none. `delivery` beside an async handler: its queue. Errors as `new_sink`; CapacityError: too
        many policies wait to be read.
        """
        if handler is None:
            return self._sink_of_policy(delivery or self.delivery, raw, channel)
        key = _key_of(handler, raw)
        sink = self._sinks.get(key)
        if isinstance(delivery, Queue):
            self.pumps.check_room(handler)
            self._new_policies.append((handler, delivery))
        if sink is None:
            sink = self._keep_sink(key, self._new_sink(handler, raw, delivery))
        return sink

    @property
    def asks_for_queues(self) -> bool:
        """Whether calls that are not granted yet say how events wait for async handlers."""
        return bool(self._new_policies)

    def check_policies(self, changed: set[int]) -> None:
        """UsageError where what is asked for about these topics would give others of a handler another queue."""
        asked: dict[Any, Delivery] = {}
        for handler, delivery in self._new_policies:
            key = _key_of(handler, False)
            if asked.setdefault(key, delivery) != delivery:
                raise UsageError(f"one call gives an async handler {asked[key]!r} and {delivery!r}: {APART}")
            policy, sinks = self.pumps.policy_of(handler)
            if delivery == policy or not sinks:
                continue
            served = {topic for sink in sinks for topic in self._router.topics_of_sink(sink).tolist()}
            if others := len(served - changed):
                raise UsageError(
                    f"{others} other topics go to this async handler by {policy!r}, and it has one queue: name them "
                    f"in the call that gives {delivery!r} too, or leave delivery= out; {APART}"
                )

    def change_policies(self, *, granted: bool) -> None:
        """What was asked for with sinks that were there already: done once the wish is granted, else forgotten."""
        asked, self._new_policies = self._new_policies, []
        for handler, delivery in asked if granted else ():
            self.pumps.change_policy(handler, delivery)

    def _sink_of_policy(self, policy: Delivery, raw: bool, channel: int) -> int:
        key: tuple[Any, ...] = (BOX, policy, raw)
        if isinstance(policy, Ring):
            key = (RING, self._ties.channels[channel].name, policy.size)
        sink = self._sinks.get(key)
        if sink is None:
            place: Box | RecordRing
            if isinstance(policy, Ring):
                place = self.boxes.ring(self._ties.channels[channel], policy.size)
            else:
                place = self.boxes.box(policy)
            sink = self._keep_sink(key, self._router.new_sink(self.id, place, raw=raw))
        return sink

    def _keep_sink(self, key: tuple[Any, ...], sink: int) -> int:
        self._sinks[key] = sink
        if self.paused:
            self._router.mute_sink(sink)
        if self.stopped:
            self._router.block_sink(sink)
        return sink

    def _new_sink(self, handler: Handler, raw: bool, delivery: Delivery | None) -> int:
        if not needs_pump(handler):
            sink = self._router.new_sink(self.id, handler, raw=raw)
            if isinstance(handler, MethodType):
                self.twins.made(sink, handler)
            return sink
        pump = self.pumps.pump(handler, delivery)
        sink = self._router.new_sink(self.id, pump.queue, raw=raw)
        pump.add_sink(sink)
        self.twins.made(sink, handler)
        return sink

    def release_idle_sinks(self) -> None:
        """Let go of handlers no topic uses any more. O(its handlers)."""
        for key in [key for key, sink in self._sinks.items() if self._router.is_idle(sink)]:
            self._release(key)

    def forget_sink(self, sink: int) -> None:
        """A sink's object is gone."""
        for key, known in list(self._sinks.items()):
            if known == sink:
                self._release(key)

    def release_all(self) -> None:
        """It is closed: nothing is delivered to any of its handlers from now on."""
        self.last = handed(self._router, self._ties.duties, self.id)
        self.last_conflations = self._router.limits.conflated(self.id)
        for key in list(self._sinks):
            self._release(key)

    def _release(self, key: tuple[Any, ...]) -> None:
        with self._ties.whole:
            sink = self._sinks.pop(key, None)
            if sink is None:
                return  # what was released before it ran a destructor, which released this one
            info = self._router.sink_info(sink)
            self.delivered_before += info.delivered
            self.calls_before += info.calls
            self.withheld_before += info.withheld
            if self._router.calling[1] == sink:
                self.given_up = sink, handler_name(self._router, sink)
            self._router.release_sink(sink)
            self._released = (*self._released[1 - RELEASED :], sink)
            self.pumps.released(sink)
            self.twins.gone(sink)
            if key[0] == RING:
                self.boxes.leave_ring(key[1], key[2])
            elif key[0] == BOX and (BOX, key[1], not key[2]) not in self._sinks:
                self.boxes.leave(key[1])

    def hold(self, flag: bool) -> None:
        """It is paused: nothing reaches it. Or not any more: what it joined meanwhile is due its image."""
        for sink in self._sinks.values():
            self._router.mute_sink(sink, flag)
        self.pumps.hold(flag)
        if not flag:
            self._router.let_on(self.id)

    def mentioned(self, topics: Int32Array) -> set[int]:
        """Of these topics (ascending), those that anything waits of, or was lost or conflated of."""
        capped = self.last_conflations if self.closed else self._router.limits.conflated(self.id)
        found = self.inbox.mentioned(topics) | self.pumps.mentioned(topics)
        return found.union(set(topics.tolist()).intersection(capped)) if capped else found

    def rename(self, ids: dict[int, int]) -> None:
        """{topic: id}: all that goes by these topics goes by those ids from now on."""
        self.inbox.rename(ids)
        self.pumps.rename(ids)
        self._router.limits.rename(self.id, ids)
        self.last_conflations = renamed(self.last_conflations, ids)

    def topics_into(self, queue: EventQueue) -> list[int]:
        """Ids of the topics that go into a box. O(its interests)."""
        sinks = [s for key, s in self._sinks.items() if key[0] == BOX and self.boxes.holds(key[1], queue)]
        sinks += self.pumps.sinks_into(queue)
        return [topic for sink in sinks for topic in self._router.topics_of_sink(sink).tolist()]

    def _told_loss(self, count: int, topics: dict[int, int]) -> Status | None:
        return self._ties.on_loss(self, count, topics) if self.reaped is None else None

    def close_boxes(self) -> None:
        """What waits can still be read, then reading ends; of what was reaped nothing is left to read."""
        self.boxes.close()
        while self.reaped is not None and self.inbox.get_many(DROPPED_AT_ONCE):
            pass
        self._ties.duties.reset(self.id)

    def closed_error(self) -> UsageError:
        """What its calls raise once it is closed."""
        if self.reaped is not None:
            return ComponentReaped(self.reaped)
        return ComponentClosed(f"component {self.name!r} is closed: ask the manager for a new one")

    def left_behind(self) -> None:
        """The user's last reference went. Called by the garbage collector: only notes the id."""
        if not self.closed:  # the id may be another's by now
            self._ties.left.append(self.id)

    @property
    def is_held(self) -> bool:
        """Whether a user still has it; what has handlers is held by the manager itself."""
        return self.handle is not None and self.handle() is not None

    def set_owner(self, owner: object) -> None:
        """Whoever is responsible for the component. TypeError where it knows no weak references."""
        self._owner = weakref.ref(owner, self._owner_went)
        if isinstance(owner, asyncio.Future):
            owner.add_done_callback(self._owner_went)

    def release_owner(self) -> None:
        """The component was closed: an owner that lives on keeps nothing of it."""
        owner = None if self._owner is None else self._owner()
        self._owner = None
        if isinstance(owner, asyncio.Future):
            owner.remove_done_callback(self._owner_went)

    def _owner_went(self, _: object) -> None:
        self.left_behind()

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
            self.boxes.put_status(status)
        if self.on_status is not None:
            self.call_on_status(status)

    def call_on_status(self, status: Status) -> None:
        """Call `on_status`, whose exceptions are logged and counted."""
        hook: Any = self.on_status  # there is one
        try:
            with Hook(self._router, self.id, (self.name, f"{words_of(hook)} (on_status)")):
                hook(status)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a plain function can raise that, too
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
    return (id(handler), None, raw)
