"""Each setting of `Obligations` moves the moment it is about: managers in virtual time, against a formula each."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from typing import Any

import pytest

import subcore
from subcore.types import StatusKind
from virtual_manager import World

TICK = 0.25
SLACK = 3 * TICK  # it is seen at a tick, judged at the next, and an event to try with may come later
SLOW, QUARANTINED, REAPED, RECOVERED = (
    StatusKind.SLOW,
    StatusKind.QUARANTINED,
    StatusKind.REAPED,
    StatusKind.RECOVERED,
)


def drawn(rng: random.Random) -> subcore.Obligations:
    """None of them as it is by default."""
    slow, first = rng.uniform(1.2, 2.5), rng.uniform(0.5, 1.5)
    second = first + rng.uniform(1.5, 3.0)
    return subcore.Obligations(
        slow=slow,
        quarantine=slow + rng.uniform(1.5, 4.5),
        grace=rng.uniform(1.0, 9.0),
        beats_missed=rng.choice([1, 2, 4, 6]),
        beats_reap=rng.uniform(2.0, 15.0),
        errors=rng.choice([1, 3, 8, 14]),
        tries=(first, second),
        failing=second + rng.uniform(1.5, 4.0),
        calm=rng.choice([rng.uniform(1.0, 3.0), rng.uniform(7.0, 9.0)]),
    )


class Play:
    """Four components, each with a fault of its own, and when it was told what."""

    def __init__(self, rules: subcore.Obligations, beat_each: float) -> None:
        self.rules, self.beat_each = rules, beat_each
        self.world = World(2, rate=20.0)
        self.told: defaultdict[str, list[tuple[StatusKind, float]]] = defaultdict(list)
        self.came: list[float] = []
        self.calls: list[float] = []
        self.beat = self.read = 0.0

    @property
    def now(self) -> float:
        return self.world.clock.now / 1e9

    def make(self, manager: subcore.SubscriptionManager, name: str, **options: Any) -> subcore.Component:
        def note(status: subcore.Status) -> None:
            if not status.topics and status.kind in (SLOW, QUARANTINED, REAPED, RECOVERED):
                self.told[name].append((status.kind, self.now))

        return manager.component(name, on_status=note, **options)

    async def main(self, world: World) -> None:
        async with world.manager(obligations=self.rules) as manager:
            watch = manager.component("watch")
            watch.subscribe("ticker", "KRW-BTC", lambda event: self.came.append(self.now))
            hung, late, bad = (self.make(manager, name) for name in ("hung", "late", "bad"))
            silent = self.make(manager, "silent", heartbeat=self.beat_each)

            def raises(event: Any) -> None:
                self.calls.append(self.now)
                raise ValueError("always")

            bad.subscribe("ticker", "KRW-BTC", raises)
            for component in (hung, late):
                component.subscribe("ticker", "KRW-BTC")
            silent.heartbeat()
            self.beat = self.now
            await self.read_late(late)
            reader = asyncio.create_task(read_on(late))
            async with asyncio.timeout(90.0):
                while not (hung.closed and bad.closed and silent.closed and len(self.told["late"]) >= 2):
                    await asyncio.sleep(0.05)
            reader.cancel()
            late.close()
            watch.close()

    async def read_late(self, late: subcore.Component) -> None:
        """Once, as soon as it is SLOW, and from then on in time."""
        async with asyncio.timeout(30.0):
            while not self.told["late"]:
                await asyncio.sleep(0.05)
        await late.batch(10_000)
        self.read = self.now

    def at(self, name: str, kind: StatusKind) -> float:
        return next(at for one, at in self.told[name] if one is kind)


async def read_on(component: subcore.Component) -> None:
    async for _ in component:
        pass


def follows(at: float, since: float, least: float, slack: float = SLACK) -> bool:
    """`least` seconds after `since`, and hardly later."""
    return since + least - 1e-6 <= at <= since + least + slack


@pytest.mark.simulation
@pytest.mark.parametrize("seed", range(3))
def test_every_setting_moves_its_moment(seed: int) -> None:
    print(f"seed {seed}")
    rng = random.Random(f"obligations {seed}")
    rules, each = drawn(rng), rng.choice([0.8, 1.0, 2.0])
    play = Play(rules, each)
    play.world.run(play.main)
    first = play.came[0]
    # who does not read
    assert [kind for kind, _ in play.told["hung"]] == [SLOW, QUARANTINED, REAPED]
    assert follows(play.at("hung", SLOW), first, rules.slow), rules
    assert follows(play.at("hung", QUARANTINED), first, rules.quarantine), rules
    assert follows(play.at("hung", REAPED), play.at("hung", QUARANTINED), rules.grace), rules
    # who read late once
    assert [kind for kind, _ in play.told["late"]] == [SLOW, RECOVERED]
    assert follows(play.at("late", RECOVERED), play.read - TICK, rules.calm), rules
    # whose handler raises
    cut_off = play.calls[rules.errors - 1]
    assert len(play.calls) == rules.errors + 2, rules
    assert follows(play.at("bad", SLOW), cut_off, 0.0), rules
    for call, after in zip(play.calls[rules.errors :], rules.tries, strict=True):
        assert follows(call, cut_off, after), rules
    assert follows(play.at("bad", QUARANTINED), cut_off, rules.failing), rules
    assert follows(play.at("bad", REAPED), play.at("bad", QUARANTINED), rules.grace), rules
    # who does not beat: it may always be one interval and two ticks late; the end may come two ticks early
    missed = max(rules.beats_missed * each, each + 2 * TICK)
    end = max(rules.beats_reap, missed + each)
    assert [kind for kind, _ in play.told["silent"]] == [QUARANTINED, REAPED]
    assert follows(play.at("silent", QUARANTINED), play.beat, missed), rules
    assert follows(play.at("silent", REAPED), play.beat, end - 2 * TICK, 2 * TICK + 1e-6), rules
