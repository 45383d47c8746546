"""Looks for conflicts in what a call would change, before it does; keeps what was resolved. See engine/conflicts."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _columns
from .engine.conflicts import Conflict, Interest, Need, can_conflict, connections, detect, resolve
from .intent import NO_TOPICS
from .types import Int32Array

if TYPE_CHECKING:
    from .intent import Intent, Resolved
    from .members import Member
    from .standby import Asked

log = logging.getLogger("subcore.conflicts")

KEPT = 256
MET_AT_MOST = 4096


class _Interests(NamedTuple):
    """Columns of the same length: whose, and of what."""

    owners: Int32Array
    topics: Int32Array


class Conflicts:
    """One manager's. Costs nothing a call where the venue has nothing to conflict about, else O(interests).

    Depths of one stream are compared in columns, O(topics asked for); only when a component's depth meets another for
    the first time are names looked for.
    """

    def __init__(
        self, intent: Intent, members: Mapping[int, Member], standby: Asked, own_link: Asked
    ) -> None:
        self._intent = intent
        self._ledger = intent.ledger
        self._members = members
        venue = self._venue = intent.venue
        self.possible = can_conflict(venue)  # beyond depths
        self._bounded = connections(venue) is not None
        self._standby = standby
        self._own_link = own_link
        self._has_depths = [len(channel.depths) > 1 for channel in venue.channels]
        self._resolved: dict[tuple[object, ...], Conflict] = {}
        self._met: set[tuple[object, ...]] = set()  # component, channel, depth, width of the stream
        self._news: list[Conflict] = []

    @property
    def resolved(self) -> tuple[Conflict, ...]:
        """The latest of each pair of components and kinds of topics, oldest first."""
        return tuple(self._resolved.values())

    def check(self, changes: Sequence[Resolved]) -> None:
        """ConflictError if these cannot be served beside what stays held. `report` tells of what was resolved."""
        self._news = []
        new_depths = self._depths_that_meet(changes)
        apart = self._bounded and any(wish.standby or wish.own_link for wish, _, _, _ in changes)
        if not self.possible and not new_depths and not apart:
            return
        asked, kept = self._after(changes)
        symbols = np.unique(self._symbols(asked.topics))
        near = np.isin(self._symbols(kept.topics), symbols)
        beside = _Interests(kept.owners[near], kept.topics[near])
        needs = self._by_route(changes, asked, kept) if self._bounded else None
        self._news = resolve(detect(self._venue, self._named(asked), self._named(beside), needs))
        if len(self._met) > MET_AT_MOST:
            self._met.clear()
        self._met |= new_depths

    def report(self) -> None:
        """What was checked is done: keep and log what was resolved, once for each kind of it."""
        news, self._news = self._news, []
        self.keep(news)

    def keep(self, news: Sequence[Conflict]) -> None:
        """Note these, the latest of a kind."""
        for conflict in news:
            key = _key(conflict)
            if key not in self._resolved:
                log.info("%s", conflict)
            self._resolved.pop(key, None)
            self._resolved[key] = conflict
            if len(self._resolved) > KEPT:
                del self._resolved[next(iter(self._resolved))]

    def _depths_that_meet(self, changes: Sequence[Resolved]) -> set[tuple[object, ...]]:
        """For each depth asked for that its stream is not asked for with: what was not met before."""
        met: set[tuple[object, ...]] = set()
        asked: dict[int, set[int]] = {}  # depths of new streams, by channel: they may meet one another
        for wish, adds, _, _ in changes:
            if not len(adds) or not self._has_depths[wish.channel]:
                continue
            depth = wish.depth or 0
            streams = _columns.topic_columns(self._ledger, adds)[0]
            _, classes, widths = self._ledger.columns(streams)
            others = set(np.unique(widths[classes >= 0]).tolist())
            others |= asked.setdefault(wish.channel, set())
            asked[wish.channel].add(depth)
            name = self._members[wish.component].name
            met |= {(name, wish.channel, depth, width) for width in others if width != depth}
        return met - self._met

    def _after(self, changes: Sequence[Resolved]) -> tuple[_Interests, _Interests]:
        """What these ask for, and what else is held once they are done. Paused components hold what they have."""
        adds: dict[int, dict[int, None]] = {}
        removes: dict[int, set[int]] = {}
        for wish, added, removed, _ in changes:
            come, goes = adds.setdefault(wish.component, {}), removes.setdefault(wish.component, set())
            for topic in removed.tolist():
                come.pop(topic, None)
                goes.add(topic)
            come.update(dict.fromkeys(added.tolist()))
        asked = [(owner, np.array(list(topics), np.int32)) for owner, topics in adds.items()]
        kept = []
        for owner in self._members:
            held = self._ledger.interests(owner)
            gone = removes.get(owner)
            if gone:
                held = held[np.isin(held, np.array(list(gone), np.int32), invert=True)]
            kept.append((owner, held))
        return _joined(asked), _joined(kept)

    def _symbols(self, topics: Int32Array) -> Int32Array:
        return _columns.topic_columns(self._ledger, topics)[2]

    def _by_route(self, changes: Sequence[Resolved], asked: _Interests, kept: _Interests) -> dict[str, Need]:
        """What these interests need, by route."""
        standby, own = self._standby.asked, self._own_link.asked
        for wish, added, removed, _ in changes:
            for book, on in ((standby, wish.standby), (own, wish.own_link)):
                left = np.setdiff1d(book.get(wish.component, NO_TOPICS), np.concatenate([added, removed]))
                book[wish.component] = np.union1d(left, added) if on else left
        topics = np.concatenate([asked.topics, kept.topics])
        owners = np.concatenate([asked.owners, kept.owners])
        counts = [
            self._count(topics[chosen])
            for chosen in (
                np.ones(len(topics), np.bool_),
                *(_those_of(book, owners, topics) for book in (standby, own)),
            )
        ]
        found: dict[str, Need] = {}
        for channel, *numbers in zip(self._venue.channels, *counts, strict=True):
            before = found.get(channel.route, Need(0))
            found[channel.route] = Need(*(a + b for a, b in zip(before, numbers, strict=True)))
        return found

    def _count(self, topics: Int32Array) -> list[int]:
        """Streams of these topics, by channel."""
        streams, channels, _, _, _ = _columns.topic_columns(self._ledger, topics.astype(np.int32))
        _, first = np.unique(streams, return_index=True)
        counts: list[int] = np.bincount(channels[first], minlength=len(self._venue.channels)).tolist()
        return counts

    def _named(self, interests: _Interests) -> list[Interest]:
        topics = self._intent.topics_of(interests.topics)
        return [
            Interest(self._members[owner].name, topic)
            for owner, topic in zip(interests.owners.tolist(), topics, strict=True)
        ]


def _those_of(
    book: Mapping[int, Int32Array], owners: Int32Array, topics: Int32Array
) -> npt.NDArray[np.bool_]:
    """Which of these interests are in the book."""
    there = np.zeros(len(topics), np.bool_)
    for owner, asked in book.items():
        there |= (owners == owner) & np.isin(topics, asked)
    return there


def _joined(parts: Sequence[tuple[int, Int32Array]]) -> _Interests:
    if not parts:
        return _Interests(np.empty(0, np.int32), np.empty(0, np.int32))
    owners = [np.full(len(topics), owner, np.int32) for owner, topics in parts]
    return _Interests(np.concatenate(owners), np.concatenate([topics for _, topics in parts]))


def _key(conflict: Conflict) -> tuple[object, ...]:
    topic, rival = conflict.topic, conflict.rival
    key = (conflict.kind, conflict.component, topic.channel, topic.depth)
    return key if rival is None else (*key, rival.component, rival.topic.channel, rival.topic.depth)
