"""A manager's intent as a value, and that value as bytes: who wanted what, in which class, with which options.

Nothing else is in it: no handler, no login, no event. Where each topic was carried is a hint. Pure: what is read comes
in as columns, what is kept goes out as bytes, and time is an argument.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from subcore.errors import SnapshotError
from subcore.types import MAX_RATE, MIN_RATE, Priority, Topic

__all__ = ["MAX_BYTES", "SavedComponent", "Snapshot", "capture"]

MAGIC = b"subcore snapshot"
VERSION = 3  # 1 had no options of interests, 2 no rates
MAX_BYTES = 64 * 1024 * 1024
MAX_COMPONENTS = 65_536
HIGHEST_CLASS = int(max(Priority))
STANDBY = 1  # among the options of an interest, which are bits
OWN_LINK = 2
NO_RATE = 0.0  # of an interest: all events, however many
# What every version begins with: magic, version, bytes that follow, time; then the checksum of all else.
_HEAD = struct.Struct("<16sIQq")
_DIGEST_BYTES = 32
_START = _HEAD.size + _DIGEST_BYTES


class _First(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """Format 1. Tables by number; columns are little-endian bytes, and say how wide they are in `_WIDTHS`."""

    venue: str
    names: list[str]
    channels: list[str]
    symbols: list[str]
    groupings: list[float]
    # of each component
    component_class: bytes
    component_paused: bytes
    component_held: bytes  # how many interests
    # of each topic
    topic_channel: bytes
    topic_symbol: bytes
    topic_grouping: bytes
    topic_depth: bytes
    topic_link: bytes
    # of each interest, component after component
    interest_topic: bytes
    interest_class: bytes


class _Second(_First, array_like=True, forbid_unknown_fields=True, frozen=True):
    """Format 2."""

    interest_options: bytes


class _Body(_Second, array_like=True, forbid_unknown_fields=True, frozen=True):
    """Format 3."""

    rates: list[float]  # events a second; 0.0 = all
    interest_rate: bytes


_WIDTHS = {
    "component_class": "<u1",
    "component_paused": "<u1",
    "component_held": "<u4",
    "topic_channel": "<u2",
    "topic_symbol": "<u4",
    "topic_grouping": "<u2",
    "topic_depth": "<u2",
    "topic_link": "<i4",
    "interest_topic": "<u4",
    "interest_class": "<u1",
    "interest_options": "<u1",
    "interest_rate": "<u4",
}


@dataclass(frozen=True, slots=True)
class SavedComponent:
    """One component as it was: `priorities` are the classes of its `topics`, in the same order.

    `standby`, `own_link`: those of them that it asked two links for, or one of their own; `max_rates`: those that it
    wants at most so many events a second of.
    """

    name: str
    priority: Priority
    paused: bool
    topics: tuple[Topic, ...]
    priorities: tuple[Priority, ...]
    standby: frozenset[Topic] = frozenset()
    own_link: frozenset[Topic] = frozenset()
    max_rates: frozenset[tuple[Topic, float]] = frozenset()


class Snapshot:
    """What all components of one manager wanted at one moment. Immutable; may be kept, sent and read by any thread.

    `bytes(snapshot)` is what `Snapshot.from_bytes` reads, in another process or another year: at most 64 MiB, with a
    version and a checksum. Equal if the same was wanted, whenever that was.
    """

    __slots__ = ("_body", "_columns", "_topics", "taken_ns")

    def __init__(self, body: Any, taken_ns: int) -> None:
        self._body: _Body = body
        self._columns = _columns_of(body)
        self.taken_ns = taken_ns
        _check(body, self._columns)
        self._topics: tuple[Topic, ...] | None = None

    @property
    def venue(self) -> str:
        """Name of the venue it is about."""
        return self._body.venue

    @property
    def names(self) -> tuple[str, ...]:
        """The components, in no particular order."""
        return tuple(map(_name_of, self._body.names))

    @property
    def topics(self) -> tuple[Topic, ...]:
        """Every topic somebody held, once. O(topics) when first asked."""
        if self._topics is None:
            self._topics = tuple(self.topics_between(0, len(self._columns["topic_channel"])))
        return self._topics

    def topics_between(self, start: int, stop: int) -> list[Topic]:
        """A part of `topics`, made anew. O(stop - start)."""
        return _topics_of(self._body, {name: column[start:stop] for name, column in self._columns.items()})

    @property
    def components(self) -> tuple[SavedComponent, ...]:
        """Everything in it. O(interests)."""
        return tuple(
            SavedComponent(
                *owner,
                tuple(self.topics[topic] for topic in topics.tolist()),
                tuple(Priority(cls) for cls in classes.tolist()),
                self._those(topics[options & STANDBY != 0]),
                self._those(topics[options & OWN_LINK != 0]),
                frozenset(
                    (self.topics[topic], rate)
                    for topic, rate in zip(topics.tolist(), rates.tolist(), strict=True)
                    if rate != NO_RATE
                ),
            )
            for owner, (topics, classes, options, rates) in zip(self.owners(), self.held(), strict=True)
        )

    def _those(self, places: npt.NDArray[Any]) -> frozenset[Topic]:
        return frozenset(self.topics[place] for place in places.tolist())

    def owners(self) -> list[tuple[str, Priority, bool]]:
        """Name, class and whether it is paused of each component, in the order of `names`."""
        classes, paused = (self._columns[f"component_{what}"].tolist() for what in ("class", "paused"))
        rows = zip(self.names, classes, paused, strict=True)
        return [(name, Priority(cls), bool(stopped)) for name, cls, stopped in rows]

    def held(self) -> list[tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]]:
        """Of each component, in the order of `names`: places in `topics` of what it held, the classes, the options, the
        most events a second (0.0 = all)."""
        ends = np.cumsum(self._columns["component_held"].astype(np.int64)).tolist()
        starts = [0, *ends[:-1]] if ends else []
        topics, classes, options = (
            self._columns[f"interest_{what}"] for what in ("topic", "class", "options")
        )
        rates = np.array(self._body.rates, np.float64)[self._columns["interest_rate"]]
        return [
            (topics[a:b], classes[a:b], options[a:b], rates[a:b]) for a, b in zip(starts, ends, strict=True)
        ]

    @property
    def links(self) -> dict[Topic, int]:
        """Which link carried each topic, where one did. A hint for people: a restore places all of it anew, on as few
        links as can be, since nothing of the old ones is left."""
        links = self._columns["topic_link"].tolist()
        return {topic: link for topic, link in zip(self.topics, links, strict=True) if link >= 0}

    def __len__(self) -> int:
        """Interests in it."""
        return len(self._columns["interest_topic"])

    def __bytes__(self) -> bytes:
        """Raises SnapshotError over 64 MiB."""
        body = msgspec.msgpack.encode(self._body)
        if _START + len(body) > MAX_BYTES:
            raise SnapshotError(
                f"the snapshot takes {_START + len(body)} bytes, and at most {MAX_BYTES} are kept: "
                "use fewer components, or several managers"
            )
        head = _HEAD.pack(MAGIC, VERSION, len(body), self.taken_ns)
        return head + _digest(head, body) + body

    @classmethod
    def from_bytes(cls, data: bytes) -> Snapshot:
        """What these bytes say. SnapshotError where they are cut off, damaged, foreign or of a newer subcore."""
        if len(data) > MAX_BYTES:
            raise SnapshotError(f"over {MAX_BYTES} bytes: this is no snapshot of subcore; move it away")
        if data[: len(MAGIC)] != MAGIC[: len(data)]:
            raise SnapshotError("this is no snapshot of subcore: move it away, or give another path")
        if len(data) < _START:
            raise SnapshotError(f"cut off after {len(data)} bytes: delete it, and an older one is used")
        _, version, size, taken_ns = _HEAD.unpack_from(data)
        body = data[_START:]
        if len(body) < size:
            raise SnapshotError(f"cut off after {len(data)} bytes: delete it, and an older one is used")
        if len(body) > size or _digest(data[: _HEAD.size], body) != data[_HEAD.size : _START]:
            raise SnapshotError("damaged, its checksum is wrong: delete it, and an older one is used")
        if not 1 <= version <= VERSION:
            raise SnapshotError(
                f"written in format {version}, and this subcore reads 1 to {VERSION}: upgrade subcore, or move it away"
            )
        try:
            return cls(_read(body, version), taken_ns)
        except msgspec.MsgspecError as error:
            raise SnapshotError(f"not as subcore writes it ({error}): move it away") from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Snapshot) and (self._body == other._body or self._plain() == other._plain())

    def __hash__(self) -> int:
        return hash((self.venue, len(self), frozenset(self.names)))

    def _plain(self) -> tuple[str, dict[str, Any]]:
        """All that is wanted, in no order."""
        wants = {
            c.name: (
                c.priority,
                c.paused,
                dict(zip(c.topics, c.priorities, strict=True)),
                c.standby,
                c.own_link,
                c.max_rates,
            )
            for c in self.components
        }
        return self.venue, wants

    def same_as(self, other: Snapshot | None) -> bool:
        """True only if nothing was wanted that `other` has not, in the same order. Cheap; for who writes them."""
        return other is not None and self._body == other._body

    def __reduce__(self) -> tuple[Any, ...]:
        return Snapshot.from_bytes, (bytes(self),)

    def __repr__(self) -> str:
        return f"<Snapshot of {self.venue}: {len(self.names)} components, {len(self)} interests>"


def capture(
    venue: str,
    taken_ns: int,
    names: Sequence[str],
    tables: tuple[Sequence[str], Sequence[str], Sequence[float], Sequence[float]],
    columns: Mapping[str, npt.ArrayLike],
) -> Snapshot:
    """A snapshot of these, copied. O(what is in it), in numpy.

    `names`: the components. `tables`: channels, symbols, groupings and rates (0.0 = none). `columns`: one array for
    each name of `_WIDTHS`: the classes of components, 1 where one is paused, how many interests each has; of each
    distinct topic the places of its channel, symbol and grouping in the tables, its depth (0 = none) and its link (-1 =
    none); of each interest, component after component, the places of its topic and rate, its class, and its options.
    """
    packed: dict[str, Any] = {
        name: np.asarray(columns[name]).astype(width).tobytes() for name, width in _WIDTHS.items()
    }
    for name, table in zip(("channels", "symbols", "groupings", "rates"), tables, strict=True):
        packed[name] = list(table)
    packed["venue"], packed["names"] = venue, list(map(_spelled, names))
    return Snapshot(_Body(**packed), taken_ns)


def _spelled(name: str) -> str:
    """As UTF-8 can carry it. What it cannot (lone surrogates, which `os.fsdecode` makes of other bytes) is written in
    hexadecimal digits behind a NUL, and so is what begins with one.
    """
    if not name.startswith("\0"):
        if name.isascii():
            return name
        try:
            name.encode()
        except UnicodeEncodeError:
            pass
        else:
            return name
    return "\0" + name.encode("utf-8", "surrogatepass").hex()


def _name_of(spelled: str) -> str:
    if not spelled.startswith("\0"):
        return spelled
    try:
        return bytes.fromhex(spelled[1:]).decode("utf-8", "surrogatepass")
    except ValueError:
        return spelled  # of a subcore that wrote such names as they are


def _digest(head: bytes, body: bytes) -> bytes:
    return hashlib.sha256(head + body).digest()


def _read(data: bytes, version: int) -> _Body:
    """The tables, as the present format has them. MsgspecError."""
    if version == VERSION:
        return msgspec.msgpack.decode(data, type=_Body)
    old = msgspec.msgpack.decode(data, type=_First if version == 1 else _Second)
    held = len(old.interest_class)
    lacks: dict[str, Any] = {
        "interest_options": bytes(held),
        "rates": [NO_RATE],
        "interest_rate": bytes(4 * held),
    }
    return _Body(**{**lacks, **msgspec.structs.asdict(old)})


def _columns_of(body: _Body) -> dict[str, npt.NDArray[Any]]:
    columns = {}
    for name, width in _WIDTHS.items():
        raw = getattr(body, name)
        if len(raw) % np.dtype(width).itemsize:
            raise SnapshotError(f"not as subcore writes it ({name} has {len(raw)} bytes): move it away")
        columns[name] = np.frombuffer(raw, width)
    return columns


def _check(body: _Body, columns: dict[str, npt.NDArray[Any]]) -> None:
    """Raise SnapshotError for tables that do not fit each other: a checksum only says that nobody changed them."""
    topics = len(columns["topic_channel"])
    lengths = {name: len(body.names) for name in _WIDTHS if name.startswith("component_")}
    lengths |= {name: topics for name in _WIDTHS if name.startswith("topic_")}
    held = int(columns["component_held"].astype(np.int64).sum())
    lengths |= {name: held for name in _WIDTHS if name.startswith("interest_")}
    below = {
        "component_class": HIGHEST_CLASS + 1,
        "component_paused": 2,
        "topic_channel": len(body.channels),
        "topic_symbol": len(body.symbols),
        "topic_grouping": len(body.groupings),
        "interest_topic": topics,
        "interest_class": HIGHEST_CLASS + 1,
        "interest_options": (STANDBY | OWN_LINK) + 1,
        "interest_rate": len(body.rates),
    }
    wrong = [name for name, length in lengths.items() if len(columns[name]) != length]
    wrong += [name for name, limit in below.items() if len(columns[name]) and columns[name].max() >= limit]
    names = {_name_of(name) for name in body.names}
    if len(names) != len(body.names) or "" in names or len(names) > MAX_COMPONENTS:
        wrong.append("names")
    if not all(rate == NO_RATE or MIN_RATE <= rate <= MAX_RATE for rate in body.rates):
        wrong.append("rates")
    if wrong:
        raise SnapshotError(f"not as subcore writes it ({', '.join(wrong)} do not fit): move it away")


def _topics_of(body: _Body, columns: dict[str, npt.NDArray[Any]]) -> list[Topic]:
    rows = zip(
        columns["topic_channel"].tolist(),
        columns["topic_symbol"].tolist(),
        columns["topic_depth"].tolist(),
        columns["topic_grouping"].tolist(),
        strict=True,
    )
    return [
        Topic(body.channels[channel], body.symbols[symbol], depth or None, body.groupings[grouping] or None)
        for channel, symbol, depth, grouping in rows
    ]
