"""Rate caps: who lets an interest have at most so many events a second, why and since when.

Any number of caps may lie on one interest, one for each who asked for it; the strictest counts. What the router holds
back goes when it is due: one timer stands for the earliest. Caps never touch what is wanted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from .checking import check_rate
from .timers import Timer
from .types import Cap, Int32Array

if TYPE_CHECKING:
    from ._feed import Feed
    from .clock import Clock
    from .members import Member

__all__ = ["USER", "RateCaps"]

USER = "user"
BUSY_S = 0.01  # a handler runs the loop itself: what is due is looked at again after it
SECOND_NS = 1_000_000_000


class _RateCap(NamedTuple):
    max_rate: float
    reason: str
    since_ns: int


class RateCaps:
    """Those of one manager. Belongs to the loop's thread; costs nothing where there are none."""

    def __init__(self, feed: Feed, clock: Clock) -> None:
        self._feed = feed
        self._router = feed.router
        self._clock = clock
        self._caps: dict[int, dict[int, dict[str, _RateCap]]] = {}  # by component, topic, and who asked
        self._timer = Timer(self._flush)
        self._router.on_limit_due(self._due)

    def put(
        self, member: Member, topics: Int32Array, by: str, max_rate: float | None, reason: str = ""
    ) -> None:
        """At most `max_rate` events a second for each of these interests, as far as `by` is concerned; None lifts that.

        In force at once; what was held back goes when it is due. UsageError for a rate that makes no sense. O(topics).
        """
        check_rate(max_rate)
        rows = self._caps.setdefault(member.id, {}) if max_rate is not None else self._caps.get(member.id)
        if rows is None:
            return
        now_ns = self._clock.time_ns()
        changed: dict[int, list[int]] = {}
        for topic in topics.tolist():
            caps = rows.setdefault(topic, {})
            known = caps.pop(by, None)
            if max_rate is not None:
                same = known is not None and known.max_rate == max_rate
                caps[by] = _RateCap(max_rate, reason, known.since_ns if known and same else now_ns)
            changed.setdefault(_interval_ns(caps), []).append(topic)
            if not caps:
                del rows[topic]
        if not rows:
            del self._caps[member.id]
        for interval_ns, part in changed.items():
            self._router.limit(member.id, part, interval_ns, member.sinks)

    def of(self, member: Member, topic: int) -> Iterator[Cap]:
        """The caps on one interest."""
        for by, cap in self._caps.get(member.id, {}).get(topic, {}).items():
            told = f"at most {cap.max_rate:g} events a second"
            reason = f"{told}: {cap.reason}" if cap.reason else told
            yield Cap(member.name, by, reason, cap.since_ns, cap.max_rate)

    def dropped(self, component: int, topics: Int32Array) -> None:
        """These interests are gone, and in the router what was held back for them."""
        rows = self._caps.get(component)
        if rows is not None:
            for topic in topics.tolist():
                rows.pop(topic, None)
            if not rows:
                del self._caps[component]

    def forget(self, member: Member) -> None:
        """A component was closed; its id will be another's."""
        self._caps.pop(member.id, None)

    def end(self) -> None:
        """The manager ends: what is held back goes nowhere, and no timer is left or begins."""
        self._timer.end()

    # -- what is due --

    def _due(self, due_ns: int) -> None:
        """The router holds an event back that is due earlier than all before. Called inside the fan-out."""
        self._timer.set((due_ns - self._clock.monotonic_ns()) / SECOND_NS)

    def _flush(self) -> None:
        now_ns = self._clock.monotonic_ns()
        due_ns = self._feed.flush_limits(now_ns)
        if due_ns is None:
            self._timer.set(BUSY_S)
        elif due_ns and not self._timer.is_set:  # a handler may have had something held back
            self._timer.set((due_ns - now_ns) / SECOND_NS)


def _interval_ns(caps: dict[str, _RateCap]) -> int:
    """Of the strictest, 0 = none."""
    return max((math.ceil(SECOND_NS / cap.max_rate) for cap in caps.values()), default=0)
