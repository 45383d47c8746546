"""A hand-driven engine: the test plays link, meter and venue, event by event."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from typing import TypeVar

import numpy as np

from subcore._wire_set import WireSet
from subcore.engine import actions, events
from subcore.engine.clock import SECOND
from subcore.engine.context import Settings
from subcore.engine.engine import Engine
from subcore.engine.link import Phase
from subcore.engine.pacing import LimitRegistry
from subcore.testing import PlainLedger
from subcore.types import Control, Int32Array, Priority, StatusKind, StreamState, Topic
from subcore.venue import Venue
from subcore.venues import venue

MS = SECOND // 1000
BTC, ETH, XRP, ADA = "KRW-BTC", "KRW-ETH", "KRW-XRP", "KRW-ADA"
A = TypeVar("A", bound=actions.Action)


def symbols_of(send: actions.Send) -> set[str]:
    """What a request of Upbit's grammar asks for."""
    return {code for entry in json.loads(send.payload) for code in entry.get("codes", ())}


class Script:
    """Time in seconds on the outside. `out` holds the actions of the last call."""

    def __init__(
        self,
        made: Venue | None = None,
        *,
        symbols: frozenset[str] | None = None,
        seed: int = 1,
        registry: LimitRegistry | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.venue = made or venue("upbit")
        self.ledger = PlainLedger(self.venue)
        self.registry = registry or LimitRegistry()
        self.engine = Engine(
            self.venue,
            self.ledger,
            WireSet,
            random.Random(seed),
            registry=self.registry,
            symbols=symbols,
            settings=settings,
        )
        self.now = 0
        self.generations: dict[int, int] = {}
        self.received: dict[int, int] = {}
        self.out: list[actions.Action] = []

    @property
    def generation(self) -> int:
        """Of link 0."""
        return self.generations.get(0, 0)

    def tell(self, event: events.Event) -> list[actions.Action]:
        self.out = self.engine.handle(event, self.now)
        for action in self.out:
            if isinstance(action, actions.Connect):
                self.generations[action.link] = action.generation
            if isinstance(action, actions.ReleaseStreams):
                self.ledger.release(action.streams)
        return self.out

    def wait(self, seconds: float, *, frames: int = 0) -> list[actions.Action]:
        """Ticks through the time, as the manager would; `frames` come with each tick. Returns all actions."""
        end, seen = self.now + round(seconds * SECOND), []
        while (deadline := self.engine.deadline()) is not None and deadline <= end:
            assert deadline >= self.now or deadline == 0, "the engine must not look back"
            self.now = max(self.now, deadline)
            seen += self.activity(frames)
            seen += self.tell(events.Tick())
        self.now = end
        self.out = seen
        return seen

    def activity(self, frames: int = 0) -> list[actions.Action]:
        out: list[actions.Action] = []
        for link in list(self.engine.links.values()):
            if link.is_up:
                self.received[link.id] = self.received.get(link.id, 0) + frames
                last = self.now if frames else link.life.last_receive
                told = events.LinkActivity(link.id, link.generation, last, self.received[link.id])
                out += self.tell(told)
        return out

    def of(self, kind: type[A]) -> list[A]:
        return [action for action in self.out if isinstance(action, kind)]

    def want(
        self,
        channel: str,
        *symbols: str,
        who: str = "a",
        depth: int | None = None,
        tell: bool = True,
        grouping: float | None = None,
        priority: Priority = Priority.NORMAL,
    ) -> Int32Array:
        ids = [self.ledger.subscribe(who, Topic(channel, s, depth, grouping), priority) for s in symbols]
        if tell:
            self.turn()
        return np.array(ids, np.int32)

    def unwant(
        self,
        channel: str,
        *symbols: str,
        who: str = "a",
        depth: int | None = None,
        tell: bool = True,
        urgent: bool = False,
    ) -> None:
        for symbol in symbols:
            self.ledger.unsubscribe(who, Topic(channel, symbol, depth))
        if tell:
            self.turn(urgent=urgent)

    def turn(self, *, urgent: bool = False) -> list[actions.Action]:
        return self.tell(self.ledger.take_edges(urgent))

    def up(self, rtt_ms: float = 20.0, *, link: int = 0) -> list[actions.Action]:
        self.received[link] = 0
        return self.tell(events.LinkUp(link, self.generations.get(link, 0), round(rtt_ms * MS)))

    def down(
        self,
        reason: str = "gone",
        code: int | None = None,
        status: int | None = None,
        retry_after: float | None = None,
        *,
        link: int = 0,
    ) -> list[actions.Action]:
        after = None if retry_after is None else round(retry_after * SECOND)
        generation = self.generations.get(link, 0)
        return self.tell(events.LinkDown(link, generation, reason, code, status, after))

    def data(self, streams: Iterable[int] | Int32Array, *, link: int = 0) -> list[actions.Action]:
        ids = np.array(list(streams), np.int32)
        return self.tell(events.StreamEvidence(link, self.generations[link], ids, self.now))

    def reconnect(self, *, link: int = 0) -> list[actions.Action]:
        """Waits out the backoff and opens the link again."""
        for _ in range(400):
            if self.engine.links[link].phase is Phase.CONNECTING:
                return self.up(link=link)
            self.wait(0.1)
        raise AssertionError(f"no Connect of link {link} within 40 s")

    def say(self, control: Control, *, link: int = 0) -> list[actions.Action]:
        return self.tell(events.ControlFrame(link, self.generations[link], control))

    def state(self, stream: int) -> StreamState:
        return self.engine.row(int(stream)).state

    def states(self, streams: Int32Array) -> set[StreamState]:
        return {self.state(s) for s in streams.tolist()}

    def open_of(self, streams: Int32Array) -> set[int]:
        return {s for s in streams.tolist() if self.state(s) is StreamState.OPEN}

    def told(self, kind: StatusKind) -> list[list[int]]:
        return [n.streams.tolist() for n in self.of(actions.Notify) if n.kind is kind]

    def open_with(self, channel: str, *symbols: str, **options: object) -> Int32Array:
        """Connected, asked and proven."""
        ids = self.want(channel, *symbols, **options)  # type: ignore[arg-type]
        self.up()
        self.data(ids)
        assert self.states(ids) == {StreamState.OPEN}
        return ids
