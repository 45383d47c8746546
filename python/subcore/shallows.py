"""Books asked for with fewer levels than their holders want: by whom, why, and since when.

A restriction lies on a stream. Fewer levels go to the wire with its link's next rewrite, which is not hurried for that;
once it is lifted, the wire is widened at once. Where each number of levels is a stream of its own, it does nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import _columns
from .engine import events
from .types import Cap, Int32Array, StatusKind

if TYPE_CHECKING:
    from .hub import Hub
    from .members import Member

__all__ = ["Shallows"]


class Shallows:
    """Those of one manager. Belongs to the loop's thread; costs nothing where there are none."""

    def __init__(self, hub: Hub, by: str) -> None:
        self._hub = hub
        self._by = by
        self._reason = ""
        self._since_ns = 0
        self._streams: Int32Array = np.empty(0, np.int32)  # sorted
        self._levels = [_fewer(channel.depths, 0) for channel in hub.venue.channels]
        self._told: dict[int, set[int]] = {}  # topics of each component

    def cap_at(self, levels: int) -> None:
        """How many are left from now on, at least; the venue's next greater number, where it has that one not."""
        self._levels = [_fewer(channel.depths, levels) for channel in self._hub.venue.channels]

    def of_books(self, streams: Int32Array) -> Int32Array:
        """Those of these streams that can be had with fewer levels."""
        channels = _columns.stream_columns(self._hub.ledger, streams)[0]
        found: Int32Array = streams[np.array(self._levels, np.int32)[channels] > 0]
        return found

    def set(self, streams: Int32Array, reason: str, members: list[Member]) -> None:
        """Exactly these (sorted) are restricted from now on. Holders are told; where the same ones are as before, only
        `members`, who may be new among them. Never inside a public call."""
        hub = self._hub
        gone = np.setdiff1d(self._streams, streams, assume_unique=True).astype(np.int32)
        came = np.setdiff1d(streams, self._streams, assume_unique=True).astype(np.int32)
        if len(streams) and not len(self._streams):
            self._since_ns = hub.clock.time_ns()
        self._streams, self._reason = streams, reason
        hub.intent.narrow = self.narrow if len(streams) else None
        for part, patient in ((gone, False), (came, True)):
            known = part[hub.engine.knows(part)]
            if len(known):
                hub.runtime.handle(events.Changed(changed=known, patient=patient))
        self._tell(list(hub.members.values()) if len(gone) or len(came) else members)

    def narrow(self, streams: Int32Array, channels: Int32Array, widths: Int32Array) -> Int32Array:
        """Widths as they are to be on the wire."""
        most = np.where(np.isin(streams, self._streams), np.array(self._levels, np.int32)[channels], 0)
        cut = (most > 0) & ((widths == 0) | (widths > most))
        return np.where(cut, most, widths).astype(np.int32)

    def released(self, streams: Int32Array) -> None:
        """These ids are to be given to others."""
        if len(self._streams):
            self._streams = np.setdiff1d(self._streams, streams).astype(np.int32)

    def of(self, member: Member, topic: int) -> Cap | None:
        """The restriction on one interest."""
        if not len(self._streams):
            return None
        stream = self._hub.ledger.topic_key(topic)[0]
        if not np.isin(stream, self._streams):
            return None
        levels = self._levels[
            int(_columns.stream_columns(self._hub.ledger, np.array([stream], np.int32))[0][0])
        ]
        told = f"at most {levels} levels, once its link is rewritten: {self._reason}"
        return Cap(member.name, self._by, told, self._since_ns, None, levels)

    @property
    def count(self) -> int:
        """Streams that are restricted."""
        return len(self._streams)

    def held_by(self, member: Member) -> int:
        """How many of a component's interests are restricted."""
        return len(self._told.get(member.id, ()))

    def _tell(self, members: list[Member]) -> None:
        for member in members:
            if member.closed:  # by who was told before it: the id may be another's
                continue
            held = self._hub.ledger.interests(member.id) if len(self._streams) else np.empty(0, np.int32)
            streams = _columns.topic_columns(self._hub.ledger, held)[0]
            now = set(held[np.isin(streams, self._streams)].tolist())
            before = self._told.pop(member.id, set())
            if now:
                self._told[member.id] = now
            kept = set(self._hub.ledger.interests(member.id).tolist()) & before
            if now - before:
                what = f"books with fewer levels, once their link is rewritten: {self._reason} ({self._by})"
                self._hub.notices.of_topics(member, StatusKind.CAPPED, sorted(now - before), what)
            if kept - now:
                what = f"the levels taken away by {self._by} are asked for again"
                self._hub.notices.of_topics(member, StatusKind.RECOVERED, sorted(kept - now), what)

    def forget(self, member: Member) -> None:
        """A component was closed."""
        self._told.pop(member.id, None)


def _fewer(depths: tuple[int, ...], levels: int) -> int:
    """The fewest of these that are at least so many, 0 where that would change nothing."""
    fitting = [depth for depth in depths if depth >= levels]
    return fitting[0] if levels and len(depths) > 1 and fitting and fitting[0] < depths[-1] else 0
