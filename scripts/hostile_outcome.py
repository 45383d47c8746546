"""What a run of hostile components came to: what is judged of it, and how it is shown."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from hostile_blocking import Blocked
from hostile_crowd import KINDS

# Beyond these, delays say more about the machine than about who is judged.
FELL_BEHIND_MS = 15.0  # in one of ten looks
STOLEN = 0.02
ENOUGH = 3  # calm pairs
MARGIN_MS = 2.0
# A segment of a second holds a hundred events of the slowest hundredth part: one reaping or collection is all of them.
SHORT_MARGIN_MS = 20.0
SENT = 0.9  # of the trades a second that the exchange was to send: what markets do is drawn


@dataclass
class Segment:
    """What one stretch of time came to."""

    hostile: bool
    seconds: float
    p50_ms: float
    p99_ms: float
    events: int
    behind_ms: float
    stolen: float
    sent: float  # trades a second that left the exchange

    @property
    def is_calm(self) -> bool:
        return self.behind_ms <= FELL_BEHIND_MS and self.stolen <= STOLEN


@dataclass
class Outcome:
    """All that is judged. `events_wanted`: trades a second that the exchange was to send."""

    events_wanted: float
    segments: list[Segment] = field(default_factory=list)
    named: dict[str, list[tuple[float, str] | None]] = field(default_factory=dict)
    steps: dict[str, list[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)  # faults, unless the machine was too busy
    unshown: list[str] = field(default_factory=list)
    did: dict[str, Counter[str]] = field(default_factory=dict)
    events_due: int = 0
    events_got: int = 0
    rss_kib: list[int] = field(default_factory=list)
    blocked: Blocked | None = None
    exchange: dict[str, Any] = field(default_factory=dict)

    @property
    def calm_pairs(self) -> list[tuple[Segment, Segment]]:
        """Without and with hostile components, one after the other, in which times can be judged."""
        pairs = zip(self.segments[::2], self.segments[1::2], strict=False)
        return [pair for pair in pairs if all(segment.is_calm for segment in pair)]

    def p99(self, hostile: bool) -> float:
        """The median of the calm segments, of all where they are too few."""
        judged = (
            self.calm_pairs if not self.is_busy else zip(self.segments[::2], self.segments[1::2], strict=True)
        )
        return statistics.median(pair[hostile].p99_ms for pair in judged)

    @property
    def is_busy(self) -> bool:
        """Whether too few pairs were calm for times to be judged."""
        return len(self.calm_pairs) < ENOUGH

    @property
    def sent(self) -> float:
        """Trades a second over all segments."""
        seconds = sum(segment.seconds for segment in self.segments)
        return sum(segment.sent * segment.seconds for segment in self.segments) / max(seconds, 1e-9)

    @property
    def last_line(self) -> str:
        """What this run could not judge, after `judge`."""
        if not self.unshown:
            return "all of it was judged"
        return (
            f"NOT JUDGED, since the machine was too busy ({len(self.calm_pairs)} calm pairs of segments, {ENOUGH} are "
            "needed): delays, names within 10 s, trades a second, memory, who was SLOW, and what came after a lost "
            f"link; {len(self.unshown) - 1} of it would have failed"
        )

    def judge(self, full: bool) -> None:
        """Add what was broken to `faults`, and what this machine could not show to `unshown`."""
        plain, troubled = self.p99(False), self.p99(True)
        if troubled > max(2 * plain, plain + (MARGIN_MS if full else SHORT_MARGIN_MS)):
            self.late.append(f"p99 delay {troubled:.1f} ms with hostile components, {plain:.1f} ms without")
        self.faults += [f"{kind.name}: not shown" for kind in KINDS if kind.name not in self.steps]
        if self.events_due < 1000:
            self.faults.append(f"only {self.events_due} events were due: nothing was shown")
        if self.sent < SENT * self.events_wanted:
            self.late.append(
                f"{self.sent:,.0f} trades a second were sent, {self.events_wanted:,.0f} were to be"
            )
        if full:
            second, last = self.quarters
            if last > 1.01 * second:
                self.late.append(f"memory grew from {second:,.0f} to {last:,.0f} KiB")
        if self.blocked is None:
            self.faults.append("the run with a blocked loop was not shown")
        else:
            self.faults += self.blocked.faults
        if not self.is_busy:
            self.faults += self.late
            return
        self.unshown.append("times, since this machine is too busy")
        self.unshown += [f"(would be: {text})" for text in self.late]

    @property
    def quarters(self) -> tuple[float, float]:
        """Median memory in KiB of the second quarter and of the last."""
        quarter = max(1, len(self.rss_kib) // 4)
        return statistics.median(self.rss_kib[quarter : 2 * quarter]), statistics.median(
            self.rss_kib[-quarter:]
        )


def show(outcome: Outcome) -> None:
    """A table for people."""
    print(
        f"{'segment':>24} {'seconds':>8} {'events/s':>9} {'p50 ms':>7} {'p99 ms':>7} {'behind ms':>10} {'stolen':>7}"
    )
    for segment in outcome.segments:
        what = "with 20 hostile ones" if segment.hostile else "the healthy alone"
        rate = segment.events / segment.seconds
        times = f"{segment.p50_ms:7.2f} {segment.p99_ms:7.2f} {segment.behind_ms:10.2f} {segment.stolen:7.1%}"
        print(f"{what:>24} {segment.seconds:8.1f} {rate:9,.0f} {times}")
    calm = f"{len(outcome.calm_pairs)} calm pairs" if not outcome.is_busy else "all pairs"
    print(f"median p99 of {calm}: {outcome.p99(False):.2f} ms without, {outcome.p99(True):.2f} ms with")
    print(f"\n{'hostile kind':>24}  named after (s), by what; told; did")
    for kind in KINDS:
        named = outcome.named.get(kind.name, [])
        times = ", ".join("never" if each is None else f"{each[0]:.1f}" for each in named) or "-"
        what = next((each[1] for each in named if each is not None), "")
        told = " ".join(outcome.steps.get(kind.name, []))
        did = ", ".join(f"{count:,} x {did}" for did, count in outcome.did.get(kind.name, {}).items())
        print(f"{kind.name:>24}  {times if kind.worst else '(free of blame)'} {what}; {told}; {did}")
    print(
        f"\nthe exchange sent {outcome.sent:,.0f} trades a second, {outcome.events_wanted:,.0f} were wanted"
    )
    print(f"the healthy were due {outcome.events_due:,} events and got {outcome.events_got:,}")
    second, last = outcome.quarters
    print(f"memory: median of the second quarter {second:,.0f} KiB, of the last {last:,.0f} KiB")
    print(f"the exchange: {outcome.exchange}")
    if outcome.blocked is not None:
        print(f"a handler blocked the loop: {outcome.blocked.told}")
    for heading, texts in (("NOT SO", outcome.faults), ("NOT SHOWN", outcome.unshown)):
        for text in texts[:20]:
            print(f"{heading}: {text}")
        if len(texts) > 20:
            print(f"... and {len(texts) - 20} more")


def as_dict(outcome: Outcome) -> dict[str, Any]:
    """For machines."""
    return {
        "segments": [vars(segment) for segment in outcome.segments],
        "p99_ms": {"without": outcome.p99(False), "with": outcome.p99(True)},
        "named": outcome.named,
        "told": outcome.steps,
        "did": outcome.did,
        "sent_per_s": outcome.sent,
        "wanted_per_s": outcome.events_wanted,
        "events_due": outcome.events_due,
        "events_got": outcome.events_got,
        "rss_kib": dict(zip(("second_quarter", "last_quarter"), outcome.quarters, strict=True)),
        "exchange": outcome.exchange,
        "blocked": None if outcome.blocked is None else outcome.blocked.told,
        "faults": outcome.faults,
        "not_shown": outcome.unshown,
    }
