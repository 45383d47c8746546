"""Scenario 5: growth, and a month of it: what many components take of memory, and how much of the month is good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from subcore.scenarios.changes import markets
from subcore.scenarios.figures import Figure, Outcome
from subcore.scenarios.memory import COMPONENTS, QUEUED, SLOW, TOPICS, in_a_process
from subcore.scenarios.month import Month
from subcore.scenarios.plain_month import availability, messages_after_a_loss
from subcore.scenarios.stage import market_values
from subcore.scenarios.troubles import draw_troubles

__all__ = ["add_availability", "add_memory", "grow"]

STREAMS = 24
Sizes = tuple[int, int, int, int]


def grow(
    seed: int = 1, *, days: int = 30, whole: bool = False, tell: Callable[[str], None] = lambda line: None
) -> Outcome:
    """Scenario 5, with both managers. `whole`: the calm of the month is played, too, step by step."""
    outcome = Outcome(5, "growth")
    add_memory(outcome)
    add_availability(outcome, seed, days, whole=whole, tell=tell)
    return outcome


def add_availability(
    outcome: Outcome,
    seed: int,
    days: int,
    *,
    whole: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> None:
    """Play the month, and account for each stream-second that was lost."""
    troubles = draw_troubles(seed, days)
    month = Month(list(market_values(markets(STREAMS // 3))), seed)
    book = month.run_month(troubles, days, whole=whole, tell=tell)
    messages = messages_after_a_loss(seed)
    outcome.figures.append(Figure("availability", availability(troubles, days, messages), book.availability))
    facts = outcome.facts
    facts["days"] = days, days
    for kind, count in Counter(trouble.kind for trouble in troubles).items():
        facts[f"troubles: {kind}"] = count, count
    facts["messages at once after a loss"] = messages, None
    lenient = availability(troubles, days, messages, limit=messages)
    facts["availability, if the venue served what is over its limits"] = round(lenient, 6), None
    facts["stream-seconds the venue could serve"] = None, book.servable
    for cause, lost in sorted(book.lost.items()):
        facts[f"stream-seconds lost: {cause}"] = None, lost
    facts["stream-seconds lost: by the same measure in the calm left out"] = (
        None,
        round(book.lost_left_out, 1),
    )
    facts["stream-seconds of calm left out"] = None, book.left_out


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
