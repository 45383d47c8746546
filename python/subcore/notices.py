"""What the engine says about streams, told to the components that hold them: one Status each, never one a topic."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextvars import Context
from typing import TYPE_CHECKING

import numpy as np

from .former import named
from .types import Status, StatusKind

if TYPE_CHECKING:
    from ._queue import EventQueue
    from ._route import Router
    from .clock import Clock
    from .engine.actions import Notify
    from .intent import Intent
    from .members import Member

log = logging.getLogger("subcore.component")

LOG_ERRORS_EVERY_NS = 60 * 1_000_000_000


class Notices:
    """Turns streams into (component, topics), and faults of handlers into a count, a log line and a Status.

    Costs O(holders of the streams), and nothing for components that listen to no status.
    """

    def __init__(self, router: Router, intent: Intent, members: dict[int, Member], clock: Clock) -> None:
        self._router = router
        self._intent = intent
        self._members = members
        self._clock = clock
        self._logged: dict[int, int] = {}
        self._closed_in_call = (-1, "")  # the sink whose call closed its own component, and its name

    def spread(self, notice: Notify) -> None:
        """Tell every component that holds one of the streams and listens."""
        self.tell(notice.kind, notice.streams.tolist(), notice.reason)

    def tell(self, kind: StatusKind, streams: Iterable[int], reason: str) -> None:
        """As `spread`, for streams by id."""
        if not any(member.listens for member in self._members.values()):
            return
        topics: dict[Member, list[int]] = {}
        for stream in streams:
            for component, topic, _, _ in self._router.route(stream):
                member = self._members.get(component)
                if member is not None and member.listens:
                    topics.setdefault(member, []).append(topic)
        for member, held in topics.items():
            self.of_topics(member, kind, held, reason)

    def loss(self, member: Member, count: int, topics: dict[int, int]) -> Status | None:
        """The Status that stands in the iteration where events were lost; None where the reader wants none."""
        names = tuple(named(self._intent, member, topics))
        reason = f"{count} events lost: the queue was full"
        status = Status(StatusKind.LOSS, names, reason, count, self._clock.time_ns())
        if member.on_status is not None:
            member.call_on_status(status)
        return status if member.include_status else None

    def given_up(self, member: Member, topics: dict[int, int], reason: str) -> None:
        """Events that waited are lost, maybe inside a public call: named now, told as soon as it is over."""
        count = sum(topics.values())
        names = tuple(named(self._intent, member, topics))
        reason = f"{count} events lost: {reason}"
        status = Status(StatusKind.LOSS, names, reason, count, self._clock.time_ns())
        asyncio.get_running_loop().call_soon(self._tell_made, member, status, context=Context())

    def _tell_made(self, member: Member, status: Status) -> None:
        if member.listens and not member.closed:
            member.tell(status)

    def queue_changed(self, member: Member, queue: EventQueue) -> None:
        """A queue is three quarters full, or half full again; or it was full, and that ended it."""
        if member.closed:
            return
        if queue.overflowed and member.boxes.told_of(queue, "overflow", on=True):
            log.warning(
                "a queue of component %r that ends on overflow held %d events and was full: reading ends after them",
                member.name,
                queue.maxsize,
            )
        if member.boxes.told_of(queue, "high", on=queue.is_high):
            waits = f"{len(queue)} of {queue.maxsize} events wait"
            kind, reason = StatusKind.RECOVERED, f"{waits}: the queue is half full or less again"
            if queue.is_high:
                kind, reason = StatusKind.SLOW, f"{waits}: it reads more slowly than events come"
            self._status(member, kind, member.topics_into(queue), reason, len(queue))

    def handler_failed(self, member: Member, error: BaseException) -> None:
        """Count it, log it once a minute a component, tell the component."""
        member.handler_errors += 1
        member.last_error = f"{type(error).__name__}: {error}"
        now = self._clock.monotonic_ns()
        if now - self._logged.get(member.id, -LOG_ERRORS_EVERY_NS) >= LOG_ERRORS_EVERY_NS:
            self._logged[member.id] = now
            log.error(
                "a handler of component %r raised (%d times so far; logged once a minute)",
                member.name,
                member.handler_errors,
                exc_info=error,
            )
        self._status(member, StatusKind.ERROR, [], member.last_error, member.handler_errors)

    def of_topics(self, member: Member, kind: StatusKind, topics: list[int], reason: str) -> None:
        """Tell one component of these interests; nothing once it is closed, by who was told before perhaps."""
        if not member.closed:
            self._status(member, kind, topics, reason, len(topics))

    def failed_elsewhere(self, member: Member, error: BaseException) -> None:
        """Of an async call that no sink stands for any more: its handler was given up, or the component is closed."""
        self._router.count_failure()
        if member.closed:
            self._log_closed(member.name, error)
        else:
            self.handler_failed(member, error)

    def failed_after_close(self, sink: int, error: BaseException) -> None:
        """Of a call that had closed its own component: logged, and told to nobody, for another may have its id."""
        closed, name = self._closed_in_call
        self._log_closed(name if sink == closed else "(closed)", error)

    def _log_closed(self, name: str, error: BaseException) -> None:
        log.error("a handler of component %r raised after the component was closed", name, exc_info=error)

    def step(self, member: Member, kind: StatusKind, reason: str, count: int) -> None:
        """Tell a component about itself as a whole: no topics; `count` events wait."""
        self._status(member, kind, [], reason, count)

    def last_word(self, member: Member, kind: StatusKind, reason: str, count: int) -> None:
        """Tell one that is no more; nothing is told to it after that."""
        if member.on_status is not None:
            member.call_on_status(self._make(kind, [], reason, count))
            member.on_status = None

    def forget(self, member: Member) -> None:
        """It is closed, and its id may be another component's soon, even in the same call."""
        self._logged.pop(member.id, None)
        component, sink = self._router.calling
        if component == member.id and sink != self._closed_in_call[0]:
            self._closed_in_call = sink, member.name

    def _status(self, member: Member, kind: StatusKind, topics: list[int], reason: str, count: int) -> None:
        if member.listens:
            member.tell(self._make(kind, topics, reason, count))

    def _make(self, kind: StatusKind, topics: list[int], reason: str, count: int) -> Status:
        live = [topic for topic in topics if self._intent.is_live(topic)]
        named = tuple(self._intent.topics_of(np.array(live, np.int32)))
        return Status(kind, named, reason, count, self._clock.time_ns())


Tell = Callable[[StatusKind, Iterable[int], str], None]
