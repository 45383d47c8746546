"""Drive the pure exchange: connect, send requests, let virtual time pass, collect what came out."""

from __future__ import annotations

import json
from typing import Any

from subcore.sim import SECOND, Exchange, Output, Refusal

START = 1_790_000_000 * SECOND


class Play:
    """An exchange and its virtual clock, in seconds since START; outputs are kept by connection."""

    def __init__(self, **options: Any) -> None:
        self.exchange = Exchange(**options)
        self.now = 0.0
        self.outputs: list[Output] = []

    def ns(self) -> int:
        return START + round(self.now * SECOND)

    def connect(self, **options: Any) -> int:
        conn = self.exchange.connect(self.ns(), **options)
        assert not isinstance(conn, Refusal), conn
        return conn

    def try_connect(self, **options: Any) -> int | Refusal:
        return self.exchange.connect(self.ns(), **options)

    def send(self, conn: int, message: Any, opcode: int = 1) -> None:
        payload = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.exchange.receive(conn, opcode, payload, self.ns())

    def ask(self, conn: int, type_: str, codes: list[str], format: str | None = None, **options: Any) -> None:
        items: list[dict[str, Any]] = [{"ticket": "t"}, {"type": type_, "codes": codes, **options}]
        if format is not None:
            items.append({"format": format})
        self.send(conn, items)

    def pass_time(self, seconds: float) -> list[Output]:
        """Let time pass, jumping from deadline to deadline; the outputs of that time."""
        end = self.now + seconds
        new: list[Output] = []
        while (due := self.exchange.deadline()) is not None and due <= START + round(end * SECOND):
            new += self.exchange.advance(due)
        self.now = end
        new += self.exchange.advance(self.ns())
        self.outputs += new
        return new


def at(output: Output) -> float:
    """Seconds since START."""
    return (output.at - START) / SECOND


def frames(outputs: list[Output], conn: int | None = None) -> list[Any]:
    """The parsed data frames."""
    return [json.loads(o.payload) for o in outputs if o.kind == "frame" and conn in (None, o.conn)]


def kinds(outputs: list[Output]) -> list[str]:
    return [o.kind for o in outputs]


def ends(outputs: list[Output]) -> list[Output]:
    """Closes, drops and resets."""
    return [o for o in outputs if o.kind in ("close", "drop", "reset")]
