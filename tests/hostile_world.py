"""A manager whose components crash, hang, raise, beat without reading, read without beating, leave, are collected, and
meddle with each other from inside their handlers; and a judge that knows only what each of them did and when.

All in virtual time, from one seed. A witness that takes everything at once says what each of the others was due.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import subcore
from subcore.errors import ComponentReaped
from subcore.types import StatusKind
from virtual_manager import World

MARKETS = [f"KRW-{name}" for name in ("BTC", "ETH", "XRP", "SOL", "ADA", "DOT")]
ACCUSED = {StatusKind.SLOW, StatusKind.QUARANTINED, StatusKind.REAPED}
WELL = ("handler", "reader", "batcher", "beater")
HOSTILE = (
    "crashes", "hangs", "raises", "beats, reads not", "reads, beats not", "leaves", "is collected", "loses its owner",
    "is never read",
)  # fmt: skip
NAMED_WITHIN_S = 10.0
REAPED_WITHIN_S = 45.0
QUIET = ("leaves", "is collected")  # that break no obligation: nothing is told, they are gone at once


class Owner:
    """Who is responsible for a component."""


class Actor:
    """What the judge knows of one component."""

    def __init__(self, name: str, kind: str, wants: list[str]) -> None:
        self.name, self.kind, self.wants = name, kind, wants
        self.got: list[Any] = []
        self.told: list[tuple[float, subcore.Status]] = []
        self.fails_at: float | None = None  # in virtual seconds
        self.gone = False
        self.component: subcore.Component | None = None
        self.task: asyncio.Task[Any] | None = None
        self.owner: Any = None


class HostileWorld:
    """`play` raises AssertionError where a promise is broken."""

    def __init__(self, seed: int, *, each: int = 1, rate: float = 15.0) -> None:
        self.random = random.Random(seed)
        self.world = World(seed, rate=rate, markets=MARKETS)
        self.inside = 0
        self.actors: list[Actor] = []
        self.witness: dict[str, list[Any]] = defaultdict(list)
        self.kinds = [kind for kind in (*WELL, *WELL, *HOSTILE, "meddles") for _ in range(each)]
        self.random.shuffle(self.kinds)
        self.longest_unnamed = 0.0
        self.faults_until = 0.0

    def now(self) -> float:
        return self.world.clock.now / 1e9

    @contextlib.contextmanager
    def call(self) -> Iterator[None]:
        """A public call: no handler may run inside it."""
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    def outside(self) -> None:
        assert self.inside == 0, "a handler was called inside a public call"

    # -- what they do --

    async def join(self, manager: subcore.SubscriptionManager, number: int, kind: str) -> None:
        wants = sorted(self.random.sample(MARKETS, self.random.randint(1, 4)))
        actor = Actor(f"{number} {kind}", kind, wants)
        self.actors.append(actor)
        beats = kind in ("beater", "beats, reads not", "reads, beats not")

        def on_status(status: subcore.Status) -> None:
            self.outside()
            actor.told.append((self.now(), status))

        options: dict[str, Any] = {"on_status": on_status, "heartbeat": 1.0 if beats else None}
        if kind == "loses its owner":
            options["owner"] = actor.owner = Owner()
        elif kind == "crashes":
            actor.task = asyncio.create_task(self.crash(actor))
            options["owner"] = actor.task
        with self.call():
            actor.component = manager.component(actor.name, **options)
        self.want(actor)
        acts: dict[str, Callable[[Actor], Any]] = {
            "reader": self.read, "batcher": self.batch, "beater": self.beat, "hangs": self.hang,
            "beats, reads not": self.beat, "reads, beats not": self.beat, "leaves": self.leave,
            "loses its owner": self.read,
        }  # fmt: skip
        if kind in acts:
            actor.task = asyncio.create_task(acts[kind](actor))

    def want(self, actor: Actor) -> None:
        assert actor.component is not None
        handlers = {"handler": self.take, "raises": self.fail, "meddles": self.meddle}
        handler = handlers.get(actor.kind)
        with self.call():
            if handler is None:
                actor.component.subscribe("ticker", actor.wants)
            else:
                actor.component.subscribe("ticker", actor.wants, lambda event: handler(actor, event))
        if actor.kind == "is never read":
            actor.fails_at = self.now()

    def take(self, actor: Actor, event: Any) -> None:
        self.outside()
        actor.got.append(event)

    def fails(self, actor: Actor) -> bool:
        """Whether its time has come; from then on it is broken."""
        if actor.fails_at is None and self.now() < self.faults_until and self.random.random() < 0.03:
            actor.fails_at = self.now()
        return actor.fails_at is not None

    def fail(self, actor: Actor, event: Any) -> None:
        self.take(actor, event)
        if self.fails(actor):
            raise ValueError("planted")

    def meddle(self, actor: Actor, event: Any) -> None:
        """Changes what it and others want, closes and founds components, all from inside its handler."""
        self.take(actor, event)
        if self.now() > self.faults_until:  # what is wanted must come to rest
            return
        assert actor.component is not None
        symbol = self.random.choice(MARKETS)
        with self.call():
            match self.random.randrange(12):
                case 0:
                    actor.component.subscribe("trade", symbol, self.outside_call)
                case 1:
                    actor.component.unsubscribe("trade")
                case 2:
                    actor.component.pause()
                    actor.component.resume()
                case 3:
                    child = actor.component._manager.component(f"child {self.now()} {self.random.random()}")
                    child.subscribe("trade", symbol, self.outside_event)
                    child.close()

    def outside_call(self, event: Any) -> None:
        self.outside()

    def outside_event(self, event: Any) -> None:
        raise AssertionError("a closed component got an event")

    async def read(self, actor: Actor) -> None:
        async for event in self.held(actor):
            actor.got.append(event)

    async def batch(self, actor: Actor) -> None:
        while True:
            actor.got += await self.held(actor).batch(self.random.randint(1, 50), timeout=0.3)
            await asyncio.sleep(self.random.random() * 0.2)

    async def beat(self, actor: Actor) -> None:
        component = self.held(actor)
        while True:
            breaks = actor.kind != "beater" and self.fails(actor)
            if not breaks or actor.kind == "beats, reads not":
                component.heartbeat()
            if not breaks or actor.kind == "reads, beats not":
                actor.got += await component.batch(1000, timeout=0.2)
            await asyncio.sleep(0.3)

    async def hang(self, actor: Actor) -> None:
        async for event in self.held(actor):
            actor.got.append(event)
            if self.fails(actor):
                await asyncio.Event().wait()

    async def crash(self, actor: Actor) -> None:
        await asyncio.sleep(0)
        async for event in self.held(actor):
            actor.got.append(event)
            if self.fails(actor):
                raise ZeroDivisionError("planted")

    async def leave(self, actor: Actor) -> None:
        async with self.held(actor) as component:
            await component.live()
            async for event in component:
                actor.got.append(event)

    def held(self, actor: Actor) -> subcore.Component:
        assert actor.component is not None
        return actor.component

    # -- the run --

    def play(self, seconds: float = 90.0) -> None:
        async def main(_: World) -> None:
            async with self.world.manager(obligations=subcore.Obligations()) as manager:
                await self.run(manager, seconds)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            self.world.run(main)

    async def run(self, manager: subcore.SubscriptionManager, seconds: float) -> None:
        with self.call():
            witness = manager.component("witness")
            witness.subscribe("ticker", MARKETS, lambda event: self.witness[event.symbol].append(event))
        await witness.live(10.0)
        for number, kind in enumerate(self.kinds):
            await self.join(manager, number, kind)
            await asyncio.sleep(self.random.random() * 0.3)
        end = self.now() + seconds
        self.faults_until = end - REAPED_WITHIN_S
        while self.now() < end:
            await asyncio.sleep(self.random.random() * 2.0)
            self.somebody_goes()
            self.check_intent(manager)
        await asyncio.sleep(3.0)
        gc.collect()
        await asyncio.sleep(1.0)
        self.judge(manager)
        for actor in self.actors:
            if actor.task is not None:
                actor.task.cancel()
                await asyncio.gather(actor.task, return_exceptions=True)
        for component in manager.components.values():
            component.close()

    def somebody_goes(self) -> None:
        """One that leaves, is collected, or loses its owner."""
        actor = self.random.choice(self.actors)
        if actor.gone or actor.fails_at is not None or self.now() < 5.0:
            return
        if actor.kind == "leaves" and actor.task is not None:
            actor.task.cancel()
            actor.gone = True
        elif actor.kind == "is collected":
            actor.component, actor.gone = None, True
            gc.collect()
        elif actor.kind == "loses its owner":
            actor.owner, actor.fails_at = None, self.now()
            gc.collect()

    # -- the promises --

    def is_well(self, actor: Actor) -> bool:
        return actor.kind in (*WELL, "meddles")

    def check_intent(self, manager: subcore.SubscriptionManager) -> None:
        """What is wanted is what those want that are there; no watchdog changes it."""
        for name, component in manager.components.items():
            actor = next((one for one in self.actors if one.name == name), None)
            if actor is not None and not actor.gone:
                tickers = {topic.symbol for topic in component.topics if topic.channel == "ticker"}
                assert tickers == set(actor.wants), (name, "wants another set than it said")

    def judge(self, manager: subcore.SubscriptionManager) -> None:
        for actor in self.actors:
            (self.judge_well if self.is_well(actor) else self.judge_hostile)(actor, manager)
        alive = {actor.name for actor in self.actors if not self.is_over(actor)} | {"witness"}
        assert set(manager.components) == alive
        wanted = {
            f"{topic.channel}:{topic.symbol}" for one in manager.components.values() for topic in one.topics
        }
        assert self.world.carried() == wanted
        assert manager.stats().interests == sum(len(one.topics) for one in manager.components.values())

    def is_over(self, actor: Actor) -> bool:
        if actor.kind == "is collected":  # it reads nothing: whom nobody lets go of is reaped by the end
            return True
        return actor.gone or (actor.fails_at is not None and not self.is_well(actor))

    def judge_well(self, actor: Actor, manager: subcore.SubscriptionManager) -> None:
        accused = [status for _, status in actor.told if status.kind in ACCUSED]
        assert accused == [], (actor.name, accused)
        assert self.held(actor).stats().lost == 0
        if actor.kind == "meddles":
            return
        for symbol in actor.wants:
            got = [event for event in actor.got if event.symbol == symbol and not event.is_image]
            due = self.witness[symbol]
            due = due[due.index(got[0]) :]
            assert got == due[: len(got)], (actor.name, symbol)
            assert len(got) >= len(due) - 50, (actor.name, symbol, "some are missing")  # some may wait

    def judge_hostile(self, actor: Actor, manager: subcore.SubscriptionManager) -> None:
        if actor.kind in QUIET or actor.fails_at is None:
            return
        named = [at for at, status in actor.told if status.kind in ACCUSED and at >= actor.fails_at]
        assert named, (actor.name, "was never named", actor.told)
        self.longest_unnamed = max(self.longest_unnamed, named[0] - actor.fails_at)
        assert named[0] - actor.fails_at <= NAMED_WITHIN_S, actor.name
        assert actor.told[-1][1].kind is StatusKind.REAPED, (actor.name, actor.told)
        component = self.held(actor)
        assert component.closed
        assert component.topics == ()
        with pytest.raises(ComponentReaped, match="was reaped"):
            component.pause()
