"""Random puts, reads, and boxes that come and go, against plain counts, to be run under a sanitizer: --count N."""

from __future__ import annotations

import argparse
import random
from collections import deque

from subcore._delivery import Box, WakeBatch
from subcore._duties import DutyTable
from subcore._events import Orderbook, Ticker
from subcore._inbox import Inbox
from subcore._latest import LatestBox
from subcore._ledger import Ledger
from subcore._queue import EventQueue
from subcore._ring import RecordRing, RingReader
from subcore._route import Router


def boxes(count: int, seed: int) -> None:
    """`count` operations on one inbox: every event put is read, lost or conflated, and nothing is read twice."""
    chance = random.Random(seed)
    wakes, duties, inbox = WakeBatch(lambda flush: None), DutyTable(), Inbox()
    live: list[Box] = []
    put = 0
    read: list[int] = []
    for step in range(count):
        dice = chance.random()
        if not live or (dice < 0.02 and inbox.box_count < 16):
            overflow = chance.choice(["drop_oldest", "drop_newest"])
            queue = EventQueue(
                chance.choice([1, 5, 700]), overflow, wakes=wakes, duties=duties, component=step % 9
            )
            live.append(chance.choice([queue, LatestBox(wakes=wakes)]))
            inbox.add(live[-1])
        elif dice < 0.04 and len(live) > 1:
            inbox.leave(live.pop(chance.randrange(len(live))))
        elif dice < 0.9:
            chance.choice(live).put(Number(put), chance.choice([1, step % 500]))
            put += 1
        elif dice < 0.95:
            read += [item.value for item in inbox.get_many(chance.choice([1, 3, 1000]))]
        elif (item := inbox.get_nowait()) is not None:
            read.append(item.value)
    read += [item.value for item in inbox.get_many(put + 1)]
    assert len(read) + inbox.lost + inbox.conflated == put, f"seed {seed}"
    assert len(set(read)) == len(read), f"seed {seed}"


class Number:
    """Something to count references of."""

    def __init__(self, value: int) -> None:
        self.value = value


def rings(count: int, seed: int) -> None:
    """`count` records of two kinds into rings of one row and more, read by two readers."""
    chance = random.Random(seed)
    ledger = Ledger()
    router = Router(ledger, gone=deque())
    topics = ledger.topics(0, [0])
    events = {
        "ticker": Ticker(venue="v", channel="c", symbol="s", price=1.0),
        "orderbook": Orderbook(venue="v", channel="c", symbol="s", bids=[(2.0, 1.0)]),
    }
    placed: list[tuple[RecordRing, Ticker | Orderbook]] = []
    for kind, event in events.items():
        for size in (1, 7):
            component = ledger.open_component()
            ledger.add(component, topics)
            placed.append((RecordRing(kind, size), event))
            router.connect(router.new_sink(component, placed[-1][0]), topics)
    readers = [RingReader(ring) for ring, _ in placed for _ in range(2)]
    for _ in range(count // 4):
        router.send(ledger.get_stream(0, 0), chance.choice(list(events.values())))
        if chance.random() < 0.3:
            reader = chance.choice(readers)
            rows = reader.read(chance.choice([None, 0, 1, 3]))
            assert rows["sequence"].tolist() == list(range(reader.sequence - len(rows), reader.sequence))
    for reader in readers:
        reader.read()
        assert reader.sequence == reader.ring.sequence


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, required=True)
    count = parser.parse_args().count
    for seed in range(2):
        boxes(count // 3, seed)
        rings(count // 6, seed)
    print(f"boxes_churn: {count} operations agree with plain counts, seeds 0 and 1")


if __name__ == "__main__":
    main()
