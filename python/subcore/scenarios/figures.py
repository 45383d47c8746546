"""The figures of the table: what each means, what is wanted, and what came out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["FIGURES", "Definition", "Figure", "Outcome", "show_fact"]


@dataclass(frozen=True)
class Definition:
    """A figure by its definition. `unit`: share, times or seconds; `wanted`: a bound, from below where `at_least`."""

    name: str
    unit: str
    wanted: float
    at_least: bool
    text: str

    def met(self, value: float | None) -> bool:
        """Whether a value keeps the bound; none does not."""
        return value is not None and (value >= self.wanted if self.at_least else value <= self.wanted)

    def show(self, value: float | None) -> str:
        """A value as people read it. None of a time = it did not end."""
        if value is None:
            return "never" if self.unit == "seconds" else "-"
        if self.unit == "share":
            return f"{value:.2%}" if self.wanted > 0.995 else f"{value:.1%}"
        return f"{value:.2f}x" if self.unit == "times" else f"{value:,.1f} s"

    def show_wanted(self) -> str:
        """The bound as people read it."""
        return f"{'>=' if self.at_least else '<='} {self.show(self.wanted)}"


FIGURES: dict[str, Definition] = {
    "efficiency": Definition(
        "subscription efficiency", "share", 0.95, True,
        "(optimal messages / messages sent) x (streams wanted / streams on the wire). Optimal = the least number of "
        "sends such that every addition not cancelled by then goes out at the end of its loop turn or, where the "
        "venue's windows have no room, when they next reopen; a removal at most 2 s later; the first ratio counts as 1 "
        "where fewer were sent, the second, taken over stream-seconds, where less was on the wire.",
    ),
    "memory": Definition(
        "memory", "times", 0.6, False,
        "Traced Python bytes + core arrays, after import, of 120 components x 600 topics with 1,000 events queued in "
        "each of ten slow ones, over those of the plain manager.",
    ),
    "restored": Definition(
        "restored after reconnect", "share", 0.99, True,
        "Streams proven again within 30 s / streams wanted: 30 s after the fault a connection that is still there has "
        "brought data of the stream since.",
    ),
    "rate_use": Definition(
        "use of the rate limit", "share", 0.9, True,
        "Messages sent / the venue's nominal allowance (100 a minute), over the time in which work was waiting; a "
        "message over a limit is refused by the venue, and does not count.",
    ),
    "found_worst": Definition(
        "a fault is found after, worst", "seconds", 10.0, False,
        "From injection to the event that names it, over link faults (silent links and frozen streams with a median "
        "interval of at most 0.5 s) and component faults (heartbeats promised at most 3 s apart).",
    ),
    "found_median": Definition(
        "a fault is found after, median", "seconds", 10.0, False, "The median over the same faults."
    ),
    "availability": Definition(
        "availability", "share", 0.999, True,
        "GOOD stream-seconds / stream-seconds the venue could serve, in a simulated month with 6 drops, 1 silent stall "
        "and 1 refusal a day and 2 h of maintenance.",
    ),
}  # fmt: skip


def show_fact(what: str, value: Any) -> str:
    """What was counted, as people read it: a time that has no value did not end, anything else was not counted."""
    if value is None:
        return "never" if what.endswith("seconds") or what.startswith("seconds") else ""
    if isinstance(value, float) and not value.is_integer():
        return f"{value:,.6g}"
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)


@dataclass(frozen=True)
class Figure:
    """A figure of one scenario, with both managers. None = there is none: it never came, or was not measured."""

    key: str
    before: float | None
    after: float | None

    @property
    def definition(self) -> Definition:
        """What it means."""
        return FIGURES[self.key]

    @property
    def met(self) -> bool:
        """Whether subcore keeps the bound."""
        return self.definition.met(self.after)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        definition = self.definition
        return {
            "key": self.key,
            "name": definition.name,
            "unit": definition.unit,
            "before": self.before,
            "after": self.after,
            "wanted": definition.wanted,
            "at_least": definition.at_least,
            "met": self.met,
            "definition": definition.text,
        }


@dataclass
class Outcome:
    """What one scenario came to. `facts`: what else was counted, (before, after); `faults`: what must not be."""

    number: int
    title: str
    figures: list[Figure] = field(default_factory=list)
    facts: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        """Every bound is kept and nothing was wrong."""
        return all(figure.met for figure in self.figures) and not self.faults

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "scenario": self.number,
            "title": self.title,
            "seconds": round(self.seconds, 1),
            "figures": [figure.as_dict() for figure in self.figures],
            "facts": {what: {"before": b, "after": a} for what, (b, a) in self.facts.items()},
            "faults": self.faults,
            "good": self.is_good,
        }
