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
        self._joined: list[tuple[Member, Int32Array]] = []
        self._told: set[int] = set()  # streams of which all were told in this turn, joiners too

    def note(self, component: int, topics: Int32Array) -> None:
        """A component asks for these, before it is granted. O(topics)."""
        member = self._members.get(component)
        if member is None or not member.listens:
            return
        fresh = topics[~self._has(member, topics)]
        _, _, _, classes, _ = _columns.wanted_columns(self._ledger, self._streams_of(fresh))
        if (classes >= 0).any():
            self._joined.append((member, fresh[classes >= 0]))

    def heard(self, notice: Notify) -> None:
        """All who have these streams are being told of them."""
        if self._joined and notice.kind is not StatusKind.GOOD:  # which says less than OPEN
            self._told.update(notice.streams.tolist())

    def tell(self) -> None:
        """At the end of the turn. What somebody is the first to want is told of as it goes."""
        joined, self._joined = self._joined, []
        told, self._told = self._told, set()
        for member, topics in joined:
            if not member.closed:
                self._tell(member, topics[self._has(member, topics)], told)

    def _tell(self, member: Member, topics: Int32Array, told: set[int]) -> None:
        causes: dict[tuple[StatusKind, str], list[int]] = {}
        for topic, stream in zip(topics.tolist(), self._streams_of(topics).tolist(), strict=True):
            cause = None if stream in told else self._cause(stream)
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
