"""What a manager says about itself: topics as they stand, figures of components and of the whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import _columns
from .component import ComponentStats
from .errors import UsageError
from .former import named
from .pumping import add_up
from .types import Cap, Priority, StreamState, Topic, TopicInfo

if TYPE_CHECKING:
    from .hub import Hub
    from .keeping import SnapshotStats
    from .members import Member


@dataclass(frozen=True, slots=True)
class LinkStats:
    """One link. Bytes and frames are of the whole life of the manager."""

    number: int
    up: bool
    generation: int
    frames: int
    bytes: int
    streams: int


@dataclass(frozen=True, slots=True)
class Stats:
    """Figures of one manager since it was made.

    `frames` were accepted, `bad_frames` refused by reason, `repeated` are snapshots equal to what was known,
    `duplicates` what the second of two carriers of a stream brought after the first.
    `latency_*_ns` is receive time less the exchange's time, snapshots excluded; None before the first.
    `memory_bytes` counts the core's tables exactly.
    """

    components: int
    interests: int
    streams: dict[str, int]
    links: tuple[LinkStats, ...]
    frames: int
    bytes: int
    repeated: int
    duplicates: int
    controls: int
    bad_frames: dict[str, int]
    messages_sent: int
    connects: int
    losses_of_link: int
    handler_errors: int
    latency_p50_ns: int | None
    latency_p99_ns: int | None
    memory_bytes: int
    snapshot: SnapshotStats | None = None  # None where no file is kept


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
        said = hub.engine.explain(stream, hub.clock.monotonic_ns())
        if hub.engine.row(stream).state is StreamState.SENT:
            said += self._last_heard(stream)
        holders = [m for m in hub.members.values() if hub.ledger.holds(m.id, id)]
        caps = [
            f"{cap.component} gets {cap.reason} ({cap.by})"
            for m in holders
            for cap in hub.granting.caps.of(m, id)
        ]
        return "; ".join([said, *caps])

    def _last_heard(self, stream: int) -> str:
        """When another channel of the same market last had an event, by the venue's own time."""
        hub = self._hub
        columns, rows = hub.intent.columns(np.array([stream], np.int32)), hub.meter.streams()
        last = 0
        for channel in range(len(hub.venue.channels)):
            other = hub.intent.find_stream(channel, columns.symbols[0], 0.0)
            if 0 <= other < len(rows):
                last = max(last, int(rows[other]["last_exchange_ns"]))
        if not last:
            return ""
        minutes = max(0.0, (hub.clock.time_ns() - last) / 60e9)
        return f": this market last had an event {minutes:.1f} min ago"

    def _caps(self, topic: int, holders: list[Member]) -> Iterator[Cap]:
        """What keeps holders from getting it."""
        for member in holders:
            if member.paused:
                yield Cap(member.name, "pause", "the component is paused", member.paused_ns)
            if member.stopped:
                yield Cap(member.name, "ladder", "the component is quarantined", member.stopped_ns)
            since_ns = self._hub.claims.provisional_since(member, topic)
            if since_ns is not None:
                yield Cap(member.name, "snapshot", "restored, and not confirmed yet", since_ns)
            yield from self._hub.granting.caps.of(member, topic)

    def _info(self, id: int, topic: Topic, holders: list[Member]) -> TopicInfo:
        hub = self._hub
        stream = hub.ledger.topic_key(id)[0]
        row = hub.engine.row(stream)
        offset = hub.clock.time_ns() - hub.clock.monotonic_ns()
        return TopicInfo(
            topic=topic,
            state=row.state,
            data=row.data,
            evidence=row.evidence,
            priority=Priority(max(0, hub.ledger.class_of(stream))),
            holders=tuple(member.name for member in holders),
            link=None if row.link < 0 else row.link,
            since_ns=row.since_ns + offset if row.since_ns else 0,
            retries=row.retries,
            reason=row.reason,
            caps=tuple(self._caps(id, holders)),
            standby=tuple(m.name for m in holders if hub.granting.standby.asked_by(m.id, id)),
            own_link=tuple(m.name for m in holders if hub.granting.own_link.asked_by(m.id, id)),
            other_link=None if row.other_link < 0 else row.other_link,
        )

    # -- figures --

    def component(self, member: Member) -> ComponentStats:
        """Figures of one component. From any thread: what they are about is not given back meanwhile."""
        hub = self._hub
        with hub.intent.whole:
            infos = [hub.router.sink_info(sink) for sink in member.sinks]
            times = member.last_times or hub.router.call_times(member.id)
            inbox, pumps = member.inbox, member.pumps
            capped = member.last_conflations if member.closed else hub.router.limits.conflated(member.id)
            return ComponentStats(
                name=member.name,
                priority=member.priority,
                paused=member.paused,
                interests=0 if member.closed else len(hub.ledger.interests(member.id)),
                delivered=sum(info.delivered for info in infos) + member.delivered_before,
                queued=pumps.waiting + len(inbox),
                lost=pumps.lost + inbox.lost,
                losses=named(hub.intent, member, add_up(inbox.losses, pumps.losses)),
                conflated=inbox.conflated + sum(capped.values()),
                conflations=named(hub.intent, member, add_up(inbox.conflations, capped)),
                overrun=member.boxes.overrun,
                handler_errors=member.handler_errors,
                last_error=member.last_error,
                calls=sum(info.calls for info in infos) + member.calls_before,
                withheld=sum(info.withheld for info in infos) + member.withheld_before,
                mean_ns=times.mean_ns,
                p50_ns=times.p50_ns,
                p99_ns=times.p99_ns,
                worst_ns=times.worst_ns,
                loop_share=times.loop_share,
                over_budget=times.over_budget,
            )

    def stats(self) -> Stats:
        """Figures of the whole."""
        hub = self._hub
        total = hub.meter.total()
        counters = hub.feed.counters()
        engine = hub.engine.stats
        delays = total.delays
        return Stats(
            components=len(hub.members),
            interests=len(hub.ledger),
            streams=self._states(),
            links=tuple(self._link(number) for number in list(hub.runtime.links)),
            frames=total.frames,
            bytes=total.bytes,
            repeated=total.repeats,
            duplicates=counters["duplicates"],
            controls=counters.get("control", 0),
            bad_frames={k: v for k, v in counters.items() if k in BAD and v},
            messages_sent=engine.messages,
            connects=engine.connects,
            losses_of_link=engine.losses,
            handler_errors=hub.router.failures,
            latency_p50_ns=delays.percentile(50.0),
            latency_p99_ns=delays.percentile(99.0),
            memory_bytes=self._memory(),
            snapshot=hub.saving.stats(),
        )

    def _states(self) -> dict[str, int]:
        streams = _columns.live_streams(self._hub.ledger)
        column = self._hub.engine.streams.state
        states = column[streams[streams < len(column)]]
        counts = np.bincount(states, minlength=len(StreamState))
        return {state.name: int(counts[state]) for state in StreamState if state is not StreamState.CLOSED}

    def _link(self, number: int) -> LinkStats:
        link = self._hub.runtime.links[number]
        flow = self._hub.meter.link(number)
        carried = int(np.count_nonzero(self._hub.engine.streams.legs.link[::2] == number))
        return LinkStats(number, link.is_up, link.generation, flow.frames, flow.bytes, carried)

    def _memory(self) -> int:
        hub = self._hub
        parts = (
            hub.ledger, hub.interner, hub.router, hub.meter, hub.scanner, hub.engine.streams, hub.duties,
            hub.pumping.duties,
        )  # fmt: skip
        boxes = sum(member.boxes.nbytes for member in list(hub.members.values()))
        return boxes + sum(part.nbytes for part in parts)


BAD = frozenset(
    [
        "bad_json",
        "bad_utf8",
        "duplicate_key",
        "depth",
        "overflow",
        "int_range",
        "wrong_type",
        "missing_field",
        "trailing_bytes",
        "number_syntax",
        "unknown_channel",
    ]
)
