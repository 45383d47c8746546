"""Who is watched after many changes at once is who would be after one at a time."""

from __future__ import annotations

import random

import numpy as np
import pytest

from subcore._intern import Interner
from subcore._ledger import Ledger
from subcore._route import Router
from subcore.engine.context import Context, Settings
from subcore.engine.events import Changed
from subcore.engine.habits import _COLUMNS, Habits
from subcore.engine.pacing import LimitRegistry
from subcore.intent import Intent
from subcore.types import StreamState
from subcore.venues import venue

ROOM = 40


class Watched:
    """Habits on a ledger that knows every stream, each of a market of its own."""

    def __init__(self) -> None:
        made, ledger, interner = venue("upbit"), Ledger(), Interner()
        intent = Intent(made, interner, ledger, Router(ledger, gone=[]))
        names = interner.intern_many([f"KRW-T{i}" for i in range(ROOM)])
        ledger.add(ledger.open_component(), ledger.topics(made.channel_index("trade"), names))
        self.ctx = Context(made, intent, object, random.Random(1), LimitRegistry(), Settings())
        self.ctx.streams.ensure(np.arange(ROOM, dtype=np.int32))
        self.ctx.streams.state[:] = StreamState.OPEN
        self.habits = Habits(self.ctx)

    def change(self, *events: Changed) -> None:
        for event in events:
            self.ctx.streams.state[event.closed] = StreamState.CLOSED
            self.ctx.streams.state[event.opened] = StreamState.OPEN
        self.habits.changed(events)

    def look(self) -> list[int]:
        return self.habits.to_look_at(0).tolist()


def changes(rng: random.Random) -> list[Changed]:
    """Some come, some go, some come back, some are wanted otherwise: what a ledger could tell, turn by turn."""
    here, events = set(rng.sample(range(ROOM), 12)), []
    everyone = set(range(ROOM))
    events.append((here, set(), set()))
    for _ in range(rng.randrange(1, 8)):
        gone = set(rng.sample(sorted(here), rng.randrange(len(here) + 1)))
        came = set(rng.sample(sorted(everyone - here), rng.randrange(6)))
        here = here - gone | came
        resized = set(rng.sample(sorted(here - came), min(2, len(here - came))))
        events.append((came, gone, resized))
    return [Changed(*(np.array(sorted(part), np.int32) for part in event)) for event in events]


@pytest.mark.parametrize("seed", range(30))
def test_many_changes_at_once_are_the_same_as_one_at_a_time(seed: int) -> None:
    events = changes(random.Random(seed))
    together, apart = Watched(), Watched()
    for watched in (together, apart):
        watched.change(events[0])
        watched.look()
        for name, (kind, _) in _COLUMNS.items():
            if name not in ("watched", "group", "serial"):
                getattr(watched.habits, name)[:] = np.ones(1, kind)
    first, *events = events
    together.change(*events)
    for event in events:
        apart.change(event)
    here = set(first.opened.tolist())
    for event in events:
        here = here - set(event.closed.tolist()) | set(event.opened.tolist())
    assert together.look() == apart.look() == sorted(here)
    came = sorted({stream for event in events for stream in event.opened.tolist()} & here)
    for name in _COLUMNS:
        one, other = getattr(together.habits, name)[came], getattr(apart.habits, name)[came]
        if name == "serial":
            assert len(set(one.tolist())) == len(came)
            assert (
                one.min(initial=1000) > events[0].opened.size - 1
            )  # another stream than that of the first look
        else:
            assert np.array_equal(one, other), name
