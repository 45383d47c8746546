"""What a simulated exchange must offer to be driven in virtual time."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["PureExchange"]


class PureExchange(Protocol):
    """A venue without sockets, like `subcore.sim.Exchange`. Times are nanoseconds and never go back."""

    def connect(self, now: int, ip: str = ..., headers: Any = ..., path: str = ...) -> Any:
        """A connection's id, or why there is none."""

    def closed(self, conn_id: int, now: int) -> None:
        """The client's side is gone."""

    def receive(self, conn_id: int, opcode: int, payload: bytes, now: int) -> None:
        """A message or control frame of the client."""

    def get(self, now: int, target: str, ip: str = ..., headers: Any = ...) -> tuple[int, Any, bytes]:
        """A REST request: (status, headers, body)."""

    def deadline(self) -> int | None:
        """When `advance` has something to do."""

    def advance(self, now: int) -> list[Any]:
        """What left since the last call."""
