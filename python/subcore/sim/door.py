"""Who may come in: connect and REST limits by address, and the faults that refuse a connect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from .conditions import Conditions
from .durations import SECOND, Times
from .limits import ArrivalLog, Gate, Violation

__all__ = ["Door", "DoorRules", "Refusal"]

_ADDRESSES = 10_000
"""Addresses remembered; a client may claim any, so the oldest go."""


@dataclass(frozen=True)
class Refusal:
    """A connect that did not become a connection.

    `kind`: `status` (an HTTP reply), `refuse` (TCP ends before any reply), `cut` (TCP ends inside the 101 reply),
    `hang` (no reply while the client waits).
    """

    kind: str
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)


class DoorRules(Protocol):
    """How many of an address may come in."""

    @property
    def connects(self) -> int:
        """Connects in a connect window."""

    @property
    def rest_requests(self) -> int:
        """REST requests in a REST window."""


class Door:
    """Judges connects and REST requests; `record` gets every violation."""

    def __init__(
        self,
        rules: DoorRules,
        durations: Times,
        conditions: Conditions,
        record: Callable[[tuple[Violation, ...]], None],
    ) -> None:
        self._rules = rules
        self._durations = durations
        self._conditions = conditions
        self._record = record
        self._gates: dict[str, Gate] = {}
        self._rest: dict[tuple[str, bool], ArrivalLog] = {}

    def connect(
        self, now: int, ip: str, *, known_path: bool, origin: bool, account: str | None = ""
    ) -> Refusal | None:
        """None = come in. `account`: who is logged in, "" = nobody need be, None = nobody is and must be.

        "IP when unauthenticated; pocket (sub-account) when a JWT is sent".
        """
        for kind in ("hang", "refuse", "cut"):
            if self._conditions.first(kind, now):
                return Refusal(kind)
        if fault := self._conditions.first("status", now):
            return _stay_away(fault.code or 429, fault.retry_after)
        if not known_path:
            return Refusal("status", 404)
        verdict = self._gate(f"account {account}" if account else ip).knock(now, origin=origin)
        self._record(verdict.violations)
        if verdict.status:
            return _stay_away(verdict.status, verdict.retry_after_ns / SECOND)
        return Refusal("status", 401) if account is None else None

    def _gate(self, who: str) -> Gate:
        gate = self._gates.get(who)
        if gate is None:
            _make_room(self._gates)
            windows = (self._durations.ns(name) for name in ("connect_window", "origin_window", "block"))
            gate = self._gates[who] = Gate(who, self._rules.connects, *windows)
        return gate

    def rest(self, now: int, ip: str, *, origin: bool) -> Refusal | None:
        """The same for a REST request, counted apart."""
        log = self._rest.get((ip, origin))
        if log is None:
            _make_room(self._rest)
            if origin:
                rule = ("rest-origin", 1, self._durations.ns("origin_window"))
            else:
                rule = ("rest", self._rules.rest_requests, self._durations.ns("connect_window"))
            log = self._rest[ip, origin] = ArrivalLog((rule,))
        broken = log.arrive(now)
        if not broken:
            return None
        self._record(tuple(Violation(now, None, ip, *each) for each in broken))
        return _stay_away(429, (log.room_at(now) - now) / SECOND)


def _make_room(table: dict[Any, Any]) -> None:
    if len(table) >= _ADDRESSES:
        del table[next(iter(table))]


def _stay_away(status: int, seconds: float) -> Refusal:
    """A refusal that tells the time: whole seconds, as HTTP has it, and the exact one beside it."""
    whole, exact = max(1, -int(-seconds // 1)), max(1, round(seconds * 1000))
    return Refusal("status", status, {"Retry-After": str(whole), "X-Retry-After-Ms": str(exact)})
