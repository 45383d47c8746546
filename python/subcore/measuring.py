"""Makes the figures that a manager gives about itself, out of the core's columns and the engine's counters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import _columns
from .component_figures import record_of, records_of
from .costing import Costs, costs_of
from .counts import oldest_of
from .figures import ChannelStats, ComponentStats, Delays, LinkStats, Stats, WindowStats, WireStats
from .memory import memory_of
from .sums import Sums
from .topic_figures import topic_rows
from .types import DataState, Evidence, Int32Array, StreamState

if TYPE_CHECKING:
    from ._histogram import Histogram
    from .engine.link import Link
    from .hub import Hub
    from .members import Member

WIRE = tuple(WireStats.__dataclass_fields__)
BAD = (
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
)

LOSSES = ("queue_full", "ring_overrun")


class Measuring:
    """Reads only. From any thread: what components are about is not given back meanwhile."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._made_ns = hub.clock.monotonic_ns()
        self._before: Counter[str] = Counter()  # of components and streams that are no more
        self._closed = 0  # components

    def left(self, member: Member) -> None:
        """A component is being closed: what it had counted stays in the totals. With `members`, under `whole`."""
        self._closed += 1
        before = self._before  # its sinks are released by now: all that they counted is in `delivered_before`
        before["delivered"] += member.delivered_before
        before["queue_full"] += member.inbox.lost + member.pumps.lost
        before["ring_overrun"] += member.boxes.overrun

    def released(self, gaps: int) -> None:
        """Ids of streams were given back, which had so many gaps: they stay in the total."""
        self._before["gaps"] += gaps

    @property
    def delivered_before(self) -> int:
        """To components that are no more."""
        return self._before["delivered"]

    # -- components --

    def component(self, member: Member) -> ComponentStats:
        """Figures of one component."""
        return record_of(self._hub, member)

    def components(self) -> Iterator[list[ComponentStats]]:
        """Of all of them, in parts of some 0.5 ms each, for who lets the loop go on between."""
        return records_of(self._hub, list(self._hub.members.values()))

    def queue_age(self, member: Member) -> int | None:
        """For how long the oldest event of what it has to take waits, in nanoseconds; None where none waits. What
        `Latest` keeps may be left unread."""
        oldest = oldest_of([member.boxes, *member.pumps])
        return None if oldest < 0 else max(0, self._hub.clock.time_ns() - oldest)

    # -- links and channels --

    def _link(self, number: int) -> LinkStats:
        hub = self._hub
        link, flow, known = hub.runtime.links[number], hub.meter.link(number), hub.engine.links.get(number)
        frames, size = hub.monitoring.link(number)
        return LinkStats(
            number=number,
            up=link.is_up,
            generation=link.generation,
            frames=flow.frames,
            bytes=flow.bytes,
            snapshots=flow.snapshots,
            skewed=flow.skewed,
            last_receive_time_ns=flow.last_receive_ns,
            frame_rate=frames,
            byte_rate=size,
            delay=delays_of(flow.delays),
            **({"streams": 0} if known is None else self._engine_side(known)),
        )

    def _engine_side(self, link: Link) -> dict[str, Any]:
        return {
            "route": link.route.name,
            "role": link.role.name,
            "phase": link.phase.name,
            "streams": link.wire.len_wire,
            "waiting": link.wire.len_added + link.wire.len_removed,
            "rtt_ns": link.rtt_ns,
            "windows": tuple(WindowStats(*use) for use in link.pacer.usage(self._hub.clock.monotonic_ns())),
        }

    def _channels(self, streams: npt.NDArray[np.int32]) -> dict[str, ChannelStats]:
        hub = self._hub
        held = np.bincount(
            _columns.stream_columns(hub.ledger, streams)[0], minlength=len(hub.venue.channels)
        ).tolist()
        found = {}
        for index, channel in enumerate(hub.venue.channels):
            flow = hub.meter.channel(index)
            if not (held[index] or flow.frames):
                continue
            frames, size = hub.monitoring.channel(index)
            name = channel.name if channel.name not in found else channel.wire_name
            found[name] = ChannelStats(
                name=name,
                streams=held[index],
                frames=flow.frames,
                bytes=flow.bytes,
                snapshots=flow.snapshots,
                repeats=flow.repeats,
                skewed=flow.skewed,
                last_receive_time_ns=flow.last_receive_ns,
                frame_rate=frames,
                byte_rate=size,
                delay=delays_of(flow.delays),
            )
        return found

    # -- the whole --

    def sums(self) -> Sums:
        """To be added up in parts, for `stats` without records of components."""
        return Sums(self._hub, self._closed, calls=True)

    def stats(self, *, components: bool = True, sums: Sums | None = None) -> Stats:
        """Figures of the whole. `sums` that are good no more are made anew."""
        hub = self._hub
        total, counters = hub.meter.total(), hub.feed.counters()
        records = [one for part in self.components() for one in part] if components else []
        with hub.intent.whole:
            streams = _columns.live_streams(hub.ledger)
            channels = self._channels(streams)
            topics, _ = self.held()
            delivered = self._before["delivered"] + int(hub.monitoring.delivered().sum())
            if sums is None or sums.closed != self._closed:
                sums = Sums(hub, self._closed, calls=not components).added_up()
            full, overrun = (
                self._before["queue_full"] + sums.lost,
                self._before["ring_overrun"] + sums.overrun,
            )
        frame_rate, byte_rate, delivered_rate = hub.monitoring.total()
        return Stats(
            time_ns=hub.clock.time_ns(),
            uptime_ns=hub.clock.monotonic_ns() - self._made_ns,
            interests=len(hub.ledger),
            topics=len(topics),
            **self._axes(streams),
            links=tuple(self._link(number) for number in list(hub.runtime.links)),
            channels=channels,
            components={one.name: one for one in records},
            component_count=len(hub.members),
            frames=total.frames,
            bytes=total.bytes,
            snapshots=total.snapshots,
            repeated=total.repeats,
            duplicates=counters["duplicates"],
            gaps=self._before["gaps"] + hub.meter.count_gaps(),
            skewed=total.skewed,
            controls=counters.get("control", 0),
            unknown_streams=counters["unknown_streams"],
            events=counters["events"],
            delivered=delivered,
            bad_frames={name: counters[name] for name in BAD if counters.get(name)},
            losses={reason: count for reason, count in zip(LOSSES, (full, overrun), strict=True) if count},
            handler_errors=hub.router.failures,
            frame_rate=frame_rate,
            byte_rate=byte_rate,
            delivered_rate=delivered_rate,
            delay=delays_of(total.delays),
            recent_delay=hub.monitoring.recent_delay(total.delays),
            fan_out=delays_of(hub.router.fan_out_times()),
            loop_lag=hub.monitoring.loop_lag,
            loop_share=min(1.0, sum(one.loop_share for one in records) if components else sums.loop_share),
            wire=WireStats(**{name: getattr(hub.engine.stats, name) for name in WIRE}),
            steps={kind.name: count for kind, count in sorted(hub.obligations.steps.items())},
            memory=memory_of(hub, sums.waiting, sums.box_bytes),
            snapshot=hub.saving.stats(),
        )

    def _axes(self, streams: npt.NDArray[np.int32]) -> dict[str, dict[str, int]]:
        """Streams by state, by what their data are worth, and by evidence."""
        columns = self._hub.engine.streams
        # Each is taken once: in the loop's thread they may be growing, one after the other.
        state, worth, legs = columns.state, columns.data, columns.legs.evidence
        known = streams[streams < min(len(state), len(worth), len(legs) // 2)]
        states = np.bincount(state[known], minlength=len(StreamState))
        data = np.bincount(worth[known], minlength=len(DataState))
        evidence = legs[2 * known] | legs[2 * known + 1]
        return {
            "streams": {s.name: int(states[s]) for s in StreamState if s is not StreamState.CLOSED},
            "data": {d.name: int(data[d]) for d in DataState},
            "evidence": {str(e.name): int(np.count_nonzero(evidence & e)) for e in Evidence},
        }

    # -- topics --

    def held(self) -> tuple[Int32Array, Int32Array]:
        """Topics somebody holds, and how many do. Within `whole`, since another thread may ask."""
        return _columns.held_topics(self._hub.ledger)

    def costs(self) -> Costs:
        """See SubscriptionManager.costs."""
        with self._hub.intent.whole:
            return costs_of(self._hub)

    def topics(self) -> npt.NDArray[Any]:
        """See SubscriptionManager.topic_stats."""
        with self._hub.intent.whole:
            return topic_rows(self._hub, *self.held())


def delays_of(histogram: Histogram) -> Delays:
    """What a histogram says."""
    if not histogram.count:
        return Delays()
    p50, p90, p99 = (histogram.percentile(q) for q in (50.0, 90.0, 99.0))
    return Delays(histogram.count, round(histogram.mean or 0.0), p50, p90, p99, histogram.max)
