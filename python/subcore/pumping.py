"""Async handlers: events wait in a bounded queue, and one task hands them over, one call at a time, in order.

A task begins with the first event of its handler and ends with its component. It runs in a context of its own, and a
handler that never waits for anything still lets the loop go on after a few calls.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from contextvars import Context
from dataclasses import dataclass, field
from types import MethodType
from typing import TYPE_CHECKING, Any, Protocol

from ._delivery import Queue, WakeBatch
from ._queue import EventQueue
from .errors import CapacityError, UsageError
from .listening import raise_in_loop
from .naming import words_of

if TYPE_CHECKING:
    from ._delays import DelayTable
    from ._route import Router
    from .handling import HandlerDuties
    from .members import Member
    from .types import Int32Array, Status

log = logging.getLogger("subcore.component")

TURN = 16  # calls in a row that let nobody else run
QUEUES = 16  # of one handler, whose policy was changed before what waited was handed over
AsyncHandler = Callable[[Any], Coroutine[Any, Any, object]]


@dataclass(frozen=True, slots=True)
class PumpTies:
    """What the pumps of one manager share. `tasks`: of all of them that did not end yet, also of those told to.

    `on_loss` tells a component of lost events, and gives back what shall stand in its iteration; `on_change` of a queue
    that fills or ends. `failed` is told of an exception whose sink is no more.
    """

    router: Router
    wakes: WakeBatch
    gone: deque[int]
    on_loss: Callable[[Member, int, dict[int, int]], Status | None]
    on_change: Callable[[Member, EventQueue], None]
    failed: Callable[[Member, BaseException], None]
    duties: HandlerDuties
    delays: DelayTable | None = None
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


class Pump:
    """One async handler of one component: its queue, and its task. Belongs to the loop's thread.

    What came is handed over, each event once and in order, unless it is lost to a full queue (counted and told) or the
    component is closed. A bound method is held through its object, weakly; while a call runs, the call holds it.
    """

    def __init__(self, member: Member, handler: AsyncHandler, policy: Queue, ties: PumpTies) -> None:
        self.policy = policy
        self.sinks: set[int] = set()  # those that put into its queue
        self.dropped = 0  # events that waited when it was told to end
        self.in_flight = False
        self._member = member
        self._ties = ties
        self._task: asyncio.Task[None] | None = None
        self._idle: asyncio.Future[None] | None = None
        self._held = member.paused
        self._begun = self._ended = self._retired = False
        self._lost_before = 0
        self._losses_before: dict[int, int] = {}
        self._handler: AsyncHandler | None = handler
        self._object: weakref.ref[Any] | None = None
        if isinstance(handler, MethodType):
            try:
                self._object = weakref.ref(handler.__self__, self._object_went)
            except TypeError:
                pass  # it knows no weak references: held strongly, as a plain handler's is
            else:
                self._handler = handler.__func__
        self.name = words_of(handler)
        self.duty = ties.duties.begin(member.id, self)
        self._queues = deque([self._new_queue()])

    # -- what its component does with it --

    @property
    def queue(self) -> EventQueue:
        """Where its sinks put."""
        return self._queues[-1]

    def change_policy(self, policy: Queue) -> None:
        """A queue of another policy from now on; what waits in the present one comes first. The same one: nothing."""
        if policy != self.policy:
            queue = self._new_queue(policy)
            for sink in self.sinks:
                self._ties.router.set_handler(sink, queue)
            self._queues.append(queue)
            self.policy = policy
            while len(self._queues) > 2 and not len(self._queues[-2]) and not self._queues[-2].lost:
                del self._queues[-2]  # nothing ever went by a policy that was changed at once

    def check_room(self) -> None:
        """CapacityError where it has as many queues as it may."""
        if len(self._queues) >= QUEUES:
            raise CapacityError(
                f"{QUEUES} queues of one handler wait to be handed over: change its policy less often"
            )

    def retire(self) -> None:
        """No sink leads here any more: what waits is still handed over, then it ends, unless it gets one again."""
        self._retired = True
        if self.is_gone or not (self.waiting or self.in_flight):
            self.end()

    def revive(self) -> None:
        """A sink leads here again."""
        self._retired = False

    def hold(self, flag: bool) -> None:
        """Hand over nothing for now; the call in flight goes on. Or go on with what waits."""
        self._held = flag
        if not flag and (self._begun or self.waiting):
            self._go()

    def end(self) -> None:
        """Nothing is handed over from now on. The call in flight is cancelled, unless it is the one that asks."""
        self._ended = True
        self.dropped += self.waiting
        for queue in self._queues:
            queue.close()
            queue.drain()
            self._member.boxes.forget_told(queue)
        self._ties.duties.end(self.duty, self)
        task = self._task
        if task is not None and not task.done() and task is not running_task():
            task.cancel()
        self._member.pumps.forget(self)

    # -- figures; from any thread --

    @property
    def waiting(self) -> int:
        """Events not yet handed over."""
        return sum(map(len, list(self._queues)))

    def oldest_ns(self) -> int:
        """See Box."""
        return oldest_of(self._queues)

    @property
    def is_working(self) -> bool:
        """Whether anything is handled, or waits and may be; other than by the task that asks."""
        if self._task is not None and (self._task.done() or self._task is running_task()):
            return False
        return self.in_flight or (self.waiting > 0 and not self._held)

    @property
    def is_gone(self) -> bool:
        """Whether its object went, or it ended."""
        return self._ended or (self._object is not None and self._object() is None)

    @property
    def is_half_full(self) -> bool:
        """Whether a queue holds over half of what it may."""
        return any(2 * len(queue) > queue.maxsize for queue in self._queues)

    @property
    def lost(self) -> int:
        """Events that were due and found the queue full."""
        return self._lost_before + sum(queue.lost for queue in list(self._queues))

    @property
    def losses(self) -> dict[int, int]:
        """The same by topic."""
        return add_up(self._losses_before, *(queue.losses for queue in list(self._queues)))

    def mentioned(self, topics: Int32Array) -> set[int]:
        """See Box."""
        found = set[int]().union(*(queue.mentioned(topics) for queue in self._queues))
        return found.union(set(topics.tolist()).intersection(self._losses_before))

    def rename(self, ids: dict[int, int]) -> None:
        """See Box."""
        for queue in self._queues:
            queue.rename(ids)
        self._losses_before = renamed(self._losses_before, ids)

    # -- inside --

    def _new_queue(self, policy: Queue | None = None) -> EventQueue:
        policy, ties = policy or self.policy, self._ties
        queue = EventQueue(
            policy.maxsize,
            policy.overflow,
            wakes=ties.wakes,
            on_loss=self._tell_loss,
            on_change=self._tell_change,
            duties=ties.duties.table,
            delays=ties.delays,
            owner=self._member.id,
            component=self.duty,
            calls_done=True,  # what is under way is still owed
        )
        queue.begin_wait(self._go)
        return queue

    def _tell_loss(self, count: int, topics: dict[int, int]) -> None:
        """At the place of the gap, before what came after it is handed over."""
        if not self._ended:
            status = self._ties.on_loss(self._member, count, topics)
            if status is not None:
                self._member.boxes.put_status(status)

    def _tell_change(self, queue: EventQueue) -> None:
        if not self._ended:
            self._ties.on_change(self._member, queue)

    def _object_went(self, _: object) -> None:
        self._ties.gone.extend(self.sinks)  # by the garbage collector: the loop does the rest

    def _go(self) -> None:
        """There may be something to do."""
        if self._ended:
            return
        if not self._begun:
            self._begun = True
            task = asyncio.get_running_loop().create_task(
                self._work(), name=f"subcore-handler-{self._member.name}", context=Context()
            )
            self._task = task
            self._ties.tasks.add(task)
            task.add_done_callback(self._over)
        elif self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    async def _work(self) -> None:
        """Until it is ended, or empty and retired, or empty and its queue overflowed for good."""
        self._task = asyncio.current_task()  # a loop may run its first step before it hands out the task
        calls = 0
        while not self._ended:
            event = self._take()
            if event is not None:
                await self._hand_over(event)
                self._queues[0].returned()
                del event  # what waits for the next one holds none
                calls += 1
                if calls % TURN == 0:
                    await asyncio.sleep(0)
            elif not self.waiting and (self._retired or self.queue.overflowed):
                break
            else:
                await self._news()
        if not self._ended:
            if self.queue.overflowed:
                self._fail(OverflowError(f"its queue was full: {self.policy!r} hands over no more"))
            self._end_by_itself()

    def _end_by_itself(self) -> None:
        self.end()
        self._member.pump_ended(self)

    def _take(self) -> Any:
        """The next event; None where there is none, or none may be handed over."""
        while not (self._held or self._ended):
            event = self._queues[0].get_nowait()
            if event is not None or len(self._queues) == 1:
                return None if self._ended else event  # who was told of a loss may have closed the component
            old = self._queues.popleft()
            self._member.boxes.forget_told(old)
            self._lost_before += old.lost
            self._losses_before = add_up(self._losses_before, old.losses)
        return None

    async def _news(self) -> None:
        """Until there may be something to do."""
        queue = self._queues[0]
        if not self._held:
            queue.end_wait()
            if not queue.begin_wait(self._go):
                if queue.closed and not queue.overflowed and len(self._queues) == 1:
                    self.end()
                return
        self._idle = asyncio.get_running_loop().create_future()
        try:
            await self._idle
        finally:
            self._idle = None

    async def _hand_over(self, event: Any) -> None:
        """One call, whose exceptions are the handler's matter."""
        handler = self._callable()
        if handler is None:
            return  # its object went; the loop is about to hear of it
        self.in_flight = True
        try:
            await handler(event)
        except asyncio.CancelledError as error:
            task = running_task()
            if self._ended or (task is not None and task.cancelling()):
                raise  # this task is meant
            self._fail(error)  # something it waited for was cancelled
        except GeneratorExit:
            raise  # the loop is gone
        except BaseException as error:
            self._fail(error)
        else:
            for sink in self.sinks:
                self._ties.router.call_returned(sink)
        finally:
            self.in_flight = False

    def _callable(self) -> Callable[[Any], Coroutine[Any, Any, object]] | None:
        if self._object is None:
            return self._handler
        target = self._object()
        if target is None:
            return None
        method: AsyncHandler = MethodType(self._handler, target)  # type: ignore[arg-type]
        return method

    def _fail(self, error: BaseException) -> None:
        """As for a plain handler; a closed component is told nothing more."""
        if self._ended and isinstance(error, Exception):
            log.error(
                "an async handler of component %r raised as it was ended", self._member.name, exc_info=error
            )
            return
        sink = next(iter(self.sinks), None)
        try:
            if sink is None:
                self._ties.failed(self._member, error)
                if not isinstance(error, (Exception, asyncio.CancelledError)):
                    raise error
            else:
                self._ties.router.call_failed(sink, error)
        except (KeyboardInterrupt, SystemExit) as fatal:
            raise_in_loop(fatal)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._ties.tasks.discard(task)
        if task.cancelled() and not self._ended:
            self._lost_before += (lost := self.waiting)
            self._fail(
                UsageError(
                    "somebody cancelled the task of an async handler: it is handed nothing more until it is "
                    f"subscribed again, and {lost} events that waited are lost"
                )
            )
            self._end_by_itself()


class Waits(Protocol):
    """Where events wait."""

    def oldest_ns(self) -> int: ...


def oldest_of(boxes: Iterable[Waits]) -> int:
    """When the oldest event that waits in any of them was received; -1 where none waits."""
    return min((when for box in list(boxes) if (when := box.oldest_ns()) >= 0), default=-1)


def add_up(*counts: dict[int, int]) -> dict[int, int]:
    """One dict of sums."""
    total: dict[int, int] = {}
    for one in counts:
        for key, count in one.items():
            total[key] = total.get(key, 0) + count
    return total


def renamed(counts: dict[int, int], ids: dict[int, int]) -> dict[int, int]:
    """Counts with other keys for some, added up."""
    return add_up(*({ids.get(key, key): count} for key, count in counts.items()))


def running_task() -> asyncio.Task[Any] | None:
    """The task that calls; None outside of any, and where no loop runs."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
