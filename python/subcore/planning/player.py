"""A venue that says what it is told to, over a real socket: it feeds a calibration, from a process of its own.

A thread would take the interpreter from whoever is measured. Run as a program it takes orders on its standard input,
one JSON object a line, and answers each with a line; it imports nothing but the standard library.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import math
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

__all__ = ["Player"]

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455
MOST_REQUEST = 65_536
TEXT = 0x81
GOLDEN = (5.0**0.5 - 1.0) / 2.0  # multiples of it fall apart as evenly as can be
PATIENCE_S = 30.0


class Player:
    """The process, seen from here. It takes one connection at `url`; `close` ends it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._orders, self._answers = self._process.stdin, self._process.stdout
        port = self._answers.readline()
        if not port:
            raise OSError("what plays frames for the calibration did not start")
        self.url = f"ws://127.0.0.1:{int(port)}"

    async def play(self, payloads: Sequence[bytes], batch: int, count: int, gap_s: float) -> None:
        """Have it write `count` times `batch` of these in one piece, `gap_s` apart on average, as by chance, beginning
        anew after the last of them; until it has."""
        order = {"payloads": [p.decode() for p in payloads], "batch": batch, "count": count, "gap_s": gap_s}
        self._orders.write(json.dumps(order) + "\n")
        self._orders.flush()
        if not await asyncio.to_thread(self._answers.readline):
            raise OSError("what plays frames for the calibration ended")

    def close(self) -> None:
        """End it."""
        self._orders.close()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._answers.close()


def main() -> None:
    """The process."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(PATIENCE_S)
        print(listening.getsockname()[1], flush=True)
        peer, _ = listening.accept()
    with peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.settimeout(PATIENCE_S)
        peer.sendall(_welcome(_request(peer)))
        for line in sys.stdin:
            _play(peer, **json.loads(line))
            print("done", flush=True)


def _play(peer: socket.socket, payloads: list[str], batch: int, count: int, gap_s: float) -> None:
    frames = [_framed(payload.encode()) for payload in payloads]
    pieces = [
        b"".join(frames[(number * batch + place) % len(frames)] for place in range(batch))
        for number in range(count)
    ]
    due = time.monotonic()
    for piece, gap in zip(pieces, _gaps(count, gap_s), strict=True):
        peer.sendall(piece)
        due = max(due + gap, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))


def _gaps(count: int, mean_s: float) -> list[float]:
    """Pauses as between things that come by chance, many short and few long, but none below half of the mean, since a
    venue's server sends in batches. The same ones each time, well mixed.

    What has just run is cheap to run again: even pauses would cost more than what comes in life.
    """
    steps = [((place + 1) * GOLDEN) % 1.0 for place in range(count)]
    ranks = {step: rank for rank, step in enumerate(sorted(steps))}
    drawn = [1.0 - math.log(1.0 - (ranks[step] + 0.5) / count) for step in steps]
    return [mean_s * count * each / sum(drawn) for each in drawn]


def _request(peer: socket.socket) -> bytes:
    said = b""
    while b"\r\n\r\n" not in said:
        more = peer.recv(4096)
        if not more or len(said) > MOST_REQUEST:
            raise OSError("no handshake came")
        said += more
    return said


def _welcome(request: bytes) -> bytes:
    lines = request.split(b"\r\n")
    key = next(
        line.partition(b":")[2].strip() for line in lines if line.lower().startswith(b"sec-websocket-key:")
    )
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def _framed(payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((TEXT, size)) + payload
    if size < 65_536:
        return bytes((TEXT, 126)) + size.to_bytes(2, "big") + payload
    return bytes((TEXT, 127)) + size.to_bytes(8, "big") + payload


if __name__ == "__main__":
    main()
