"""Scenario 5: growth. What many components and events take of memory."""

from __future__ import annotations

from subcore.scenarios.figures import Figure, Outcome
from subcore.scenarios.memory import COMPONENTS, QUEUED, SLOW, TOPICS, in_a_process

__all__ = ["add_memory", "grow"]

Sizes = tuple[int, int, int, int]


def grow(seed: int = 1) -> Outcome:
    """Scenario 5, with both managers."""
    outcome = Outcome(5, "growth")
    add_memory(outcome)
    return outcome


def add_memory(outcome: Outcome, sizes: Sizes = (COMPONENTS, TOPICS, SLOW, QUEUED)) -> None:
    """Measure both managers, each in a process of its own."""
    (before, before_waiting), (after, after_waiting) = (
        in_a_process(one, sizes) for one in ("plain", "subcore")
    )
    outcome.figures.append(Figure("memory", 1.0, round(after / before, 4)))
    outcome.facts["bytes"] = before, after
    outcome.facts["events that wait in the slow ones"] = before_waiting, after_waiting
    _, _, slow, queued = sizes
    if not before_waiting == after_waiting == slow * queued:
        outcome.faults.append(
            f"{slow * queued} events were to wait, not {before_waiting} and {after_waiting}"
        )
