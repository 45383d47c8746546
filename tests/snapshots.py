"""Snapshots made of plain dicts, for tests and for the programs they start."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Collection, Mapping

from subcore.engine.snapshot import STANDBY, Snapshot, capture
from subcore.types import Priority, Topic

Held = dict[Topic, Priority]
Plain = dict[str, tuple[Priority, bool, Held]]


def make(
    plain: Plain,
    venue: str = "upbit",
    taken_ns: int = 7,
    standby: Collection[tuple[str, Topic]] = (),
    max_rates: Mapping[tuple[str, Topic], float] | None = None,
) -> Snapshot:
    """The snapshot of a plain dict, each table built the slow way. `standby`: who asked for two links, for what;
    `max_rates`: who for so many events a second at most."""
    limits = max_rates or {}
    rates = sorted({0.0, *limits.values()})
    topics = sorted({topic for _, _, held in plain.values() for topic in held}, key=str)
    channels = sorted({topic.channel for topic in topics})
    symbols = sorted({topic.symbol for topic in topics})
    groupings = sorted({topic.grouping or 0.0 for topic in topics})
    columns = {
        "component_class": [int(priority) for priority, _, _ in plain.values()],
        "component_paused": [paused for _, paused, _ in plain.values()],
        "component_held": [len(held) for _, _, held in plain.values()],
        "topic_channel": [channels.index(topic.channel) for topic in topics],
        "topic_symbol": [symbols.index(topic.symbol) for topic in topics],
        "topic_grouping": [groupings.index(topic.grouping or 0.0) for topic in topics],
        "topic_depth": [topic.depth or 0 for topic in topics],
        "topic_link": [number - 1 for number in range(len(topics))],
        "interest_topic": [topics.index(topic) for _, _, held in plain.values() for topic in held],
        "interest_class": [int(cls) for _, _, held in plain.values() for cls in held.values()],
        "interest_options": [
            STANDBY * ((name, topic) in standby) for name, (_, _, held) in plain.items() for topic in held
        ],
        "interest_rate": [
            rates.index(limits.get((name, topic), 0.0))
            for name, (_, _, held) in plain.items()
            for topic in held
        ],
    }
    return capture(venue, taken_ns, list(plain), (channels, symbols, groupings, rates), columns)


def plain_of(snapshot: Snapshot) -> Plain:
    return {
        c.name: (c.priority, c.paused, dict(zip(c.topics, c.priorities, strict=True)))
        for c in snapshot.components
    }


def sealed(body: bytes, version: int = 3, magic: bytes = b"subcore snapshot") -> bytes:
    """Bytes whose length and checksum are right, whatever they say. Written down anew, not taken from the code."""
    head = struct.pack("<16sIQq", magic, version, len(body), 0)
    return head + hashlib.sha256(head + body).digest() + body


def numbered(number: int) -> Snapshot:
    """A snapshot that says which one it is."""
    held = {Topic("ticker", f"KRW-{n}"): Priority.NORMAL for n in range(3)}
    return make({f"{number}": (Priority.NORMAL, False, held)})


def number_of(snapshot: Snapshot | None) -> int | None:
    return None if snapshot is None else int(snapshot.names[0])
