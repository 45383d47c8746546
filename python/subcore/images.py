"""Images of streams: who joins an open one gets its last event at the end of the loop turn, unless a newer came first.

No message is sent for it. The event keeps its own times, so its age is known; what state its stream is in is told by
statuses as ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .timers import Timer

if TYPE_CHECKING:
    from ._feed import Feed

__all__ = ["Images"]

BUSY_S = 0.01  # a handler runs the loop itself: images go after it


class Images:
    """Those of one manager. Belongs to the loop's thread."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._timer = Timer(self.give)
        self._ended = False

    def give(self) -> None:
        """Deliver what is due to joiners. Handlers are called here, so never call it inside a public call."""
        self._timer.stop()
        if self._feed.router.images_due and not self._ended and not self._feed.give_images():
            self._timer.set(BUSY_S)

    def end(self) -> None:
        """The manager ends: no timer is left or begins."""
        self._ended = True
        self._timer.end()
