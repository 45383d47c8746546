"""The driver's side of a connection, in plain Python."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Connection"]


@dataclass(slots=True, eq=False)
class Connection:
    """The meter's and the link's part of one connection. Times are nanoseconds; `conn`: its number at the exchange."""

    link: int
    generation: int
    path: str
    started: int
    conn: int | None = None
    over: bool = False
    up_at: int = 0
    down_at: int = 0
    frames: int = 0
    last_receive: int = 0
    pinged_at: int = 0
    partial: bytes = b""
    awaited: dict[int, int] = field(default_factory=dict)
