"""When each injected fault was found: from the injection to the first event that names it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from subcore.engine.clock import SECOND

__all__ = ["Finder", "Injected", "median", "worst"]


@dataclass
class Injected:
    """One fault. `names` says whether an event names it; what is told is up to whoever tells."""

    kind: str
    what: str
    at: int
    names: Callable[[Any], bool]
    found: int | None = None

    @property
    def seconds(self) -> float | None:
        """From injection to event; None = no event ever named it."""
        return None if self.found is None else (self.found - self.at) / SECOND


@dataclass
class Finder:
    """All faults of one run."""

    clock: Callable[[], int]
    faults: list[Injected] = field(default_factory=list)

    def inject(self, kind: str, what: str, names: Callable[[Any], bool]) -> Injected:
        """A fault is there from now on."""
        fault = Injected(kind, what, self.clock(), names)
        self.faults.append(fault)
        return fault

    def told(self, event: Any) -> None:
        """Something was told to somebody: a status, a line of a log."""
        for fault in self.faults:
            if fault.found is None and fault.names(event):
                fault.found = self.clock()

    def seconds(self, kind: str | None = None) -> list[float | None]:
        """Of all faults, or those of a kind."""
        return [fault.seconds for fault in self.faults if kind in (None, fault.kind)]


def worst(times: list[float | None]) -> float | None:
    """The longest; None = at least one was never found."""
    known = [time for time in times if time is not None]
    return max(known) if known and len(known) == len(times) else None


def median(times: list[float | None]) -> float | None:
    """The middle one, the upper of two; what was never found took longest. None = it is one of those."""
    in_order = sorted(times, key=lambda time: float("inf") if time is None else time)
    return in_order[len(in_order) // 2] if in_order else None
