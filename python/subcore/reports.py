"""What a manager says about topics: how each stands, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from .adapting import BY as LOAD
from .errors import UsageError
from .types import Cap, DataState, Priority, StreamState, Topic, TopicInfo

if TYPE_CHECKING:
    from .engine.topics import TopicRow
    from .hub import Hub
    from .members import Member

PROVISIONAL = "restored, and not confirmed yet"
WHOLE = ("pause", "ladder", "snapshot")  # whoever caps so leaves nothing


class Reports:
    """Reads only. O(what is asked about)."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    # -- topics --

    def topics(self) -> list[TopicInfo]:
        """Every topic with a holder."""
        found: dict[int, list[Member]] = {}
        for member in list(self._hub.members.values()):
            for topic in self._hub.ledger.interests(member.id).tolist():
                found.setdefault(topic, []).append(member)
        names = self._hub.intent.topics_of(np.array(list(found), np.int32))
        return [self._info(id, name, found[id]) for id, name in zip(found, names, strict=True)]

    def topic(self, topic: Topic) -> TopicInfo:
        """One topic; UsageError where nobody holds it."""
        id = self._hub.intent.find_topic(topic)
        holders = [m for m in self._hub.members.values() if id >= 0 and self._hub.ledger.holds(m.id, id)]
        if not holders:
            raise UsageError(f"no component wants {topic}: subscribe to it first")
        return self._info(id, topic, holders)

    def explain(self, topic: Topic) -> str:
        """Why a topic's stream is as it is."""
        hub = self._hub
        id = hub.intent.find_topic(topic)
        if id < 0:
            return "no component wants it"
        stream = hub.ledger.topic_key(id)[0]
        holders = [m for m in hub.members.values() if hub.ledger.holds(m.id, id)]
        said = self._of_stream(stream, holders)
        gets = [f"{cap.component} gets {_of_events(cap)} ({cap.by})" for cap in self._caps(id, holders)]
        return "; ".join([said, *gets])

    def _of_stream(self, stream: int, holders: list[Member]) -> str:
        hub = self._hub
        said, row = hub.engine.explain(stream, hub.clock.monotonic_ns()), hub.engine.row(stream)
        state = row.state
        if state is StreamState.SENT or (state is StreamState.OPEN and row.data is DataState.NONE):
            return said + self._last_heard(stream)
        if not holders or state is not StreamState.CLOSED:
            return said
        withheld = hub.granting.adapting.withheld.why(stream)
        if hub.ledger.class_of(stream) >= 0 and not withheld:
            return "asked for just now: it is planned as this turn of the loop ends"
        loaded = withheld or any(hub.granting.adapting.suspends(m) for m in holders)
        if loaded:
            return "not asked for while load lasts"
        waiting = [f"component({m.name!r})" for m in holders if hub.claims.waits(m)]
        until = f", restored so, until {' or '.join(waiting)} claims it" if waiting else ""
        return f"not asked for while all who want it are paused{until}"

    def _last_heard(self, stream: int) -> str:
        """When this or another channel of the same market last had an event, by the venue's own time, and whether that
        was a trade. What is about no single market has none: balances say nothing about orders."""
        hub = self._hub
        columns, rows = hub.intent.columns(np.array([stream], np.int32)), hub.meter.streams()
        if not columns.symbols[0]:
            return ""
        last, traded = 0, False
        for channel, kind in enumerate(hub.venue.channels):
            other = hub.intent.find_stream(channel, columns.symbols[0], 0.0)
            if 0 <= other < len(rows):
                last, traded = max(
                    (last, traded), (int(rows[other]["last_exchange_ns"]), kind.kind == "trade")
                )
        if not last:
            return ""
        minutes = max(0.0, (hub.clock.time_ns() - last) / 60e9)
        return f": this market last {'traded' if traded else 'had an event'} {minutes:.1f} min ago"

    def held_back(self, member: Member) -> dict[str, int]:
        """How many of a component's interests are capped one by one, by who asked for it. O(its capped interests)."""
        granting = self._hub.granting
        counts, books = granting.caps.counts(member), granting.adapting.narrowed(member)
        if books:
            counts[LOAD] = counts.get(LOAD, 0) + books
        return counts

    def held_back_by(self, member: Member) -> list[str]:
        """All that restricts a component, in words."""
        hub = self._hub
        said = [] if member.closed else [f"nothing: {why} ({by})" for by, why, _ in _of_all(member)]
        provisional = len(hub.claims.provisional(member))
        if provisional:
            said.append(f"{_topics(provisional)}: nothing: {PROVISIONAL} (snapshot)")
        books = hub.granting.adapting.narrowed(member)
        if books:
            said.append(f"{_topics(books)}: books with fewer levels ({LOAD})")
        return said + hub.granting.caps.words(member)

    def _caps(self, topic: int, holders: list[Member]) -> Iterator[Cap]:
        """What keeps holders from getting it."""
        for member in holders:
            for by, why, since_ns in _of_all(member):
                yield Cap(member.name, by, why, since_ns)
            restored_ns = self._hub.claims.provisional_since(member, topic)
            if restored_ns is not None:
                yield Cap(member.name, "snapshot", PROVISIONAL, restored_ns)
            yield from self._hub.granting.caps.of(member, topic)
            narrower = self._hub.granting.adapting.cap_of(member, topic)
            if narrower is not None:
                yield narrower

    def _class(self, id: int, stream: int, holders: list[Member]) -> Priority:
        """The one it is asked for with; where all are paused, the one it would be."""
        ledger = self._hub.ledger
        wanted = ledger.class_of(stream)
        return Priority(wanted if wanted >= 0 else max(ledger.class_held(m.id, id) for m in holders))

    def _info(self, id: int, topic: Topic, holders: list[Member]) -> TopicInfo:
        hub = self._hub
        stream = hub.ledger.topic_key(id)[0]
        row = hub.engine.row(stream)
        return TopicInfo(
            topic=topic,
            state=row.state,
            data=row.data,
            evidence=row.evidence,
            priority=self._class(id, stream, holders),
            holders=tuple(member.name for member in holders),
            link=None if row.link < 0 else row.link,
            since_ns=row.since_ns + hub.wall_offset.ns() if row.since_ns else 0,
            retries=row.retries,
            reason=row.reason,
            caps=tuple(self._caps(id, holders)),
            standby=tuple(m.name for m in holders if hub.granting.standby.asked_by(m.id, id)),
            own_link=tuple(m.name for m in holders if hub.granting.own_link.asked_by(m.id, id)),
            other_link=row.other_link if self._is_doubled(stream, row) else None,
        )

    def _is_doubled(self, stream: int, row: TopicRow) -> bool:
        """Whether two links carry it. What the engine was never asked for, as while paused, has no legs there."""
        return row.other_link >= 0 and self._hub.engine.streams.legs.is_carried_twice(stream)


def _of_all(member: Member) -> Iterator[tuple[str, str, int]]:
    """What keeps all events from a component: by whom, why, and since when."""
    if member.paused:
        yield "pause", "the component is paused", member.paused_ns
    if member.stopped:
        yield "ladder", "the component is quarantined", member.stopped_ns


def _of_events(cap: Cap) -> str:
    """What is left of the events."""
    return f"nothing: {cap.reason}" if cap.by in WHOLE else cap.reason


def _topics(count: int) -> str:
    return "1 topic" if count == 1 else f"{count} topics"
