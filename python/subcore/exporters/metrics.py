"""What is exposed to Prometheus: each metric's name, kind and meaning, and where in `Stats` it stands.

Names follow Prometheus's conventions: base units (seconds, bytes), `_total` for what only grows. Rates are left to
Prometheus. docs/operations.md has a row for each. Nothing here needs `prometheus_client`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple

from ..figures import ComponentStats, Delays, Stats
from ..measuring import BAD, LOSSES
from ..types import DataState, StreamState

__all__ = ["LABELS", "METRICS", "Metric", "Source"]

Source = Literal["total", "link", "window", "channel", "component", "topic"]

LABELS: dict[Source, tuple[str, ...]] = {
    "total": (),
    "link": ("link",),
    "window": ("link", "counts", "scope", "seconds"),
    "channel": ("channel",),
    "component": ("component",),
    "topic": ("channel", "symbol", "depth", "grouping"),
}
"""What tells records of a source apart; every series has `venue` before them. Of topics, which are asked for apart, a
metric reads the array of `topic_stats()` and gives an array."""

HEALTH = {"well": 0, "slow": 1, "quarantined": 2, "closed": 3}


class Metric(NamedTuple):
    """One family. `read(record)` gives its value, None = no sample; or with `by`, a label, values by what it says."""

    name: str
    kind: Literal["counter", "gauge", "summary"]
    source: Source
    help: str
    read: Callable[[Any], float | Mapping[str, float | None] | None]
    by: str = ""


def _attribute(name: str) -> Callable[[Any], Any]:
    def read(record: Any) -> Any:
        for part in name.split("."):
            record = getattr(record, part)
        return record

    return read


def _plain(source: Source, rows: Iterable[tuple[str, str, str]]) -> list[Metric]:
    """Of (name, where it stands, help): counters are called `..._total`."""
    return [Metric(name, _kind(name), source, text, _attribute(where)) for name, where, text in rows]


def _kind(name: str) -> Literal["counter", "gauge"]:
    return "counter" if name.endswith("_total") else "gauge"


def _seconds(ns: int | None) -> float | None:
    return None if ns is None else ns / 1e9


def _time(name: str, source: Source, where: str, text: str) -> Metric:
    """Nanoseconds as seconds; 0 of a time since 1970 is none."""
    read = _attribute(where)
    if name.endswith("_timestamp_seconds"):
        return Metric(name, "gauge", source, text, lambda record: _seconds(read(record) or None))
    return Metric(name, "gauge", source, text, lambda record: _seconds(read(record)))


def _quantiles(delays: Delays) -> dict[str, float | None]:
    return {
        "0.5": _seconds(delays.p50_ns),
        "0.9": _seconds(delays.p90_ns),
        "0.99": _seconds(delays.p99_ns),
        "1": _seconds(delays.worst_ns),
    }


def _delays(name: str, source: Source, where: str, text: str) -> Metric:
    read = _attribute(where)
    return Metric(name, "summary", source, text, lambda record: _quantiles(read(record)), "quantile")


def _calls(stats: ComponentStats) -> dict[str, float | None]:
    return {
        "0.5": _seconds(stats.p50_ns),
        "0.99": _seconds(stats.p99_ns),
        "1": _seconds(stats.worst_ns),
    }


def _lower(counts: Mapping[str, int]) -> dict[str, float | None]:
    return {name.lower(): count for name, count in counts.items()}


def _known(counts: Mapping[str, int], names: Iterable[str]) -> dict[str, float | None]:
    """Also those that never happened: a series that begins at 1 has no first increase."""
    return {name: counts.get(name, 0) for name in names}


def _snapshot(name: str) -> Callable[[Stats], float | None]:
    return lambda stats: None if stats.snapshot is None else getattr(stats.snapshot, name)


TOTALS = [
    _time("subcore_uptime_seconds", "total", "uptime_ns", "Since the manager was made."),
    *_plain(
        "total",
        (
            ("subcore_components", "component_count", "Components that live."),
            ("subcore_interests", "interests", "Pairs of component and topic."),
            ("subcore_topics", "topics", "Topics that somebody holds."),
            ("subcore_frames_total", "frames", "Data frames accepted."),
            ("subcore_received_bytes_total", "bytes", "Bytes of accepted data frames."),
            ("subcore_snapshots_total", "snapshots", "Accepted frames that were snapshots."),
            ("subcore_repeated_snapshots_total", "repeated", "Snapshots equal to what was known."),
            ("subcore_duplicate_frames_total", "duplicates", "What the second of two carriers brought."),
            ("subcore_gaps_total", "gaps", "Snapshots that showed missed trades."),
            ("subcore_skewed_frames_total", "skewed", "Live frames stamped after they were received."),
            ("subcore_control_frames_total", "controls", "Frames that hold no data."),
            (
                "subcore_unknown_stream_frames_total",
                "unknown_streams",
                "Frames of streams that nobody wants any more.",
            ),
            ("subcore_events_total", "events", "Frames that went to receivers."),
            ("subcore_delivered_events_total", "delivered", "Deliveries, one for each receiver."),
            ("subcore_handler_errors_total", "handler_errors", "Calls of handlers that raised."),
            ("subcore_loop_share_ratio", "loop_share", "Share of the time that callbacks had, 0 to 1."),
            ("subcore_python_memory_bytes", "memory.python", "Python objects kept, an estimate."),
            ("subcore_resident_memory_bytes", "memory.rss", "Of the process, by the system."),
            ("subcore_requests_sent_total", "wire.plans", "Requests sent."),
            ("subcore_messages_sent_total", "wire.messages", "Requests and listings sent."),
            ("subcore_streams_added_total", "wire.additions", "Streams that requests added."),
            ("subcore_streams_removed_total", "wire.removals", "Streams that requests took away."),
            ("subcore_connects_total", "wire.connects", "Connections tried."),
            ("subcore_refused_connects_total", "wire.refused_connects", "Connections refused."),
            ("subcore_link_losses_total", "wire.losses", "Open links that ended unasked."),
            ("subcore_failed_requests_total", "wire.failed_requests", "Requests that the venue refused."),
            ("subcore_listings_total", "wire.listings", "Listings asked for."),
            ("subcore_pings_total", "wire.pings", "Pings sent."),
            ("subcore_restore_requests_total", "wire.restores", "Requests after a loss."),
            ("subcore_reasks_total", "wire.reasks", "Streams asked for again since they were silent."),
            ("subcore_needless_reasks_total", "wire.needless_reasks", "Of them, those with nothing to say."),
            ("subcore_questions_total", "wire.questions", "Questions about what is newest."),
            ("subcore_late_events_total", "wire.late_events", "Events of an older connection, dropped."),
            ("subcore_unknown_controls_total", "wire.unknown_control", "Control frames nobody understands."),
        ),
    ),
    Metric(
        "subcore_streams",
        "gauge",
        "total",
        "Streams somebody wants, by state.",
        lambda s: _lower(s.streams),
        "state",
    ),
    Metric(
        "subcore_stream_data",
        "gauge",
        "total",
        "The same, by what their data are worth.",
        lambda s: _lower(s.data),
        "data",
    ),
    Metric(
        "subcore_stream_evidence",
        "gauge",
        "total",
        "The same, by each kind of evidence that they have.",
        lambda s: _lower(s.evidence),
        "evidence",
    ),
    Metric(
        "subcore_bad_frames_total",
        "counter",
        "total",
        "Frames that could not be read.",
        lambda s: _known(s.bad_frames, BAD),
        "reason",
    ),
    Metric(
        "subcore_lost_events_total",
        "counter",
        "total",
        "Events that were due and not delivered.",
        lambda s: _known(s.losses, LOSSES),
        "reason",
    ),
    Metric(
        "subcore_ladder_steps_total",
        "counter",
        "total",
        "Steps taken about components.",
        lambda s: _known(_lower(s.steps), ("slow", "quarantined", "reaped", "recovered")),  # type: ignore[arg-type]
        "step",
    ),
    Metric(
        "subcore_core_memory_bytes",
        "gauge",
        "total",
        "The core's tables, exact.",
        lambda s: dict(s.memory.core),
        "table",
    ),
    _delays(
        "subcore_delay_seconds",
        "total",
        "recent_delay",
        "Receive time less the exchange's, of the last one to two minutes.",
    ),
    _delays(
        "subcore_fan_out_seconds", "total", "fan_out", "One frame to all its receivers, since the start."
    ),
    _delays(
        "subcore_loop_lag_seconds",
        "total",
        "loop_lag",
        "How late the event loop ran a timer, in the last one to two minutes.",
    ),
    *(
        Metric(f"subcore_snapshot_file_{name}", _kind(name), "total", text, _snapshot(figure))
        for name, figure, text in (
            ("writes_total", "writes", "Snapshots of intent written to disk."),
            ("failures_total", "failures", "Writes of them that failed."),
            ("bytes", "bytes", "Size of the one last written."),
        )
    ),
]

LINKS = [
    *_plain(
        "link",
        (
            ("subcore_link_up", "up", "1 while the link is open, else 0."),
            ("subcore_link_streams", "streams", "Streams asked for or proven on it."),
            ("subcore_link_waiting_changes", "waiting", "Changes that are not sent yet."),
            ("subcore_link_connections_total", "generation", "Connections it had."),
            ("subcore_link_frames_total", "frames", "Data frames, over all its connections."),
            ("subcore_link_received_bytes_total", "bytes", "Their bytes."),
            ("subcore_link_snapshots_total", "snapshots", "Those that were snapshots."),
            ("subcore_link_skewed_frames_total", "skewed", "Live ones stamped after they were received."),
        ),
    ),
    _time("subcore_link_rtt_seconds", "link", "rtt_ns", "Round trip of the last ping."),
    _time(
        "subcore_link_last_receive_timestamp_seconds",
        "link",
        "last_receive_time_ns",
        "When its last frame came.",
    ),
    _delays(
        "subcore_link_delay_seconds",
        "link",
        "delay",
        "Receive time less the exchange's, over all its connections.",
    ),
    *_plain(
        "window",
        (
            ("subcore_window_limit", "amount", "At most so much in any such window."),
            ("subcore_window_used", "used", "Sends in it now."),
            ("subcore_window_reserve", "reserve", "Of the limit, kept for restores and re-asks."),
        ),
    ),
]

CHANNELS = [
    *_plain(
        "channel",
        (
            ("subcore_channel_streams", "streams", "Streams of it that somebody wants."),
            ("subcore_channel_frames_total", "frames", "Data frames."),
            ("subcore_channel_received_bytes_total", "bytes", "Their bytes."),
            ("subcore_channel_snapshots_total", "snapshots", "Those that were snapshots."),
            ("subcore_channel_repeated_snapshots_total", "repeats", "Snapshots equal to what was known."),
            ("subcore_channel_skewed_frames_total", "skewed", "Live ones stamped after they were received."),
        ),
    ),
    _time(
        "subcore_channel_last_receive_timestamp_seconds",
        "channel",
        "last_receive_time_ns",
        "When its last frame came.",
    ),
    _delays(
        "subcore_channel_delay_seconds",
        "channel",
        "delay",
        "Receive time less the exchange's, since the start.",
    ),
]

COMPONENTS = [
    Metric(
        "subcore_component_health",
        "gauge",
        "component",
        "0 well, 1 slow, 2 quarantined.",
        lambda c: HEALTH[c.health],
    ),
    *_plain(
        "component",
        (
            ("subcore_component_priority", "priority", "0 low, 1 normal, 2 high, 3 critical."),
            ("subcore_component_paused", "paused", "1 while it is paused, else 0."),
            ("subcore_component_interests", "interests", "Topics it holds."),
            ("subcore_component_queued_events", "queued", "Events that wait for it."),
            ("subcore_component_delivered_events_total", "delivered", "Events it was given."),
            ("subcore_component_lost_events_total", "lost", "Events it was due and did not get."),
            ("subcore_component_conflated_events_total", "conflated", "Newer events took their place."),
            ("subcore_component_overrun_rows_total", "overrun", "Rows of rings that its readers missed."),
            ("subcore_component_withheld_events_total", "withheld", "Passed while its handler was cut off."),
            ("subcore_component_handler_errors_total", "handler_errors", "Calls that raised."),
            ("subcore_component_calls_total", "calls", "Calls of its handlers."),
            ("subcore_component_over_budget_calls_total", "over_budget", "Calls beyond its budget."),
            ("subcore_component_loop_share_ratio", "loop_share", "Its share of the loop's time, 0 to 1."),
        ),
    ),
    Metric(
        "subcore_component_queue_age_seconds",
        "gauge",
        "component",
        "How long the oldest event has waited; 0 where none does.",
        lambda c: (c.queue_age_ns or 0) / 1e9,
    ),
    _delays(
        "subcore_component_delay_seconds",
        "component",
        "recent_delay",
        "From receiving an event to handing it over, of the last one to two minutes.",
    ),
    Metric(
        "subcore_component_call_seconds",
        "summary",
        "component",
        "What its calls took, since the start.",
        _calls,
        "quantile",
    ),
]

TOPICS = [
    Metric("subcore_topic_holders", "gauge", "topic", "Components that hold it.", lambda t: t["holders"]),
    Metric(
        "subcore_topic_open",
        "gauge",
        "topic",
        "1 while its stream is proven, else 0.",
        lambda t: t["state"] == StreamState.OPEN,
    ),
    Metric(
        "subcore_topic_good",
        "gauge",
        "topic",
        "1 while its data may be trusted, else 0.",
        lambda t: t["data"] == DataState.GOOD,
    ),
    Metric("subcore_topic_frames_total", "counter", "topic", "Frames of its stream.", lambda t: t["frames"]),
    Metric("subcore_topic_received_bytes_total", "counter", "topic", "Their bytes.", lambda t: t["bytes"]),
    Metric(
        "subcore_topic_gaps_total",
        "counter",
        "topic",
        "Snapshots that showed missed trades.",
        lambda t: t["gaps"],
    ),
    Metric(
        "subcore_topic_delay_seconds",
        "gauge",
        "topic",
        "Receive time less the exchange's, of its last live frame.",
        lambda t: t["last_delay_ns"] / 1e9,
    ),
    Metric(
        "subcore_topic_last_receive_timestamp_seconds",
        "gauge",
        "topic",
        "When its last frame came; 0 = none yet.",
        lambda t: t["last_receive_time_ns"] / 1e9,
    ),
]

METRICS: tuple[Metric, ...] = (*TOTALS, *LINKS, *CHANNELS, *COMPONENTS, *TOPICS)
