"""What the core's tables must do, said with plain dicts. Slow and obvious on purpose."""

from __future__ import annotations


class InternerModel:
    """text -> id in a dict; ids are checked for being dense and for their generations, not predicted."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.ids: dict[str, int] = {}
        self.released: dict[int, int] = {}

    def add(self, text: str, id: int) -> None:
        assert text not in self.ids
        assert id not in self.ids.values()
        self.ids[text] = id

    def release(self, text: str) -> int:
        id = self.ids.pop(text)
        self.released[id] = self.released.get(id, 0) + 1
        return id

    def fits(self, texts: list[str]) -> bool:
        return len(set(self.ids) | set(texts)) <= self.capacity
