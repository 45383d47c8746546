"""Routes, images and rate caps in random order, from inside handlers too, to be run under a sanitizer: --count N."""

from __future__ import annotations

import argparse
import random
from collections import deque
from collections.abc import Callable

from subcore._delivery import WakeBatch
from subcore._events import Event, Orderbook, Ticker
from subcore._ledger import Ledger
from subcore._queue import EventQueue
from subcore._route import Router
from subcore._timing import CalledClock

STREAMS = 4
MEMBERS = 6


class World:
    """Components that come, go, are capped, blocked and given images. Each event has a number that only grows."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now = self.number = 0
        self.ledger = Ledger()
        self.router = Router(self.ledger, gone=deque(), clock=CalledClock(lambda: self.now))
        self.topics = [
            self.ledger.topic(self.ledger.stream(channel, symbol), cut)
            for channel, cuts in ((0, (0,)), (1, (0, 3)))
            for symbol in range(STREAMS)
            for cut in cuts
        ]
        self.members: list[tuple[int, int]] = []
        self.queue = EventQueue(64, wakes=WakeBatch(lambda call: None))

    def target(self) -> Callable[[Event], None] | EventQueue:
        if self.chance.random() < 0.3:
            return self.queue
        newest: dict[tuple[str, str | None, bool], float] = {}

        def handle(event: Event) -> None:
            number = event.update_id
            at = event.channel, event.symbol, isinstance(event, Orderbook) and len(event.bids) > 3
            assert event.is_image or number >= newest.get(at, 0), "out of order"
            newest[at] = number
            if self.chance.random() < 0.2:
                self.step()

        return handle

    def step(self) -> None:
        """One thing, from anywhere; what a fan-out does not allow is left out inside one."""
        chance, router = self.chance, self.router
        self.now += chance.randrange(3)
        if len(self.members) < MEMBERS:
            component = self.ledger.open_component()
            self.members.append(
                (component, router.new_sink(component, self.target(), raw=chance.random() < 0.2))
            )
        which = chance.randrange(len(self.members))
        component, sink = self.members[which]
        topics = sorted(chance.sample(self.topics, chance.randrange(1, 5)))
        kind = chance.randrange(9)
        if kind == 0:
            del self.members[which]
            router.release_sink(sink)
            router.close_component(component)
        elif kind == 1:
            router.remove(component, topics)
        elif kind in (2, 3):
            router.add(sink, topics, image=chance.random() < 0.8)
        elif kind == 4:
            router.limit(component, topics, chance.choice([0, 1, 5]), [sink])
        elif kind == 5:
            router.block_sink(sink, chance.random() < 0.3)
            router.try_sink(sink)
        elif kind == 6:
            router.forget_images([chance.randrange(2 * STREAMS)])
        elif not router.running:
            chance.choice([self.send, self.send, router.give_images, lambda: router.flush_limits(self.now)])()
            self.queue.get_many(16)

    def send(self) -> None:
        self.number += 1
        symbol, channel = self.chance.randrange(STREAMS), self.chance.randrange(2)
        side = [(100.0 - n, 1.0) for n in range(self.chance.choice([5, 6]))]
        event: Event
        if channel:
            event = Orderbook(
                venue="v", channel="b", symbol=str(symbol), bids=side, asks=side, update_id=self.number
            )
        else:
            event = Ticker(venue="v", channel="t", symbol=str(symbol), update_id=self.number)
        stream = self.ledger.get_stream(channel, symbol)
        if stream >= 0:
            self.router.send(stream, event)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, required=True)
    count = parser.parse_args().count
    for seed in range(4):
        world = World(seed)
        for _ in range(count // 4):
            world.step()
        assert world.number or count < 100, "nothing was sent"
        assert world.router.failures == 0, world.router.sink_info(world.members[0][1])
        assert not world.router.running
    print(f"route_waiting: {count} steps, every handler in order, seeds 0 to 3")


if __name__ == "__main__":
    main()
