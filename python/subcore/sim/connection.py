"""What the exchange knows of one connection, and what it puts out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from .limits import ArrivalLog
from .requests import Wanted

if TYPE_CHECKING:
    from .cycle import Cycle

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "PING",
    "PONG",
    "TEXT",
    "Carrier",
    "Connection",
    "Output",
    "StreamName",
    "Subscription",
]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Output(NamedTuple):
    """Something that leaves the exchange for one connection.

    `kind`: `frame` (data, `opcode` 1 or 2 or, in a later fragment, 0), `ping`, `pong`, `close` (a close frame with
    `code`; the TCP end follows), `drop` (FIN with no close frame), `reset` (RST). After the last three the connection
    is no more.
    """

    conn: int
    kind: str
    opcode: int
    payload: bytes
    code: int
    at: int
    """Nanoseconds, same clock as `now`."""
    fin: bool = True
    spread_ns: int = 0
    """The bytes take this long from `at` to be on the wire (fault `trickle`); what follows waits."""


class StreamName(Protocol):
    """What a stream is about."""

    @property
    def type(self) -> str:
        """Kind of data."""

    @property
    def code(self) -> str:
        """Its market."""


class Carrier:
    """What every venue's connection has."""

    def __init__(self, ident: int, ip: str, path: str, now: int) -> None:
        self.id = ident
        self.ip = ip
        self.path = path
        self.opened_at = now
        self.touched_at = now
        self.over = False
        """The exchange has ended it or the client has left: no more streams, nothing more is read."""
        self.gone = False
        """Nothing can reach the client any more."""
        self.frames = 0
        self.messages = 0
        self.release_at = 0
        """No later output may be released before this (faults `lag` and `trickle`)."""


class Subscription:
    """One stream on one connection. Identity matters: a stream dropped and asked for again is another one."""

    __slots__ = ("conn", "cycle", "late_budget", "live", "wanted")

    def __init__(self, conn: Connection, wanted: Wanted, *, live: bool) -> None:
        self.conn = conn
        self.wanted = wanted
        self.live = live
        """REALTIME frames flow: at once if no snapshot was asked for, else after the snapshot."""
        self.cycle: Cycle | None = None
        """The kept frames it repeats, where traffic is for load."""
        self.late_budget: list[int] | None = None
        """After a replacement: frames that the dropped streams of the connection may still send together."""


class Connection(Carrier):
    """State of one open connection."""

    def __init__(
        self, ident: int, ip: str, path: str, now: int, types: tuple[str, ...], log: ArrivalLog
    ) -> None:
        super().__init__(ident, ip, path, now)
        self.types = types
        self.account = ""
        """Whose keys have opened it, on the private route."""
        self.format = "DEFAULT"
        self.log = log
        self.streams: dict[Wanted, tuple[bool, bool]] = {}
        """The last good request, as asked, unknown codes included."""
        self.subscriptions: dict[Wanted, Subscription] = {}
        self.up_running = False
        self.closing = False
        """An error was sent; the close is on its way and nothing more is read."""
