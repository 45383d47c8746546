"""Who joins a stream that others have is told how it stands: one Status for each state and cause, before the image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import _columns
from .types import DataState, Int32Array, StatusKind, StreamState

if TYPE_CHECKING:
    from ._ledger import Ledger
    from .engine.actions import Notify
    from .engine.topics import Streams
    from .members import Member
    from .notices import Notices

__all__ = ["Joiners"]

NOT_YET = {StreamState.WAITING: "not on the wire yet", StreamState.SENT: "asked for, and not proven yet"}
STALE = "its data is suspect: what is due does not come"
# Of these kinds a stream has one at a time. Others, as GOOD or RECOVERED, say less than how it stands.
STANDS = (StatusKind.WAITING, StatusKind.OPEN, StatusKind.SUSPECT, StatusKind.REFUSED)


class Joiners:
    """Those of one manager, of this turn of the loop. Costs nothing for components that listen to no status."""

    def __init__(
        self,
        ledger: Ledger,
        streams: Streams,
        members: Mapping[int, Member],
        notices: Notices,
        provisional: Callable[[Member], Int32Array],
    ) -> None:
        """`provisional`: what a component holds and gets nothing of, nor is told of, until it confirms it."""
        self._ledger = ledger
        self._streams = streams
        self._members = members
        self._notices = notices
        self._provisional = provisional
        self._joined: dict[
            Member, dict[int, int]
        ] = {}  # by topic: how many notices had gone out before it joined
        self._told: dict[
            int, int
        ] = {}  # streams of which all were told in this turn, by the last notice's number
        self._notices_so_far = 0

    def note(self, component: int, topics: Int32Array) -> None:
        """A component asks for these, before it is granted. O(topics)."""
        member = self._members.get(component)
        if member is None or not member.listens:
            return
        fresh = topics[~self._has(member, topics)]
        joins = fresh[self._stands(self._streams_of(fresh))].tolist()
        if joins:
            self._joined.setdefault(member, {}).update(dict.fromkeys(joins, self._notices_so_far))

    def heard(self, notice: Notify) -> None:
        """All who have these streams now are about to be told of them; not who joins when others were told."""
        if self._joined and notice.kind in STANDS:
            self._notices_so_far += 1
            self._told.update(dict.fromkeys(notice.streams.tolist(), self._notices_so_far))

    def tell(self) -> None:
        """At the end of the turn. What somebody is the first to want is told of as it goes."""
        joined, self._joined = self._joined, {}
        told, self._told = self._told, {}
        self._notices_so_far = 0
        for member, joins in joined.items():
            if not member.closed:
                self._tell(member, joins, told)

    def _stands(self, streams: Int32Array) -> npt.NDArray[np.bool_]:
        """Which of these somebody wants, or did until this turn: the engine never hears of such a moment between."""
        _, _, _, classes, _ = _columns.wanted_columns(self._ledger, streams)
        stands: npt.NDArray[np.bool_] = classes >= 0
        known = streams < len(self._streams.state)
        stands[known] |= self._streams.state[streams[known]] != StreamState.CLOSED
        return stands

    def _tell(self, member: Member, joins: dict[int, int], told: dict[int, int]) -> None:
        topics = np.array(list(joins), np.int32)
        topics = topics[self._has(member, topics)]
        causes: dict[tuple[StatusKind, str], list[int]] = {}
        for topic, stream in zip(topics.tolist(), self._streams_of(topics).tolist(), strict=True):
            cause = None if told.get(stream, 0) > joins[topic] else self._cause(stream)
            if cause is not None:
                causes.setdefault(cause, []).append(topic)
        for (kind, reason), part in causes.items():
            self._notices.of_topics(member, kind, part, reason)

    def _cause(self, stream: int) -> tuple[StatusKind, str] | None:
        """What its holders were told last. None of a stream that the engine does not know."""
        if stream >= len(self._streams.state):
            return None
        state, reason = StreamState(int(self._streams.state[stream])), self._streams.reasons.of(stream)
        if state is StreamState.OPEN:
            if self._streams.data[stream] == DataState.SUSPECT:
                return StatusKind.SUSPECT, reason or STALE
            return StatusKind.OPEN, ""
        if state is StreamState.RECOVERING:
            return StatusKind.SUSPECT, reason
        if state is StreamState.REFUSED:
            return StatusKind.REFUSED, reason
        return (StatusKind.WAITING, reason or NOT_YET[state]) if state in NOT_YET else None

    def _has(self, member: Member, topics: Int32Array) -> npt.NDArray[np.bool_]:
        """Which of these it holds, and confirmed if they were restored."""
        held: npt.NDArray[np.bool_] = _columns.holds_many(self._ledger, member.id, topics)
        provisional = self._provisional(member)
        return held & ~np.isin(topics, provisional) if len(provisional) else held

    def _streams_of(self, topics: Int32Array) -> Int32Array:
        streams: Int32Array = _columns.topic_columns(self._ledger, topics)[0]
        return np.asarray(streams, np.int32)
