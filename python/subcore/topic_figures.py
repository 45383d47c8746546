"""Figures of topics: one row each, in columns, so that 50,000 of them stay cheap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import _columns
from .types import Int32Array, Int64Array

if TYPE_CHECKING:
    from .hub import Hub

__all__ = ["TOPIC_STATS", "topic_rows"]

TOPIC_STATS = np.dtype(
    [
        ("channel", object),
        ("symbol", object),
        ("depth", np.int32),  # 0 = the venue's widest
        ("grouping", np.float64),  # 0 = none
        ("holders", np.int32),
        ("priority", np.int8),
        ("state", np.uint8),  # StreamState
        ("data", np.uint8),  # DataState
        ("evidence", np.uint8),  # Evidence
        ("link", np.int16),  # -1 = none
        ("frames", np.uint64),
        ("bytes", np.uint64),
        ("snapshots", np.uint32),
        ("repeats", np.uint32),
        ("gaps", np.uint32),
        ("rate_1s", np.float32),
        ("rate_10s", np.float32),
        ("rate_60s", np.float32),
        ("last_delay_ns", np.int64),
        ("worst_delay_ns", np.int64),
        ("last_receive_time_ns", np.int64),  # 0 = nothing yet
        ("last_exchange_time_ns", np.int64),
    ]
)
_METER = {
    "frames": "frames",
    "bytes": "bytes",
    "snapshots": "snapshots",
    "repeats": "repeats",
    "gaps": "gaps",
    "last_delay_ns": "last_delay_ns",
    "worst_delay_ns": "worst_delay_ns",
    "last_receive_time_ns": "last_receive_ns",
    "last_exchange_time_ns": "last_exchange_ns",
}


def topic_rows(hub: Hub, topics: Int32Array, holders: Int32Array) -> npt.NDArray[Any]:
    """A row for each of these, all that are held, sorted. Two of one stream (books of two depths) have its figures."""
    rows = np.zeros(len(topics), TOPIC_STATS)
    streams, channels, symbols, variants, cuts = _columns.topic_columns(hub.ledger, topics)
    names = np.array([channel.name for channel in hub.venue.channels], object)
    rows["channel"] = names[channels]
    rows["symbol"] = hub.intent.texts(symbols)
    rows["depth"], rows["holders"] = cuts, holders
    rows["grouping"] = np.array(hub.intent.groupings)[variants]
    rows["priority"] = _classes(hub, topics, streams)
    _state(hub, rows, streams)
    meter = hub.meter.streams()
    seen = streams < len(meter)
    rates = hub.monitoring.streams(streams)
    rows["rate_1s"], rows["rate_10s"], rows["rate_60s"] = rates
    for name, column in _METER.items():
        rows[name][seen] = meter[column][streams[seen]]
    return rows


def _classes(hub: Hub, topics: Int32Array, streams: Int32Array) -> Int32Array:
    """What each is asked for with; where all holders are paused, what it would be. O(topics + what those hold)."""
    ledger = hub.ledger
    classes: Int32Array = _columns.wanted_columns(ledger, streams)[3]
    idle = classes < 0
    if not idle.any():
        return classes
    for component in list(hub.members):
        if not ledger.is_paused(component):
            continue
        held = ledger.interests(component)
        places = np.searchsorted(topics, held)
        unwanted = idle[places]
        for place, topic in zip(places[unwanted].tolist(), held[unwanted].tolist(), strict=True):
            classes[place] = max(classes[place], ledger.class_held(component, topic))
    return classes


def _state(hub: Hub, rows: npt.NDArray[Any], streams: Int32Array) -> None:
    columns = hub.engine.streams
    seen = streams < len(columns.state)
    known: Int64Array = streams[seen].astype(np.int64)
    legs = columns.legs
    rows["link"] = -1
    rows["state"][seen], rows["data"][seen] = columns.state[known], columns.data[known]
    rows["evidence"][seen] = legs.evidence[2 * known] | legs.evidence[2 * known + 1]
    rows["link"][seen] = legs.link[2 * known]
