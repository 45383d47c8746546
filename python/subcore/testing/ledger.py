"""A ledger in plain dicts: slow, obvious, and the model for the real one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from subcore.engine.events import Changed
from subcore.types import Int32Array, Priority, StreamColumns, Topic
from subcore.venue import Venue

__all__ = ["PlainLedger", "ids_of"]


@dataclass(slots=True)
class _Stream:
    channel: int
    symbol: str
    grouping: float
    holders: dict[tuple[str, int], Priority] = field(default_factory=dict)  # (component, depth) -> class
    seen: tuple[int, int] | None = None  # width and class at the last take_edges, None = not wanted

    def wanted(self) -> tuple[int, int] | None:
        if not self.holders:
            return None
        depths = [depth for _, depth in self.holders]
        return (0 if 0 in depths else max(depths)), max(self.holders.values())


class PlainLedger:
    """Interests in dicts: what the engine needs of a ledger, written to be obvious rather than fast."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._streams: dict[int, _Stream] = {}
        self._ids: dict[tuple[int, str, float], int] = {}
        self._free: list[int] = []
        self._touched: set[int] = set()
        self._idle: set[int] = set()  # perhaps made and dropped within one turn

    def subscribe(self, component: str, topic: Topic, priority: Priority = Priority.NORMAL) -> int:
        """Hold an interest; again = other class. Returns its stream."""
        topic = self._venue.check_topic(topic, self._venue.grants)
        channel = self._venue.channel_index(topic.channel, topic.depth)
        key = (channel, topic.symbol, topic.grouping or 0.0)
        stream = self._ids.get(key)
        if stream is None:
            stream = self._free.pop() if self._free else len(self._streams)
            self._ids[key] = stream
            self._streams[stream] = _Stream(*key)
        self._streams[stream].holders[(component, topic.depth or 0)] = priority
        self._touched.add(stream)
        return stream

    def unsubscribe(self, component: str, topic: Topic) -> None:
        """Let go of an interest; one that is not held is nothing."""
        stream = self.find_stream(
            self._venue.channel_index(topic.channel, topic.depth), topic.symbol, topic.grouping or 0.0
        )
        if stream >= 0 and self._streams[stream].holders.pop((component, topic.depth or 0), None) is not None:
            self._touched.add(stream)

    def wanted(self) -> set[int]:
        """Streams with an interest."""
        return {i for i, s in self._streams.items() if s.holders}

    def take_edges(self, urgent: bool = False) -> Changed:
        """What changed since the last call."""
        opened: list[int] = []
        closed: list[int] = []
        changed: list[int] = []
        for stream in sorted(self._touched):
            row = self._streams.get(stream)
            if row is None:
                continue
            now = row.wanted()
            if (row.seen is None) != (now is None):
                (closed if now is None else opened).append(stream)
            elif now != row.seen:
                changed.append(stream)
            row.seen = now
        self._idle |= self._touched
        self._touched.clear()
        return Changed(ids_of(opened), ids_of(closed), ids_of(changed), urgent)

    def release(self, streams: Int32Array) -> None:
        """The engine gave these ids back."""
        for stream in streams.tolist():
            row = self._streams.pop(stream)
            del self._ids[(row.channel, row.symbol, row.grouping)]
            self._free.append(stream)

    def tidy(self, knows: Callable[[Int32Array], npt.NDArray[np.bool_]]) -> None:
        """Give back ids that nobody wants and that the engine never heard of."""
        if not self._idle:
            return
        unwanted = ids_of(i for i in self._idle if i in self._streams and not self._streams[i].holders)
        self._idle.clear()
        self.release(unwanted[~knows(unwanted)])

    def columns(self, streams: Int32Array) -> StreamColumns:
        """See `engine.ports.StreamTable`."""
        rows = [self._streams[s] for s in streams.tolist()]
        wanted = [row.wanted() or row.seen or (0, 0) for row in rows]
        return StreamColumns(
            np.array(streams, np.int32),
            ids_of(row.channel for row in rows),
            [row.symbol for row in rows],
            ids_of(width for width, _ in wanted),
            np.array([row.grouping for row in rows], np.float64),
            ids_of(int(priority) for _, priority in wanted),
        )

    @property
    def is_ahead(self) -> bool:
        """See engine.ports.StreamTable."""
        return bool(self._touched)

    def columns_to_write(self, streams: Int32Array) -> StreamColumns:
        """See `engine.ports.StreamTable`."""
        return self.columns(streams)

    def channels_of(self, streams: Int32Array) -> list[int]:
        """See `engine.ports.StreamTable`."""
        return sorted({self._streams[stream].channel for stream in streams.tolist()})

    def find_stream(self, channel: int, symbol: str, grouping: float) -> int:
        """See `engine.ports.StreamTable`."""
        return self._ids.get((channel, symbol, grouping), -1)

    def topic(self, stream: int) -> Topic:
        """The stream's name."""
        row = self._streams[stream]
        channel = self._venue.channels[row.channel]
        shared = len(self._venue.channel_indexes(channel.name)) > 1
        return Topic(channel.name, row.symbol, channel.depths[0] if shared else None, row.grouping or None)

    def live(self) -> set[int]:
        """Ids in use, wanted or not."""
        return set(self._streams)


def ids_of(values: Iterable[int]) -> Int32Array:
    """Stream ids as the array the engine takes."""
    return np.fromiter(values, np.int32)
