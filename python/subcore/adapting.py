"""Carries out what `engine/adaptive` decides against load: as caps, narrower books, and places of streams.

Nothing of it touches what components want. `manager.adaptation()` shows it, components are told by CAPPED and
RECOVERED, and the log has a line for each measure, with its reason and what came of it.
"""

from __future__ import annotations

import logging
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _columns
from ._holdings import holdings
from .calltime import CallTime
from .caps import SUSPENDED
from .counts import oldest_of
from .engine import events
from .engine.adaptive import Adapt, Adaptation, Adaptive, Measure, MeasureTaken, Pressure, Rung, Step
from .engine.clock import SECOND
from .memory import resident_bytes
from .shallows import Shallows
from .types import Cap, Int32Array, Int64Array, Priority
from .withheld import Withheld

if TYPE_CHECKING:
    from .hub import Hub
    from .members import Member

log = logging.getLogger("subcore.adapting")

BY = "load"
LOOK_NS = SECOND // 10  # the housekeeping's own interval: what is later is the loop's lag
KINDS = frozenset({"ticker", "orderbook"})  # of which the newest event says all that matters
STALL_NS = (
    2 * SECOND
)  # what a look that comes later counts as: the process was stopped, or the machine asleep
WHOLE_NS = 10 * SECOND
LEAST_READERS = 3
NOTHING: Int32Array = np.empty(0, np.int32)


class Adapting:
    """Belongs to the loop's thread. `settings` None = off: then it costs nothing.

    A look (once a second) costs some 4 us a component, and while a level lasts 50 ns an interest; a measure that is put
    on or taken off, and a look each 10 s while any is on, 3 us an interest held back; between them only what changed is
    looked at.
    """

    def __init__(self, hub: Hub, settings: Adapt | None) -> None:
        self.enabled = settings is not None
        self._hub = hub
        self._adaptive = Adaptive(settings or Adapt())
        self._pressure = Pressure()
        self._looked: int | None = None
        self._sampled = 0
        self._lag = 0
        self._call_time = CallTime(hub)
        self._suspended: set[int] = set()
        self.withheld = Withheld(hub)
        self._split: Int32Array = NOTHING
        self._shallows = Shallows(hub, BY)
        self._shallows.cap_at(self._adaptive.settings.shallow)
        self._may_conflate = np.array([channel.kind in KINDS for channel in hub.venue.channels], np.bool_)
        self._touched: set[int] = set()  # components whose interests changed since the last turn
        self._whole_at = 0  # when all of them were looked at last

    # -- what is heard --

    def look(self, now: int) -> None:
        """The housekeeping ran, as it should each 0.1 s. Never inside a public call."""
        if not self.enabled:
            return
        if self._looked is None:
            self._sampled = now
        else:
            passed, lost = now - self._looked, max(0, now - self._looked - STALL_NS)
            self._lag = max(self._lag, passed - lost - LOOK_NS)
            if lost:
                self._sampled += lost
                self._adaptive.stalled(lost)
        self._looked = now
        if now - self._sampled >= SECOND:
            self._pressure = self._read((now - self._sampled) / SECOND)
            self._sampled, self._lag = now, 0
            count = self._counter()
            self._carry_out(self._adaptive.adapt(self._pressure, now, lambda rung: count(rung) > 0))
            if (
                self._adaptive.on and now - self._whole_at >= WHOLE_NS
            ):  # intent that came back from a snapshot
                self._apply(list(self._hub.members.values()))

    def touched(self, component: int) -> None:
        """Its interests are others, or of another class. O(1); what follows is done at the end of the turn."""
        if self._adaptive.on:
            self._touched.add(component)

    def turn_done(self) -> None:
        """What is wanted may be another thing: who is CRITICAL now has no cap, and who came has that of its class."""
        touched, self._touched = self._touched, set()
        members = [self._hub.members[id] for id in touched if id in self._hub.members]
        if touched and self._adaptive.on:  # also where all of them left: what they held is others' alone now
            self._apply(members)

    def left(self, member: Member) -> None:
        """A component was closed; its id will be another's."""
        self.touched(member.id)
        self._call_time.forget(member.id)
        self._suspended.discard(member.id)
        self._shallows.forget(member)

    def released(self, streams: Int32Array) -> None:
        """These ids are to be given to others."""
        self._shallows.released(streams)
        if len(self._split):
            self._split = np.setdiff1d(self._split, streams).astype(np.int32)

    def suspends(self, member: Member) -> bool:
        """Whether this component's interests hold no stream on the wire for now."""
        return member.id in self._suspended  # by id: a name that was restored is claimed with the id it has

    def suspension(self, member: Member) -> str:
        """Why so, and "" where it is not."""
        return self.withheld.reason if self.suspends(member) else ""

    def cap_of(self, member: Member, topic: int) -> Cap | None:
        """Beside those that `caps` has: a narrower book."""
        return self._shallows.of(member, topic)

    def narrowed(self, member: Member) -> int:
        """How many of a component's interests those are."""
        return self._shallows.held_by(member)

    def told(self) -> Adaptation:
        """See SubscriptionManager.adaptation."""
        offset = self._hub.wall_offset.ns()
        adaptive, pressure, count = self._adaptive, self._pressure, self._counter()
        return Adaptation(
            self.enabled,
            adaptive.level,
            {name: getattr(pressure, name) for name in Pressure.__dataclass_fields__},
            tuple(_in_wall_time(taken, offset) for taken in adaptive.taken),
            tuple(_in_wall_time(taken, offset) for taken in adaptive.history),
            {str(rung): count(rung) for rung in adaptive.on},
        )

    def brief(self) -> dict[str, Any]:
        """Whether it is on, the level, and the measures that are on, in plain JSON types. O(measures)."""
        offset = self._hub.wall_offset.ns()
        measures = [
            {
                "measure": taken.measure.value,
                "priority": taken.priority.name,
                "reason": taken.reason,
                "since_ns": taken.since_ns + offset,
                "effect": taken.effect,
            }
            for taken in self._adaptive.taken
        ]
        return {"enabled": self.enabled, "level": self._adaptive.level.name, "measures": measures}

    # -- signals --

    def _read(self, seconds: float) -> Pressure:
        members = list(self._hub.members.values())
        limit = self._adaptive.settings.memory_limit
        rates = [self._hub.monitoring.link(number)[1].over_1s for number in self._hub.runtime.links]
        return Pressure(
            lag=self._lag / SECOND,
            callback_share=self._call_time.took(members) / SECOND / seconds,
            queue_age=self._queue_age(members),
            memory=0.0 if limit is None else (resident_bytes() or 0) / limit,
            link_rate=max(rates, default=0.0),
        )

    def _queue_age(self, members: list[Member]) -> float:
        """Of the median component that reads: one that is stuck is its own matter, and not the loop's. So it takes
        three to tell; who owes no reading, or could not do it, tells nothing."""
        now, excuses = self._hub.clock.time_ns(), self._hub.obligations.excuses
        ages = []
        for member in members:
            waits = [*member.boxes.queues, *member.pumps]
            if waits and not (member.closed or member.stopped or member.paused or excuses(member)):
                oldest = oldest_of(waits)
                ages.append(0 if oldest < 0 else max(0, now - oldest))
        return statistics.median_low(ages) / SECOND if len(ages) >= LEAST_READERS else 0.0

    # -- measures --

    def _carry_out(self, steps: list[Step]) -> None:
        for step in steps:
            taken = step.taken
            if step.on:
                log.warning("load: %s, since %s", step.rung, taken.reason, extra=_fields(step))
            elif step.on is None:
                log.info("load: %s: %s", step.rung, taken.effect, extra=_fields(step))
            else:
                log.info("load: no longer %s: %s", step.rung, taken.effect, extra=_fields(step))
        changed = [step for step in steps if step.on is not None]
        if changed:
            effect = "; ".join(step.taken.effect or "" for step in changed if step.on is False)
            self._apply(list(self._hub.members.values()), effect)
            count = self._counter()
            for step in changed:
                if step.on:
                    log.info("load: %s holds %d back", step.rung, count(step.rung))

    def _apply(self, members: list[Member], effect: str = "") -> None:
        """Make everything about these components as the rungs that are on say. O(their interests), and O(streams)."""
        if len(members) == len(self._hub.members):
            self._whole_at = self._hub.clock.monotonic_ns()
        self._limit(members, effect)
        self._suspend(members)
        self._narrow(members)
        self._place()

    def _reason(self, rung: Rung) -> str:
        taken = next(
            t for t in self._adaptive.taken if (t.measure, t.priority) == (rung.measure, rung.priority)
        )
        return f"{rung}, since {taken.reason}"

    def _rates(self) -> dict[int, tuple[float, str]]:
        """Of each class that is held back, what it may have, by the strictest rung."""
        settings = self._adaptive.settings
        rate = {
            Measure.CONFLATE: settings.conflated,
            Measure.SLOW: settings.slowed,
            Measure.SUSPEND: SUSPENDED,
        }
        found: dict[int, tuple[float, str]] = {}
        for rung in self._adaptive.on:
            if rung.measure in rate and rung.priority is not Priority.CRITICAL:
                most = rate[rung.measure]
                if rung.priority not in found or most < found[rung.priority][0]:
                    found[rung.priority] = most, self._reason(rung)
        return found

    def _limit(self, members: list[Member], effect: str) -> None:
        caps, rates = self._hub.granting.caps, self._rates()
        impose: defaultdict[tuple[float, str], dict[Member, Int32Array]] = defaultdict(dict)
        lift: dict[Member, Int32Array] = {}
        wanted_by = self._wanted(members, rates) if rates else {}
        for member in members:
            present, wanted = caps.by(BY, member), wanted_by.get(member.id, {})
            gone = [topic for topic in present if topic not in wanted]
            if gone:
                lift[member] = np.array(gone, np.int32)
            new: defaultdict[tuple[float, str], list[int]] = defaultdict(list)
            for topic, cap in wanted.items():
                if present.get(topic) != cap:
                    new[cap].append(topic)
            for cap, topics in new.items():
                impose[cap][member] = np.array(topics, np.int32)
        if lift:
            caps.lift(lift, BY, effect)
        for (rate, reason), interests in impose.items():
            caps.impose(interests, BY, reason, rate)

    def _wanted(
        self, members: list[Member], rates: Mapping[int, tuple[float, str]]
    ) -> dict[int, dict[int, tuple[float, str]]]:
        """By component, those of its interests that are to be held back, and how."""
        found = {}
        for member, topics, classes, channels in self._held(members):
            mine: dict[int, tuple[float, str]] = {}
            for cls, cap in rates.items():
                of_class = classes == cls
                if cap[0] != SUSPENDED:
                    of_class &= self._may_conflate[channels]
                mine |= dict.fromkeys(topics[of_class].tolist(), cap)
            found[member.id] = mine
        return found

    def _held(self, members: list[Member]) -> Iterator[tuple[Member, Int32Array, Int32Array, Int32Array]]:
        """What each holds that is not closed: topics, classes, channels. Some 50 ns an interest."""
        there = {member.id: member for member in members if not member.closed}
        owners, rows, held, _ = holdings(self._hub.ledger, self._hub.interner, there)
        ends = np.cumsum(rows[0]).tolist()
        for (_, member), count, end in zip(owners, rows[0].tolist(), ends, strict=True):
            mine = slice(end - count, end)
            yield member, held[0, mine], held[1, mine], held[3, mine]

    def _suspend(self, members: list[Member]) -> None:
        """Components of nothing but what is suspended hold no stream on the wire; nor do such interests of others."""
        rungs = [rung for rung in self._adaptive.on if rung.measure is Measure.SUSPEND]
        suspended = [int(rung.priority) for rung in rungs]
        all_off = {
            member.id
            for member, _, classes, _ in self._held(members if suspended else [])
            if len(classes) and np.isin(classes, suspended).all()
        }
        for member in members:
            off = not member.closed and member.id in all_off
            if off and not self.suspends(member) and not member.paused:
                off = not self._hub.ledger.is_paused(
                    member.id
                )  # else its name came back so, and waits to be claimed
            if off != self.suspends(member):
                with self._hub.intent.whole:  # a snapshot tells the two apart
                    (self._suspended.add if off else self._suspended.discard)(member.id)
                    self._hub.ledger.pause(member.id, off or member.paused)
                self._hub.runtime.changed()
        why = f"no events: {self._reason(rungs[-1])} (load)" if rungs else ""
        self.withheld.set(suspended, why)

    def _narrow(self, members: list[Member]) -> None:
        rungs = [rung for rung in self._adaptive.on if rung.measure is Measure.SHALLOW]
        if not rungs and not self._shallows.count:
            return
        streams = self._streams_of({rung.priority for rung in rungs})
        self._shallows.set(
            self._shallows.of_books(streams), self._reason(rungs[-1]) if rungs else "", members
        )

    def _place(self) -> None:
        split = any(rung.measure is Measure.SPLIT for rung in self._adaptive.on)
        streams = self._streams_of({Priority.CRITICAL}) if split else NOTHING
        if not len(streams) and not len(self._split):
            return
        asked = self._hub.granting.own_link.streams
        came, went = (np.setdiff1d(a, b) for a, b in ((streams, self._split), (self._split, streams)))
        self._split = np.setdiff1d(streams, asked).astype(np.int32)  # what a user gives up is asked for then
        for part, on in ((went, False), (came, True)):
            part = np.setdiff1d(part, asked).astype(np.int32)
            part = part[self._hub.engine.knows(part)]
            if len(part):
                self._hub.runtime.handle(events.OwnLink(part, on))

    def _streams_of(self, classes: set[Priority]) -> Int32Array:
        """Streams whose holders are of these classes at most: by the highest of them."""
        if not classes:
            return NOTHING
        ledger = self._hub.ledger
        streams = _columns.live_streams(ledger)
        held = _columns.wanted_columns(ledger, streams)[3]
        found: Int32Array = np.sort(streams[np.isin(held, [int(cls) for cls in classes])])
        return found

    # -- what a rung is about --

    def _counter(self) -> Callable[[Rung], int]:
        """Counts what a rung holds back or would: interests, or streams for SHALLOW and SPLIT. All of them look at the
        interests once, when the first is asked about."""
        held: list[Int64Array] = []

        def count(rung: Rung) -> int:
            if rung.measure is Measure.SHALLOW:
                return len(self._shallows.of_books(self._streams_of({rung.priority})))
            if rung.measure is Measure.SPLIT:
                return len(self._streams_of({rung.priority}))
            if not held:
                held.extend(self._by_class())
            return int(held[rung.measure is not Measure.SUSPEND][rung.priority])

        return count

    def _by_class(self) -> tuple[Int64Array, Int64Array]:
        """How many interests there are of each class, and how many of those may be conflated. 50 ns an interest."""
        hub = self._hub
        _, _, held, _ = holdings(hub.ledger, hub.interner, hub.members)
        classes = held[1]
        conflatable = classes[self._may_conflate[held[3]]]
        return np.bincount(classes, minlength=len(Priority)), np.bincount(
            conflatable, minlength=len(Priority)
        )


def _in_wall_time(taken: MeasureTaken, offset: int) -> MeasureTaken:
    until = None if taken.until_ns is None else taken.until_ns + offset
    return replace(taken, since_ns=taken.since_ns + offset, until_ns=until)


def _fields(step: Step) -> dict[str, dict[str, object]]:
    """For machines, as the engine's lines have them."""
    taken = step.taken
    return {
        "subcore": {
            "measure": taken.measure.value,
            "priority": taken.priority.name,
            "reason": taken.reason,
            "effect": taken.effect,
        }
    }
