"""What is wrong now, judged from figures given at times. Pure: rules, hysteresis, durations, and how often it is told.

`look` is given the readings of one or more rules and gives back what is to be told. What stands is `issues`. A rule
whose readings are left out stays as it is; of one that is given, a subject without a reading reads as 0.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from subcore.engine.alert_rules import ALERT_DEFAULTS, HARM, REMEDIES, UNITS, AlertRule, AlertRules
from subcore.engine.clock import SECOND, RunnableClock
from subcore.engine.trends import Course, Trend

__all__ = ["ALERT_DEFAULTS", "Alert", "AlertRule", "AlertRules", "Alerts", "Issue", "Reading", "Severity"]

LOOK_NS = SECOND  # between two looks, about
SUBJECTS = 16  # of one rule that are named at a time; more are counted
GRAVE_SUBJECTS = 16  # that are named besides, of those that are CRITICAL
COURSE_NS = 600 * SECOND
MINUTE = 60 * SECOND
NONE_MORE: Mapping[str, int] = {}


class Severity(IntEnum):
    """How bad an issue is."""

    WARNING = 1
    CRITICAL = 2


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong now.

    `rule` is a field of `AlertRules`; `kind` and `subject` say whose issue it is: "component", "link", "channel",
    "topic" or "process", and its name. `since_ns`: when the value went over the threshold, nanoseconds since 1970 UTC.
    `value` and `threshold` are in `unit`; the value may have come down and not be calm yet. `evidence` and `remedy`
    are a sentence each. `per_second`: the value's trend, None where it has none; `seconds_to_threshold`: until it
    reaches the next one (of memory: until there is none left), if it goes on like that. `others`: subjects that the
    same is true of and that have no issue of their own, since there are too many.
    """

    rule: str
    severity: Severity
    kind: str
    subject: str
    since_ns: int
    value: float
    threshold: float
    unit: str
    evidence: str
    remedy: str
    per_second: float | None = None
    seconds_to_threshold: float | None = None
    others: int = 0

    def __str__(self) -> str:
        more = f" So it is of {self.others} others." if self.others else ""
        return f"{self.rule} of {self.kind} {self.subject}: {self.evidence}{more} {self.remedy}"


@dataclass(frozen=True, slots=True)
class Alert:
    """What `on_alert` is called with: an issue was raised, or is over. `time_ns` is nanoseconds since 1970 UTC."""

    raised: bool
    issue: Issue
    time_ns: int


class Reading(NamedTuple):
    """One figure at a look. `key` tells subjects of a rule apart; `kind` and `subject` name it.

    `limit`: where the trend is another figure's, what that must not reach; `trend`: its trend.
    """

    key: str
    kind: str
    subject: str
    value: float
    evidence: str
    trend: Trend | None = None
    limit: float | None = None


class _Watch:
    """One subject of one rule. Times named `run` are runnable nanoseconds, others monotonic. It keeps the name under
    which it went over the threshold: who was told of an issue is told of its end by that."""

    __slots__ = (
        "changed_run",
        "course",
        "is_on",
        "is_raised",
        "is_told",
        "named",
        "reading",
        "since",
    )

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.named = reading.kind, reading.subject
        self.course = Course(COURSE_NS)
        self.is_on = False  # over `above`, and not down to `below` since
        self.is_raised = False  # `is_on` lasted
        self.is_told = False
        self.changed_run = 0  # when `is_on` changed
        self.since = 0

    def judge(self, rule: AlertRule, now: int, run: int) -> None:
        """Go by the value of the reading at hand."""
        value = self.reading.value
        if self.is_on != (value > (rule.below if self.is_on else rule.above)):
            self.is_on = not self.is_on
            self.changed_run = run
            if self.is_on and not self.is_raised:
                self.since, self.named = now, (self.reading.kind, self.reading.subject)
        lasted = run - self.changed_run
        if self.is_on and not self.is_raised:
            self.is_raised = lasted >= rule.lasting * SECOND
        elif self.is_raised and not self.is_on:
            self.is_raised = lasted < rule.calm * SECOND


class Alerts:
    """The alerts of one manager. Memory: at most 32 subjects a rule, 1.5 kB each, and 0.2 kB for each that was told of
    within `again`, of which there are `a_minute` a minute."""

    def __init__(self, rules: AlertRules = ALERT_DEFAULTS) -> None:
        self.rules = rules
        self._clock = RunnableClock(LOOK_NS)
        self._watches: dict[str, dict[str, _Watch]] = {name: {} for name, _ in rules.items()}
        self._others: dict[str, int] = {}
        self._gone: list[tuple[str, _Watch]] = []  # who was told of these is told that they are over
        self._told: deque[int] = deque()  # when somebody was told of a raise, within a minute
        self._told_at: dict[
            tuple[str, str], int
        ] = {}  # when of which, by rule and key, within `again`; oldest first
        self._now = 0

    def look(
        self,
        now: int,
        offset: int,
        readings: Mapping[str, Sequence[Reading]],
        more: Mapping[str, int] = NONE_MORE,
    ) -> list[Alert]:
        """Readings by rule at `now` (monotonic nanoseconds; `offset` more is wall time): what is to be told.

        `more`: how many subjects of a rule are over its threshold and have no reading, there being too many.
        O(readings). Rules that are not in force are passed over.
        """
        run = self._clock.read(now)
        self._now = now
        gone, self._gone = self._gone, []
        over = [Alert(False, self._issue(name, watch, offset), now + offset) for name, watch in gone]
        for name, rule in self.rules.items():
            if name in readings:
                self._others[name] = more.get(name, 0)
                over += self._judge(name, rule, readings[name], now, run, offset)
        return [*over, *self._raised(now, offset)]

    def forget(self, name: str, key: str) -> None:
        """The subject is no more: its issue ends at once, and who was told of it is told so at the next look."""
        watch = self._watches[name].pop(key, None)
        if watch is not None and watch.is_told:
            self._gone.append((name, watch))

    def issues(self, offset: int) -> list[Issue]:
        """What is wrong as of the last look, the most harmful first. `offset` as in `look`. 0.1 ms for each."""
        standing = [(name, watch) for name, watch in self._all() if watch.is_raised]
        return sorted((self._issue(name, watch, offset) for name, watch in standing), key=_harm)

    @property
    def nbytes(self) -> int:
        """Bytes of the courses, about."""
        return 1_500 * sum(len(watches) for watches in self._watches.values())

    # -- inside --

    def _all(self) -> list[tuple[str, _Watch]]:
        """Copied at once: another thread may ask."""
        return [(name, w) for name, watches in self._watches.items() for w in list(watches.values())]

    def _judge(
        self, name: str, rule: AlertRule, readings: Sequence[Reading], now: int, run: int, offset: int
    ) -> list[Alert]:
        watches = self._watches[name]
        self._admit(name, rule, readings, now)
        given = {reading.key: reading for reading in readings}
        over = []
        for key, watch in list(watches.items()):
            watch.reading = given.get(key) or watch.reading._replace(value=0.0)
            watch.course.add(now, watch.reading.value)
            watch.judge(rule, now, run)
            if watch.is_raised:
                continue
            if watch.is_told:
                watch.is_told = False
                over.append(Alert(False, self._issue(name, watch, offset), now + offset))
            if key not in given and not watch.is_on and self._may_tell(name, key, now):
                del watches[key]
        return over

    def _admit(self, name: str, rule: AlertRule, readings: Sequence[Reading], now: int) -> None:
        """Watch those that are not yet, the worst first while there is room; who is quiet makes room for who is not.

        Who is not quiet keeps its place, since it is not over; so there are places besides for what is worse.
        """
        watches = self._watches[name]
        fresh = [reading for reading in readings if reading.key not in watches]
        quiet = [key for key, watch in watches.items() if not (watch.is_on or watch.is_raised)]
        for reading in sorted(fresh, key=lambda reading: -reading.value):
            is_bad = reading.value > rule.above
            room = SUBJECTS + (GRAVE_SUBJECTS if reading.value > rule.grave else 0)
            while len(watches) >= room and is_bad and quiet:
                del watches[quiet.pop()]
            if len(watches) < room:
                watches[reading.key] = _Watch(reading)
            else:
                self._others[name] += is_bad

    def _may_tell(self, name: str, key: str, now: int) -> bool:
        """Also who made room since is told of no sooner."""
        told_at = self._told_at.get((name, key))
        return told_at is None or now - told_at >= self.rules.again * SECOND

    def _raised(self, now: int, offset: int) -> list[Alert]:
        """Those to be told of: not sooner than `again` after the last time, and so many a minute."""
        untold = [
            (self._issue(name, watch, offset), name, watch)
            for name, watch in self._all()
            if watch.is_raised and not watch.is_told and self._may_tell(name, watch.reading.key, now)
        ]
        while self._told and now - self._told[0] >= MINUTE:
            self._told.popleft()
        while self._told_at and self._may_tell(*(oldest := next(iter(self._told_at))), now):
            del self._told_at[oldest]
        untold.sort(key=lambda each: _harm(each[0]))
        told = untold[: max(0, self.rules.a_minute - len(self._told))]
        for _, name, watch in told:
            watch.is_told = True
            self._told.append(now)
            self._told_at[name, watch.reading.key] = now
        return [Alert(True, issue, now + offset) for issue, _, _ in told]

    def _issue(self, name: str, watch: _Watch, offset: int) -> Issue:
        rule: AlertRule = getattr(self.rules, name)
        reading = watch.reading
        trend = own = watch.course.trend(self._now)
        limit = rule.grave if reading.value > rule.above else rule.above
        if reading.limit is not None:
            trend, limit = reading.trend, reading.limit
        return Issue(
            rule=name,
            severity=Severity.CRITICAL if reading.value > rule.grave else Severity.WARNING,
            kind=watch.named[0],
            subject=watch.named[1],
            since_ns=watch.since + offset,
            value=reading.value,
            threshold=rule.above,
            unit=UNITS[name],
            evidence=reading.evidence,
            remedy=REMEDIES[name],
            per_second=None if own is None else own.per_second,
            seconds_to_threshold=None if trend is None else trend.seconds_to(limit),
            others=self._others.get(name, 0),
        )


def _harm(issue: Issue) -> tuple[int, int, float]:
    return -issue.severity, HARM.index(issue.rule), -issue.value
