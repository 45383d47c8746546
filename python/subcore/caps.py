"""Caps: who lets an interest have at most so many events a second, or none, why and since when.

Any number of caps may lie on one interest, one for each who asked for it; the strictest counts. What the router holds
back goes when it is due: one timer stands for the earliest. Caps never touch what is wanted.

Users cap what is theirs with `max_rate=`. Whatever else caps (a measure against load) does it with `impose` and `lift`,
and every component concerned is told.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .checking import check_rate
from .errors import UsageError
from .timers import Timer
from .types import Cap, Int32Array, StatusKind

if TYPE_CHECKING:
    from ._feed import Feed
    from .clock import Clock
    from .members import Member
    from .notices import Notices

__all__ = ["USER", "RateCaps"]

USER = "user"
BUSY_S = 0.01  # a handler runs the loop itself: what is due is looked at again after it
SECOND_NS = 1_000_000_000
NOTHING_NS = 2**63 - 1  # the interval of who gets none
SUSPENDED = 0.0  # as a rate
MISSED = "; events were missed meanwhile"


class _RateCap(NamedTuple):
    max_rate: float
    reason: str
    since_ns: int

    @property
    def interval_ns(self) -> int:
        return NOTHING_NS if self.max_rate == SUSPENDED else math.ceil(SECOND_NS / self.max_rate)

    @property
    def words(self) -> str:
        told = "no events" if self.max_rate == SUSPENDED else f"at most {self.max_rate:g} events a second"
        return f"{told}: {self.reason}" if self.reason else told


class RateCaps:
    """Those of one manager. Belongs to the loop's thread; costs nothing where there are none."""

    def __init__(self, feed: Feed, notices: Notices, clock: Clock) -> None:
        self._feed = feed
        self._notices = notices
        self._router = feed.router
        self._clock = clock
        self._caps: dict[int, dict[int, dict[str, _RateCap]]] = {}  # by component, topic, and who asked
        self._timer = Timer(self._flush)
        self._router.on_limit_due(self._due)

    def put(self, member: Member, topics: Int32Array, max_rate: float | None) -> None:
        """What a user asks for: at most `max_rate` events a second for each of these interests; None lifts that.

        In force at once; what was held back goes when it is due. UsageError for a rate that makes no sense. O(topics).
        """
        check_rate(max_rate)
        self._change(member, topics, USER, max_rate, "")

    def impose(
        self, interests: Mapping[Member, Int32Array], by: str, reason: str, max_rate: float = SUSPENDED
    ) -> None:
        """Let each of these interests have at most `max_rate` events a second, or none. O(interests).

        `by` is who asks and has one cap an interest: another one takes its place. In force at once; the newest of what
        is held back goes once it is lifted. A component is told by one CAPPED, of what was not so before. Calls
        `on_status`, so never call it inside a public call. UsageError for a rate that makes no sense.
        """
        if max_rate != SUSPENDED:
            check_rate(max_rate)
        if by == USER:
            raise UsageError(f"{USER!r} is who asked for max_rate= himself: say who caps")
        for member, topics in interests.items():
            changed = [] if member.closed else self._change(member, topics, by, max_rate, reason)
            if changed:
                told = self._caps[member.id][changed[0]][by].words
                self._notices.of_topics(member, StatusKind.CAPPED, changed, f"{told} ({by})")

    def lift(self, interests: Mapping[Member, Int32Array], by: str, reason: str = "") -> None:
        """Take back what `by` imposed on these interests; each component is told by one RECOVERED, also of what was
        missed where they had got nothing. As `impose`."""
        for member, topics in interests.items():
            rows = self._caps.get(member.id, {})
            capped = [rows[topic][by] for topic in topics.tolist() if by in rows.get(topic, {})]
            missed = any(cap.max_rate == SUSPENDED for cap in capped)
            changed = [] if member.closed else self._change(member, topics, by, None, "")
            if changed:
                told = f"the cap by {by} is lifted"
                told = f"{told}: {reason}" if reason else told
                told += MISSED if missed else ""
                self._notices.of_topics(member, StatusKind.RECOVERED, changed, told)

    def imposed(self, by: str, members: Iterable[Member]) -> dict[Member, Int32Array]:
        """The interests of these components that are capped by `by`, for `lift`. O(their capped interests)."""
        found = {m: [t for t, caps in self._caps.get(m.id, {}).items() if by in caps] for m in members}
        return {member: np.array(topics, np.int32) for member, topics in found.items() if topics}

    def by(self, by: str, member: Member) -> dict[int, tuple[float, str]]:
        """What `by` imposed on a component's interests: rate and reason of each topic. O(its capped interests)."""
        rows = self._caps.get(member.id, {})
        return {topic: (caps[by].max_rate, caps[by].reason) for topic, caps in rows.items() if by in caps}

    def asked(self) -> dict[int, dict[int, float]]:
        """By component what its user asks for, of each topic. From any thread: what is read is copied in one step."""
        found = {}
        for component, rows in self._caps.copy().items():
            mine = {topic: caps.get(USER) for topic, caps in rows.copy().items()}
            found[component] = {topic: cap.max_rate for topic, cap in mine.items() if cap is not None}
        return found

    def _change(
        self, member: Member, topics: Int32Array, by: str, max_rate: float | None, reason: str
    ) -> list[int]:
        """One cap each, None takes it away; the topics whose cap is another one now."""
        rows = self._caps.setdefault(member.id, {}) if max_rate is not None else self._caps.get(member.id)
        if rows is None:
            return []
        now_ns = self._clock.time_ns()
        changed: list[int] = []
        by_interval: dict[int, list[int]] = {}
        for topic in topics.tolist():
            caps = rows.setdefault(topic, {})
            known = caps.pop(by, None)
            if max_rate is not None:
                same = known is not None and (known.max_rate, known.reason) == (max_rate, reason)
                caps[by] = _RateCap(max_rate, reason, known.since_ns if known and same else now_ns)
            if known != caps.get(by):
                changed.append(topic)
            by_interval.setdefault(_interval_ns(caps), []).append(topic)
            if not caps:
                del rows[topic]
        if not rows:
            del self._caps[member.id]
        for interval_ns, part in by_interval.items():
            self._router.limit(member.id, part, interval_ns, member.sinks)
        return changed

    def of(self, member: Member, topic: int) -> Iterator[Cap]:
        """The caps on one interest."""
        for by, cap in self._caps.get(member.id, {}).get(topic, {}).items():
            yield Cap(member.name, by, cap.words, cap.since_ns, cap.max_rate or None)

    def counts(self, member: Member) -> dict[str, int]:
        """How many of a component's interests are capped, by who asked for it. O(its capped interests)."""
        rows = {} if member.closed else self._caps.get(member.id, {})
        return dict(Counter(by for caps in rows.values() for by in caps))

    def words(self, member: Member) -> list[str]:
        """The same caps in words, each with how many interests it lies on. O(its capped interests)."""
        rows = {} if member.closed else self._caps.get(member.id, {})
        said = Counter(f"{cap.words} ({by})" for caps in rows.values() for by, cap in caps.items())
        return [f"{count} topics: {text}" if count > 1 else text for text, count in said.items()]

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
    return max((cap.interval_ns for cap in caps.values()), default=0)
