"""The newest of each topic against a plain dict."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from examples import examples
from queues import Turns
from subcore._latest import LatestBox


class LatestModel(RuleBasedStateMachine):
    """A dict keeps the order in which its keys came; a topic taken out and put in again stands last."""

    @initialize()
    def start(self) -> None:
        self.turns = Turns()
        self.box = LatestBox(wakes=self.turns.batch)
        self.items: dict[int, tuple[int, int]] = {}
        self.conflated: dict[int, int] = {}
        self.number = 0
        self.waiting = self.closed = False

    @rule(topics=st.lists(st.integers(0, 12) | st.integers(-1, 2**22), min_size=1, max_size=30))
    def put(self, topics: list[int]) -> None:
        for topic in topics:
            self.number += 1
            kept = self.box.put((topic, self.number), topic)
            assert kept != self.closed
            if self.closed:
                continue
            if self.items.pop(topic, None):
                self.conflated[topic] = self.conflated.get(topic, 0) + 1
            self.items[topic] = (topic, self.number)

    @rule(maximum=st.integers(1, 20))
    def get_many(self, maximum: int) -> None:
        expected = list(self.items.values())[:maximum]
        assert self.box.get_many(maximum) == expected
        for topic, _ in expected:
            del self.items[topic]

    @rule()
    def get_one(self) -> None:
        expected = next(iter(self.items.values()), None)
        assert self.box.get_nowait() == expected
        if expected is not None:
            del self.items[expected[0]]

    @precondition(lambda self: not self.waiting)
    @rule()
    def wait(self) -> None:
        def wake() -> None:
            assert self.items or self.closed
            self.waiting = False

        self.waiting = self.box.begin_wait(wake)
        assert self.waiting == (not self.items and not self.closed)

    @rule()
    def cancel(self) -> None:
        self.box.end_wait()
        self.waiting = False

    @rule()
    def turn(self) -> None:
        assert self.turns.run() <= 1
        assert not (self.waiting and (self.items or self.closed)), "a reader sleeps beside its events"

    @precondition(lambda self: self.number > 40)
    @rule()
    def close(self) -> None:
        self.box.close()
        self.closed = True

    def teardown(self) -> None:
        """However short a run was, its box is closed and takes nothing any more."""
        if not hasattr(self, "box"):
            return
        self.put([1, 2])
        self.close()
        self.put([1, 3])
        self.turn()
        self.agree()

    @invariant()
    def agree(self) -> None:
        if not hasattr(self, "box"):
            return
        assert len(self.box) == len(self.items)
        assert self.box.conflations == self.conflated
        assert self.box.conflated == sum(self.conflated.values())


TestLatestModel = LatestModel.TestCase
TestLatestModel.settings = examples(60, stateful_step_count=25)
