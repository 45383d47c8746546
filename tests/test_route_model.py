"""Routes and fan-out against a plain model."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from examples import examples
from routing import World, orderbook
from subcore._events import Event


class RouteMachine(RuleBasedStateMachine):
    """Components come, go, subscribe, raise and change each other, from outside and from inside handlers."""

    SYMBOLS = 3
    CUTS = (0, 1, 5)

    @initialize()
    def start(self) -> None:
        self.world = World()
        self.members: dict[int, int] = {}  # number -> ledger component
        self.sinks: dict[int, int] = {}
        self.held: dict[int, set[int]] = {}
        self.got: dict[int, int] = {}
        self.expected: dict[int, int] = {}
        self.plans: dict[int, list[tuple]] = {}
        self.number = 0
        self.topics = [self.world.topic(s, cut) for s in range(self.SYMBOLS) for cut in self.CUTS]

    def handler(self, number: int) -> Callable[[Event], None]:
        def handle(event: Event) -> None:
            assert number in self.members, "delivered after close"
            self.got[number] += 1
            for action in self.plans.pop(number, []):
                self.act(*action)

        return handle

    def act(self, kind: str, who: int, topics: list[int]) -> None:
        live = sorted(self.members)
        if kind == "open":
            return self.open_one(topics)
        if not live:
            return None
        number = live[who % len(live)]
        if kind == "subscribe":
            self.world.subscribe(self.members[number], self.sinks[number], topics)
            self.held[number] |= set(topics)
        elif kind == "unsubscribe":
            self.world.unsubscribe(self.members[number], topics)
            self.held[number] -= set(topics)
        elif kind == "close":
            self.world.close(self.members.pop(number), self.sinks.pop(number))
            del self.held[number]
        elif kind == "handler":
            self.world.router.set_handler(self.sinks[number], self.handler(number))
        elif kind == "sink":
            sink = self.world.router.new_sink(self.members[number], self.handler(number))
            self.world.router.connect(sink, sorted(self.held[number]))
            if not self.world.router.running:
                self.world.router.release_sink(self.sinks[number])
                self.sinks[number] = sink
            else:
                self.world.router.connect(self.sinks[number], sorted(self.held[number]))
                self.world.router.release_sink(sink)
        elif kind == "raise":
            raise ValueError("as planned")
        return None

    def open_one(self, topics: list[int]) -> None:
        number = self.number
        self.number += 1
        self.got[number] = 0
        self.members[number], self.sinks[number] = self.world.component(self.handler(number), topics)
        self.held[number] = set(topics)

    kinds = st.sampled_from(["open", "subscribe", "unsubscribe", "close", "handler", "sink"])
    planned = kinds | st.just("raise")
    picks = st.lists(st.integers(0, 8), max_size=5, unique=True)

    def named(self, picks: list[int]) -> list[int]:
        return [self.topics[pick] for pick in picks]

    @rule(kind=kinds, who=st.integers(0, 9), picks=picks)
    def now(self, kind: str, who: int, picks: list[int]) -> None:
        self.act(kind, who, self.named(picks))

    @rule(who=st.integers(0, 9), actions=st.lists(st.tuples(planned, st.integers(0, 9), picks), max_size=3))
    def plan(self, who: int, actions: list[tuple]) -> None:
        live = sorted(self.members)
        if live:
            self.plans[live[who % len(live)]] = [(kind, other, self.named(p)) for kind, other, p in actions]

    @rule(symbol=st.integers(0, 2))
    def send(self, symbol: int) -> None:
        stream = self.world.stream(self.topics[symbol * len(self.CUTS)])
        mine = set(self.topics[symbol * len(self.CUTS) : (symbol + 1) * len(self.CUTS)])
        due = {number: len(self.held[number] & mine) for number in self.members}
        before = dict(self.got)
        self.world.router.send(stream, orderbook(7))
        for number, count in due.items():
            delivered = self.got[number] - before[number]
            if number in self.members:
                assert delivered == count, "everyone still there gets the frame once for each topic"
            else:
                assert delivered <= count
        assert all(self.got[number] == 0 for number in self.got if number not in before)

    @invariant()
    def agree(self) -> None:
        if not hasattr(self, "world"):
            return
        router = self.world.router
        for symbol in range(self.SYMBOLS):
            mine = self.topics[symbol * len(self.CUTS) : (symbol + 1) * len(self.CUTS)]
            rows = router.route(self.world.stream(mine[0]))
            assert sorted(rows) == sorted(
                (self.members[number], topic, self.world.ledger.topic_key(topic)[1], self.sinks[number])
                for number, held in self.held.items()
                for topic in held & set(mine)
            )
            for place, (component, topic, _, _) in enumerate(rows):
                assert self.world.ledger.payload(component, topic) == place
        assert router.interest_count == sum(map(len, self.held.values()))
        assert router.sink_count == len(self.members)
        assert not router.running


TestRouteMachine = RouteMachine.TestCase
TestRouteMachine.settings = examples(120, stateful_step_count=40)
