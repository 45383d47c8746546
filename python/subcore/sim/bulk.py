"""One clock for many markets: a beat draws who has an event, each in proportion to its own rate.

A clock of its own costs a market more than the frame it sends once frames are only patched. Times stay true to a beat,
and the same seed and the same members give the same draws.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import accumulate
from typing import TYPE_CHECKING

from .durations import SECOND

if TYPE_CHECKING:
    from .traffic import Feed

__all__ = ["BEAT_NS", "BulkClock"]

BEAT_NS = 1_000_000


class BulkClock:
    """Calls `tell(feeds, now)` each beat while it has members; a feed may stand several times in a beat."""

    def __init__(
        self,
        seed: str,
        schedule: Callable[..., None],
        tell: Callable[[list[Feed], int], None],
        rate_of: Callable[[Feed], float],
    ) -> None:
        """`rate_of` gives a feed's events a second."""
        self._rng = random.Random(seed)
        self._schedule = schedule
        self._tell = tell
        self._rate_of = rate_of
        self._rates: dict[Feed, float] = {}
        self._members: list[Feed] = []
        self._sums: list[float] = []
        self._owed = 0.0
        self._running = False

    def __contains__(self, feed: Feed) -> bool:
        return feed in self._rates

    def join(self, feed: Feed, now: int) -> None:
        """Count the feed in from the next beat on."""
        self._rates[feed] = self._rate_of(feed)
        self._members = []
        if not self._running:
            self._running = True
            self._schedule((now // BEAT_NS + 1) * BEAT_NS, self._beat)

    def leave(self, feed: Feed) -> None:
        """No event from the next beat on; a feed that is no member is ignored."""
        if self._rates.pop(feed, None) is not None:
            self._members = []

    def _beat(self, at: int) -> None:
        if not self._rates:
            self._running = False
            return
        if not self._members:
            self._members = list(self._rates)
            self._sums = list(accumulate(self._rates.values()))
        self._owed += self._sums[-1] * BEAT_NS / SECOND
        count = int(self._owed)
        self._owed -= count
        if count:
            self._tell(self._rng.choices(self._members, cum_weights=self._sums, k=count), at)
        self._schedule(at + BEAT_NS, self._beat)
