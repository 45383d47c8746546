"""The rules by which alerts are raised: values only. What each means is in docs/operations.md."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields

from subcore.errors import UsageError

__all__ = ["ALERT_DEFAULTS", "HARM", "REMEDIES", "UNITS", "AlertRule", "AlertRules"]

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class AlertRule:
    """When one kind of alert is raised and cleared.

    Raised once the value was over `above` and has not come down to `below` since, for `lasting` seconds; cleared once
    it came down to `below` and has not been over `above` since, for `calm` seconds. So a value that swings about one of
    them raises once. Over `grave` it is CRITICAL. Seconds are of runnable time: a stall or a sleep counts as two.
    UsageError for values that make no sense.
    """

    above: float
    below: float
    lasting: float = 0.0
    calm: float = 0.0
    grave: float = math.inf

    def __post_init__(self) -> None:
        whole = all(isinstance(getattr(self, part.name), int | float) for part in fields(self))
        if not whole or not self.below <= self.above <= self.grave:
            raise UsageError(f"{self!r} is no rule: below <= above <= grave are numbers")
        if not (0 <= self.lasting < math.inf and 0 <= self.calm < math.inf):
            raise UsageError(f"{self!r} is no rule: lasting and calm are seconds, 0 or more")


# above, below, lasting, calm, grave
LOSS = (0.0, 0.0, 0.0, 0.0, 1000.0)
SUSPECT = (30.0, 30.0, 0.0, 5.0, 120.0)
# Candles come at a cadence of a second, so up to a second after what they tell of. It lasts longer than what is looked
# at, for one hiccup is in that for 30 s.
LATENCY = (1.5, 1.0, 35.0, 35.0, 5.0)
QUEUE_AGE = (2.0, 1.0, 3.0, 10.0, 10.0)
LOOP_LAG = (0.2, 0.1, 10.0, 15.0, 1.0)
RESTORES = (3.0, 1.0, 0.0, 0.0, 10.0)
BUDGET = (0.8, 0.6, 15.0, 30.0, 0.95)
MEMORY_GROWTH = (32.0, 16.0, 60.0, 300.0, 512.0)
CLOCK_SKEW = (0.1, 0.05, 20.0, 60.0, 1.0)
SNAPSHOT_STALE = (10.0, 5.0, 0.0, 5.0, 120.0)

AGAIN_S = 60.0
A_MINUTE = 30


@dataclass(frozen=True, slots=True)
class AlertRules:
    """What alerts are raised about; None = never about that. The values, and what `above` is compared with:

    `loss`: events of a component lost in the last minute, for good. `suspect`: seconds for which a stream somebody
    wants is lost, overdue or not asked for yet. `latency`: seconds from the exchange's time to receiving, all but 1 %
    of a channel's frames. `queue_age`: seconds for which the oldest event of a component waits. `loop_lag`: seconds
    by which the event loop is late, the worst of a second. `restores`: open links lost in ten minutes. `budget`: share
    of a rate limit's window that is used. `memory_growth`: MiB an hour that the process grows by. `clock_skew`:
    seconds by which half of the frames come before their exchange's time. `snapshot_stale`: seconds for which what is
    wanted is not on the disk.
    `again`: seconds between two tellings (a log line, `on_alert`) about one subject; one that comes sooner waits, and
    is told if it still stands then. `a_minute`: tellings about raised ones a minute, the most harmful first.
    """

    loss: AlertRule | None = AlertRule(*LOSS)
    suspect: AlertRule | None = AlertRule(*SUSPECT)
    latency: AlertRule | None = AlertRule(*LATENCY)
    queue_age: AlertRule | None = AlertRule(*QUEUE_AGE)
    loop_lag: AlertRule | None = AlertRule(*LOOP_LAG)
    restores: AlertRule | None = AlertRule(*RESTORES)
    budget: AlertRule | None = AlertRule(*BUDGET)
    memory_growth: AlertRule | None = AlertRule(*MEMORY_GROWTH)
    clock_skew: AlertRule | None = AlertRule(*CLOCK_SKEW)
    snapshot_stale: AlertRule | None = AlertRule(*SNAPSHOT_STALE)
    again: float = AGAIN_S
    a_minute: int = A_MINUTE

    def __post_init__(self) -> None:
        for name in HARM:
            given = getattr(self, name)
            if given is not None and not isinstance(given, AlertRule):
                raise UsageError(
                    f"{name}={given!r}: give an AlertRule(above=, below=, ...), or None for none"
                )
        if not (0 <= self.again < math.inf and self.a_minute >= 1):
            raise UsageError("again is seconds, 0 or more, and a_minute at least 1")

    def items(self) -> Iterator[tuple[str, AlertRule]]:
        """The rules that are in force by name, the most harmful first."""
        for name in HARM:
            rule: AlertRule | None = getattr(self, name)
            if rule is not None:
                yield name, rule


# The most harmful first: what is lost, then what is wrong, late, about to be, and what only a restart would show.
HARM = (
    "loss",
    "suspect",
    "latency",
    "queue_age",
    "loop_lag",
    "restores",
    "budget",
    "memory_growth",
    "clock_skew",
    "snapshot_stale",
)

UNITS = {
    "loss": "events a minute",
    "suspect": "s",
    "latency": "s",
    "queue_age": "s",
    "loop_lag": "s",
    "restores": "in 10 min",
    "budget": "of the window",
    "memory_growth": "MiB an hour",
    "clock_skew": "s",
    "snapshot_stale": "s",
}

REMEDIES = {
    "loss": "Read faster, give it a larger Queue(maxsize=) or Ring(size), or take Latest() or max_rate= where only "
    "the newest counts.",
    "suspect": "manager.explain(channel, symbol) says what it waits for; trust none of it until its status is GOOD.",
    "latency": "Compare delay of the links: one alone, manager.rotate(); all of them, the venue, the network, or this "
    "machine's clock is ahead (NTP).",
    "queue_age": "Its reader or handler does not keep up: see mean_ns and loop_share of its figures, take fewer "
    "topics, or Latest() or max_rate=.",
    "loop_lag": "Something holds the event loop: see manager.blockers and loop_share of the components, and move "
    "long work into a thread.",
    "restores": "manager.restores says what ended the links: look at the network and the venue's notices, and give "
    "standby=True to what matters most.",
    "budget": "Change what is wanted less often, in fewer and larger calls or in transactions: what is more waits "
    "until the window has room.",
    "memory_growth": "Compare two stats().memory: where core and python stand still, something else in the process "
    "keeps what it should let go.",
    "clock_skew": "This machine's clock is behind the exchange's: have NTP set it; until then delays are wrong.",
    "snapshot_stale": "See stats().snapshot.last_error, and whether the disk is full, slow or read-only: a restart "
    "would find an older state.",
}

ALERT_DEFAULTS = AlertRules()
