"""The hostile components of one segment: at least one of each kind, and what must become of each kind."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import hostile_kinds as kinds
import hostile_restless as restless
from hostile_member import LADDER, Hostile

import subcore

NAMED_WITHIN_S = 10.0
PATIENCE_S = 15.0  # that a busy machine has more, until what is still not so will never be
_numbers = itertools.count(1)
_LADDER = frozenset(kind.name for kind in LADDER)


@dataclass(frozen=True)
class Kind:
    """`worst`: the step of the ladder it must come to and not go beyond; "" = it is free of blame. `does`: what it must
    have done meanwhile, else nothing was shown."""

    name: str
    start: Callable[[Hostile], None]
    worst: str
    does: tuple[str, ...]


KINDS = (
    Kind("its task crashes", kinds.crashes, "REAPED", ("crashed",)),
    Kind("its async handler hangs", kinds.hangs, "REAPED", ("hung",)),
    Kind("its handler raises", kinds.raises, "REAPED", ("raised",)),
    Kind("beats, does not read", kinds.beats_but_does_not_read, "REAPED", ("beat",)),
    Kind("reads, does not beat", kinds.reads_but_does_not_beat, "REAPED", ("read",)),
    Kind("a queue nobody reads", kinds.is_a_zombie, "REAPED", ()),
    Kind("leaves at any await", kinds.leaves, "REAPED", ("left",)),
    Kind("is collected", kinds.is_collected, "REAPED", ("let go",)),
    Kind("its handler is slow", kinds.is_slow, "SLOW", ("took its time",)),
    Kind(
        "meddles in callbacks", restless.meddles, "", ("founded", "closed another", "let go", "asked again")
    ),
    Kind("changes policy in flight", restless.changes_policy, "", ("changed", "handled", "read")),
    Kind(
        "is of several tasks",
        restless.is_of_several_tasks,
        "",
        ("read", "turned away", "wanted again", "cancelled"),
    ),
    Kind("is of a thread", restless.is_of_a_thread, "", ("had it called", "read figures", "was refused")),
)
BY_NAME = {kind.name: kind for kind in KINDS}


class Crowd:
    """As many as there are `own` topics."""

    def __init__(
        self, manager: subcore.SubscriptionManager, topics: Sequence[str], own: Sequence[str], seed: str
    ) -> None:
        self._manager = manager
        self._topics = list(topics)
        self._own = own
        self._seed = seed
        self.members: list[Hostile] = []

    async def start(self) -> None:
        """One after the other, each in a turn of the loop of its own, as components come."""
        rng = random.Random(self._seed)
        for place, mine in enumerate(self._own):
            kind = KINDS[place % len(KINDS)]
            shared = rng.sample(self._topics, 5)
            name = f"hostile-{next(_numbers):04}"
            own_rng = random.Random(f"{self._seed} {place}")
            hostile = Hostile(kind.name, name, [*shared, mine], self._manager, own_rng)
            self.members.append(hostile)
            kind.start(hostile)
            await asyncio.sleep(0)

    async def settled(self) -> None:
        """Wait until each did, and came to, what it must; but for so long only."""
        until = time.monotonic() + PATIENCE_S
        while any(one_missing(one) for one in self.members) and time.monotonic() < until:
            await asyncio.sleep(0.1)

    async def judged(self) -> tuple[list[str], list[str]]:
        """What is not as it must be by the end of a long segment, `settled`; and what of that is a matter of times, so
        that a busy machine may do it to them."""
        faults, late = list[str](), list[str]()
        wanted = frozenset(info.topic.symbol for info in self._manager.topics() if info.holders)
        for one in self.members:
            who = f"{one.name} ({one.kind})"
            kind, steps = BY_NAME[one.kind], ladder_steps(one)
            faults += one.faults
            faults += [f"{who}: {what}" for what in one_missing(one)]
            if beyond := set(steps) - set(_up_to(kind.worst)):  # a loop that is overloaded makes anybody SLOW
                (late if beyond == {"SLOW"} else faults).append(f"{who}: was {', '.join(sorted(beyond))}")
            if kind.worst and one.named is not None and one.named[0] > NAMED_WITHIN_S:
                late.append(f"{who}: not named within {NAMED_WITHIN_S:g} s: {one.named}")
            if "REAPED" in steps:
                faults += await one.still_there(wanted)
        return faults, late

    def reaped_own(self) -> set[str]:
        """What only those wanted that were reaped."""
        return {one.topics[-1] for one in self.members if "REAPED" in one.steps}

    async def end(self) -> None:
        for hostile in self.members:
            await hostile.end()


def ladder_steps(one: Hostile) -> list[str]:
    """Of what it was told, the steps of the ladder."""
    return [step for step in one.steps if step in _LADDER]


def one_missing(one: Hostile) -> list[str]:
    """What it must have done, and come to, and has not; however fast the machine is."""
    kind, steps = BY_NAME[one.kind], ladder_steps(one)
    missing = [f"never {did}" for did in kind.does if not one.did[did]]
    if kind.worst and one.named is None:
        missing.append("was never named")
    if kind.worst not in ("", *steps):
        missing.append(f"was not {kind.worst}, but {one.steps}")
    return missing


def _up_to(worst: str) -> tuple[str, ...]:
    rungs = ("SLOW", "QUARANTINED", "REAPED")
    return rungs[: rungs.index(worst) + 1] if worst else ()
