"""Async handlers: events wait in a bounded queue, and one task hands them over, one call at a time, in order.

A task begins with the first event of its handler and ends with its component, in a context of its own. A handler that
never waits lets the loop go on after a few calls, or milliseconds. One that is cut off gets one event for each try.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from types import MethodType
from typing import TYPE_CHECKING, Any

from ._delivery import Queue
from ._queue import EventQueue
from ._steps import CallSteps
from .counts import add_up, oldest_of, renamed
from .errors import CapacityError, UsageError
from .listening import raise_in_loop
from .naming import words_of
from .tasks import running_task

if TYPE_CHECKING:
    from .members import Member
    from .pump_ties import PumpTies
    from .types import Int32Array

TURN = 16  # calls in a row that let nobody else run
TURN_NS = 5_000_000  # ... or so long
QUEUES = 16  # of one handler, whose policy was changed before what waited was handed over
AsyncHandler = Callable[[Any], Coroutine[Any, Any, object]]


class Pump:
    """One async handler of one component: its queue, and its task. Belongs to the loop's thread.

    What came is handed over, each event once and in order, unless it is lost to a full queue (counted and told) or the
    component is closed. A bound method is held through its object, weakly; while a call runs, the call holds it.
    """

    def __init__(self, member: Member, handler: AsyncHandler, policy: Queue, ties: PumpTies) -> None:
        self.policy = policy
        self.sinks: set[int] = set()  # those that put into its queue
        self._broken: int | None = None  # that of them which is cut off, since every call raised
        self._may_try = False
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
        self.steps = CallSteps(ties.router, member.id, (member.name, self.name))
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

    def add_sink(self, sink: int) -> None:
        """It puts into the queue from now on."""
        self.sinks.add(sink)
        self.steps.use_sink(sink)

    def drop_sink(self, sink: int) -> None:
        """No longer. With the last one what waits is still handed over, then it ends, unless it gets one again. What
        waits for one that is cut off is lost, and told so."""
        self.sinks.discard(sink)
        self.steps.use_sink(next(iter(self.sinks), -1))
        if not self.sinks:
            self._retired = True
            if self.is_gone or not (self.in_flight or self.waiting > self.kept_back):
                self._lose_kept()
                self.end()
        elif sink == self._broken:
            self.mend()

    def revive(self) -> None:
        """It is asked for again."""
        self._retired = False
        if self._broken is not None and self._broken not in self.sinks:
            self.mend()

    def cut_off(self, sink: int) -> None:
        """Each of its last calls raised: hand over nothing, but for tries."""
        self._broken, self._may_try = sink, False
        self._ties.duties.cut_off(self, True)

    def try_once(self) -> None:
        """Hand over one event though it is cut off: one that waits, or the next that comes."""
        if self._broken is not None:
            self._may_try = True
            if not self.waiting:
                self._ties.router.try_sink(self._broken)
            self._go()

    def mend(self) -> None:
        """It is cut off no more: go on with what waits."""
        self._broken = None
        self._ties.duties.cut_off(self, False)
        if self._begun or self.waiting:
            self._go()

    def hold(self, flag: bool) -> None:
        """Hand over nothing for now; the call in flight goes on. Or go on with what waits."""
        self._held = flag
        if not flag and (self._begun or self.waiting):
            self._go()

    def end(self) -> None:
        """Nothing is handed over from now on. The call in flight is cancelled, unless it is the one that asks."""
        self._ended = True
        self.steps.leave()
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
    def kept_back(self) -> int:
        """Events that wait and may not be handed over, since the handler is cut off: nobody owes these."""
        return 0 if self._broken is None else self.waiting

    @property
    def is_working(self) -> bool:
        """Whether anything is handled, or waits and may be; other than by the task that asks."""
        if self._task is not None and (self._task.done() or self._task is running_task()):
            return False
        return self.in_flight or (self.waiting > 0 and not self._is_still)

    @property
    def is_gone(self) -> bool:
        """Whether its object went, or it ended."""
        return self._ended or (self._object is not None and self._object() is None)

    @property
    def queues(self) -> list[EventQueue]:
        """Those it hands over from; none while it is cut off, which may last."""
        return [] if self._is_still else list(self._queues)

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

    @property
    def _is_still(self) -> bool:
        """Whether nothing may be handed over now."""
        return self._held or (self._broken is not None and not self._may_try)

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
        while not self._ended:
            event = self._take()
            if event is not None:
                await self._hand_over(event)
                self._queues[0].returned()
                del event  # what waits for the next one holds none
                if self.steps.held_calls >= TURN or self.steps.held_ns >= TURN_NS:
                    await asyncio.sleep(0)
                    self.steps.let_go()
            elif self.waiting == self.kept_back and (
                self._retired or (self.queue.overflowed and not self.waiting)
            ):
                break
            else:
                await self._news()
        if not self._ended:
            self._lose_kept()
            if self.queue.overflowed:
                self._fail(OverflowError(f"its queue was full: {self.policy!r} hands over no more"))
            self._end_by_itself()

    def _lose_kept(self) -> None:
        if self.kept_back and not (self.is_gone or self._member.closed):
            lost = add_up(*(queue.lose_all() for queue in self._queues))
            self._ties.on_given_up(
                self._member, lost, f"its handler {self.name} was cut off, and is given up"
            )

    def _end_by_itself(self) -> None:
        """What it was subscribed to goes, as where its object is gone: asking for it again begins anew. At the next
        tick: where all of the loop ends, and every task is cancelled, a snapshot shall still say what was wanted."""
        self.end()
        for sink in self.sinks:
            self._ties.router.mute_sink(sink)
        self._ties.gone.extend(self.sinks)

    def _take(self) -> Any:
        """The next event; None where there is none, or none may be handed over."""
        while not (self._is_still or self._ended):
            event = self._queues[0].get_nowait()
            self._may_try = self._may_try and event is None
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
        if not self._is_still:
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
        self.steps.let_go()

    async def _hand_over(self, event: Any) -> None:
        """One call, whose exceptions are the handler's matter."""
        handler = self._callable()
        if handler is None:
            return  # its object went; the loop is about to hear of it
        self.in_flight = True
        try:
            await self.steps.call(handler, event)
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
            self._ties.failed(self._member, error)
            return
        broken = self._broken in self.sinks  # whose tries are counted
        sink = self._broken if broken else min(self.sinks, default=None)
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
