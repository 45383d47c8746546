"""What components owe, and how long one is waited for: values only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from numbers import Integral
from typing import Any

from subcore.errors import UsageError
from subcore.seconds import MAX_SECONDS, is_span
from subcore.types import StatusKind

__all__ = ["DEFAULTS", "Cause", "Obligations", "Verdict"]


class Cause(IntEnum):
    """Which obligation was broken."""

    UNREAD = 0  # events wait that nobody takes, or an async handler that does not return
    BEATS = 1  # a promised heartbeat does not come
    RAISES = 2  # a handler raises on every call
    OWNER = 3  # whoever is responsible for it is done or gone
    LONG_CALL = 4  # a handler held the event loop


@dataclass(frozen=True, slots=True)
class Verdict:
    """One step about one component, as the veto hook gets it: `kind` is SLOW, QUARANTINED or REAPED.

    `waiting` events wait to be read; `seconds` is how long the fault has lasted (runnable time); `reason` says it in
    a sentence, with the figures.
    """

    component: str
    kind: StatusKind
    cause: Cause
    reason: str
    waiting: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Obligations:
    """How long a manager waits for its components. Seconds of runnable time: a stall or a sleep accuses nobody.

    Events that wait: with the oldest older than `slow` a component is SLOW; where none was taken for `quarantine`
    seconds it is QUARANTINED: nothing is delivered to it, its interests stay. What is read, and each async handler, is
    judged by itself. Heartbeats promised with
    `component(heartbeat=)`: `beats_missed` of them missing = QUARANTINED, reaped once none came for `beats_reap`
    seconds or one interval more, whichever is later. A handler that raised `errors` times in a row is called no more,
    but for one try each after `tries` seconds; if it fails, and the component does nothing else, it is QUARANTINED
    after `failing` seconds. What is QUARANTINED for `grace` seconds more is reaped. Any progress leads back; a SLOW
    component is well again after `calm` seconds without delay.
    UsageError for values that make no sense.
    `veto` is called, from the event loop and outside of public calls, with the `Verdict` before each step that
    restricts a component: what it returns as true is not done, and the component has all that time again. Its
    exceptions are logged and veto nothing. `blocked`: a handler that holds the event loop for so long is named, with
    its stack, by a thread that looks on; None = no such thread.
    """

    slow: float = 1.0
    quarantine: float = 5.0
    grace: float = 30.0
    beats_missed: int = 3
    beats_reap: float = 10.0
    errors: int = 10
    tries: tuple[float, ...] = (2.0, 5.0)
    failing: float = 10.0
    calm: float = 5.0
    blocked: float | None = 0.5
    dump_stacks: bool = False
    veto: Callable[[Verdict], object] | None = None

    def __post_init__(self) -> None:
        for name, fits in _FITS.items():
            given = getattr(self, name)
            if not fits(given):
                raise UsageError(
                    f"{name}={given!r} is no obligation: seconds are 0 to {MAX_SECONDS:g}, tries rise, blocked is more "
                    "than 0 or None, errors and beats_missed are whole numbers, 1 or more, veto is a function or None"
                )


def _is_count(given: Any) -> bool:
    return isinstance(given, Integral) and int(given) >= 1


def _rises(given: Any) -> bool:
    try:
        tries = tuple(given)
    except TypeError:
        return False
    return all(map(is_span, tries)) and all(one < other for one, other in pairwise(tries))


_FITS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("slow", "quarantine", "grace", "beats_reap", "failing", "calm"), is_span),
    **dict.fromkeys(("beats_missed", "errors"), _is_count),
    "tries": _rises,
    "blocked": lambda given: given is None or (is_span(given) and given > 0),
    "veto": lambda given: given is None or callable(given),
}

DEFAULTS = Obligations()
