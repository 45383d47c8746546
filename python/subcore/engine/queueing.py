"""In which order what waits for a link's messages goes: class, then age, with a guard against starving.

What waited past the guard goes first, the oldest of it before the rest, whatever its class: else a steady stream of
important changes would keep the others off the wire for ever. What another link carries already waits for a move or a
standby: it comes after every class, and is guarded as well.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from subcore import _states
from subcore.engine.context import Context
from subcore.engine.link import Link, Phase
from subcore.types import Int32Array, Int64Array, Priority, StreamState
from subcore.venue import Counted

__all__ = ["Place", "Queueing"]

Place = tuple[int, int, int]  # how soon something goes: least first
CARRIED_ELSEWHERE: Final = Priority.LOW - 1
OPEN: Final = StreamState.OPEN
LAST: Final[Place] = (2, 0, 0)
FIRST: Final[Place] = (0, 0, 0)


class Queueing:
    """Puts additions in order. O(n log n) in what waits."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._most_in_flight = ctx.venue.packing.max_in_flight

    def order(self, link: Link, adds: Int32Array, now: int) -> Int32Array:
        """The additions that wait for `link`, the most important first."""
        if len(adds) < 2:
            return adds
        classes, since = self._columns(link, adds, now)
        if _states.alike(since) and _states.alike(classes):
            return adds  # of one turn and class, as most are
        starves = self._starve(since, now)
        # Of those that starve only the age counts, ties by class; of the others only the class, ties by age.
        first = np.where(starves, since, -classes)
        then = np.where(starves, -classes, since)
        ordered: Int32Array = adds[np.lexsort((then, first, ~starves))]
        return ordered

    def in_order(self, links: list[Link], now: int) -> list[Link]:
        """Links which share windows or connects go in order: what waits for them, then what has settled. What waits for
        a link is read only where others could be first: each event asks, most links have to wait, and mostly each may
        send whatever the others do."""
        if len(links) < 2:
            return links
        links.sort(key=lambda link: link.role)
        if sum(link.wire.len_added > 0 for link in links) > 1:
            ready = {link.id for link in links if link.wire.len_added and self._may_go(link, now)}
            if len(ready) > 1:
                links.sort(key=lambda link: self.place(link, now) if link.id in ready else LAST)
            elif ready:
                links.sort(key=lambda link: FIRST if link.id in ready else LAST)
        if any(link.ping_first for link in links):  # else others took the room each time there is some
            links.sort(key=lambda link: not link.ping_first)
        return links

    def _may_go(self, link: Link, now: int) -> bool:
        """Whether the link may send a message now that others could send instead, or connect, as far as its own limits
        say."""
        if not link.is_up:
            return link.phase is Phase.BACKOFF and now >= link.connect_at
        if not link.pacer.shares(Counted.MESSAGE, now):
            return False
        if sum(request.window_ends > now for request in link.in_flight) >= self._most_in_flight:
            return False
        return link.pacer.next_allowed(Counted.MESSAGE, now, repair=True) <= now

    def place(self, link: Link, now: int) -> Place:
        """How soon the most important addition that waits for `link` goes, to compare links that share a limit."""
        adds = link.wire.added()
        if not len(adds):
            return LAST
        classes, since = self._columns(link, adds, now)
        starves = self._starve(since, now)
        if starves.any():
            return (0, int(since[starves].min()), 0)
        best = int(classes.max())
        return (1, -best, int(since[classes == best].min()))

    def _starve(self, since: Int64Array, now: int) -> npt.NDArray[np.bool_]:
        """Which have waited past the guard."""
        waited: npt.NDArray[np.bool_] = now - since >= self._ctx.settings.starvation
        return waited

    def _columns(self, link: Link, adds: Int32Array, now: int) -> tuple[Int32Array, Int64Array]:
        """The class of each, and since when each waits for this link's messages.

        A link that is not up has no messages to wait for: its streams are due together when it opens.
        """
        states, legs = self._ctx.streams, self._ctx.streams.legs
        since = (
            legs.turned_since(link.id, adds, link.up_since)
            if link.is_up
            else np.full(len(adds), now, np.int64)
        )
        classes = self._ctx.table.columns_to_write(adds).priorities
        if len(states.in_state(adds, OPEN)):
            classes[states.state[adds] == OPEN] = CARRIED_ELSEWHERE
        return classes, since
