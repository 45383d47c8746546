"""Plans from TOML files. Every mistake is told with the place where it stands."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from subcore.errors import SubcoreError, UsageError
from subcore.planning.plans import RTT_MS, Plan, PlannedComponent, PlannedInterests, Rate
from subcore.planning.samples import symbols_like
from subcore.types import Priority
from subcore.venues import get_venue

__all__ = ["plan_from", "read_plan"]

MOST_BYTES = 16 << 20
INTERESTS = ("channel", "symbols", "depth", "policy", "priority", "max_rate", "standby", "own_link")
COMPONENT = ("name", "interests", "priority", "count", "handler_us")
PLAN = ("venue", "component", "rates", "markets", "rtt_ms", "together_ms")


def read_plan(path: str | Path) -> Plan:
    """The plan that a TOML file states; docs/adaptation.md shows one. UsageError names what is wrong, and where."""
    path = Path(path)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(f"{path}: larger than {MOST_BYTES >> 20} MiB, which is no plan")
        stated = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: it is no TOML: {error}") from None
    try:
        return plan_from(stated)
    except SubcoreError as error:
        raise UsageError(f"{path}: {error}") from None


def plan_from(stated: Mapping[str, Any]) -> Plan:
    """The same from tables already read."""
    _known(stated, PLAN, "the plan")
    name = _of(stated, "venue", str, "the plan")
    venue = get_venue(name)
    markets = stated.get("markets")
    symbols = _Symbols(name, None if markets is None else _texts(markets, "markets"))
    components = _of(stated, "component", list, "the plan", [])
    if not components:
        raise UsageError("the plan has no [[component]]: name at least one")
    made = tuple(_component(each, number, symbols) for number, each in enumerate(components, 1))
    rates = {k: _rate(r, k) for k, r in _of(stated, "rates", dict, "the plan", {}).items()}
    plan = Plan(
        name,
        made,
        rates,
        _number(stated, "rtt_ms", "the plan", RTT_MS),
        _number(stated, "together_ms", "the plan", 0.0),
    )
    for component in made:
        for interests in component.interests:
            venue.channel_indexes(interests.channel)  # UnsupportedError names those there are
    return plan


class _Symbols:
    """The first so many markets, where a plan gives a number in place of names."""

    def __init__(self, venue: str, markets: tuple[str, ...] | None) -> None:
        self._venue = venue
        self._markets = markets

    def first(self, count: int, where: str) -> tuple[str, ...]:
        if self._markets is None:
            self._markets = symbols_like(self._venue)
        if count < 1 or count > len(self._markets):
            raise UsageError(
                f"{where}: symbols = {count}, but {len(self._markets)} are known: name them in markets = [...]"
            )
        return self._markets[:count]


def _component(stated: Any, number: int, symbols: _Symbols) -> PlannedComponent:
    where = f"component {number}"
    if not isinstance(stated, dict):
        raise UsageError(f"{where} must be a table: [[component]]")
    name = _of(stated, "name", str, where)
    where = f"component {number} ({name})"
    _known(stated, COMPONENT, where)
    count = _of(stated, "count", int, where, 1)
    if count < 1:
        raise UsageError(f"{where}: count must be at least 1, not {count}")
    interests = _of(stated, "interests", list, where)
    priority = _priority(stated, where)
    return PlannedComponent(
        name,
        tuple(_interests(each, f"{where}, interests {n}", symbols) for n, each in enumerate(interests, 1)),
        Priority.NORMAL if priority is None else priority,
        count,
        _number(stated, "handler_us", where, 0.0),
    )


def _interests(stated: Any, where: str, symbols: _Symbols) -> PlannedInterests:
    if not isinstance(stated, dict):
        raise UsageError(f"{where} must be a table: [[component.interests]]")
    _known(stated, INTERESTS, where)
    wanted = stated.get("symbols")
    if isinstance(wanted, bool) or not isinstance(wanted, int):
        named = (wanted,) if isinstance(wanted, str) else _texts(wanted, f"{where}: symbols")
    else:
        named = symbols.first(wanted, where)
    try:
        return PlannedInterests(
            _of(stated, "channel", str, where),
            named,
            _of(stated, "depth", int, where, None),
            _of(stated, "policy", str, where, "callback"),
            _priority(stated, where),
            _number(stated, "max_rate", where, None),
            _of(stated, "standby", bool, where, False),
            _of(stated, "own_link", bool, where, False),
        )
    except UsageError as error:
        raise UsageError(str(error) if where in str(error) else f"{where}: {error}") from None


def _rate(stated: Any, name: str) -> Rate:
    where = f"rates of {name}"
    if isinstance(stated, int | float) and not isinstance(stated, bool):
        stated = {"per_second": stated}
    if not isinstance(stated, dict):
        raise UsageError(f"{where}: write {{ per_second = 1.0, bytes = 400 }}")
    _known(stated, ("per_second", "bytes"), where)
    per_second = _number(stated, "per_second", where, None)
    if per_second is None:
        raise UsageError(f"{where}: per_second is missing")
    return Rate(per_second, _number(stated, "bytes", where, None))


def _priority(stated: Mapping[str, Any], where: str) -> Priority | None:
    name = _of(stated, "priority", str, where, None)
    if name is None:
        return None
    try:
        return Priority[name.upper()]
    except KeyError:
        there = ", ".join(p.name.lower() for p in Priority)
        raise UsageError(f"{where}: priority is one of {there}, not {name!r}") from None


def _known(stated: Mapping[str, Any], names: tuple[str, ...], where: str) -> None:
    for name in stated:
        if name not in names:
            raise UsageError(f"{where} has no {name!r}; it has {', '.join(names)}")


_MISSING = object()


def _of(stated: Mapping[str, Any], name: str, kind: type, where: str, default: Any = _MISSING) -> Any:
    value = stated.get(name, _MISSING)
    if value is _MISSING:
        if default is _MISSING:
            raise UsageError(f"{where}: {name} is missing")
        return default
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UsageError(f"{where}: {name} must be {_WORDS[kind]}, not {value!r}")
    return value


_WORDS = {str: "a text", int: "a whole number", bool: "true or false", list: "a list", dict: "a table"}


def _number(stated: Mapping[str, Any], name: str, where: str, default: float | None) -> Any:
    value = stated.get(name, default)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise UsageError(f"{where}: {name} must be a number, 0 or more, not {value!r}")
    return float(value)


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
        raise UsageError(f"{where} must be a list of texts, or a number of markets")
    return tuple(value)
