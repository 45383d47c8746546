"""Names of topics that a component let go of: their ids will be others', and what waits or was lost keeps its name.

Within a component such a topic has an id below -1, the same one each time it goes. That costs nothing where nothing
waits and nothing was lost; else one look through what waits, at the end of the turn in which a topic was let go of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from . import _columns

if TYPE_CHECKING:
    from .intent import Intent
    from .members import Member
    from .types import Int32Array, Topic

__all__ = ["FormerNames", "named"]

FIRST = -2  # -1 is no topic


class FormerNames:
    """Those of one manager's components. Belongs to the loop's thread."""

    def __init__(self, intent: Intent, members: Mapping[int, Member]) -> None:
        self._intent = intent
        self._members = members
        self._dropped: dict[Member, list[Int32Array]] = {}

    def dropped(self, component: int, topics: Int32Array) -> None:
        """These interests are gone, and their ids maybe soon."""
        member = self._members.get(component)
        if member is not None and len(topics):
            self._dropped.setdefault(member, []).append(topics)

    def settle(self) -> None:
        """Before ids are given back: what is still mentioned of dropped topics goes by name."""
        dropped, self._dropped = self._dropped, {}
        for member, parts in dropped.items():
            if self._members.get(member.id) is member:  # else it is closed, or its name was claimed since
                topics = np.unique(np.concatenate(parts)).astype(np.int32)
                held = _columns.holds_many(self._intent.ledger, member.id, topics)
                self._rename(member, topics[~held])

    def closed(self, member: Member) -> None:
        """A component is closed, and its interests are about to go: so does what it dropped in this turn."""
        dropped = self._dropped.pop(member, [])
        if _mentions_any(member):
            parts = [self._intent.ledger.interests(member.id), *dropped]
            self._rename(member, np.unique(np.concatenate(parts)).astype(np.int32))

    def _rename(self, member: Member, topics: Int32Array) -> None:
        found = sorted(member.mentioned(topics))
        if not found:
            return
        known = {topic: id for id, topic in member.former.items()}
        names = self._intent.topics_of(np.array(found, np.int32))
        with self._intent.whole:
            for name in names:
                known.setdefault(name, FIRST - len(known))
            member.former.update((known[name], name) for name in names)
            member.rename({id: known[name] for id, name in zip(found, names, strict=True)})


def _mentions_any(member: Member) -> bool:
    """Whether anything waits in one that is closed, or was lost or conflated."""
    inbox, pumps = member.inbox, member.pumps
    counts = len(inbox) + inbox.lost + inbox.conflated + pumps.waiting + pumps.lost
    return bool(counts or member.last_conflations)


def named(intent: Intent, member: Member, counts: Mapping[int, int]) -> dict[Topic, int]:
    """Counts by topic, of those of a component. Under `Intent.whole`, if not in the loop's thread."""
    if not counts:
        return {}
    live = [topic for topic in counts if topic >= 0 and intent.is_live(topic)]
    names = dict(zip(live, intent.topics_of(np.array(live, np.int32)), strict=True))
    total: dict[Topic, int] = {}
    for topic, count in counts.items():
        name = member.former.get(topic) or names.get(topic)
        if name is not None:
            total[name] = total.get(name, 0) + count
    return total
