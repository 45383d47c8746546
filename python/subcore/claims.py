"""Intent that came back from a snapshot, until somebody claims and confirms it, or nobody does.

A provisional interest stands in the ledger like any other, so its stream is asked for, proven and kept; but it goes to
no sink. That is all there is to it: `subscribe` gives it one and it is confirmed, `unsubscribe` and `close` take it
away, and what has none when the grace ends is dropped. Names wait with a member of their own that no component holds.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _columns
from .admitting import Admission, Returning
from .engine.clock import RunnableClock, nanoseconds
from .engine.conflicts import Conflict, Outcome
from .engine.snapshot import NO_RATE, OWN_LINK, STANDBY
from .errors import SnapshotError, UsageError
from .intent import NO_TOPICS, Act, Wish
from .types import Int32Array, Topic

if TYPE_CHECKING:
    from .component import Handler
    from .engine.snapshot import Snapshot
    from .hub import Hub
    from .members import Member

log = logging.getLogger("subcore.snapshot")

CLAIM_GRACE_S = 30.0
REPORTS_KEPT = 16
NAMED_AT_MOST = 5
SLICE = 256  # topics that are checked before the loop goes on
TICK_NS = 100_000_000  # of the housekeeping that judges the grace
_KEPT = -1  # in place of a time: all that is provisional is adopted


@dataclass(frozen=True, slots=True)
class ClaimReport:
    """What became of restored intent when its grace ended. `str(report)` says it in a line.

    `dropped`: by component, the topics that nobody confirmed. `unclaimed`: those of its components that are gone, since
    nobody claimed their names.
    """

    time_ns: int  # since 1970 UTC
    dropped: dict[str, tuple[Topic, ...]] = field(default_factory=dict)
    unclaimed: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.dropped and not self.unclaimed:
            return "everything restored was claimed and confirmed"
        topics = [f"{name} {topic}" for name, dropped in self.dropped.items() for topic in dropped]
        text = f"{len(topics)} restored topics were not confirmed in time and are dropped: {_some(topics)}"
        if self.unclaimed:
            text += f"; nobody claimed {_some(self.unclaimed)}"
        return text


# Places in a snapshot's topics, and symbols, of those that share channel, depth and grouping.
_Asks = dict[tuple[int, int | None, float | None], tuple[list[int], list[str]]]


@dataclass(slots=True, eq=False)
class Checked:
    """What was found out about the first `count` topics of a snapshot. The ids in `made` may be gone by now."""

    count: int = 0
    asks: _Asks = field(default_factory=dict)
    faults: dict[Topic, str] = field(default_factory=dict)
    made: list[Int32Array] = field(default_factory=list)


class _Grace(NamedTuple):
    until: int  # in runnable time less that of restores, or _KEPT
    since_ns: int  # wall time of the last restore
    adopted: Int32Array | None  # topics that stay when it ends, and with them the name; None = nothing does


class Claims:
    """What is provisional in one manager. Belongs to the loop's thread; costs nothing while nothing is."""

    def __init__(self, hub: Hub, grace_s: float) -> None:
        self._hub = hub
        self._grace = nanoseconds(grace_s)
        self._clock = RunnableClock(TICK_NS)
        self._looked = 0  # in runnable time
        self._restoring = 0  # so much of it passed while something was being restored
        self._until: dict[int, _Grace] = {}  # of each member that may have provisional topics
        self._unclaimed: dict[str, Member] = {}
        self._admission = Admission(hub.intent, hub.members, hub.granting.standby, hub.granting.own_link)
        self.rejected: tuple[Conflict, ...] = ()  # of what was put last
        self.reports: deque[ClaimReport] = deque(maxlen=REPORTS_KEPT)

    # -- in --

    def check(self, snapshot: Snapshot, checked: Checked) -> Iterator[None]:
        """Look at what it says a slice at a time: which topics the venue takes, and that there is room for them.

        Between two slices anything may happen. Raises as `put`; then, or if it is given up, `let_go` of what was made.
        """
        check_venue(snapshot, self._hub.venue.name)
        while topics := snapshot.topics_between(checked.count, checked.count + SLICE):
            asks: _Asks = {}
            for place, topic in enumerate(topics, checked.count):
                try:
                    channel = self._hub.granting.check_topic(topic)
                except UsageError as error:
                    checked.faults[topic] = str(error)
                    continue
                for all_asks in (asks, checked.asks):
                    places, symbols = all_asks.setdefault((channel, topic.depth, topic.grouping), ([], []))
                    places.append(place)
                    symbols.append(topic.symbol)
            checked.count += len(topics)
            checked.made += [ids for _, ids in self._ids(asks)]
            yield

    def let_go(self, checked: Checked) -> None:
        """What was looked at is not put: topics that nobody holds go at the next tidy."""
        intent = self._hub.intent
        made = np.concatenate([NO_TOPICS, *checked.made])
        intent.forget(made[[intent.is_live(topic) for topic in made.tolist()]])
        checked.made.clear()
        self._hub.runtime.changed()  # which tidies

    def put(self, snapshot: Snapshot, checked: Checked | None = None, *, adopted: bool = False) -> Int32Array:
        """Hold what the snapshot says, provisionally, but for what is held already; the wanted streams of it.

        All or nothing: SnapshotError for another venue's, CapacityError. What the venue does not have any more is
        logged and left out, and so is what it cannot serve beside what is wanted by now, see `rejected`. O(what is in
        it), nearly all of it in `check`, which is done here unless it was before.
        """
        hub = self._hub
        if checked is None:
            checked = Checked()
            try:
                for _ in self.check(snapshot, checked):
                    pass
            except BaseException:
                self.let_go(checked)
                raise
        made: list[Member] = []
        added: list[tuple[Member, Int32Array]] = []
        with hub.intent.whole:
            ids = self._topics(checked)
            try:
                members = self._members(snapshot, made)
                self._forget_confirmed(members)
                fresh = [
                    self._fresh(member, ids[places], *how)
                    for member, (places, *how) in zip(members, snapshot.held(), strict=True)
                ]
                chosen, conflicts = self._admission.choose(fresh)
                for member, part, keep in zip(members, fresh, chosen, strict=True):
                    self._hold(member, part, keep, added)
            except BaseException:
                for member, topics in added:
                    hub.intent.drop(member.id, topics)
                for member in made:
                    hub.close_member(member)
                hub.intent.forget(ids[ids >= 0])
                raise
        self._tell(conflicts)
        self._give_time(members, [ids[places] for places, *_ in snapshot.held()], adopted)
        if self.rejected:
            hub.intent.forget(ids[ids >= 0])  # those that nobody holds after all
        hub.runtime.changed()
        streams = np.unique(_columns.topic_columns(hub.ledger, ids[ids >= 0])[0])
        wanted: Int32Array = streams[hub.ledger.columns(streams)[1] >= 0]
        return wanted

    def _topics(self, checked: Checked) -> Int32Array:
        """Their ids, made where there are none any more; -1 for those that the venue does not take."""
        ids = np.full(checked.count, -1, np.int32)
        try:
            for places, found in self._ids(checked.asks):
                ids[places] = found
        except BaseException:
            self._hub.intent.forget(ids[ids >= 0])
            raise
        if checked.faults:
            told = _some(f"{topic} ({reason})" for topic, reason in checked.faults.items())
            log.warning("%d restored topics are left out: %s", len(checked.faults), told)
        return ids

    def _ids(self, asks: _Asks) -> Iterator[tuple[list[int], Int32Array]]:
        for (channel, depth, grouping), (places, symbols) in asks.items():
            wish = Wish(Act.ADD, -1, channel, tuple(symbols), depth, grouping)
            yield places, self._hub.intent.topics(wish)

    def _members(self, snapshot: Snapshot, made: list[Member]) -> list[Member]:
        """Those with the names of the snapshot; names nobody has get a member that waits to be claimed."""
        hub = self._hub
        known = {member.name: member for member in hub.members.values()}
        for name, priority, paused in snapshot.owners():
            if name not in known:
                member = known[name] = self._unclaimed[name] = hub.new_member(name, priority)
                made.append(member)
                hub.ledger.pause(member.id, paused)
        return [known[name] for name in snapshot.names]

    def _fresh(self, member: Member, topics: Int32Array, *how: npt.NDArray[Any]) -> Returning:
        """Those of these interests that it does not have."""
        fresh = topics >= 0
        fresh[fresh] = ~_columns.holds_many(self._hub.ledger, member.id, topics[fresh])
        return Returning(member.id, topics[fresh], *(column[fresh] for column in how))

    def _hold(
        self,
        member: Member,
        part: Returning,
        keep: npt.NDArray[np.bool_],
        added: list[tuple[Member, Int32Array]],
    ) -> None:
        """Add those of these interests that it shall keep; `added` says which, whatever comes of it."""
        topics, classes, options = part.topics[keep], part.classes[keep], part.options[keep]
        added.append((member, topics))
        for cls in np.unique(classes).tolist():
            self._hub.ledger.add(member.id, topics[classes == cls], int(cls))
        granting = self._hub.granting
        for option, asked in ((STANDBY, granting.standby), (OWN_LINK, granting.own_link)):
            chosen = topics[options & option != 0]
            if len(chosen):  # what is dropped again is forgotten by who keeps it
                asked.put(member.id, chosen, on=True)
        rates = part.rates[keep]
        for rate in np.unique(rates[rates > NO_RATE]).tolist():
            granting.caps.put(member, topics[rates == rate], rate)

    def _tell(self, conflicts: Sequence[Conflict]) -> None:
        """As conflicts of a call are told; nobody called, so what is rejected is no error."""
        self._hub.granting.conflicts.keep(conflicts)
        self.rejected = tuple(conflict for conflict in conflicts if conflict.outcome is Outcome.REJECT)
        if self.rejected:
            told = _some(map(str, self.rejected))
            log.warning("%d restored interests are rejected: %s", len(self.rejected), told)

    def _forget_confirmed(self, members: Iterable[Member]) -> None:
        """Before more comes back: what was adopted of these and is not provisional any more is as if it never was. Else
        it would never be dropped when it comes back, nor would another topic that has its id by then."""
        for member in members:
            grace = self._until.get(member.id)
            if grace is not None and grace.adopted is not None:
                adopted = np.intersect1d(grace.adopted, self.provisional(member))
                stays = len(adopted) or self.waits(member)
                self._until[member.id] = grace._replace(adopted=adopted if stays else None)

    def _give_time(self, members: Iterable[Member], topics: Iterable[Int32Array], adopted: bool) -> None:
        """`topics`: what the snapshot says of each. A grace is for what nobody adopted, now or before."""
        until = self._passed() + self._grace
        for member, named in zip(members, topics, strict=True):
            grace = self._until.get(member.id, _Grace(until, 0, None))
            self._until[member.id] = grace = grace._replace(since_ns=self._hub.clock.time_ns())
            stay = NO_TOPICS if grace.adopted is None else grace.adopted
            provisional = self.provisional(member)
            if adopted:
                stay = np.union1d(stay, np.intersect1d(named, provisional))
            elif grace.adopted is None:
                self._until[member.id] = grace._replace(until=until)
                continue
            rest = not np.isin(provisional, stay).all()  # it gets no more time by what is adopted beside it
            ends = (grace.until if adopted else until) if rest else _KEPT
            self._until[member.id] = grace._replace(until=ends, adopted=stay)

    # -- claimed, confirmed --

    def unclaimed(self, name: str) -> Member | None:
        """The member that waits with this name."""
        return self._unclaimed.get(name)

    def waits(self, member: Member) -> bool:
        """Whether nobody claimed its name yet."""
        return self._unclaimed.get(member.name) is member

    def claim(self, name: str) -> None:
        """The member that waited with this name, if one did, waits no longer, and its streams are wanted."""
        if (waited := self._unclaimed.pop(name, None)) is None:
            return
        self._hub.ledger.pause(waited.id, self._hub.granting.adapting.suspends(waited))
        self._hub.runtime.changed()

    def forget(self, member: Member) -> None:
        """A member was closed."""
        self._until.pop(member.id, None)
        if self.waits(member):
            del self._unclaimed[member.name]

    def provisional(self, member: Member) -> Int32Array:
        """Topics of a member that go nowhere. O(its interests), and O(1) for one that never had any."""
        if member.id not in self._until:
            return NO_TOPICS
        ledger = self._hub.ledger
        held = ledger.interests(member.id)
        places = map(partial(ledger.payload, member.id), held.tolist())
        found: Int32Array = held[np.fromiter(places, np.int64, len(held)) < 0]
        return found

    def provisional_since(self, member: Member, topic: int) -> int | None:
        """When a topic it holds was restored, in wall time; None where it is confirmed."""
        grace = self._until.get(member.id)
        if grace is None or self._hub.ledger.payload(member.id, topic) >= 0:
            return None
        return grace.since_ns

    def adopt(self, member: Member, handler: Handler | None, raw: bool) -> int:
        """Confirm all that is provisional of a component; how many topics."""
        self._hub.granting.collect()  # a new object may have the address of one that went, and not its sink
        topics = self.provisional(member)
        self._hub.granting.joiners.note(member.id, topics)
        self._hub.granting.connect(member, topics, handler, raw)
        self._until.pop(member.id, None)
        self._hub.runtime.changed()  # the turn that follows gives images
        return len(topics)

    def adopt_all(self) -> None:
        """Nothing that is provisional now will be dropped."""
        for id, grace in self._until.items():
            adopted = self.provisional(self._hub.members[id])
            self._until[id] = grace._replace(until=_KEPT, adopted=adopted)

    # -- out --

    def _passed(self) -> int:
        """The time that counts. While streams are on their way back nobody can see what came back: whoever waits for
        the report finds all of it, however long the venue was out of reach. It is in reach if another route is open
        while a login waits: that may be refused for ever."""
        now = self._clock.read(self._hub.clock.monotonic_ns())
        if self._is_restoring():
            self._restoring += now - self._looked
        self._looked = now
        return now - self._restoring

    def _is_restoring(self) -> bool:
        engine, venue = self._hub.engine, self._hub.venue
        logins = [bool(venue.route(restore.route).grant) for restore in engine.restores]
        return not all(logins) or (bool(logins) and not any(link.is_up for link in engine.links.values()))

    def look(self) -> None:
        """Drop what nobody confirmed in time. Called each tick."""
        if not self._until:
            return
        now = self._passed()
        due = [id for id, grace in self._until.items() if grace.until != _KEPT and grace.until <= now]
        if due:
            self._drop([self._hub.members[id] for id in due])

    def _drop(self, members: Iterable[Member]) -> None:
        hub = self._hub
        dropped: dict[str, tuple[Topic, ...]] = {}
        unclaimed = []
        for member in members:
            grace, topics = self._until[member.id], self.provisional(member)
            if grace.adopted is not None:
                topics = topics[~np.isin(topics, grace.adopted)]
            if len(topics):
                dropped[member.name] = tuple(hub.intent.topics_of(topics))
            streams = _columns.topic_columns(hub.ledger, topics)[0]
            if grace.adopted is not None:
                hub.intent.drop(member.id, topics)
                self._until[member.id] = grace._replace(until=_KEPT)
            elif self.waits(member):
                unclaimed.append(member.name)
                hub.close_member(member)
            else:
                hub.intent.drop(member.id, topics)
                self._until.pop(member.id)
            hub.waits.changed(streams)
        hub.runtime.changed()
        report = ClaimReport(hub.clock.time_ns(), dropped, tuple(unclaimed))
        self.reports.append(report)
        log.log(logging.WARNING if dropped or unclaimed else logging.INFO, "%s", report)


def check_venue(snapshot: Snapshot, venue: str) -> None:
    """SnapshotError for another venue's."""
    if snapshot.venue != venue:
        raise SnapshotError(
            f"a snapshot of {snapshot.venue}, and this manager is for {venue}: give each a path of its own"
        )


def _some(texts: Iterable[str]) -> str:
    named = list(texts)
    more = f" and {len(named) - NAMED_AT_MOST} more" if len(named) > NAMED_AT_MOST else ""
    return ", ".join(named[:NAMED_AT_MOST]) + more
