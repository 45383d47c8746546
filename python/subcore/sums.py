"""What boxes of components hold and have lost, and the share of the loop that calls take: one sum over all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .hub import Hub
    from .members import Member

__all__ = ["Sums"]

AT_ONCE = 64  # some 0.1 ms


class Sums:
    """Of all components that there are, added up in parts: who wants may let the loop go on between.

    Whoever closes meanwhile may have been added or not. So these are good only while `closed`, the number of components
    that closed so far, is still what it was in the beginning. `calls`: with the share of the loop, which is dearest.
    """

    def __init__(self, hub: Hub, closed: int, *, calls: bool) -> None:
        self._hub = hub
        self._calls = calls
        self.closed = closed
        self.lost = self.overrun = self.waiting = self.box_bytes = 0
        self.loop_share = 0.0

    def parts(self) -> Iterator[None]:
        """Add up; some components a step."""
        members = list(self._hub.members.values())
        for first in range(0, len(members), AT_ONCE):
            with self._hub.intent.whole:
                for member in members[first : first + AT_ONCE]:
                    self._add(member)
            yield

    def added_up(self) -> Sums:
        """All at once."""
        for _ in self.parts():
            pass
        return self

    def _add(self, member: Member) -> None:
        boxes, pumps = member.boxes, member.pumps
        waiting, _, lost, _ = boxes.inbox.figures()
        if pumps.is_used:
            waiting, lost = waiting + pumps.waiting, lost + pumps.lost
        self.waiting += waiting
        self.lost += lost
        self.overrun += boxes.overrun
        self.box_bytes += boxes.nbytes
        if self._calls and not member.closed:
            self.loop_share += self._hub.router.call_times(member.id).loop_share
