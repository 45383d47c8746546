"""A venue whose messages hold topics of one channel: which go together, against a plain list of what waits."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace

import numpy as np
import pytest

from delta_venue import COUNTS, DELTA, TOPICS_A_MESSAGE
from engine_script import Script
from subcore.engine import actions, events
from subcore.engine.clock import SECOND
from subcore.types import Accepted, Int32Array, Priority, StreamColumns, Topic
from subcore.venue import Channel, GroupBy, Limit, Out, Packing, Scope, Window

NONE = np.empty(0, np.int32)
KINDS = ("trade", "quote", "depth")


def encode(add: StreamColumns, remove: StreamColumns, target: StreamColumns, next_id: int) -> list[Out]:
    """One message: the first that waits, and those after it that share its channel."""
    for verb, columns in (("SUB", add), ("UNSUB", remove)):
        if len(columns.streams):
            channel = columns.channels[0]
            rows = [row for row, one in enumerate(columns.channels.tolist()) if one == channel]
            rows = rows[:TOPICS_A_MESSAGE]
            said = {"op": verb, "kind": KINDS[channel], "args": [columns.symbols[row] for row in rows]}
            streams: Int32Array = columns.streams[rows]
            adds, removes = (streams, NONE) if verb == "SUB" else (NONE, streams)
            return [Out(json.dumps({**said, "id": next_id}).encode(), 1, str(next_id), adds, removes)]
    return []


GROUPED = replace(
    DELTA,
    channels=tuple(Channel(kind, "trade", snapshot=False) for kind in KINDS),
    limits=(Limit("m", Scope.LINK, COUNTS, (Window(1, 1.0, 1.1),)),),
    packing=Packing(GroupBy.CHANNEL, TOPICS_A_MESSAGE, max_in_flight=4),
    encode=encode,
)


@dataclass(frozen=True)
class Waiting:
    """A wish no message has carried yet: what goes first comes first in order."""

    priority: int
    since: int
    kind: str
    symbol: str

    def place(self, now: int) -> tuple[int, int, int]:
        starves = now - self.since >= 10 * SECOND
        first = (self.since, -self.priority) if starves else (-self.priority, self.since)
        return (not starves, *first)


class Judged(Script):
    """A script whose every message is judged by what waits."""

    def __init__(self) -> None:
        super().__init__(GROUPED)
        self.waiting: dict[tuple[str, str], Waiting] = {}
        self.wire: set[tuple[str, str]] = set()
        self.unanswered: list[str] = []
        self.passed_over = 0

    def wish(self, kind: str, symbol: str, priority: Priority) -> None:
        if (kind, symbol) not in self.waiting and (kind, symbol) not in self.wire:
            self.ledger.subscribe("a", Topic(kind, symbol), priority)
            self.waiting[kind, symbol] = Waiting(priority, self.now, kind, symbol)

    def tell(self, event: events.Event) -> list[actions.Action]:
        out = super().tell(event)
        for action in out:
            if isinstance(action, actions.Send):
                said = json.loads(action.payload)
                self.unanswered.append(str(said["id"]))
                self._judge(said["op"], said["kind"], said["args"])
        return out

    def _judge(self, verb: str, kind: str, symbols: list[str]) -> None:
        keys = [(kind, symbol) for symbol in symbols]
        if verb == "UNSUB":
            self.wire.difference_update(keys)
            return
        goes = [self.waiting.pop(key) for key in keys]
        self.wire.update(keys)
        places = [wish.place(self.now) for wish in goes]
        assert places == sorted(places)
        stays = list(self.waiting.values())
        assert all(places[0] <= wish.place(self.now) for wish in stays), "the most important was left out"
        like = [wish.place(self.now) for wish in stays if wish.kind == kind]
        assert not like or (len(goes) == TOPICS_A_MESSAGE and places[-1] <= min(like))
        self.passed_over += any(wish.place(self.now) < places[-1] for wish in stays)


@pytest.mark.parametrize("seed", range(6))
def test_a_message_holds_the_most_important_and_more_of_its_channel(seed: int) -> None:
    rng, s = random.Random(f"grouped {seed}"), Judged()
    s.wish("trade", "ANCHOR", Priority.NORMAL)
    s.turn()
    s.up()
    s.waiting = {key: replace(wish, since=s.now) for key, wish in s.waiting.items()}
    for _ in range(60):
        for _ in range(rng.randrange(6)):
            s.wish(rng.choice(KINDS), f"S{rng.randrange(40)}", rng.choice(list(Priority)))
        s.turn()
        s.wait(rng.choice((0.2, 1.0, 3.0)), frames=1)
        while s.unanswered:
            s.say(Accepted(s.unanswered.pop(0)))
    s.wait(120.0, frames=1)
    assert not s.waiting
    assert s.passed_over > 3, "another channel's never waited behind less important ones"
    wire = sorted(s.wire)
    gone = [key for key in wire if key[1] != "ANCHOR"]
    for kind, symbol in gone:
        s.unwant(kind, symbol, tell=False)
    s.turn()
    while s.wire != {("trade", "ANCHOR")}:
        before = len(s.wire)
        s.wait(3.5, frames=1)
        while s.unanswered:
            s.say(Accepted(s.unanswered.pop(0)))
        assert len(s.wire) < before, "no removal went"
