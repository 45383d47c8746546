"""Components as a plain dict, and what they do at random."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence

from core_ledger import CoreLedger
from grammar import Key

from subcore.errors import SubcoreError
from subcore.intent import Act
from subcore.types import Priority, Topic

KeyOf = Callable[[Topic], Key]
NOBODY: Counter[str] = Counter()


class Wishes:
    """Twenty-four components or more; each call goes to the real ledger and, if that took it, into the dict."""

    ACTS = ("add", "drop", "close", "flip", "replace", "pause", "reclass", "wrong", "vanish")
    WEIGHTS = (10, 6, 1, 2, 2, 1, 2, 1, 1)

    def __init__(
        self,
        ledger: CoreLedger,
        rng: random.Random,
        topics: Sequence[Topic],
        wrong: Sequence[Topic],
        key_of: KeyOf,
        components: int = 24,
    ) -> None:
        self._ledger, self._rng, self._topics, self._refusable, self._key_of = (
            ledger,
            rng,
            topics,
            wrong,
            key_of,
        )
        self.held: dict[str, dict[Topic, Priority]] = {f"component-{i}": {} for i in range(components)}
        self.paused: set[str] = set()
        self.calls = 0
        self._shares: dict[Key, Counter[str]] | None = None  # by stream, as they follow from `held`
        self._names = sorted(self.held)

    # -- what follows from the dict --

    def classes(self) -> dict[Key, int]:
        """Class of every stream somebody unpaused wants."""
        found: dict[Key, int] = {}
        for name, held in self.held.items():
            if name not in self.paused:
                for topic, priority in held.items():
                    key = self._key_of(topic)
                    found[key] = max(found.get(key, 0), int(priority))
        return found

    def due(self, keys: Sequence[Key]) -> Counter[str]:
        """How many events of a frame about `keys` each component shall have."""
        if self._shares is None:
            self._shares = {}
            for name in self.held.keys() - self.paused:
                for key in map(self._key_of, self.held[name]):
                    self._shares.setdefault(key, Counter())[name] += 1
        found: Counter[str] = Counter()
        for key in keys:
            found += self._shares.get(key, NOBODY)
        return found

    def held_of(self, keys: Sequence[Key]) -> Counter[str]:
        """The same, if nobody were paused."""
        mine = {name: Counter(map(self._key_of, held)) for name, held in self.held.items()}
        return +Counter({name: sum(counts[key] for key in keys) for name, counts in mine.items()})

    def differs(self) -> str | None:
        """Where the ledger and the dict disagree."""
        for name, held in self.held.items():
            if self._ledger.held(name) != held.keys():
                return f"{name} holds {sorted(map(str, self._ledger.held(name) ^ held.keys()))} in one of the two"
        return None

    # -- what they do --

    def step(self) -> None:
        """One random call of a random component."""
        self._shares = None
        name = self._rng.choice(self._names)
        act = self._rng.choices(self.ACTS, self.WEIGHTS)[0]
        getattr(self, f"_{act}")(name)
        self.calls += 1

    def want(self, count: int) -> None:
        """So many different topics at least, to begin with."""
        self._shares = None
        for number, topic in enumerate(self._rng.sample(list(self._topics), count)):
            self._subscribe(self._names[number % len(self._names)], [topic], self._priority())

    def take(self, topics: list[Topic]) -> None:
        """Some component wants these."""
        self._shares = None
        self._subscribe(self._rng.choice(self._names), topics, self._priority())

    def drop_all(self) -> None:
        """Everybody closes."""
        self._shares = None
        for name in self._names:
            self._close(name)

    def _priority(self) -> Priority:
        return self._rng.choices(tuple(Priority), (4, 8, 3, 1))[0]

    def _some(self, most: int = 6) -> list[Topic]:
        return self._rng.sample(list(self._topics), self._rng.randint(1, most))

    def _subscribe(self, name: str, topics: list[Topic], priority: Priority) -> None:
        self._ledger.grant(name, Act.ADD, topics, priority)
        self.held[name].update(dict.fromkeys(topics, priority))

    def _unsubscribe(self, name: str, topics: list[Topic]) -> None:
        self._ledger.grant(name, Act.REMOVE, topics)
        for topic in topics:
            # a topic without depth or grouping names all of its channel and symbol
            for held in list(self.held[name]):
                if (held.channel, held.symbol) == (topic.channel, topic.symbol) and (
                    (topic.depth is None or held.depth == topic.depth)
                    and (topic.grouping is None or held.grouping == topic.grouping)
                ):
                    del self.held[name][held]

    def _add(self, name: str) -> None:
        self._subscribe(name, self._some(), self._priority())

    def _drop(self, name: str) -> None:
        held = sorted(self.held[name], key=str)
        if held:
            self._unsubscribe(name, self._rng.sample(held, self._rng.randint(1, len(held))))

    def _flip(self, name: str) -> None:
        topics = self._some(3)
        self._subscribe(name, topics, self._priority())
        self._unsubscribe(name, topics)

    def _close(self, name: str) -> None:
        self._ledger.close(name)
        self.held[name].clear()
        self.paused.discard(name)

    def _vanish(self, name: str) -> None:
        """The object whose method is its handler goes; then the loop closes the component."""
        if self._ledger.handlers.lose(name):
            self._close(name)

    def _replace(self, name: str) -> None:
        (topic,) = self._some(1)
        priority = self._priority()
        self._ledger.grant(name, Act.REPLACE, [topic], priority)
        for held in list(self.held[name]):
            if held.channel == topic.channel:
                del self.held[name][held]
        self.held[name][topic] = priority

    def _pause(self, name: str) -> None:
        flag = name not in self.paused
        self._ledger.pause(name, flag)
        (self.paused.add if flag else self.paused.discard)(name)

    def _reclass(self, name: str) -> None:
        held = sorted(self.held[name], key=str)
        if held:
            self._subscribe(name, [self._rng.choice(held)], self._priority())

    def _wrong(self, name: str) -> None:
        """Property 10: a call that fails changes nothing, also of what stands before the wrong topic in it."""
        topics = [*self._some(3), self._rng.choice(self._refusable)]
        act = Act.REPLACE if self.calls % 2 else Act.ADD
        try:
            self._ledger.grant(name, act, topics)
        except SubcoreError:
            return
        raise AssertionError(f"{topics[-1]} was accepted")


__all__ = ["Wishes"]
