"""Which interests of a snapshot can be held beside what is wanted by now. What cannot is left out, named and told.

They come back one after the other, the most important first: the venue may have changed its rules since, or somebody
wants by now what excludes them. See engine/conflicts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _columns
from .engine.conflicts import Conflict, Interest, Need, admit, can_conflict, connections, crowded
from .engine.snapshot import OWN_LINK, STANDBY
from .types import Float64Array, Int32Array

if TYPE_CHECKING:
    from .intent import Intent
    from .members import Member
    from .standby import Asked

__all__ = ["Admission", "Returning"]

Flags = npt.NDArray[np.bool_]


class Returning(NamedTuple):
    """What comes back of one component; columns of the same length."""

    owner: int
    topics: Int32Array
    classes: npt.NDArray[np.integer]
    options: npt.NDArray[np.integer]
    rates: Float64Array  # events a second, 0.0 = all


class Admission:
    """One manager's. O(what comes back) in columns; by name only where the venue has something to conflict about."""

    def __init__(
        self, intent: Intent, members: Mapping[int, Member], standby: Asked, own_link: Asked
    ) -> None:
        self._intent = intent
        self._ledger = intent.ledger
        self._members = members
        self._venue = intent.venue
        self._bounded = connections(intent.venue) is not None
        self._possible = can_conflict(intent.venue) or self._bounded
        self._has_depths = np.array([len(channel.depths) > 1 for channel in intent.venue.channels])
        self._books = (standby, own_link)

    def choose(self, asked: Sequence[Returning]) -> tuple[list[Flags], list[Conflict]]:
        """Of each, which topics can be held; and every conflict, whether it was resolved or not."""
        topics = _joined([part.topics for part in asked])
        owners = np.repeat([part.owner for part in asked], [len(part.topics) for part in asked]).astype(
            np.int32
        )
        classes = np.concatenate([np.zeros(0, np.int32), *(part.classes for part in asked)])
        options = np.concatenate([np.zeros(0, np.int32), *(part.options for part in asked)])
        keep = np.ones(len(topics), np.bool_)
        rows = np.arange(len(topics)) if self._possible else np.flatnonzero(self._meet(topics))
        rows = rows[np.argsort(-classes[rows].astype(np.int64), kind="stable")]
        conflicts: list[Conflict] = []
        if len(rows):
            named = self._named(owners[rows], topics[rows])
            room = self._room(topics[rows], options[rows]) if self._bounded else None
            verdicts, conflicts = admit(self._venue, named, self._beside(topics[rows]), room)
            keep[rows] = verdicts
        ends = np.cumsum([len(part.topics) for part in asked]).tolist()
        return [keep[end - len(part.topics) : end] for part, end in zip(asked, ends, strict=True)], conflicts

    def _meet(self, topics: Int32Array) -> Flags:
        """Those whose stream is wanted with another depth too, among these or by who holds it."""
        meet = np.zeros(len(topics), np.bool_)
        streams, channels, _, _, cuts = _columns.topic_columns(self._ledger, topics)
        rows = np.flatnonzero(self._has_depths[channels])
        if not len(rows):
            return meet
        streams, cuts = streams[rows], cuts[rows]
        _, classes, widths = self._ledger.columns(streams)
        ids, places = np.unique(streams, return_inverse=True)
        least, most = np.full(len(ids), np.iinfo(np.int32).max), np.full(len(ids), -1)
        for of, depths in ((places, cuts), (places[classes >= 0], widths[classes >= 0])):
            np.minimum.at(least, of, depths)
            np.maximum.at(most, of, depths)
        meet[rows] = (least != most)[places]
        return meet

    def _beside(self, topics: Int32Array) -> list[Interest]:
        """What is held of the same markets."""
        symbols = np.unique(_columns.topic_columns(self._ledger, topics)[2])
        found = []
        for owner in self._members:
            held = self._ledger.interests(owner)
            near = held[np.isin(_columns.topic_columns(self._ledger, held)[2], symbols)]
            found += self._named(np.full(len(near), owner, np.int32), near)
        return found

    def _named(self, owners: Int32Array, topics: Int32Array) -> list[Interest]:
        names = self._intent.topics_of(topics)
        return [
            Interest(self._members[owner].name, topic)
            for owner, topic in zip(owners.tolist(), names, strict=True)
        ]

    def _room(self, topics: Int32Array, options: npt.NDArray[np.integer]) -> _Room:
        held = _joined([self._ledger.interests(owner) for owner in self._members])
        standby, own = (_joined(list(book.asked.values())) for book in self._books)
        room = _Room(self)
        for part, option in ((held, 0), (standby, STANDBY), (own, OWN_LINK)):
            for route, stream in self._streams(part):
                room.add(route, stream, option)
        room.next = list(zip(self._streams(topics), options.tolist(), strict=True))
        return room

    def _streams(self, topics: Int32Array) -> list[tuple[str, int]]:
        streams, channels, _, _, _ = _columns.topic_columns(self._ledger, topics)
        routes = [channel.route for channel in self._venue.channels]
        return [(routes[c], s) for c, s in zip(channels.tolist(), streams.tolist(), strict=True)]

    def crowd(self, interest: Interest, needs: Mapping[str, Need]) -> list[Conflict]:
        """See engine.conflicts.crowded."""
        return crowded(self._venue, interest, needs)


class _Room:
    """What the connections have to carry so far, by route: streams, those twice, those on links of their own."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._sets: dict[str, tuple[set[int], set[int], set[int]]] = {}
        self.next: list[tuple[tuple[str, int], int]] = []  # what is asked for, in that order

    def add(self, route: str, stream: int, options: int) -> list[set[int]]:
        """To be carried, and how; the sets in which it is new."""
        sets = self._sets.setdefault(route, (set(), set(), set()))
        chosen = (True, options & STANDBY, options & OWN_LINK)
        new = [one for one, on in zip(sets, chosen, strict=True) if on and stream not in one]
        for one in new:
            one.add(stream)
        return new

    def __call__(self, place: int, interest: Interest) -> list[Conflict]:
        """Whether the next one fits too; else it takes no room."""
        (route, stream), options = self.next[place]
        new = self.add(route, stream, options)
        needs = {name: Need(*map(len, sets)) for name, sets in self._sets.items()}
        conflicts = self._admission.crowd(interest, needs) if new else []
        if conflicts:
            for one in new:
                one.discard(stream)
        return conflicts


def _joined(parts: Sequence[Int32Array]) -> Int32Array:
    return np.concatenate([np.zeros(0, np.int32), *parts]).astype(np.int32)
