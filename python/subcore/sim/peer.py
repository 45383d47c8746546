"""One client on the server: its handshake, its messages made whole, its frames in and out."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from picows import WSFrame, WSListener, WSTransport, WSUpgradeRequest, WSUpgradeResponse

from .connection import CLOSE, CONTINUATION, PING, PONG, Output
from .door import Refusal
from .wire import claimed_address, close_frame, frame_header, http_reply, server_frame

if TYPE_CHECKING:
    from .server import SimServer

__all__ = ["LaterReply", "Peer"]

_CLOSE_GRACE = 1.0
_DRIBBLES = 16
_spread_of = attrgetter("spread_ns")


class LaterReply(WSUpgradeResponse):
    """A 101 that writes nothing: the peer's address is known, and the reply decided, only once it is
    connected."""

    __slots__ = ()

    def __init__(self) -> None:
        from multidict import CIMultiDict

        self.version = b"HTTP/1.1"
        self.status = HTTPStatus.SWITCHING_PROTOCOLS
        self.headers = CIMultiDict()
        self.body = None

    def to_bytes(self) -> bytearray:
        return bytearray()


class Peer(WSListener):
    """Carries bytes between a socket and the exchange; decides nothing."""

    def __init__(self, server: SimServer, request: WSUpgradeRequest, reply: LaterReply) -> None:
        self._server = server
        self._request = request
        self._reply = reply
        self._transport: WSTransport | None = None
        self._message = bytearray()
        self._message_opcode = 0
        self._waiting: deque[Output] = deque()
        self._dribbling = False
        self._closing = False
        self._client_closed = False
        self.conn: int | None = None
        """The exchange's id, once the handshake is done."""

    # -- picows' side ------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The upgrade request was valid: ask the exchange and write its reply."""
        self._transport = transport
        self._server.peers.add(self)
        headers = self._request.headers
        peername = transport.underlying_transport.get_extra_info("peername")
        ip = claimed_address(headers) or (str(peername[0]) if peername else "?")
        path = self._request.path.decode("latin-1").partition("?")[0]
        outcome = self._server.exchange.connect(self._server.clock(), ip, headers, path)
        accept = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Accept": self._reply.headers.get("Sec-WebSocket-Accept", ""),
        }
        welcome = http_reply(101, accept | dict(self._server.exchange.handshake_headers))
        if isinstance(outcome, Refusal):
            self._refuse(outcome, welcome)
        else:
            self.conn = outcome
            self._server.by_conn[outcome] = self
            self.write(welcome)
        self._server.wake()

    def _refuse(self, refusal: Refusal, welcome: bytes) -> None:
        if refusal.kind == "hang":
            return
        if refusal.kind == "status":
            self.write(http_reply(refusal.status, refusal.headers))
        elif refusal.kind == "cut":
            self.write(welcome[: len(welcome) // 2])
        self.end()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        opcode = frame.msg_type.value
        if self._closing and opcode == CLOSE:
            self.end()
        if self._closing or self.conn is None:
            return
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._fail(1002)
        elif opcode >= CLOSE:
            self._client_closed = opcode == CLOSE
            self._deliver(opcode, frame.get_payload_as_bytes())
        else:
            self._assemble(opcode, frame)

    def _assemble(self, opcode: int, frame: WSFrame) -> None:
        """Fragments to messages, never larger than the exchange would take."""
        begins = opcode != CONTINUATION
        if begins == bool(self._message_opcode):
            self._fail(1002)
            return
        if begins and frame.fin:
            self._deliver(opcode, frame.get_payload_as_bytes())
            return
        if begins:
            self._message_opcode = opcode
        self._message += frame.get_payload_as_bytes()
        if len(self._message) > self._server.exchange.max_message:
            self._fail(1009)
        elif frame.fin:
            message, opcode = bytes(self._message), self._message_opcode
            self._message, self._message_opcode = bytearray(), 0
            self._deliver(opcode, message)

    def _deliver(self, opcode: int, payload: bytes) -> None:
        if self.conn is not None:
            self._server.exchange.receive(self.conn, opcode, payload, self._server.clock())
            self._server.wake()

    def _fail(self, code: int) -> None:
        """A breach of the WebSocket protocol itself. Reading goes on for a while: unread bytes would turn the end
        into a reset that overtakes the close frame."""
        if self.conn is not None:
            self._server.by_conn.pop(self.conn, None)
            self._server.exchange.closed(self.conn, self._server.clock())
            self.conn = None
        self._say_goodbye(code)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._server.peers.discard(self)
        self._transport = None
        self._waiting.clear()
        if self.conn is not None:
            self._server.by_conn.pop(self.conn, None)
            self._server.exchange.closed(self.conn, self._server.clock())
            self._server.wake()

    def pause_writing(self) -> None:
        """The pump looks at the buffer itself."""

    def resume_writing(self) -> None:
        """See pause_writing."""

    # -- the exchange's side -----------------------------------------------------------------------

    def put(self, outputs: list[Output]) -> None:
        """Write what is due for this client, as one piece where that is possible."""
        if self._dribbling or any(map(_spread_of, outputs)):
            self._waiting.extend(outputs)
            if not self._dribbling:
                self._next_waiting()
            return
        pieces: list[bytes] = []
        for output in outputs:
            if output.kind == "frame":
                payload = output.payload
                pieces += (frame_header(output.opcode, len(payload), output.fin), payload)
            elif output.kind in ("ping", "pong"):
                pieces.append(server_frame(PONG if output.kind == "pong" else PING, output.payload))
            else:
                self.write(b"".join(pieces))
                pieces = []
                self._finish(output)
        self.write(b"".join(pieces))

    def _finish(self, output: Output) -> None:
        if output.kind == "reset":
            self.reset()
        elif output.kind == "drop":
            self.end()
        elif self._client_closed:
            self.write(close_frame(output.code))
            self.end()
        else:
            self._say_goodbye(output.code)

    def _say_goodbye(self, code: int) -> None:
        """A close frame; the TCP end follows the client's own close, or comes after a grace."""
        self.write(close_frame(code))
        self._closing = True
        asyncio.get_running_loop().call_later(_CLOSE_GRACE, self.end)

    def _next_waiting(self) -> None:
        """Dribble one output after another; what is not to be dribbled goes out whole."""
        self._dribbling = False
        while self._waiting and self._transport is not None:
            output = self._waiting.popleft()
            if output.spread_ns == 0:
                self.put([output])
                continue
            self._dribbling = True
            data = server_frame(output.opcode, output.payload, fin=output.fin)
            self._dribble(data, output.spread_ns / 1e9 / _DRIBBLES, max(1, -(-len(data) // _DRIBBLES)))
            return

    def _dribble(self, data: bytes, pause: float, size: int) -> None:
        self.write(data[:size])
        rest = data[size:]
        action: Callable[..., Any] = self._dribble if rest else self._next_waiting
        asyncio.get_running_loop().call_later(pause, action, *((rest, pause, size) if rest else ()))

    def write(self, data: bytes) -> None:
        """Bytes to the socket; a client that does not read is reset once too much is waiting."""
        if self._transport is None or not data:
            return
        self._transport.underlying_transport.write(data)
        if self._transport.underlying_transport.get_write_buffer_size() > self._server.write_limit:
            self._server.slow_readers += 1
            self.reset()

    def end(self) -> None:
        """FIN after what is written."""
        if self._transport is not None:
            self._transport.disconnect(True)

    def reset(self) -> None:
        """RST; what is still to be written is lost."""
        if self._transport is not None:
            sock = self._transport.underlying_transport.get_extra_info("socket")
            if sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.disconnect(False)
