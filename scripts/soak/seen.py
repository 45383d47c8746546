"""What a soak has seen: how often each fault bit, and each thing happened to a stream in each state."""

from __future__ import annotations

from collections import Counter

import numpy as np
from world import CLOCKS, FAULTS, WORLDS

from subcore.engine.topics import LATE, NEXT, TopicEvent
from subcore.types import StreamState

LEAST = 20

# What cannot happen, and why; everything else in the table must.
UNREACHABLE: dict[tuple[StreamState, TopicEvent], str] = {}


def at_least(faults: Counter[str], pairs: dict[str, np.ndarray]) -> list[str]:
    """What was seen fewer than LEAST times."""
    rare = [
        f"fault {world} {kind}: {faults[f'{world} {kind}']}"
        for world in WORLDS
        for kind in (*FAULTS, *CLOCKS)
        if faults[f"{world} {kind}"] < LEAST
    ]
    seen = sum(pairs.values())
    for state in StreamState:
        for event in TopicEvent:
            reachable = NEXT[state, event] != LATE and (state, event) not in UNREACHABLE
            if reachable and seen[state, event] < LEAST:
                rare.append(f"{event.name} in {state.name}: {seen[state, event]}")
            if (state, event) in UNREACHABLE and seen[state, event]:
                rare.append(f"{event.name} in {state.name} was called unreachable: {seen[state, event]}")
    return rare


def report(
    events: int,
    scenarios: int,
    took: float,
    checks: Counter[str],
    faults: Counter[str],
    tally: Counter[str],
    pairs: dict[str, np.ndarray],
    rare: list[str],
) -> None:
    """All of it, for people."""
    print(f"{events:,} events judged in {scenarios} scenarios, {took:.0f} s")
    print("checked: " + ", ".join(f"{name} {count:,}" for name, count in sorted(checks.items())))
    print("beside:  " + ", ".join(f"{name} {count:,}" for name, count in sorted(tally.items())))
    print(f"\n{'fault':<12}" + "".join(f"{world:>12}" for world in sorted(WORLDS)))
    for kind in (*FAULTS, *CLOCKS):
        print(f"{kind:<12}" + "".join(f"{faults[f'{world} {kind}']:>12,}" for world in sorted(WORLDS)))
    seen = sum(pairs.values())
    print(
        f"\n{'event':<16}"
        + "".join(f"{state.name:>12}" for state in StreamState)
        + "   (late: dropped and counted)"
    )
    for event in TopicEvent:
        cells = [
            f"{seen[state, event]:>10,}" + (" l" if NEXT[state, event] == LATE else "  ")
            for state in StreamState
        ]
        print(f"{event.name:<16}" + "".join(cells))
    for line in rare:
        print(f"TOO RARE (under {LEAST}): {line}")
