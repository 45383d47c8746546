"""Boxes read as one, as a plain list of what arrived: what tests of the inbox compare with."""

from __future__ import annotations

from typing import Any

NEWEST = None  # in place of a size: only the newest of each topic waits


class PlainInbox:
    """[arrival, what, box, topic, content], in the order of arrival.

    A box has a size: so many events, and one more drops the oldest; negative: it drops what comes; NEWEST.
    """

    def __init__(self) -> None:
        self.items: list[list[Any]] = []
        self.number = 0

    def put(self, box: Any, size: int | None, topic: Any, event: Any) -> None:
        self.number += 1
        new = [self.number, "event", box, topic, event]
        mine = [item for item in self.items if item[2] == box and item[1] == "event"]
        if size is NEWEST:
            self.items = [item for item in self.items if item[2] != box or item[3] != topic]
        elif len(mine) == abs(size):
            lost = mine[0] if size > 0 else new
            self._lose(box, lost)
            if size < 0:
                return
            self.items.remove(lost)
        self.items.append(new)

    def _lose(self, box: Any, lost: list[Any]) -> None:
        """Neighbours of one box share a gap, which stands where the first of them was lost."""
        before = [item for item in self.items if item[2] == box and item[0] < lost[0]]
        if before and before[-1][1] == "gap":
            counts = before[-1][4]
            counts[lost[3]] = counts.get(lost[3], 0) + 1
        else:
            self.items.append([lost[0], "gap", box, None, {lost[3]: 1}])
            self.items.sort(key=lambda item: item[0])

    def put_status(self, box: Any, status: Any) -> None:
        self.number += 1
        self.items.append([self.number, "status", box, None, status])

    def take(self, count: int) -> list[tuple[str, Any]]:
        """(what, content) of what is read next."""
        taken, self.items = self.items[:count], self.items[count:]
        return [(what, content) for _, what, _, _, content in taken]

    def holds(self, box: Any) -> bool:
        return any(item[2] == box for item in self.items)

    @property
    def events(self) -> int:
        return sum(item[1] == "event" for item in self.items)
