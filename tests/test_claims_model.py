"""Claims against a model of plain dicts: restores, claims, calls of components, adoption and time in any order."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import subcore
from examples import examples
from subcore import _columns
from subcore.engine.snapshot import Snapshot
from subcore.testing import VirtualClock

NAMES = ["a", "b", "c"]
SYMBOLS = ["KRW-BTC", "KRW-ETH", "KRW-XRP"]
CHANNELS = ["ticker", "trade"]
WISHES = st.dictionaries(
    st.sampled_from(NAMES),
    st.dictionaries(
        st.tuples(st.sampled_from(CHANNELS), st.sampled_from(SYMBOLS)), st.integers(0, 3), max_size=4
    ),
    max_size=3,
)
GRACE_TICKS = 10
TICK_NS = 100_000_000


class Held:
    """What the model knows of one name: who holds it, and of each topic its class and whether it is confirmed."""

    def __init__(self) -> None:
        self.component: subcore.Component | None = None
        self.topics: dict[tuple[str, str], tuple[int, bool]] = {}
        self.left: int | None = None  # ticks until the grace ends; None = nothing is awaited
        self.kept = False  # the name was adopted
        self.adopted: set[tuple[str, str]] = set()  # of what is not confirmed

    @property
    def provisional(self) -> set[tuple[str, str]]:
        return {topic for topic, (_, confirmed) in self.topics.items() if not confirmed}


class ClaimMachine(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.clock = VirtualClock()
        self.manager = subcore.SubscriptionManager(
            "upbit",
            url="ws://127.0.0.1:9",
            markets=None,
            seed=1,
            clock=self.clock,
            claim_grace=GRACE_TICKS * TICK_NS / 1e9,
        )
        self.hub = self.manager._hub
        self.hub.claims.look()
        self.model: dict[str, Held] = {}
        self.restore({"a": {("ticker", "KRW-BTC"): 1}, "b": {("trade", "KRW-ETH"): 2}}, False)

    def held(self, name: str) -> Held:
        return self.model.setdefault(name, Held())

    def snapshot(self, wishes: dict[str, dict[tuple[str, str], int]]) -> Snapshot:
        """Of another manager that wants these."""
        other = subcore.SubscriptionManager("upbit", url="ws://127.0.0.1:9", markets=None, seed=2)
        holders = [other.component(name) for name in wishes]
        for component, topics in zip(holders, wishes.values(), strict=True):
            for (channel, symbol), cls in topics.items():
                component.subscribe(channel, symbol, priority=subcore.Priority(cls))
        snapshot = other.snapshot()
        for component in holders:
            component.close()
        return Snapshot.from_bytes(bytes(snapshot))

    @rule(wishes=WISHES, adopted=st.booleans())
    def restore(self, wishes: dict[str, dict[tuple[str, str], int]], adopted: bool) -> None:
        self.hub.claims.put(self.snapshot(wishes), adopted=adopted)
        for name, topics in wishes.items():
            held = self.held(name)
            for topic, cls in topics.items():
                held.topics.setdefault(topic, (cls, False))
            if adopted:
                held.kept = True
                held.adopted |= topics.keys() & held.provisional
            else:
                held.left = GRACE_TICKS

    @rule(name=st.sampled_from(NAMES))
    def claim(self, name: str) -> None:
        held = self.held(name)
        if held.component is None:
            held.component = self.manager.component(name)

    @rule(
        name=st.sampled_from(NAMES),
        channel=st.sampled_from(CHANNELS),
        symbols=st.lists(st.sampled_from(SYMBOLS), min_size=1, max_size=3, unique=True),
        how=st.sampled_from(["subscribe", "replace", "unsubscribe"]),
        handler=st.booleans(),
    )
    def call(self, name: str, channel: str, symbols: list[str], how: str, handler: bool) -> None:
        held = self.held(name)
        if held.component is None:
            return
        arguments: list[Any] = [channel, symbols]
        if handler and how != "unsubscribe":
            arguments.append(ignore)
        getattr(held.component, how)(*arguments)
        named = {(channel, symbol) for symbol in symbols}
        for topic in list(held.topics):
            if (how == "unsubscribe" and topic in named) or (
                how == "replace" and topic[0] == channel and topic not in named
            ):
                del held.topics[topic]
        if how != "unsubscribe":
            held.topics |= dict.fromkeys(named, (1, True))
        held.adopted &= held.provisional

    @rule(name=st.sampled_from(NAMES), handler=st.booleans())
    def adopt(self, name: str, handler: bool) -> None:
        held = self.held(name)
        if held.component is None:
            return
        assert held.component.adopt(ignore if handler else None) == len(held.provisional)
        held.topics = {topic: (cls, True) for topic, (cls, _) in held.topics.items()}
        held.left, held.adopted = None, set()

    @rule()
    def adopt_all(self) -> None:
        self.manager.adopt()
        for held in self.model.values():
            held.adopted = held.provisional
            if held.left is not None:
                held.left, held.kept = None, True

    @rule(name=st.sampled_from(NAMES))
    def close(self, name: str) -> None:
        held = self.held(name)
        if held.component is not None:
            held.component.close()
            del self.model[name]

    @rule(ticks=st.integers(1, 12), asleep=st.integers(0, 1000))
    def wait(self, ticks: int, asleep: int) -> None:
        for tick in range(ticks):
            self.clock.now += TICK_NS
            if asleep and tick == 0:  # a stall counts as two ticks
                self.clock.now += asleep * TICK_NS
                self.pass_tick()
            self.pass_tick()
            self.hub.housekeeping()

    def pass_tick(self) -> None:
        """One tick in the model."""
        for held in self.model.values():
            if held.left is not None:
                held.left -= 1

    @invariant()
    def agree(self) -> None:
        if not hasattr(self, "manager"):
            return
        self.expire()
        found = {c.name: c for c in self.manager.snapshot().components}
        assert set(found) == {name for name, held in self.model.items() if held.component or self.waits(held)}
        for name, saved in found.items():
            held = self.model[name]
            topics = {
                (t.channel, t.symbol): int(p) for t, p in zip(saved.topics, saved.priorities, strict=True)
            }
            assert topics == {topic: cls for topic, (cls, _) in held.topics.items()}
            if held.component is not None:
                provisional = {(t.channel, t.symbol) for t in held.component.provisional}
                assert provisional == held.provisional
        routed = sum(confirmed for held in self.model.values() for _, confirmed in held.topics.values())
        assert self.hub.router.interest_count == routed

    @staticmethod
    def waits(held: Held) -> bool:
        return held.left is not None or held.kept

    def expire(self) -> None:
        """What has had its time goes, from the model too."""
        for name, held in list(self.model.items()):
            if held.left is not None and held.left <= 0:
                held.topics = {
                    topic: row for topic, row in held.topics.items() if row[1] or topic in held.adopted
                }
                held.left = None
                if held.component is None and not held.kept:
                    del self.model[name]

    def teardown(self) -> None:
        if not hasattr(self, "manager"):
            return
        self.wait(ticks=GRACE_TICKS, asleep=0)  # whatever happened before, every grace ends
        self.agree()
        for name in list(self.model):
            self.claim(name)
            self.close(name)
        assert (self.hub.members, self.hub.names, self.hub.claims._until) == ({}, set(), {})
        assert self.hub.router.sink_count == len(self.hub.ledger) == 0
        self.hub.intent.tidy(self.hub.engine.knows)
        assert len(_columns.live_streams(self.hub.ledger)) == 0


def ignore(event: object) -> None:
    """A handler that does nothing."""


TestClaimMachine = ClaimMachine.TestCase
TestClaimMachine.settings = examples(30, stateful_step_count=25)
