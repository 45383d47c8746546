"""What a soak has seen: how often each fault bit, and each thing happened to a stream in each state."""

from __future__ import annotations

from collections import Counter

import numpy as np
from world import CLOCKS, FAULTS, WORLDS

from subcore.engine.topics import LATE, NEXT, TopicEvent
from subcore.types import StreamState

LEAST = 20  # in two million events

S, E = StreamState, TopicEvent
_NEVER_LOST = "what is lost with a link is SENT or OPEN; OPEN ones were proven"
_ENDS_ITSELF = "no venue here ends a stream by itself"
_CALLERS = "whoever applies it picks the streams by their state"
# A link that goes, an error and a list of markets forget or spare what was proven: who is refused and was proven before
# was left out of four lists of what its link carries, 2, 8 and 30 s apart, and is off that wire. A second wire that
# shall carry it is asked for it in place of its refusal, and one that shall not lets go of it within seconds.
_OFF_ITS_WIRE = "refused although proven: by a fourth list that leaves it out, when no other wire has it"
_ASKED_FOR = "what fails was asked for: it is SENT, or OPEN by its other link, or refused there meanwhile"

# What cannot happen, and why; everything else in the table must.
UNREACHABLE: dict[tuple[StreamState, TopicEvent], str] = {
    (S.CLOSED, E.UNWANTED): "the ledger tells of the last interest once",
    (S.SENT, E.RESUMED): _CALLERS,
    (S.OPEN, E.RESUMED_HELD): _CALLERS,
    (S.OPEN, E.LOST): _NEVER_LOST,
    (S.OPEN, E.FAILED): _ENDS_ITSELF,
    (S.OPEN, E.REFUSED): _ENDS_ITSELF,
    (S.REFUSED, E.FAILED_PROVEN): _OFF_ITS_WIRE,
    **{
        (state, event): _ASKED_FOR
        for state in (S.WAITING, S.RECOVERING)
        for event in (E.FAILED, E.FAILED_PROVEN)
    },
    **{(state, E.WANTED): _CALLERS for state in S if state is not S.CLOSED},
    **{(state, E.ASKED_AGAIN): _CALLERS for state in S if state is not S.REFUSED},
    **{(state, E.LOST): _NEVER_LOST for state in (S.WAITING, S.RECOVERING, S.REFUSED)},
    **{(state, E.LOST_PROVEN): _NEVER_LOST for state in (S.WAITING, S.RECOVERING, S.REFUSED)},
}

# What the judge can only see where these happen.
NEEDED = (
    "acts of handlers",
    "ask again",
    "calls refused once resolved",
    "dead at birth",
    "frames that cannot be read",
    "late replies",
    "markets",
    "messages while others wait",
    "mute from birth",
    "news that was due",
    "own link",
    "owners lost",
    "restores",
    "rotate",
    "standby",
    "streams let go",
    "times of flapping links",
    "times of quiet",
    "too fast, said the venue",
    "wires compared",
)


def at_least(
    faults: Counter[str], pairs: dict[str, np.ndarray], happened: Counter[str], least: int
) -> list[str]:
    """What was seen fewer than `least` times. `happened`: the judge's checks, and what was done beside."""
    rare = [f"{name}: {happened[name]}" for name in NEEDED if happened[name] < least]
    rare += [
        f"fault {kind} on {world}: {faults[f'{world} {kind}']}"
        for world in sorted(WORLDS)
        for kind in (*FAULTS, *CLOCKS)
        if faults[f"{world} {kind}"] < least
    ]
    seen = sum(pairs.values())
    for state in StreamState:
        for event in TopicEvent:
            place = (state, event)
            counted_on = NEXT[place] != LATE and place not in UNREACHABLE
            if counted_on and seen[state, event] < least:
                rare.append(f"{event.name} in {state.name}: {seen[state, event]}")
            if place in UNREACHABLE and NEXT[place] != LATE and seen[state, event]:
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
        print(f"TOO RARE: {line}")
