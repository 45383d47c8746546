"""The listener over real sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import picows
import pytest
from picows.picows import WSMsgType

from listening import Bench, Count
from subcore._listener import FeedListener, ping_payload


class Served(picows.WSListener):
    def __init__(self, act: Callable[[picows.WSTransport], object]) -> None:
        self.act = act

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self.act(transport)


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[picows.WSTransport], object]], str]]:
    """serve(act) -> url: a picows server in a thread of its own; act(transport) runs for each client there."""
    loop = asyncio.new_event_loop()
    servers: list[asyncio.Server] = []
    thread = threading.Thread(target=loop.run_forever, name="server")
    thread.start()

    def start(act: Callable[[picows.WSTransport], object]) -> str:
        async def listen() -> str:
            server = await picows.ws_create_server(lambda request: Served(act), "127.0.0.1", 0)
            servers.append(server)
            return f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"

        return asyncio.run_coroutine_threadsafe(listen(), loop).result(5)

    async def finish() -> None:
        for server in servers:
            server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)

    yield start
    asyncio.run_coroutine_threadsafe(finish(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


RECEIVE_BUFFER = 512 * 1024


def narrow_socket(parsed: Any) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    connection.connect((parsed.host, parsed.port))
    connection.setblocking(False)
    return connection


async def connect(url: str, listener: FeedListener) -> picows.WSTransport:
    transport, _ = await picows.ws_connect(lambda: listener, url, socket_factory=narrow_socket)
    return transport


async def test_a_saturating_sender_cannot_hold_the_loop(serve: Callable) -> None:
    """What one callback handles is bounded by the socket's buffer, and others run between two callbacks."""
    size, count = 944, 60_000
    frame = b"x" * size

    def saturate(transport: picows.WSTransport) -> None:
        for _ in range(count):
            transport.send(WSMsgType.BINARY, frame)

    receiver = Count(count)
    listener = FeedListener(receiver, 0)
    seen_by_other: list[int] = []

    async def other() -> None:
        while not receiver.done.is_set():
            seen_by_other.append(receiver.seen)
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    transport = await connect(serve(saturate), listener)
    await asyncio.wait_for(receiver.done.wait(), 60)
    await beside
    transport.disconnect()
    await transport.wait_disconnected()
    # Linux doubles SO_RCVBUF for its bookkeeping; a read may find a partial frame left by the one before.
    most = 2 * RECEIVE_BUFFER // (size + 4) + 1
    assert 0 < listener.most_frames <= most
    gaps = [b - a for a, b in zip(seen_by_other, [*seen_by_other[1:], count], strict=True)]
    assert max(gaps) <= 2 * most
    assert listener.frames == listener.messages == count
    assert listener.bytes == count * size


async def test_disconnecting_inside_a_read_hands_nothing_more_on(serve: Callable) -> None:
    def send_ten(transport: picows.WSTransport) -> None:
        for number in range(10):
            transport.send(WSMsgType.TEXT, b"%d" % number)

    bench = Bench()

    def stop() -> None:
        if len(bench.log.messages) == 2:
            bench.listener.stop("enough")
            transports[0].disconnect()

    transports: list[picows.WSTransport] = []
    bench.log.act = stop
    connected = asyncio.Event()
    bench.listener = FeedListener(
        bench.log,
        0,
        on_connected=connected.set,
        on_disconnected=lambda reason: bench.told.append(("disconnected", reason)),
    )
    gate = asyncio.get_running_loop().create_future()

    def send_when_told(transport: picows.WSTransport) -> None:
        loop = asyncio.get_running_loop()
        gate.get_loop().call_soon_threadsafe(
            gate.set_result, lambda: loop.call_soon_threadsafe(send_ten, transport)
        )

    transports.append(await connect(serve(send_when_told), bench.listener))
    assert connected.is_set()
    (await gate)()
    await asyncio.wait_for(transports[0].wait_disconnected(), 10)
    assert bench.log.messages == [b"0", b"1"]
    assert bench.listener.late_frames == 8, "all ten came in one read"
    assert bench.told == [("disconnected", "enough")]


async def test_a_drop_without_close_says_so(serve: Callable) -> None:
    bench = Bench()
    transport = await connect(serve(lambda peer: peer.disconnect(False)), bench.listener)
    await asyncio.wait_for(transport.wait_disconnected(), 10)
    assert bench.told[-1] == ("disconnected", "the connection ended without a close frame")


async def test_what_picows_itself_judges_is_named(serve: Callable) -> None:
    """A masked frame from a server: picows ends the connection before any frame is seen."""
    bench = Bench()

    def act(peer: picows.WSTransport) -> None:
        peer.underlying_transport.write(b"\x81\x81abcdx")

    transport = await connect(serve(act), bench.listener)
    with pytest.raises(picows.WSError):
        await asyncio.wait_for(transport.wait_disconnected(), 10)
    assert bench.told[-1][0] == "disconnected"
    assert "broke the WebSocket protocol: Received masked frame" in bench.told[-1][1]


async def test_a_real_ping_gets_a_round_trip(serve: Callable) -> None:
    bench = Bench()
    got = asyncio.Event()
    listener = FeedListener(
        bench.log, 0, on_pong=lambda rtt_ns: (bench.told.append(("pong", rtt_ns)), got.set())
    )
    transport = await connect(serve(lambda peer: None), listener)
    transport.send_ping(ping_payload())
    await asyncio.wait_for(got.wait(), 10)
    assert bench.told[0][1] > 0
    transport.disconnect()
    await transport.wait_disconnected()
