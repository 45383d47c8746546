"""What every embedded exchange is made of: time, connections, arrivals, faults and outputs. It knows no venue.

Bytes and `now` go in, bytes and closes come out. Time is int nanoseconds since the epoch (`time.time_ns()`; a virtual
clock may count from anywhere) and never goes back. The same seed and the same client behaviour give the same bytes.
"""

from __future__ import annotations

import heapq
import random
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from .conditions import Conditions
from .connection import CLOSE, Carrier, Output, StreamName
from .door import Refusal
from .durations import SECOND
from .faults import Fault, Faults
from .limits import Violation

__all__ = ["Machine", "Stats"]

C = TypeVar("C", bound=Carrier)


@dataclass
class Stats:
    """Totals since the start."""

    connects: int = 0
    refused: int = 0
    messages: int = 0
    requests: int = 0
    errors: int = 0
    frames: int = 0
    bytes: int = 0
    violations: int = 0
    idle_drops: int = 0


class Machine(ABC, Generic[C]):
    """A venue without its grammar. Not thread-safe; every call takes the present time.

    `faults` are (seconds after the first use, `Fault`); one without a time is in force from the start.
    """

    paths: tuple[str, ...]
    """Paths that accept a WebSocket; the first is the one to name."""
    rest_paths: tuple[str, ...]
    """What is served over REST; the first is the list of markets."""
    handshake_headers: Mapping[str, str] = {}
    """Sent with a 101."""
    max_message: int
    """Bytes a client's message may have."""

    def __init__(self, seed: int, faults: Faults | Iterable[Fault | tuple[float, Fault]]) -> None:
        self.seed = seed
        self.stats = Stats()
        self.violations: deque[Violation] = deque(maxlen=100_000)
        """The last breaches of a limit; `stats.violations` counts them all."""
        self.fault_counts: Counter[str] = Counter()
        """How often each kind of fault bit: a frame swallowed, a connect refused, a connection reset."""
        self.connections: dict[int, C] = {}
        self.markets: dict[str, Any] = {}
        """Listed markets by code."""
        self.conditions = Conditions(random.Random(f"faults {seed}"), self.fault_counts)
        self._rng = random.Random(f"exchange {seed}")
        self._heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = 0
        self._now: int | None = None
        self._outputs: list[Output] = []
        self._next_id = 1
        self._sent_touches = True
        self._planned = [f if isinstance(f, tuple) else (0.0, f) for f in faults]

    # -- what a venue adds -------------------------------------------------------------------------

    @abstractmethod
    def connect(
        self, now: int, ip: str = ..., headers: Mapping[str, str] | None = ..., path: str = ...
    ) -> int | Refusal:
        """A client asks for a WebSocket: the connection's id, or a `Refusal`. Counts against the connect limit."""

    @abstractmethod
    def get(
        self, now: int, target: str, ip: str = ..., headers: Mapping[str, str] | None = ...
    ) -> tuple[int, dict[str, str], bytes]:
        """A REST request: (status, headers, body). Its limits are counted apart from those of WebSocket."""

    @abstractmethod
    def _arrive(self, conn: C, opcode: int, payload: bytes, now: int) -> None:
        """A whole message or control frame reached the venue."""

    @abstractmethod
    def _leave(self, conn: C, now: int) -> None:
        """The connection is over: its streams end."""

    @abstractmethod
    def _delist(self, code: str) -> None:
        """The market is no more."""

    # -- time --------------------------------------------------------------------------------------

    def deadline(self) -> int | None:
        """When `advance` next has something to do; None = not before something is received."""
        if self._outputs:
            return self._outputs[0].at
        return self._heap[0][0] if self._heap else None

    def advance(self, now: int) -> list[Output]:
        """Let time pass up to `now`; everything that left since the last call, in order of time."""
        self._run(now)
        outputs, self._outputs = self._outputs, []
        return outputs

    def _run(self, now: int) -> int:
        """Do everything due up to `now`. A time before an earlier one counts as that one."""
        if self._now is None:
            self._now = now
            for seconds, fault in self._planned:
                self._schedule(now + round(seconds * SECOND), self._inject, fault)
        now = max(now, self._now)
        heap = self._heap
        while heap and heap[0][0] <= now:
            at, _, function, arguments = heapq.heappop(heap)
            self._now = at
            function(at, *arguments)
        self._now = now
        return now

    def _schedule(self, at: int, function: Callable[..., None], *arguments: Any) -> None:
        """`function(at, *arguments)` when the time has come; equal times in the order of scheduling."""
        self._order += 1
        heapq.heappush(self._heap, (at, self._order, function, arguments))

    # -- connections -------------------------------------------------------------------------------

    def closed(self, conn_id: int, now: int) -> None:
        """The client's TCP connection is gone, at once. Unknown ids are ignored (both sides may end together)."""
        conn = self.connections.get(conn_id)
        if conn is not None:
            self._forget(conn, now)
            conn.gone = True

    def _forget(self, conn: C, now: int) -> None:
        """No more streams, no more reading; outputs already on their way still go out unless `gone`."""
        self.connections.pop(conn.id, None)
        conn.over = True
        self._leave(conn, now)

    def _end(self, conn: C, kind: str, code: int, now: int) -> None:
        if conn.id in self.connections:
            self._send(conn, Output(conn.id, kind, CLOSE, b"", code, now), None)
            self._forget(conn, now)

    # -- what a client sends -----------------------------------------------------------------------

    def receive(self, conn_id: int, opcode: int, payload: bytes, now: int) -> None:
        """A whole message or control frame of a client arrives at `now`. Unknown ids are ignored.

        It is judged and answered, in its turn, when `advance` reaches `now`.
        """
        if conn_id in self.connections:
            at = now if self._now is None else max(now, self._now)
            self._schedule(at, self._receive, conn_id, opcode, payload)

    def _receive(self, now: int, conn_id: int, opcode: int, payload: bytes) -> None:
        conn = self.connections.get(conn_id)
        if conn is not None and not self.conditions.first("half_open", now, conn):
            self._arrive(conn, opcode, payload, now)

    def _record(self, violations: tuple[Violation, ...]) -> None:
        self.violations.extend(violations)
        self.stats.violations += len(violations)

    # -- out ---------------------------------------------------------------------------------------

    def _send(self, conn: C, output: Output, wanted: StreamName | None) -> None:
        """Send one output, or what the faults in force make of it."""
        if conn.gone:
            return
        if self.conditions.on_links:
            for changed in self.conditions.pass_through(output, conn, wanted):
                if changed.at <= output.at:
                    self._put(output.at, conn, changed)
                else:
                    self._schedule(changed.at, self._put, conn, changed)
            return
        if output.at < conn.release_at:
            output = output._replace(at=conn.release_at)
            self._schedule(output.at, self._put, conn, output)
            return
        self._put(output.at, conn, output)

    def _put(self, at: int, conn: C, output: Output) -> None:
        if conn.gone:
            return
        if output.kind == "frame":
            conn.frames += 1
            self.stats.frames += 1
            self.stats.bytes += len(output.payload)
        elif output.kind not in ("pong", "ping"):
            conn.gone = True
        if self._sent_touches:
            conn.touched_at = at
        self._outputs.append(output)

    # -- faults and the market list ----------------------------------------------------------------

    def inject(self, fault: Fault, now: int) -> None:
        """Have a fault now. `fault_counts` tells when and how often it bites."""
        self._inject(self._run(now), fault)

    def heal(self, now: int, kind: str | None = None) -> None:
        """End the lasting faults, or those of one kind."""
        self._run(now)
        self.conditions.clear(kind)

    def _inject(self, at: int, fault: Fault) -> None:
        if fault.kind == "delist":
            assert fault.symbol is not None
            self.fault_counts["delist"] += self.markets.pop(fault.symbol, None) is not None
            self._delist(fault.symbol)
        elif fault.lasts:
            self.conditions.add(fault, at)
        else:
            kind = {"drop_fin": "drop", "drop_rst": "reset", "close": "close"}[fault.kind]
            for conn in list(self.connections.values()):
                if fault.conn in (None, conn.id):
                    self.fault_counts[fault.kind] += 1
                    self._end(conn, kind, fault.code or (1001 if kind == "close" else 0), at)
