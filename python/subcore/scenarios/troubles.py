"""The troubles of a month, from a seed: 6 drops, 1 silent stall and 1 refusal a day, and 2 h of maintenance."""

from __future__ import annotations

import random
from dataclasses import dataclass

__all__ = ["DAY_S", "DROP", "MAINTENANCE", "REFUSAL", "STALL", "Trouble", "draw_troubles"]

DAY_S = 86_400.0
DROPS_A_DAY = 6
MAINTENANCE_S = 7200.0
REFUSED_S = 5.0, 20.0
DROP, STALL, REFUSAL, MAINTENANCE = "drop", "silent stall", "refusal", "maintenance"


@dataclass(frozen=True)
class Trouble:
    """What happens to all links. `seconds`: how long a refusal, or the maintenance, takes."""

    at: float  # seconds since the month began
    kind: str
    seconds: float = 0.0


def draw_troubles(seed: int, days: int) -> list[Trouble]:
    """In order. A refusal is a drop after which the venue answers connects with 429 for 5 to 20 s. The maintenance is
    on one of the days; nothing else happens in it, for there is nothing it could happen to."""
    rng = random.Random(f"month {seed}")
    kinds = [DROP] * DROPS_A_DAY + [STALL, REFUSAL]
    began = rng.randrange(days) * DAY_S + rng.uniform(0.0, DAY_S - MAINTENANCE_S)
    drawn = [Trouble(began, MAINTENANCE, MAINTENANCE_S)]
    for day in range(days):
        for kind in kinds:
            at = (day + rng.random()) * DAY_S
            seconds = rng.uniform(*REFUSED_S) if kind == REFUSAL else 0.0
            if not began <= at < began + MAINTENANCE_S:
                drawn.append(Trouble(at, kind, seconds))
    return sorted(drawn, key=lambda trouble: trouble.at)
