"""Faults that last: which are in force, whom they hit, and what they do to a frame on its way out."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

from .connection import CONTINUATION, Carrier, Output, StreamName
from .durations import SECOND
from .faults import Fault

__all__ = ["GARBAGE", "Condition", "Conditions"]

GARBAGE = (
    b"\xff\xfe\x00garbage",
    b'{"type":"ticker","code":"KRW-BTC","timestamp":17',
    b'{"type":"trade","code":"KRW-BTC","trade_price":"abc","timestamp":-1}',
    b'{"type":"ticker","code":"' + b"X" * 300 + b'","trade_price":1e999}',
    b"[" * 2000,
    b"",
    b'{"type":"orderbook","code":"KRW-BTC","orderbook_units":{"a":[[[1]]]},"timestamp":00}',
    b'{"type":"ticker","code":"\xc3\x28","trade_price":1}',
    b"\x00" * 64,
)
_LINK_KINDS = frozenset(("half_open", "silent", "lose", "garbage", "fragments", "trickle", "lag", "reorder"))


class Condition:
    """A fault in force until a time (None = for good)."""

    __slots__ = ("cured", "fault", "left", "until")

    def __init__(self, fault: Fault, until: int | None) -> None:
        self.fault = fault
        self.until = until
        self.left = fault.count
        """Frames of garbage still to be sent."""
        self.cured: set[int] = set()
        """Connections on which a silent stream was asked for again."""


class Conditions:
    """The lasting faults. `counts` says how often each kind bit."""

    def __init__(self, rng: random.Random, counts: Counter[str]) -> None:
        self._rng = rng
        self._counts = counts
        self._all: list[Condition] = []
        self.on_links = False
        """Whether any condition touches frames: the hot path asks only this."""

    def add(self, fault: Fault, now: int) -> None:
        """Put a lasting fault in force."""
        until = None if fault.seconds is None else now + round(fault.seconds * SECOND)
        self._all.append(Condition(fault, until))
        self._update()

    def clear(self, kind: str | None = None) -> None:
        """End all conditions, or those of one kind."""
        self._all = [] if kind is None else [c for c in self._all if c.fault.kind != kind]
        self._update()

    def _update(self) -> None:
        self.on_links = any(c.fault.kind in _LINK_KINDS for c in self._all)

    def active(self, kind: str, now: int, conn: Carrier | None = None) -> Iterator[Condition]:
        """Conditions of a kind in force at `now` that hit a connection (or connects, with None)."""
        for condition in list(self._all):
            if condition.until is not None and now >= condition.until:
                self._all.remove(condition)
                self._update()
            elif condition.fault.kind == kind and (
                conn is None or condition.fault.conn is None or condition.fault.conn == conn.id
            ):
                yield condition

    def first(self, kind: str, now: int, conn: Carrier | None = None) -> Fault | None:
        """The first of them, counted as having bitten."""
        for condition in self.active(kind, now, conn):
            self._counts[kind] += 1
            return condition.fault
        return None

    def count(self, kind: str) -> None:
        """A fault of this kind bit."""
        self._counts[kind] += 1

    def holds(self, kind: str, now: int, conn: Carrier | None = None) -> bool:
        """Whether one is in force, without counting."""
        return any(True for _ in self.active(kind, now, conn))

    def cure(self, wanted: StreamName, conn: Carrier, now: int) -> None:
        """A stream was asked for (again) on a connection: it is silent there no more."""
        for condition in self.active("silent", now, conn):
            if condition.fault.symbol == wanted.code and condition.fault.channel == wanted.type:
                condition.cured.add(conn.id)

    def pass_through(self, output: Output, conn: Carrier, wanted: StreamName | None) -> list[Output]:
        """What becomes of an output under the conditions in force; times may be later than the output's
        own."""
        now = output.at
        if self.first("half_open", now, conn):
            return []
        if output.kind == "frame":
            if wanted is not None and (self._is_silent(wanted, conn, now) or self._is_lost(conn, now)):
                return []
            outputs = [*self._garbage(output, conn, now), *self._fragments(output, conn, now)]
        else:
            outputs = [output]
        return [self._delayed(each, conn, now) for each in outputs]

    def _is_silent(self, wanted: StreamName, conn: Carrier, now: int) -> bool:
        for condition in self.active("silent", now, conn):
            fault = condition.fault
            if (
                fault.symbol == wanted.code
                and fault.channel == wanted.type
                and conn.id not in condition.cured
            ):
                self._counts["silent"] += 1
                return True
        return False

    def _is_lost(self, conn: Carrier, now: int) -> bool:
        for condition in self.active("lose", now, conn):
            if self._rng.random() < condition.fault.probability:
                self._counts["lose"] += 1
                return True
        return False

    def _garbage(self, output: Output, conn: Carrier, now: int) -> list[Output]:
        for condition in self.active("garbage", now, conn):
            if condition.left > 0:
                condition.left -= 1
                self._counts["garbage"] += 1
                return [output._replace(payload=GARBAGE[self._rng.randrange(len(GARBAGE))])]
        return []

    def _fragments(self, output: Output, conn: Carrier, now: int) -> list[Output]:
        fault = self.first("fragments", now, conn)
        if fault is None or fault.count == 1:
            return [output]
        payload = output.payload
        cuts = sorted(self._rng.randrange(len(payload) + 1) for _ in range(fault.count - 1))
        edges = [0, *cuts, len(payload)]
        last = len(edges) - 2
        return [
            output._replace(
                opcode=output.opcode if i == 0 else CONTINUATION,
                payload=payload[edges[i] : edges[i + 1]],
                fin=i == last,
            )
            for i in range(last + 1)
        ]

    def _delayed(self, output: Output, conn: Carrier, now: int) -> Output:
        """Lag keeps the order, reorder does not (but an end, and fragments, stay behind what came before)."""
        at, spread = now, 0
        if lag := self.first("lag", now, conn):
            at += round(lag.lag * SECOND)
        whole = output.kind in ("frame", "pong") and output.fin and output.opcode != CONTINUATION
        overtakes = False
        if whole and (reorder := self.first("reorder", now, conn)):
            at += self._rng.randrange(round(reorder.lag * SECOND) + 1)
            overtakes = True
        if output.kind == "frame" and (trickle := self.first("trickle", now, conn)):
            spread = round(trickle.lag * SECOND)
        if not overtakes:
            at = max(at, conn.release_at)
        conn.release_at = max(conn.release_at, at + spread)
        return output._replace(at=at, spread_ns=spread)
