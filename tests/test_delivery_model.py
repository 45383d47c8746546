"""The bounded queue against a plain list model."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from examples import examples
from queues import gap, make_queue
from subcore._queue import EventQueue


class QueueModel(RuleBasedStateMachine):
    """Every put is numbered; the model keeps one plain list of events, statuses and gaps."""

    @initialize(maxsize=st.integers(1, 40), overflow=st.sampled_from(["drop_oldest", "drop_newest", "close"]))
    def start(self, maxsize: int, overflow: str) -> None:
        self.queue, self.turns = make_queue(maxsize, overflow, on_loss=gap, on_change=self.changed)
        self.maxsize, self.overflow = maxsize, overflow
        self.items: list[tuple] = []
        self.number = 0
        self.losses: dict[int, int] = {}
        self.closed = self.overflowed = self.high = self.told_high = False
        self.waiting = False
        self.woken = 0

    def changed(self, queue: EventQueue) -> None:
        assert (queue.is_high, queue.overflowed) == (self.high, self.overflowed)

    def events(self) -> list[tuple]:
        return [item for item in self.items if item[0] == "event"]

    def lose(self, place: int, topic: int) -> None:
        self.losses[topic] = self.losses.get(topic, 0) + 1
        if place and self.items[place - 1][0] == "gap":
            _, count, topics = self.items[place - 1]
            topics = {**topics, topic: topics.get(topic, 0) + 1}
            self.items[place - 1] = ("gap", count + 1, topics)
        else:
            self.items.insert(place, ("gap", 1, {topic: 1}))

    @rule(topic=st.integers(0, 3), times=st.integers(1, 30))
    def put(self, topic: int, times: int) -> None:
        for _ in range(times):
            self.put_one(topic)

    def put_one(self, topic: int) -> None:
        self.number += 1
        item = ("event", self.number, topic)
        kept = self.queue.put(item, topic)
        if self.closed and not self.overflowed:
            assert not kept
        elif not self.closed and len(self.events()) < self.maxsize:
            assert kept
            self.items.append(item)
        elif self.overflow == "drop_oldest":
            assert not kept
            oldest = self.events()[0]
            place = self.items.index(oldest)
            del self.items[place]
            self.lose(place, oldest[2])
            self.items.append(item)
        else:
            assert not kept
            self.lose(len(self.items), topic)
            if self.overflow == "close":
                self.closed = self.overflowed = True
        if len(self.events()) >= self.maxsize - self.maxsize // 4:
            self.high = True

    @rule()
    def status(self) -> None:
        self.number += 1
        self.items.append(("status", self.number))
        self.queue.put_status(("status", self.number))

    def taken(self) -> None:
        if len(self.events()) <= self.maxsize // 2:
            self.high = False

    @rule(maximum=st.integers(1, 50))
    def get_many(self, maximum: int) -> None:
        assert self.queue.get_many(maximum) == self.items[:maximum]
        del self.items[:maximum]
        self.taken()

    @rule()
    def get_one(self) -> None:
        assert self.queue.get_nowait() == (self.items.pop(0) if self.items else None)
        self.taken()

    @precondition(lambda self: not self.waiting)
    @rule()
    def wait(self) -> None:
        def wake() -> None:
            assert self.items or self.closed
            self.woken += 1
            self.waiting = False

        self.waiting = self.queue.begin_wait(wake)
        assert self.waiting == (not self.items and not self.closed)

    @rule()
    def cancel(self) -> None:
        self.queue.end_wait()
        self.waiting = False

    @rule()
    def turn(self) -> None:
        assert self.turns.run() <= 1
        assert not (self.waiting and (self.items or self.closed)), "a reader sleeps beside its events"

    @rule()
    def close(self) -> None:
        self.queue.close()
        self.closed = True

    @invariant()
    def agree(self) -> None:
        if not hasattr(self, "queue"):
            return
        assert len(self.queue) == len(self.events())
        assert self.queue.losses == self.losses
        assert self.queue.lost == sum(self.losses.values())
        assert self.queue.closed == self.closed
        assert self.queue.is_high == self.high
        assert len(self.turns.scheduled) <= 1


TestQueueModel = QueueModel.TestCase
TestQueueModel.settings = examples(150, stateful_step_count=40)
