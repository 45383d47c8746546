"""The tables of `subcore top`: their columns, and which rows stand there in which order. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .top_source import Seen
from .top_state import Pane
from .top_text import clean, count, duration, number, part, share

__all__ = ["COLUMNS", "Column", "Row", "rows_of", "visible"]

HEALTH = {"quarantined": 2, "slow": 1}
STATES = ("CLOSED", "WAITING", "SENT", "OPEN", "RECOVERING", "REFUSED")
DATA = ("NONE", "GOOD", "SUSPECT")
PRIORITIES = ("LOW", "NORMAL", "HIGH", "CRITICAL")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """`key` is what rows are sorted by; `rank` of columns that go first where there is no room, the highest first."""

    title: str
    width: int
    text: Callable[[Row], str]
    key: Callable[[Row], Any]
    rank: int = 0


def _number(title: str, width: int, name: str, show: Callable[[Any], str], rank: int = 0) -> Column:
    return Column(title, width, lambda row: show(row.get(name)), lambda row: number(row.get(name)), rank)


def _text(title: str, width: int, name: str, rank: int = 0) -> Column:
    return Column(
        title, width, lambda row: clean(row.get(name)), lambda row: str(row.get(name)).lower(), rank
    )


def _age(ns: Any) -> str:
    return "now" if ns is not None and number(ns) < 1e8 else duration(ns)


COMPONENT_COLUMNS = (
    Column(
        "health",
        11,
        lambda row: clean(row.get("health")),
        lambda row: (row["rank"], number(row.get("loop_share"))),
    ),
    _text("component", 0, "name"),
    Column(
        "class", 8, lambda row: clean(row.get("priority")).lower(), lambda row: _index(PRIORITIES, row), 5
    ),
    _number("topics", 7, "interests", count, 4),
    _number("events/s", 9, "rate", count),
    _number("queued", 7, "queued", count),
    _number("oldest", 7, "queue_age_ns", duration, 3),
    _number("lost", 7, "lost", count),
    _number("errors", 7, "handler_errors", count, 2),
    _number("call p99", 9, "p99_ns", duration, 6),
    _number("loop", 7, "loop_share", share, 1),
    _number("delay p99", 10, "delay_p99_ns", duration, 7),
)
TOPIC_COLUMNS = (
    Column("state", 11, lambda row: clean(row["state"]).lower(), lambda row: row["rank"]),
    _text("topic", 0, "topic"),
    Column("data", 8, lambda row: clean(row["data"]).lower(), lambda row: row["data"], 2),
    _number("link", 5, "link", lambda link: "-" if number(link) < 0 else count(link), 4),
    _number("held by", 8, "holders", count, 3),
    Column("class", 9, lambda row: clean(row["class"]).lower(), lambda row: row["priority"], 6),
    _number("frames/s", 9, "rate_10s", lambda rate: f"{number(rate):,.1f}"),
    _number("delay", 8, "last_delay_ns", duration, 1),
    _number("last", 7, "age_ns", _age),
    _number("gaps", 6, "gaps", count, 5),
)
COLUMNS = (COMPONENT_COLUMNS, TOPIC_COLUMNS)
"""By the number of the pane."""


def _index(names: tuple[str, ...], row: Row) -> int:
    return names.index(row["priority"]) if row.get("priority") in names else -1


def rows_of(seen: Seen, shown: int) -> list[Row]:
    """Of a pane, all, in no order."""
    return _topics(seen) if shown else _components(seen)


def _components(seen: Seen) -> list[Row]:
    components = part(seen.stats, "components")
    found = []
    for record in components.values() if isinstance(components, dict) else ():
        if isinstance(record, dict):
            health = "paused" if record.get("paused") is True else record.get("health")
            found.append(
                {
                    **record,
                    "health": health,
                    "rank": HEALTH.get(str(health), 0),
                    "rate": part(record, "rate", "over_10s"),
                    "lost": number(record.get("lost")) + number(record.get("overrun")),
                    "delay_p99_ns": part(record, "recent_delay", "p99_ns"),
                }
            )
    return found


def _topics(seen: Seen) -> list[Row]:
    columns = {name: values for name, values in (seen.topics or {}).items() if isinstance(values, list)}
    received = columns.get("last_receive_time_ns", [])
    now = max(
        [number(part(seen.stats, "time_ns")), *map(number, received)]
    )  # what was read last is the newer
    found = []
    for values in zip(*columns.values(), strict=False):
        row: Row = dict(zip(columns, values, strict=True))
        state, data, last = row.get("state"), row.get("data"), number(row.get("last_receive_time_ns"))
        row["topic"] = _name(row)
        row["state"], row["data"] = _named(STATES, state), _named(DATA, data)
        row["class"] = _named(PRIORITIES, row.get("priority"))
        row["rank"] = (row["state"] != "OPEN", row["data"] != "GOOD", number(row.get("rate_10s")))
        row["priority"] = number(row.get("priority"))
        row["age_ns"] = max(0.0, now - last) if last else None
        found.append(row)
    return found


def _name(row: Row) -> str:
    text = f"{row.get('channel')}:{row.get('symbol') or '*'}"
    if number(row.get("depth")):
        text += f":depth={row['depth']}"
    if number(row.get("grouping")):
        text += f":grouping={row['grouping']:g}"
    return text


def _named(names: tuple[str, ...], value: Any) -> str:
    return names[value] if type(value) is int and 0 <= value < len(names) else str(value)


def visible(rows: list[Row], pane: Pane, shown: int) -> list[Row]:
    """Those that contain what is searched for (no matter the case), sorted as the pane says."""
    wanted = pane.search.lower()
    name = "topic" if shown else "name"
    found = [row for row in rows if wanted in str(row.get(name)).lower()] if wanted else list(rows)
    key = COLUMNS[shown][pane.sort % len(COLUMNS[shown])].key
    found.sort(key=lambda row: str(row.get(name)).lower())
    found.sort(key=key, reverse=pane.is_descending)
    return found
