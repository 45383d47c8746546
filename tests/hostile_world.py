"""A manager whose components crash, hang, raise, beat without reading, read without beating, leave, are collected, and
meddle with each other from inside their handlers; and a judge that knows only what each of them did and when.

All in virtual time, from one seed. A witness that takes everything at once says what each of the others was due.
"""

from __future__ import annotations

import asyncio
import gc
import random
import warnings
from collections import defaultdict
from typing import Any

import pytest

import subcore
from hostile_acts import HOSTILE, MARKETS, RESTLESS, WELL, Actor, Acts
from subcore.errors import ComponentReaped
from subcore.types import StatusKind
from virtual_manager import World

ACCUSED = {StatusKind.SLOW, StatusKind.QUARANTINED, StatusKind.REAPED}
NAMED_WITHIN_S = 10.0
REAPED_WITHIN_S = 45.0
QUIET = ("leaves", "is collected")  # that break no obligation: nothing is told, they are gone at once


class HostileWorld(Acts):
    """`play` raises AssertionError where a promise is broken."""

    def __init__(self, seed: int, *, each: int = 1, rate: float = 15.0) -> None:
        super().__init__()
        self.random = random.Random(seed)
        self.world = World(seed, rate=rate, markets=MARKETS)
        self.witness: dict[str, list[Any]] = defaultdict(list)
        quiet = tuple(kind for kind in WELL if kind not in RESTLESS)
        self.kinds = [kind for kind in (*WELL, *quiet, *HOSTILE) for _ in range(each)]
        self.random.shuffle(self.kinds)
        self.longest_unnamed = 0.0

    # -- the run --

    def play(self, seconds: float = 90.0) -> None:
        async def main(_: World) -> None:
            async with self.world.manager(obligations=subcore.Obligations()) as manager:
                self.manager = manager
                try:
                    await self.run(manager, seconds)
                finally:
                    await self.end()

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            self.world.run(main)

    async def run(self, manager: subcore.SubscriptionManager, seconds: float) -> None:
        with self.call():
            witness = manager.component("witness")
            witness.subscribe("ticker", MARKETS, lambda event: self.witness[event.symbol].append(event))
        await witness.live(10.0)
        for number, kind in enumerate(self.kinds):
            await self.join(number, kind)
            await asyncio.sleep(self.random.random() * 0.3)
        end = self.now() + seconds
        self.faults_until = end - REAPED_WITHIN_S
        while self.now() < end:
            await asyncio.sleep(self.random.random() * 2.0)
            self.somebody_goes()
            self.check_intent(manager)
        for child in self.children:
            child.close()
        await asyncio.sleep(3.0)
        gc.collect()
        await asyncio.sleep(1.0)
        self.judge(manager)

    async def end(self) -> None:
        tasks = [actor.task for actor in self.actors if actor.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for component in self.manager.components.values():
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
        return actor.kind in WELL

    def check_intent(self, manager: subcore.SubscriptionManager) -> None:
        """What is wanted is what those want that are there; no watchdog changes it."""
        for name, component in manager.components.items():
            actor = next((one for one in self.actors if one.name == name), None)
            if actor is not None and not actor.gone:
                tickers = {topic.symbol for topic in component.topics if topic.channel == "ticker"}
                assert tickers == set(actor.wants), (name, "wants another set than it said")

    def judge(self, manager: subcore.SubscriptionManager) -> None:
        assert self.broken == [], self.broken[:5]
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
        accused = [status for _, status in actor.told if _accuses(status)]
        assert accused == [], (actor.name, accused)
        stats = self.held(actor).stats()
        assert stats.lost == 0
        assert actor.kind not in RESTLESS or actor.did > 5, (actor.name, "did not what it is there for")
        if actor.kind == "meddles":  # it lets go of what it wants, too
            return
        missing = 0
        for symbol in actor.wants:
            got = [event for event in actor.got if _is_ticker(event, symbol)]
            due = self.witness[symbol]
            due = due[due.index(got[0]) :]
            if actor.kind == "changes policy":  # a newer one may have taken a place
                mine = {id(event) for event in got}
                assert [event for event in due if id(event) in mine] == got, (actor.name, symbol)
            else:
                assert got == due[: len(got)], (actor.name, symbol)
            missing += len(due) - len(got)
        waiting = stats.queued + len(actor.wants)  # of each topic one may be held back for its rate
        assert missing <= stats.conflated + waiting, (actor.name, "some are missing")

    def judge_hostile(self, actor: Actor, manager: subcore.SubscriptionManager) -> None:
        if actor.kind in QUIET or actor.fails_at is None:
            return
        named = [at for at, status in actor.told if _accuses(status) and at >= actor.fails_at]
        assert named, (actor.name, "was never named", actor.told)
        self.longest_unnamed = max(self.longest_unnamed, named[0] - actor.fails_at)
        assert named[0] - actor.fails_at <= NAMED_WITHIN_S, actor.name
        assert actor.told[-1][1].kind is StatusKind.REAPED, (actor.name, actor.told)
        component = self.held(actor)
        assert component.closed
        assert component.topics == ()
        with pytest.raises(ComponentReaped, match="was reaped"):
            component.pause()


def _accuses(status: subcore.Status) -> bool:
    """A step of the ladder is about the component as a whole; what is about topics is a queue that fills."""
    return status.kind in ACCUSED and not status.topics


def _is_ticker(event: Any, symbol: str) -> bool:
    return event.channel == "ticker" and event.symbol == symbol and not event.is_image
