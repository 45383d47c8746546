"""The table of all scenarios: which there are, how they are run, and what is written of them."""

from __future__ import annotations

import importlib.util
import platform
import time
from collections.abc import Callable, Iterable
from typing import Any

from subcore.errors import UsageError
from subcore.scenarios.figures import Outcome

__all__ = ["SCENARIOS", "as_dict", "check", "run"]

Tell = Callable[[str], None]
"""Hears what is under way."""

NEEDS = "the scenarios play the plain manager too, and it needs orjson: pip install 'subcore[bench]'"


def check() -> None:
    """UsageError where what the plain manager needs is not installed."""
    if importlib.util.find_spec("orjson") is None:
        raise UsageError(NEEDS)


def _overlap(seed: int, full: bool, tell: Tell) -> Outcome:
    from subcore.scenarios.changes import overlap

    return overlap(seed, plays=20 if full else 8)


def _change_fast(seed: int, full: bool, tell: Tell) -> Outcome:
    from subcore.scenarios.changes import change_fast

    return change_fast(seed, seconds=600.0 if full else 180.0)


def _drop_links(seed: int, full: bool, tell: Tell) -> Outcome:
    from subcore.scenarios.drops import drop_links

    return drop_links(seed, rounds=10 if full else 1)


def _bad_ends(seed: int, full: bool, tell: Tell) -> Outcome:
    from subcore.scenarios.bad_ends import bad_ends

    return bad_ends(seed, plays=5 if full else 1)


def _grow(seed: int, full: bool, tell: Tell) -> Outcome:
    from subcore.scenarios.growth import grow

    return grow(seed, whole=full, tell=tell)


SCENARIOS: dict[int, Callable[[int, bool, Tell], Outcome]] = {
    1: _overlap,
    2: _drop_links,
    3: _change_fast,
    4: _bad_ends,
    5: _grow,
}
"""Number -> what plays it with a seed, in full or not, and tells how far it is."""


def run(
    numbers: Iterable[int], seed: int, *, full: bool = False, tell: Tell = lambda line: None
) -> list[Outcome]:
    """Play these scenarios, one after the other; `tell` hears which is under way. Raises as `check` does."""
    check()
    outcomes = []
    for number in numbers:
        tell(f"scenario {number} ...")
        began = time.monotonic()
        outcome = SCENARIOS[number](seed, full, tell)
        outcome.seconds = time.monotonic() - began
        outcomes.append(outcome)
    return outcomes


def as_dict(outcomes: Iterable[Outcome], seed: int, *, full: bool) -> dict[str, Any]:
    """What was run and what came out, in plain JSON types."""
    outcomes = list(outcomes)
    return {
        "seed": seed,
        "full": full,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "scenarios": [outcome.as_dict() for outcome in outcomes],
        "good": all(outcome.is_good for outcome in outcomes),
    }
