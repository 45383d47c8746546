"""Wishes that one venue cannot serve together, found before anything changes.

Three ways out, in this order. *Widest wins*: topics that differ in depth alone share one stream, and each holder keeps
its own cut. *Separate links*: channels that exclude each other on a connection go to connections of their own, where
the venue gives them routes of their own. Else *reject*: the call raises, and says who is in the way and what to do.

Pure: who asks for what, and who has what, come in by name. What a single topic can be wrong about (channel, depth,
price step, login, spelling) is no conflict: `Venue.check_topic` says so earlier. Nor is a market that is not listed:
its stream waits until the list is asked for anew, and is then refused, with nobody else touched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from subcore.errors import ConflictError
from subcore.types import Topic
from subcore.venue import Channel, Scope, Venue

__all__ = [
    "Conflict",
    "ConflictKind",
    "Interest",
    "Need",
    "Outcome",
    "admit",
    "can_conflict",
    "capacity",
    "connections",
    "crowded",
    "detect",
    "resolve",
]


class ConflictKind(Enum):
    """What two wishes cannot share."""

    DEPTH = "depth"  # one stream, several numbers of levels
    GROUPING = "grouping"  # frames do not show which price step they are of
    EXCLUSIVE = "exclusive"  # a connection carries one of these channels for a market
    CAPACITY = "capacity"  # more streams than all connections together take


class Outcome(Enum):
    """How a conflict is resolved."""

    WIDEST = "widest wins"
    SEPARATE = "separate links"
    REJECT = "rejected"


class Interest(NamedTuple):
    """A component and a topic that it has or asks for."""

    component: str
    topic: Topic


@dataclass(frozen=True, slots=True)
class Conflict:
    """One wish, what is in its way, and what becomes of it. `str(conflict)` says it in a sentence.

    `rival`: the interest it cannot share with; None where it is the whole of them. `remedy`: what to do about it, or
    what was done.
    """

    kind: ConflictKind
    component: str
    topic: Topic
    rival: Interest | None
    outcome: Outcome
    remedy: str

    def __str__(self) -> str:
        text = f"component {self.component!r}: {self.topic}"
        if self.rival is not None:
            text += f" and {self.rival.topic} of component {self.rival.component!r}"
        return f"{text}: {self.remedy}"


def can_conflict(venue: Venue) -> bool:
    """Whether wishes can be in each other's way at all, depth apart: else nothing need be looked at."""
    indistinct = any(channel.grouping and not channel.groupings_distinct for channel in venue.channels)
    exclusive = any(channel.exclusive for channel in venue.channels)
    return indistinct or exclusive or capacity(venue) is not None


def detect(
    venue: Venue,
    asked: Iterable[Interest],
    held: Iterable[Interest],
    needs: Mapping[str, Need] | None = None,
) -> list[Conflict]:
    """Every conflict that granting `asked` beside `held` would make; `needs`: what is wanted then, by route.

    `held` is what stays held: without what the same call or transaction gives up. Of a topic's conflicts, one of a kind
    is told. Nothing is changed. O(asked + held), and rivals of a market in pairs.
    """
    markets = _by_market(held)
    found: list[Conflict] = []
    last = None
    for last in asked:
        market = markets.setdefault(last.topic.symbol, {})
        if last not in market:  # who has it already is in nobody's way
            found += _of_one(venue, last, market)
            market[last] = None
    if last is not None and needs is not None:
        found += crowded(venue, last, needs)
    return found


def admit(
    venue: Venue,
    asked: Iterable[Interest],
    held: Iterable[Interest],
    room: Callable[[int, Interest], list[Conflict]] | None = None,
) -> tuple[list[bool], list[Conflict]]:
    """Of what comes back together: whether each can be held beside `held` and those before it; and every conflict.

    One that is rejected is in nobody's way. `room(place, interest)`: whether the connections can take it too.
    """
    markets = _by_market(held)
    verdicts: list[bool] = []
    found: list[Conflict] = []
    for place, interest in enumerate(asked):
        market = markets.setdefault(interest.topic.symbol, {})
        conflicts = [] if interest in market else _of_one(venue, interest, market)
        rejected = [conflict for conflict in conflicts if conflict.outcome is Outcome.REJECT]
        if not rejected and room is not None:
            rejected = room(place, interest)
        if not rejected:
            market[interest] = None
        verdicts.append(not rejected)
        found += rejected or conflicts
    return verdicts, found


def _by_market(interests: Iterable[Interest]) -> dict[str, dict[Interest, None]]:
    markets: dict[str, dict[Interest, None]] = {}
    for interest in interests:
        markets.setdefault(interest.topic.symbol, {})[interest] = None
    return markets


def _of_one(venue: Venue, interest: Interest, market: Iterable[Interest]) -> list[Conflict]:
    """One of a kind, one that cannot be resolved before others."""
    found: dict[ConflictKind, Conflict] = {}
    for rival in market:
        conflict = _of_two(venue, interest, rival)
        if conflict is not None and (conflict.kind not in found or conflict.outcome is Outcome.REJECT):
            found[conflict.kind] = conflict
    return list(found.values())


def _of_two(venue: Venue, new: Interest, old: Interest) -> Conflict | None:
    one, other = _channel(venue, new.topic), _channel(venue, old.topic)
    if one is not other:
        if not one.exclusive or one.exclusive != other.exclusive:
            return None
        if one.route != other.route:
            remedy = "a connection carries only one of them for a market, so each goes to one of its own"
            return _conflict(ConflictKind.EXCLUSIVE, new, old, Outcome.SEPARATE, remedy)
        remedy = (
            f"{venue.name} carries only one of them for a market: unsubscribe the other first, or do without"
        )
        return _conflict(ConflictKind.EXCLUSIVE, new, old, Outcome.REJECT, remedy)
    if new.topic.grouping != old.topic.grouping:
        if one.groupings_distinct:
            return None
        remedy = (
            f"{venue.name} does not say in its frames which price step they are of: "
            f"ask for grouping={old.topic.grouping!r} too, or unsubscribe the other first"
        )
        return _conflict(ConflictKind.GROUPING, new, old, Outcome.REJECT, remedy)
    if new.topic.depth != old.topic.depth:
        widest = "all" if None in (new.topic.depth, old.topic.depth) else max(_depth(new), _depth(old))
        remedy = f"one stream with {widest} levels serves both, each gets its own"
        return _conflict(ConflictKind.DEPTH, new, old, Outcome.WIDEST, remedy)
    return None


def _conflict(kind: ConflictKind, new: Interest, old: Interest, outcome: Outcome, remedy: str) -> Conflict:
    return Conflict(kind, new.component, new.topic, old, outcome, remedy)


def _channel(venue: Venue, topic: Topic) -> Channel:
    return venue.channels[venue.channel_index(topic.channel, topic.depth)]


def _depth(interest: Interest) -> int:
    return interest.topic.depth or 0


class Need(NamedTuple):
    """Streams wanted on a route; of them, those that two connections shall carry, and those that shall have their own.

    Each route has connections of its own, and so have these: a second carrier is on none that carries the first.
    """

    streams: int
    standby: int = 0
    own_link: int = 0

    def links(self, per_link: int | None) -> int:
        """Connections it takes, full of them."""
        parts = (self.streams - self.own_link, self.standby, self.own_link)
        return sum(min(part, 1) if per_link is None else math.ceil(part / per_link) for part in parts)


def crowded(venue: Venue, last: Interest, needs: Mapping[str, Need]) -> list[Conflict]:
    """Whether that is more than all connections take; `last` was one too many."""
    bounds = connections(venue)
    if bounds is None:
        return []
    needed = sum(need.links(bounds.per_link) for need in needs.values())
    if needed <= bounds.links:
        return []
    wanted, each = sum(need.streams for need in needs.values()), ""
    standby, own = (
        sum(counts) for counts in zip(*((n.standby, n.own_link) for n in needs.values()), strict=True)
    )
    said = [f"{standby} of them twice"] * bool(standby) + [f"{own} on links of their own"] * bool(own)
    if bounds.per_link is not None:
        each = f" of {bounds.per_link} each"
    remedy = (
        f"{wanted} streams would be wanted, {', '.join([*said, f'{needed} connections full of them'])}, and "
        f"{venue.name} allows {bounds.links}{each}: unsubscribe what is not needed, "
        f"{'leave standby= or own_link= out, ' if said else ''}or ask from another address"
    )
    return [Conflict(ConflictKind.CAPACITY, last.component, last.topic, None, Outcome.REJECT, remedy)]


class Bounds(NamedTuple):
    """Streams a connection takes (None = as many as you like), and connections allowed."""

    per_link: int | None
    links: int


def capacity(venue: Venue) -> Bounds | None:
    """What all connections together take; None = a venue that does not say both bounds nothing."""
    bounds = connections(venue)
    return None if bounds is None or bounds.per_link is None else bounds


def connections(venue: Venue) -> Bounds | None:
    """The same where the venue only bounds the connections: then what needs some of its own may be too much."""
    per_link = min(_hard(venue, "streams", Scope.LINK), default=None)
    allowed = _hard(venue, "connections", Scope.IP) + _hard(venue, "connections", Scope.ACCOUNT)
    return Bounds(per_link, min(allowed)) if allowed else None


def _hard(venue: Venue, resource: str, scope: Scope) -> list[int]:
    return [c.amount for c in venue.capacities if c.resource == resource and c.scope is scope and not c.soft]


def resolve(conflicts: Iterable[Conflict]) -> list[Conflict]:
    """Those that are resolved, as they are to be reported; ConflictError for the first that cannot be."""
    resolved = []
    for conflict in conflicts:
        if conflict.outcome is Outcome.REJECT:
            raise ConflictError(
                str(conflict), component=conflict.component, topic=conflict.topic, remedy=conflict.remedy
            )
        resolved.append(conflict)
    return resolved
