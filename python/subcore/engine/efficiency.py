"""How close the wire came to what could have been: the efficiency score, and both its factors.

score = (optimal messages / messages sent) x (streams wanted / streams on the wire). Optimal is the least number of
messages such that every addition not cancelled by then goes out at the end of its loop turn or, where the venue's
windows have no room, when they next reopen; a removal at most 2 s later, or with an addition where one message can do
both. The first factor counts as 1 where fewer were sent.

The ideal is played along with what happened: one link a route, with the venue's own windows and no margin. Edges are
noted as they come and played once a tick, so that a change costs nothing but the note. What a link loses must be
asked for again in the ideal too, once a link of the route is up. Listings count as messages sent, for they use windows;
the ideal needs none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from subcore.engine.clock import SECOND, nanoseconds
from subcore.engine.ports import StreamTable
from subcore.types import Int32Array
from subcore.venue import Counted, GroupBy, Model, Scope, Venue

__all__ = ["Efficiency", "Effort", "Optimum", "efficiency_score"]

REMOVAL_WAITS: Final = 2 * SECOND
QUEUED: Final = 256  # changes, before those undone since are looked for
MOST: Final = 1024  # notes kept until they are played
PART: Final = 1024  # streams of a queue that are looked at together


@dataclass(frozen=True, slots=True)
class Efficiency:
    """Both factors of the score, and what they are made of: messages since the start, streams now."""

    optimal_messages: int
    messages: int
    streams_wanted: int
    streams_on_wire: int

    @property
    def of_messages(self) -> float:
        """Optimal messages over messages sent, at most 1."""
        return min(1.0, self.optimal_messages / self.messages) if self.messages else 1.0

    @property
    def of_streams(self) -> float:
        """Streams wanted over streams on the wire, each link counted; at most 1."""
        return min(1.0, self.streams_wanted / self.streams_on_wire) if self.streams_on_wire else 1.0

    @property
    def score(self) -> float:
        """0 to 1."""
        return self.of_messages * self.of_streams

    def __str__(self) -> str:
        if self.optimal_messages <= self.messages:
            done = f"{self.optimal_messages} of {self.messages} messages would have done"
        else:  # what waited for room cancelled out, or left together
            done = f"{self.messages} messages did for {self.optimal_messages}"
        return (
            f"efficiency {self.score:.1%}: {done} ({self.of_messages:.1%}), {self.streams_wanted} streams wanted of "
            f"{self.streams_on_wire} on the wire ({self.of_streams:.1%})"
        )


def efficiency_score(optimal_messages: int, messages: int, wanted: int, on_wire: int) -> float:
    """The score alone."""
    return Efficiency(optimal_messages, messages, wanted, on_wire).score


class _Windows:
    """When the venue's own message windows of one connection have room."""

    def __init__(self, venue: Venue) -> None:
        limits = [k for k in venue.limits if Counted.MESSAGE in k.counts and k.scope is Scope.LINK]
        self._windows = [(w.amount, nanoseconds(w.seconds)) for limit in limits for w in limit.windows]
        self._gap = max((nanoseconds(limit.min_gap_seconds) for limit in limits), default=0)
        self._sent: deque[int] = deque(maxlen=max((amount for amount, _ in self._windows), default=1))

    def opens(self) -> int:
        """When the next message may go."""
        if not self._sent:
            return 0
        when = self._sent[-1] + self._gap
        for amount, length in self._windows:
            if len(self._sent) >= amount:
                when = max(when, self._sent[-amount] + length)
        return when

    def send(self, now: int) -> None:
        """One went."""
        self._sent.append(now)


NOTHING: Final = 0
ADDED: Final = 1
CARRIED: Final = 2
LEAVING: Final = 3
_Queue = deque[tuple[int, int, Int32Array]]  # number, due, streams: those whose latest number it is


class Optimum:
    """The least number of messages for one route's edges. Times never go back; memory: 5 bytes a stream id.

    Where messages must share a channel it is a lower bound: it packs them without.
    """

    def __init__(self, venue: Venue) -> None:
        self.messages = 0
        self._windows = _Windows(venue)
        self._replaces = venue.model is Model.REPLACE
        self._most = 1 if venue.packing.group_by is GroupBy.TOPIC else venue.packing.max_topics
        self._state = np.zeros(0, np.uint8)
        self._number = np.zeros(0, np.int32)
        self._last = 0
        self._adds: _Queue = deque()
        self._removes: _Queue = deque()
        self._most_queued = QUEUED
        self._links_up: set[int] = set()
        self._up_since = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the columns, and of what is queued."""
        queued = sum(streams.nbytes for queue in (self._adds, self._removes) for _, _, streams in list(queue))
        return int(self._state.nbytes + self._number.nbytes + queued)

    def changed(self, opened: Int32Array, closed: Int32Array, now: int) -> None:
        """The edges of one loop turn; what can go goes at its end."""
        self.run(now - 1)
        if len(closed):
            self._ensure(closed)
            state = self._state[closed]
            self._state[closed[state == ADDED]] = NOTHING
            self._queue(self._removes, closed[state == CARRIED], LEAVING, now + REMOVAL_WAITS)
        if len(opened):
            self._ensure(opened)
            state = self._state[opened]
            self._state[opened[state == LEAVING]] = CARRIED
            self._queue(self._adds, opened[state == NOTHING], ADDED, now)
        self.run(now)

    def up(self, link: int, now: int) -> None:
        """A link of the route is up; before the first one nothing can go."""
        self.run(now)
        if not self._links_up:
            self._up_since = now
        self._links_up.add(link)

    def down(self, link: int, streams: Int32Array, now: int) -> None:
        """A link ended; these were on no other wire, and are to be asked for again."""
        self.run(now)
        self._links_up.discard(link)
        self._ensure(streams)
        state = self._state[streams]
        self._state[streams[state == LEAVING]] = NOTHING
        self._queue(self._adds, streams[state == CARRIED], ADDED, now)

    def run(self, now: int) -> None:
        """Let time pass."""
        while self._links_up and (self._adds or self._removes):
            due = self._due(self._adds, ADDED)
            if due is None:
                due = self._due(self._removes, LEAVING)
            if due is None:
                return
            when = max(due, self._windows.opens(), self._up_since)
            if when > now:
                return
            self._send(when)

    def _ensure(self, streams: Int32Array) -> None:
        need = int(streams.max()) + 1 if len(streams) else 0
        if need > len(self._state):
            room = max(need, 2 * len(self._state)) - len(self._state)
            self._state = np.concatenate([self._state, np.zeros(room, np.uint8)])
            self._number = np.concatenate([self._number, np.zeros(room, np.int32)])

    def _queue(self, queue: _Queue, streams: Int32Array, state: int, due: int) -> None:
        if len(streams):
            self._last += 1
            self._state[streams] = state
            self._number[streams] = self._last
            for first in range(0, len(streams), PART):
                queue.append((self._last, due, streams[first : first + PART]))
            if len(queue) > self._most_queued:
                self._sweep(queue, state)

    def _sweep(self, queue: _Queue, state: int) -> None:
        """Without a link nothing is taken from it, and most may be undone."""
        live = [(number, due, self._waiting(number, part, state)) for number, due, part in queue]
        queue.clear()
        queue.extend(one for one in live if len(one[2]))
        self._most_queued = max(QUEUED, 2 * len(queue))

    def _waiting(self, number: int, streams: Int32Array, state: int) -> Int32Array:
        """Those of one queued change that were not changed since."""
        left: Int32Array = streams[(self._state[streams] == state) & (self._number[streams] == number)]
        return left

    def _due(self, queue: _Queue, state: int) -> int | None:
        """When the oldest that still waits is due."""
        while queue:
            number, due, streams = queue[0]
            left = self._waiting(number, streams, state)
            if len(left):
                queue[0] = number, due, left
                return due
            queue.popleft()
        return None

    def _send(self, when: int) -> None:
        self.messages += 1
        self._windows.send(when)
        if self._replaces:
            self._take(self._adds, ADDED, CARRIED, None)
            self._take(self._removes, LEAVING, NOTHING, None)
        elif self._adds:  # a message adds or removes
            self._take(self._adds, ADDED, CARRIED, self._most)
        else:
            self._take(self._removes, LEAVING, NOTHING, self._most)

    def _take(self, queue: _Queue, state: int, then: int, most: int | None) -> None:
        """The oldest, up to so many, are where they shall be."""
        while self._due(queue, state) is not None:
            number, due, left = queue.popleft()
            part = left if most is None else left[:most]
            self._state[part] = then
            if most is not None:
                if len(left) > most:
                    queue.appendleft((number, due, left[most:]))
                most -= len(part)
                if not most:
                    return


class Effort:
    """Notes what happens on all routes, and plays the ideal along; a note costs O(1)."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._routes: dict[str, Optimum] = {}
        self._notes: list[tuple[Any, ...]] = []  # a method, and what it is to be called with
        self.wanted = 0

    def edges(
        self, routes: Collection[str], opened: Int32Array, closed: Int32Array, table: StreamTable, now: int
    ) -> None:
        """The edges of one turn, with the routes that there are links of.

        What waits, as for a newer list of markets, may be the first of its route: there are no links of that yet.
        """
        self.wanted += len(opened) - len(closed)
        if len(routes) <= 1:
            for route in routes or (self._venue.routes[0].name,):
                self._note((self._of(route).changed, opened, closed, now))
            return
        of = np.array([channel.route for channel in self._venue.channels])
        came, went = (of[table.columns(streams).channels] for streams in (opened, closed))
        for route in {*came.tolist(), *went.tolist()}:
            self._note((self._of(route).changed, opened[came == route], closed[went == route], now))

    def up(self, route: str, link: int, now: int) -> None:
        """A link opened."""
        self._note((self._of(route).up, link, now))

    def down(self, route: str, link: int, streams: Int32Array, now: int) -> None:
        """A link ended, with these on no other wire."""
        self._note((self._of(route).down, link, streams, now))

    def messages(self, now: int) -> int:
        """The least number of messages until now."""
        self.play(now)
        return sum(optimum.messages for optimum in self._routes.values())

    @property
    def nbytes(self) -> int:
        """Bytes of the columns."""
        return sum(optimum.nbytes for optimum in list(self._routes.values()))

    def _of(self, route: str) -> Optimum:
        if route not in self._routes:
            self._routes[route] = Optimum(self._venue)
        return self._routes[route]

    def _note(self, note: tuple[Any, ...]) -> None:
        self._notes.append(note)
        if len(self._notes) >= MOST:
            self._play()

    def play(self, now: int) -> None:
        """Play what was noted, and let time pass. Once a tick is often enough, and no less: it costs what went by."""
        self._play()
        for optimum in self._routes.values():
            optimum.run(now)

    def _play(self) -> None:
        notes, self._notes = self._notes, []
        for play, *told in notes:
            play(*told)
