"""The other end of the socket rows: a child process on another core that sends prepared frames in bursts.

Run as a script it is the child. It takes one order a line from standard input and serves one connection for each:
handshake, the client's first message where the order says so, a pause in which the client notes its CPU time,
the frames, and after them one frame of the market END, by which every client knows that it has seen all.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
import socket
import struct
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from comparison.frames import SYMBOLS, frames, renamed

__all__ = ["END", "PROBE", "Order", "Sender", "many_codes", "probe_delay_us"]

END = "KRW-END"
PROBE = "KRW-PRB"
PROBE_LEAST, PROBE_MOST = 100_000_000, 1_000_000_000
START_DELAY = 0.12
_CLOSE = b"\x88\x02\x03\xe8"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass(frozen=True)
class Order:
    """What the next connection gets. `waits`: the client sends a request first. A burst is one send, then a
    pause.

    `codes`: so many markets of plain names, instead of the busiest real ones. `probed`: each burst begins with a frame
    of PROBE that tells by its price when it was sent, see `probe_delay_us`. `delay`: seconds before the first burst.
    """

    kind: str
    style: str
    count: int
    waits: bool
    burst: int = 512
    pause_ms: float = 2.0
    codes: int = 0
    probed: bool = False
    delay: float = START_DELAY


class Sender:
    """The child, from the client's side."""

    def __init__(self) -> None:
        cores = _other_cores()
        self._child = subprocess.Popen(
            [sys.executable, __file__, *map(str, cores)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._child.stdout is not None
        self.url = f"ws://127.0.0.1:{int(self._child.stdout.readline())}/websocket/v1"

    def order(self, order: Order) -> None:
        """To be given before the client connects."""
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(asdict(order)) + "\n")
        self._child.stdin.flush()

    def close(self) -> None:
        """Ends the child."""
        self._child.kill()
        self._child.communicate()


def _other_cores() -> list[int]:
    """Cores that this process may use and does not; its own where there is no other."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    mine = os.sched_getaffinity(0)
    return sorted(set(range(os.cpu_count() or 1)) - mine) or sorted(mine)


def _wire(payload: bytes) -> bytes:
    """A binary frame as servers send it."""
    size = len(payload)
    if size < 126:
        return bytes((0x82, size)) + payload
    if size < 65_536:
        return struct.pack(">BBH", 0x82, 126, size) + payload
    return struct.pack(">BBQ", 0x82, 127, size) + payload


def many_codes(count: int) -> list[str]:
    """Names of so many markets."""
    return [f"KRW-M{number:04}" for number in range(count)]


def _made(order: Order) -> tuple[list[bytes], int]:
    """Frames to send in turn, and of how many markets they are."""
    made = list(frames(order.kind, order.style))
    if not order.codes:
        return made, SYMBOLS
    codes = many_codes(order.codes)
    count = max(len(made), order.codes)
    return [renamed(made[at % len(made)], codes[at % order.codes]) for at in range(count)], order.codes


def _bursts(order: Order) -> list[bytes]:
    """The order's frames as bytes to send at once each; the first of each market says SNAPSHOT."""
    made, markets = _made(order)
    first = [frame.replace(b"REALTIME", b"SNAPSHOT") for frame in made[:markets]]
    wires, opening = [_wire(frame) for frame in made], [_wire(frame) for frame in first]
    queue = [(opening if index < markets else wires)[index % len(wires)] for index in range(order.count)]
    queue.append(_wire(renamed(first[0], END)))
    return [b"".join(queue[start : start + order.burst]) for start in range(0, len(queue), order.burst)]


def _probe(order: Order) -> tuple[bytes, bytes]:
    """A frame of PROBE, as sent, before and after the nine digits of its price."""
    frame = renamed(frames(order.kind, order.style)[0], PROBE)
    head, tail = re.split(rb'(?<="trade_price":)[0-9.E]+', frame, maxsplit=1)
    return _wire(head + b"123456789.0" + tail)[: -len(tail) - 11], b".0" + tail


def probe_delay_us(price: float) -> int:
    """Microseconds since the probe of that price was sent, on this machine."""
    return (time.time_ns() // 1000 - int(price)) % (PROBE_MOST - PROBE_LEAST)


def _now() -> bytes:
    """The price of a probe sent now: the same number of digits always."""
    span = PROBE_MOST - PROBE_LEAST
    return b"%d" % (PROBE_LEAST + (time.time_ns() // 1000 - PROBE_LEAST) % span)


def _shake_hands(connection: socket.socket) -> None:
    """Answers the upgrade request; no client sends anything after it before the answer."""
    request = b""
    while b"\r\n\r\n" not in request:
        received = connection.recv(4096)
        if not received:
            raise ConnectionAbortedError("the client left before its handshake")
        request += received
    headers = dict(line.split(b": ", 1) for line in request.strip().split(b"\r\n")[1:])
    key = next(value for name, value in headers.items() if name.lower() == b"sec-websocket-key")
    accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        + accept + b"\r\n\r\n"
    )  # fmt: skip


def _serve(connection: socket.socket, order: Order, bursts: list[bytes]) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    _shake_hands(connection)
    if order.waits:
        connection.recv(1, socket.MSG_PEEK)
    time.sleep(order.delay)
    head, tail = _probe(order) if order.probed else (b"", b"")
    for burst in bursts:
        connection.sendall(b"".join((head, _now(), tail, burst)) if order.probed else burst)
        if order.pause_ms:
            time.sleep(order.pause_ms / 1000)
    _wait_for_close(connection)
    connection.sendall(_CLOSE)


def _wait_for_close(connection: socket.socket) -> None:
    """Passes over what the client sent meanwhile (requests, pings) up to its close frame or its end."""
    waiting = b""
    while received := connection.recv(65_536):
        waiting += received
        while len(waiting) >= 2:
            if waiting[0] == _CLOSE[0]:
                return
            size = waiting[1] & 0x7F
            extra = {126: 2, 127: 8}.get(size, 0)
            if len(waiting) < 2 + extra:
                break
            whole = 6 + extra + (int.from_bytes(waiting[2 : 2 + extra], "big") if extra else size)
            if len(waiting) < whole:
                break
            waiting = waiting[whole:]


def main() -> None:
    """The child: prints its port, then serves order after order."""
    if cores := {int(core) for core in sys.argv[1:]}:
        os.sched_setaffinity(0, cores)
    listening = socket.create_server(("127.0.0.1", 0), backlog=1)
    print(listening.getsockname()[1], flush=True)
    for line in sys.stdin:
        order = Order(**json.loads(line))
        bursts = _bursts(order)
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError):
            connection.settimeout(30)
            _serve(connection, order, bursts)


if __name__ == "__main__":
    main()
