"""What the components of `hostile_world` do: the well, the hostile, and those that only change all they can.

The last break no obligation: they found and close others from inside a callback, change their policies while events are
under way, are read and changed by several tasks, and have a thread call what it may and what it must not.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import subcore
from subcore.errors import SubscribeTimeout, UsageError, WrongThread
from virtual_manager import World

MARKETS = [f"KRW-{name}" for name in ("BTC", "ETH", "XRP", "SOL", "ADA", "DOT")]
RESTLESS = ("meddles", "changes policy", "several tasks", "a thread")
WELL = ("handler", "reader", "batcher", "beater", *RESTLESS)
HOSTILE = (
    "crashes", "hangs", "raises", "beats, reads not", "reads, beats not", "leaves", "is collected", "loses its owner",
    "is never read",
)  # fmt: skip
POLICIES = (
    subcore.Queue(5000),
    subcore.Latest(),
    subcore.Queue(6000, overflow="drop_newest"),
    subcore.Queue(7000, overflow="close"),
)


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
        self.did = 0  # of what it is there for


class Child:
    """What a handler founded, and another one closes."""

    def __init__(self, acts: Acts, name: str, symbol: str) -> None:
        self._acts = acts
        self._over = False
        self.component = acts.manager.component(name)
        self.component.subscribe("trade", symbol, self.take)
        self.component.subscribe("ticker", symbol, self.take)

    def take(self, event: Any) -> None:
        self._acts.outside()
        self._acts.must(not self._over, "something came after `close()` had returned")

    def close(self) -> None:
        self.component.close()
        self._over = True
        self._acts.over.append(self)  # else its handler had no object any more


class Acts:
    """What each kind does. A judge is made of it: see HostileWorld."""

    world: World
    random: random.Random
    manager: subcore.SubscriptionManager

    def __init__(self) -> None:
        self.inside = 0
        self.actors: list[Actor] = []
        self.children: list[Child] = []
        self.over: list[Child] = []
        self.founded = 0
        self.faults_until = 0.0
        self.broken: list[str] = []

    def must(self, holds: bool, promise: str) -> None:
        """An exception here would be the handler's own matter, and nobody would hear of it."""
        if not holds:
            self.broken.append(f"{promise}, at {self.now():.3f} s")

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
        self.must(self.inside == 0, "a handler was called inside a public call")

    async def join(self, number: int, kind: str) -> None:
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
            actor.component = self.manager.component(actor.name, **options)
        self.want(actor)
        acts: dict[str, Callable[[Actor], Any]] = {
            "reader": self.read, "batcher": self.batch, "beater": self.beat, "hangs": self.hang,
            "beats, reads not": self.beat, "reads, beats not": self.beat, "leaves": self.leave,
            "loses its owner": self.read, "changes policy": self.change_policy, "several tasks": self.share,
            "a thread": self.have_a_thread,
        }  # fmt: skip
        if kind in acts:
            actor.task = asyncio.create_task(acts[kind](actor))

    def want(self, actor: Actor) -> None:
        assert actor.component is not None
        handlers = {"handler": self.take, "a thread": self.take, "raises": self.fail, "meddles": self.meddle}
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
        self.in_time(event)
        actor.got.append(event)

    def in_time(self, event: Any) -> None:
        """Nobody else made it wait: in virtual time nothing takes any but waiting."""
        self.must(event.is_image or event.receive_time_ns == self.world.ns(), "an event came late")

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
        """Changes what it and others want, founds components and closes them, lets go of them, all from inside its
        handler."""
        self.take(actor, event)
        if self.now() > self.faults_until:  # what is wanted must come to rest
            return
        component, symbol = self.held(actor), self.random.choice(MARKETS)
        what = self.random.randrange(20)
        actor.did += what < 7
        with self.call():
            match what:
                case 0:
                    component.subscribe("trade", symbol, self.outside_call)
                case 1:
                    component.unsubscribe("trade")
                case 2:
                    component.pause()
                    component.resume()
                case 3:
                    component.unsubscribe("ticker", actor.wants[0])
                    component.subscribe("ticker", actor.wants[0], lambda event: self.meddle(actor, event))
                case 4 | 5:
                    self.founded += 1
                    self.children.append(Child(self, f"child {self.founded}", symbol))
                case 6 if self.children:  # another meddler's, as often as not
                    at = self.random.randrange(len(self.children))
                    self.children.pop(at).close()

    def outside_call(self, event: Any) -> None:
        self.outside()

    async def read(self, actor: Actor) -> None:
        async for event in self.held(actor):
            self.in_time(event)
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
            while True:
                match self.random.randrange(3):
                    case 0:
                        await component.live()
                    case 1:
                        actor.got += await component.batch(8, timeout=0.5)
                    case _:
                        async for event in component:
                            actor.got.append(event)
                            if self.random.random() < 0.1:
                                break

    async def change_policy(self, actor: Actor) -> None:
        """What it wants comes another way at each turn, and at another rate; one task reads all of it."""
        reader = asyncio.create_task(self.take_all(actor))
        try:
            while True:
                await asyncio.sleep(self.random.random())
                rate = None if self.now() > self.faults_until else self.random.choice((None, 3.0))
                with self.call():
                    policy = self.random.choice(POLICIES)
                    self.held(actor).subscribe("ticker", actor.wants, delivery=policy, max_rate=rate)
                actor.did += 1
        finally:
            reader.cancel()

    async def take_all(self, actor: Actor) -> None:
        rests_at = 0.0
        async for event in self.held(actor):
            actor.got.append(event)
            if self.now() > rests_at:  # something waits when the policy is changed, but not for long
                await asyncio.sleep(0.4)
                rests_at = self.now() + 2.0

    async def share(self, actor: Actor) -> None:
        """Several tasks read it, want and let go of more, wait for it to be live, and are cancelled all the time."""
        works = [self.read_a_part, self.read_a_part, self.read_a_part, self.want_more]
        tasks = [asyncio.create_task(work(actor)) for work in works]
        try:
            while True:
                await asyncio.sleep(self.random.random())
                at = self.random.randrange(len(works))
                tasks[at].cancel()
                tasks[at] = asyncio.create_task(works[at](actor))
        finally:
            for task in tasks:
                task.cancel()

    async def read_a_part(self, actor: Actor) -> None:
        while not self.held(actor).closed:
            try:
                actor.got += await self.held(actor).batch(20, timeout=1.0)
            except UsageError:  # another one reads
                actor.did += 1
                await asyncio.sleep(self.random.random())

    async def want_more(self, actor: Actor) -> None:
        while self.now() < self.faults_until:
            with self.call():
                self.held(actor).unsubscribe("trade")
                self.held(actor).subscribe("trade", self.random.choice(MARKETS))
            with contextlib.suppress(SubscribeTimeout):
                await self.held(actor).live(self.random.random() * 0.2)
            await asyncio.sleep(self.random.random())
        await asyncio.Event().wait()

    async def have_a_thread(self, actor: Actor) -> None:
        """A thread works while the loop stands still, so that each play of a seed is the same."""
        while True:
            await asyncio.sleep(self.random.random() * 2.0)
            thread = threading.Thread(target=self.work_in_thread, args=(actor,))
            thread.start()
            thread.join()

    def work_in_thread(self, actor: Actor) -> None:
        component, manager = self.held(actor), self.manager

        def want(symbol: str | None) -> None:
            with self.call():
                component.unsubscribe("trade")
                if symbol is not None:
                    component.subscribe("trade", symbol, self.outside_call)

        for call in (
            component.pause,
            component.close,
            lambda: component.unsubscribe("ticker"),
            manager.topics,
        ):
            try:
                call()
            except WrongThread:
                continue
            self.must(False, "a thread was let in that is not the loop's")
        self.must(component.stats().lost == 0 and manager.stats().interests > 0, "figures are for any thread")
        manager.snapshot()
        manager.call_threadsafe(want, None if self.now() > self.faults_until else self.random.choice(MARKETS))
        actor.did += 1

    def held(self, actor: Actor) -> subcore.Component:
        assert actor.component is not None
        return actor.component
