"""Measures against load are as a plain dict says, whatever components do meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from load_stage import BUSY, CALM, CRITICAL, LOW, MARKETS, OVERLOADED, QUICK, caps_of, press
from manager_rig import KEPT, make
from subcore.component import Component
from subcore.engine.adaptive import Measure
from subcore.manager import SubscriptionManager
from subcore.types import Priority, Topic
from virtual_manager import World


async def read(component: Component) -> None:
    async for _ in component:
        pass


@pytest.mark.simulation
@pytest.mark.parametrize("seed", [0, 2])
def test_caps_and_wire_are_as_the_rungs_say_whatever_components_do(seed: int) -> None:
    print(f"seed {seed}")
    world, rng = World(seed=seed, markets=MARKETS), random.Random(f"adapting {seed}")
    wanted: dict[str, dict[Topic, Priority]] = {}
    rates: dict[str, dict[Topic, float]] = {}  # that users gave
    doubled: dict[str, set[Topic]] = {}  # by two links
    alone: dict[str, set[Topic]] = {}  # by a link of their own
    paused: set[str] = set()
    readers: dict[str, asyncio.Task[None]] = {}
    classes: dict[str, Priority] = {}
    managers: list[SubscriptionManager] = []
    seen = {True: 0, False: 0}  # looks at who was suspended, and paused or not

    def changes(manager: SubscriptionManager, number: int) -> None:
        """Something that components do, noted in a plain dict."""
        live = manager.components
        name = rng.choice([*live, f"new {number}"])
        if name not in live:
            classes[name] = rng.choice([LOW, LOW, LOW, *Priority])
            live[name] = make(manager, name, priority=classes[name])
            wanted[name], rates[name], doubled[name], alone[name] = {}, {}, set(), set()
            if rng.random() < 0.4:
                readers[name] = asyncio.create_task(read(live[name]))
        component, handler = live[name], None if name in readers else lambda event: None
        match rng.choice(["add", "add", "add", "remove", "close", "pause"]):
            case "add":
                channel, symbols = rng.choice(["ticker", "trade", "orderbook"]), rng.sample(MARKETS, 2)
                priority = rng.choice([classes[name]] * 5 + list(Priority))
                rate = rng.choice([None, 5.0])
                options = {
                    "standby": rng.random() < 0.2,
                    "own_link": priority is CRITICAL and rng.random() < 0.5,
                }
                component.subscribe(channel, symbols, handler, priority=priority, max_rate=rate, **options)
                for topic in (Topic(channel, symbol) for symbol in symbols):
                    wanted[name][topic] = priority
                    rates[name].pop(topic, None)
                    if rate is not None:
                        rates[name][topic] = rate
                    for known, option in ((doubled, "standby"), (alone, "own_link")):
                        (known[name].add if options[option] else known[name].discard)(topic)
            case "remove":
                channel = rng.choice(["ticker", "trade", "orderbook"])
                component.unsubscribe(channel)
                wanted[name] = {t: p for t, p in wanted[name].items() if t.channel != channel}
                rates[name] = {t: r for t, r in rates[name].items() if t.channel != channel}
                for known in (doubled, alone):
                    known[name] = {t for t in known[name] if t.channel != channel}
            case "close":
                component.close()
                KEPT[:] = [kept for kept in KEPT if kept is not component]
                del wanted[name], rates[name], doubled[name], alone[name]
                readers.pop(name, None)
                paused.discard(name)
            case _ if name in paused:
                component.resume()
                paused.discard(name)
            case _:
                component.pause()
                paused.add(name)

    async def main(world: World) -> None:
        async with world.manager(adapt=QUICK) as manager:
            managers.append(manager)
            felt = press(manager)
            for number in range(40):
                if rng.random() < 0.15:
                    felt[0] = rng.choice([CALM, BUSY, OVERLOADED, OVERLOADED, OVERLOADED])
                if rng.random() < 0.6:
                    changes(manager, number)
                await asyncio.sleep(rng.choice([0.01, 0.1, 1.0, 3.0]))
                check(manager)
            felt[0] = OVERLOADED
            await asyncio.sleep(25)  # until all is on, and the wire has followed
            check(manager)
            on_wire()
            assert (Measure.SUSPEND, LOW) in taken(manager)
            for name in sorted(paused)[::2]:
                manager.components[name].resume()
                paused.remove(name)
            await asyncio.sleep(8)
            check(manager)
            on_wire()
            felt[0] = CALM
            await asyncio.sleep(60)
            check(manager)  # who is paused still is
            on_wire()
            for name in paused:
                manager.components[name].resume()
            paused.clear()
            await asyncio.sleep(20)
            check(manager)
            assert manager.adaptation().measures == ()
            assert {cap.by for info in manager.topics() for cap in info.caps} <= {"user", "pause"}
            assert len(manager._hub.granting.caps._caps) == sum(map(bool, rates.values()))
            on_wire()
            for reader in readers.values():
                reader.cancel()

    def taken(manager: SubscriptionManager) -> set[tuple[Measure, Priority]]:
        return {(taken.measure, taken.priority) for taken in manager.adaptation().measures}

    def on_wire() -> None:
        """What the exchange sends, and over how many connections, is what is wanted and not suspended."""
        on = taken(managers[0])
        held = {
            (name, topic): priority
            for name, topics in wanted.items()
            for topic, priority in topics.items()
            if name not in paused and (Measure.SUSPEND, priority) not in on
        }
        count = Counter(
            f"{one.type}:{one.code}"
            for conn in world.exchange.connections.values()
            for one in conn.subscriptions
        )
        counted = {name for name, _ in held}  # not who has only what is suspended
        twice, apart = ({topic for name in counted for topic in known[name]} for known in (doubled, alone))
        assert count == {str(topic): 1 + (topic in twice) for _, topic in held}, on
        for conn in world.exchange.connections.values():
            homes = {f"{one.type}:{one.code}" for one in conn.subscriptions} - set(map(str, twice))
            assert homes <= set(map(str, apart)) or not homes & set(map(str, apart))

    def check(manager: SubscriptionManager) -> None:
        adaptation = manager.adaptation()
        on = taken(manager)
        everything = [(topic, priority) for held in wanted.values() for topic, priority in held.items()]
        for measure, priority in on - {(Measure.SHALLOW, each) for each in Priority}:
            of_class = [topic for topic, held in everything if held is priority]
            touched = [t for t in of_class if t.channel != "trade" or measure is Measure.SUSPEND]
            assert adaptation.interests[f"{measure.value} {priority.name}"] == len(touched)
        adapting, members = manager._hub.granting.adapting, manager._hub.members
        assert adapting._suspended | set(adapting._shallows._told) <= set(members), "nothing of who left"
        assert {saved.name: saved.paused for saved in manager.snapshot().components} == {
            name: name in paused for name in wanted
        }
        assert rates == {
            name: {
                info.topic: cap.max_rate
                for info in manager.topics()
                for cap in info.caps
                if (cap.component, cap.by) == (name, "user")
            }
            for name in wanted
        }
        for member in members.values():
            off = member.name in paused or adapting.suspends(member)
            assert manager._hub.ledger.is_paused(member.id) == off, member.name
            seen[member.name in paused] += adapting.suspends(member)
        for name, held in wanted.items():
            found = caps_of(manager, name)
            for topic, priority in held.items():
                cap = found.get(str(topic))
                rate = expected(on, topic, priority)
                if cap is None:
                    assert rate == "all", (name, topic, on)
                else:
                    assert cap.max_rate == rate, (name, topic, on)

    def expected(on: set[tuple[Measure, Priority]], topic: Topic, priority: Priority) -> Any:
        if (Measure.SUSPEND, priority) in on:
            return None
        if topic.channel == "trade":
            return "all"
        if (Measure.SLOW, priority) in on:
            return 2.0
        return 10.0 if (Measure.CONFLATE, priority) in on else "all"

    world.run(main)
    assert seen[False]
    assert seen[True] or seed, "the first play has some who are paused as well"
