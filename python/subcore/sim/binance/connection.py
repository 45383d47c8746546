"""What the exchange knows of one connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from subcore.sim.connection import Carrier
from subcore.sim.limits import ArrivalLog

if TYPE_CHECKING:
    from .traffic import Listener

__all__ = ["BinanceConnection"]


class BinanceConnection(Carrier):
    """State of one open connection."""

    def __init__(self, ident: int, ip: str, path: str, now: int, log: ArrivalLog) -> None:
        super().__init__(ident, ip, path, now)
        self.log = log
        self.is_combined = path == "/stream"
        """Frames carry the stream's name; a client may switch it."""
        self.streams: dict[str, Listener | None] = {}
        """What was asked for, by name, in order; None for what the venue would never send."""
        self.pings: dict[bytes, int] = {}
        """Pings of the server that are not answered yet, with their times."""
