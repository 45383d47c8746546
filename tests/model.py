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


class LedgerModel:
    """Interests as a dict of dicts; everything about a stream is recomputed from them at each question."""

    def __init__(self) -> None:
        self.streams: dict[int, tuple[int, int, int]] = {}
        self.topics: dict[int, tuple[int, int]] = {}
        self.held: dict[int, dict[int, tuple[int, int]]] = {}  # component -> topic -> (class, payload)
        self.paused: set[int] = set()
        self.taken: dict[int, tuple[int, int]] = {}  # stream -> (class, width) as last taken

    def add(self, component: int, topics: list[int], cls: int, payloads: list[int] | None) -> int:
        held = self.held[component]
        before = len(held)
        for at, topic in enumerate(topics):
            kept = held[topic][1] if topic in held else -1
            held[topic] = (cls, kept if payloads is None else payloads[at])
        return len(held) - before

    def remove(self, component: int, topics: list[int]) -> int:
        return sum(self.held[component].pop(topic, None) is not None for topic in topics)

    def close(self, component: int) -> None:
        del self.held[component]
        self.paused.discard(component)

    def wanted(self, stream: int) -> list[tuple[int, int]]:
        """(class, cut) of each interest in a stream whose component is not paused."""
        return [
            (cls, self.topics[topic][1])
            for component, held in self.held.items()
            if component not in self.paused
            for topic, (cls, _) in held.items()
            if self.topics[topic][0] == stream
        ]

    def is_held(self, stream: int) -> bool:
        return any(self.topics[topic][0] == stream for held in self.held.values() for topic in held)

    def topic_is_held(self, topic: int) -> bool:
        return any(topic in held for held in self.held.values())

    def summary(self, stream: int) -> tuple[int, int] | None:
        """(class, width) of a stream that somebody wants."""
        wanted = self.wanted(stream)
        if not wanted:
            return None
        cuts = [cut for _, cut in wanted]
        return max(cls for cls, _ in wanted), 0 if 0 in cuts else max(cuts)

    def take_edges(self) -> tuple[list[int], list[int], list[int]]:
        now = {stream: summary for stream in self.streams if (summary := self.summary(stream)) is not None}
        opened = sorted(now.keys() - self.taken.keys())
        closed = sorted(self.taken.keys() - now.keys())
        changed = sorted(s for s in now.keys() & self.taken.keys() if now[s] != self.taken[s])
        self.taken = now
        return opened, closed, changed


class WireSetModel:
    """Two sets."""

    def __init__(self) -> None:
        self.target: set[int] = set()
        self.wire: set[int] = set()

    @staticmethod
    def change(members: set[int], streams: list[int], flag: bool) -> None:
        (members.update if flag else members.difference_update)(streams)


def messages_of(sizes: list[int], max_count: int, max_bytes: int, overhead: int) -> list[list[int]]:
    """Entries put into the open message while it has room, else into a new one."""
    messages: list[list[int]] = []
    for size in sizes:
        fits = (
            bool(messages)
            and len(messages[-1]) < max_count
            and overhead + sum(messages[-1]) + size <= max_bytes
        )
        if not fits:
            messages.append([])
        messages[-1].append(size)
    return messages
