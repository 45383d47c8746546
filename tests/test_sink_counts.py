"""Counts of all sinks by component, in one call, against those asked for one by one."""

from __future__ import annotations

import numpy as np

from routing import World
from subcore._delivery import WakeBatch
from subcore._queue import EventQueue


def fails(event: object) -> None:
    raise ValueError("as it will")


def test_they_are_the_sums_of_what_each_sink_says() -> None:
    world = World()
    topics = [world.topic(symbol) for symbol in range(3)]
    queue = EventQueue(wakes=WakeBatch(lambda flush: None))
    made = [world.component(target, topics) for target in (lambda event: None, queue, fails, print)]
    component, gone = made[3]
    world.router.release_sink(gone)
    second = world.router.new_sink(made[0][0], fails)
    world.subscribe(made[0][0], second, [world.topic(9)])
    world.router.block_sink(made[1][1])
    for topic in (*topics, topics[0], world.topic(9)):
        world.send(topic)
    delivered, calls, withheld, errors = world.router.counts(component + 2)
    sums = np.zeros((4, component + 2), np.uint64)
    for owner, sink in (*made[:3], (made[0][0], second)):
        info = world.router.sink_info(sink)
        sums[:, owner] += np.array([info.delivered, info.calls, info.withheld, info.errors], np.uint64)
    assert (delivered.tolist(), calls.tolist()) == (sums[0].tolist(), sums[1].tolist())
    assert (withheld.tolist(), errors.tolist()) == (sums[2].tolist(), sums[3].tolist())
    assert (int(delivered.sum()), int(withheld.sum()), int(errors.sum())) == (9, 4, 5)
    assert world.router.counts(0)[0].tolist() == []
