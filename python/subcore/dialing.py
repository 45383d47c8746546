"""The default way to connect: picows over a socket of our own, names resolved anew at each attempt."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

import picows

from ._listener import ping_payload
from .errors import LinkError
from .link import HandshakeRefused, Transport
from .resolver import Address, Resolver

CONNECT_DEADLINE_S = 5.0
HANDSHAKE_DEADLINE_S = 5.0
GIVE_UP_S = 1.0
RECEIVE_BUFFER_BYTES = 512 * 1024  # bounds what one read can bring, hence how long other tasks can wait
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
_OPCODES = {1: picows.WSMsgType.TEXT, 2: picows.WSMsgType.BINARY}
_quiet = logging.getLogger("subcore.picows")
_quiet.setLevel(logging.CRITICAL)  # what picows would say is said by the link, once and with its reason


class Dialer:
    """Connects. No `Origin` header is ever sent: venues throttle clients that send one (Upbit: 1 request per 10 s)."""

    def __init__(self, resolver: Resolver | None = None) -> None:
        self._resolver = resolver or Resolver()
        self._tls: ssl.SSLContext | None = None

    async def __call__(self, url: str, headers: Mapping[str, str], listener: picows.WSListener) -> Transport:
        """Open `url`; raises HandshakeRefused, LinkError or OSError. Cancel-safe: nothing stays open."""
        host, port, secure = _parts(url)
        addresses = await self._resolver.resolve(host, port)
        connection = await _first_that_answers(addresses)
        lent = _Lent(connection)
        try:
            transport = await self._handshake(url, headers, listener, lent, secure)
        except BaseException:
            await lent.give_up()
            raise
        return _PicowsTransport(transport)

    async def _handshake(
        self, url: str, headers: Mapping[str, str], listener: picows.WSListener, lent: _Lent, secure: bool
    ) -> picows.WSTransport:
        try:
            transport, made = await picows.ws_connect(
                lambda: listener,
                url,
                ssl_context=self._tls_context() if secure else None,
                websocket_handshake_timeout=HANDSHAKE_DEADLINE_S,
                logger_name=_quiet,
                enable_auto_ping=False,
                enable_auto_pong=True,
                max_frame_size=MAX_MESSAGE_BYTES,
                extra_headers=dict(headers),
                max_redirects=0,
                socket_factory=lent.lend,
            )
        except picows.WSInvalidStatusError as error:
            raise _refusal(error) from error
        except picows.WSError as error:
            raise LinkError(f"the WebSocket handshake failed: {error}") from error
        if made is None:
            # ws_connect returns (transport, None) where the peer closed before or inside its 101 reply
            raise LinkError("the venue closed the connection during the handshake")
        return transport

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        return self._tls


class _Lent:
    """Our socket while picows uses it.

    A failed or cancelled handshake must leave no descriptor behind, and picows gives no handle on the transport it
    made. So the socket is shut down, which ends that transport, and its end is awaited.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._is_lent = False

    def lend(self, parsed: picows.WSParsedURL) -> socket.socket:
        self._is_lent = True
        return self._connection

    async def give_up(self) -> None:
        if not self._is_lent:
            self._connection.close()
            return
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + GIVE_UP_S
        while self._connection.fileno() != -1 and loop.time() < deadline:
            await asyncio.sleep(0.001)


class _PicowsTransport:
    def __init__(self, transport: picows.WSTransport) -> None:
        self._transport = transport

    def send(self, opcode: int, payload: bytes) -> None:
        self._transport.send(_OPCODES[opcode], payload)

    def ping(self, payload: bytes = b"") -> None:
        self._transport.send_ping(payload or ping_payload())

    def close(self, code: int, reason: str) -> None:
        self._transport.send_close(picows.WSCloseCode(code), reason.encode()[:120])
        self._transport.disconnect(True)

    def abort(self) -> None:
        self._transport.disconnect(False)

    async def wait_closed(self) -> None:
        await self._transport.wait_disconnected()

    @property
    def write_queue_bytes(self) -> int:
        return int(self._transport.underlying_transport.get_write_buffer_size())


def _parts(url: str) -> tuple[str, int, bool]:
    """Host, port, and whether by TLS."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise LinkError(f"the url {url!r} is none: {error}") from None
    if host is None:
        raise LinkError(f"the url {url!r} names no host")
    secure = parts.scheme == "wss"
    return host, port or (443 if secure else 80), secure


async def _first_that_answers(addresses: list[Address]) -> socket.socket:
    """Connect to the addresses in turn, the deadline shared among them; raises the last failure."""
    loop = asyncio.get_running_loop()
    failure: Exception = LinkError("no address to connect to")
    for family, kind, protocol, address in addresses[:8]:
        try:
            connection = socket.socket(family, kind, protocol)
        except OSError as error:  # a machine without IPv6 is told addresses of it all the same
            failure = LinkError(f"{address[0]} port {address[1]}: {error}")
            continue
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            share = CONNECT_DEADLINE_S / min(len(addresses), 8)
            async with asyncio.timeout(max(1.0, share)):  # wait_for of 3.11 may lose a cancellation
                await loop.sock_connect(connection, address)
            return connection
        except (OSError, TimeoutError) as error:
            connection.close()
            reason = "no answer" if isinstance(error, TimeoutError) else str(error)
            failure = LinkError(f"{address[0]} port {address[1]}: {reason}")
        except BaseException:
            connection.close()
            raise
    raise failure


def _refusal(error: picows.WSInvalidStatusError) -> HandshakeRefused:
    response = error.response
    told = response.headers.get("Retry-After") if response is not None else None
    retry_after: float | None = None
    with contextlib.suppress(TypeError, ValueError):
        retry_after = float(told)  # type: ignore[arg-type]
    return HandshakeRefused(int(response.status) if response is not None else 0, retry_after)
