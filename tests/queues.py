"""A queue, and a loop turn by hand."""

from __future__ import annotations

from subcore._delivery import WakeBatch
from subcore._queue import EventQueue


class Turns:
    """A loop turn by hand: what was scheduled runs when the test says so."""

    def __init__(self) -> None:
        self.scheduled: list = []
        self.batch = WakeBatch(self.scheduled.append)

    def run(self) -> int:
        calls, self.scheduled[:] = list(self.scheduled), []
        for call in calls:
            call()
        return len(calls)


def make_queue(maxsize: int = 4, overflow: str = "drop_oldest", **hooks) -> tuple[EventQueue, Turns]:
    turns = Turns()
    return EventQueue(maxsize, overflow, wakes=turns.batch, **hooks), turns


def gap(count: int, topics: dict[int, int]) -> tuple[str, int, dict[int, int]]:
    return ("gap", count, dict(topics))
