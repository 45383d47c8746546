"""The listener: frames fed by hand, and over real sockets."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import picows
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picows.picows import WSMsgType, _make_test_ws_frame

from subcore._listener import FeedListener, check_picows, ping_payload
from subcore._receiver import Receiver

TEXT, BINARY, CONTINUATION = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION
PING, PONG, CLOSE = WSMsgType.PING, WSMsgType.PONG, WSMsgType.CLOSE


class Log(Receiver):
    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.times: list[tuple[int, int]] = []
        self.act: Callable[[], object] | None = None

    def on_message(self, link: int, payload: bytes, receive_time_ns: int, now_ns: int) -> None:
        self.messages.append(payload)
        self.times.append((receive_time_ns, now_ns))
        if self.act is not None:
            self.act()


class Bench:
    """A listener, what it handed on and what it told."""

    def __init__(self, **limits: int) -> None:
        self.log = Log()
        self.told: list[tuple] = []
        self.listener = FeedListener(
            self.log,
            3,
            on_connected=lambda: self.told.append(("connected",)),
            on_disconnected=lambda reason: self.told.append(("disconnected", reason)),
            on_close=lambda code, reason: self.told.append(("close", code, reason)),
            on_fault=lambda code, reason: self.told.append(("fault", code, reason)),
            on_pong=lambda rtt_ns: self.told.append(("pong", rtt_ns)),
            on_fatal=lambda error: self.told.append(("fatal", type(error))),
            **limits,
        )

    def feed(self, opcode: WSMsgType, payload: bytes = b"", *, fin: bool = True, rsv1: bool = False) -> None:
        self.listener.on_ws_frame(None, _make_test_ws_frame(opcode, payload, fin, rsv1))  # type: ignore[arg-type]

    @property
    def fault_code(self) -> int | None:
        return next((item[1] for item in self.told if item[0] == "fault"), None)


@pytest.fixture
def bench() -> Bench:
    return Bench()


# --- messages


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_whole_messages_are_handed_on_whatever_their_opcode(bench: Bench, opcode: WSMsgType) -> None:
    before = time.time_ns(), time.monotonic_ns()
    bench.feed(opcode, b'{"a":1}')
    bench.feed(opcode)
    after = time.time_ns(), time.monotonic_ns()
    assert bench.log.messages == [b'{"a":1}', b""]
    for real, monotonic in bench.log.times:
        assert before[0] <= real <= after[0]
        assert before[1] <= monotonic <= after[1]
    assert (bench.listener.frames, bench.listener.messages, bench.listener.bytes) == (2, 2, 7)
    assert bench.listener.last_receive_ns == bench.log.times[-1][1]


def test_fragments_are_joined_and_control_frames_may_stand_between(bench: Bench) -> None:
    bench.feed(TEXT, b"ab", fin=False)
    bench.feed(PONG, b"")
    bench.feed(CONTINUATION, b"", fin=False)
    bench.feed(CONTINUATION, b"cd")
    bench.feed(BINARY, b"next")
    assert bench.log.messages == [b"abcd", b"next"]
    assert (bench.listener.frames, bench.listener.messages) == (4, 2)
    assert bench.told == [("pong", -1)]


def test_an_empty_message_in_fragments(bench: Bench) -> None:
    bench.feed(BINARY, b"", fin=False)
    bench.feed(CONTINUATION, b"")
    assert bench.log.messages == [b""]


def test_an_orphan_continuation_is_a_fault(bench: Bench) -> None:
    bench.feed(CONTINUATION, b"x")
    assert bench.told == [
        (
            "fault",
            1002,
            "the venue broke the WebSocket protocol: a continuation frame came without a message to continue",
        )
    ]
    bench.feed(TEXT, b"late")
    assert bench.log.messages == []
    assert bench.listener.late_frames == 1


def test_a_message_inside_a_message_is_a_fault(bench: Bench) -> None:
    bench.feed(TEXT, b"a", fin=False)
    bench.feed(TEXT, b"b")
    assert bench.fault_code == 1002
    assert bench.listener.nbytes == 0


def test_reserved_bits_are_a_fault(bench: Bench) -> None:
    bench.feed(TEXT, b"a", rsv1=True)
    assert bench.fault_code == 1002
    assert bench.log.messages == []


def test_messages_are_bounded_by_size_and_by_fragments() -> None:
    bench = Bench(max_message_bytes=10)
    bench.feed(TEXT, b"12345", fin=False)
    bench.feed(CONTINUATION, b"67890", fin=False)
    assert bench.fault_code is None
    bench.feed(CONTINUATION, b"x", fin=False)
    assert bench.fault_code == 1009
    assert bench.listener.nbytes == 0

    bench = Bench(max_fragments=3)
    for opcode in (TEXT, CONTINUATION, CONTINUATION):
        bench.feed(opcode, b"a", fin=False)
    assert bench.fault_code is None
    bench.feed(CONTINUATION, b"a")
    assert bench.fault_code == 1009


def test_a_large_message_leaves_no_memory_behind(bench: Bench) -> None:
    part = b"x" * 100_000
    bench.feed(BINARY, part, fin=False)
    bench.feed(CONTINUATION, part)
    assert bench.log.messages == [part + part]
    assert bench.listener.nbytes == 0


def test_a_receiver_may_stop_the_listener_inside_a_fragmented_message(bench: Bench) -> None:
    bench.log.act = bench.listener.stop
    bench.feed(BINARY, b"a", fin=False)
    bench.feed(CONTINUATION, b"b")
    bench.feed(BINARY, b"c")
    assert bench.log.messages == [b"ab"]
    assert bench.listener.nbytes == 0
    assert bench.listener.late_frames == 1


@settings(max_examples=200, deadline=None)
@given(
    frames=st.lists(
        st.tuples(
            st.sampled_from([TEXT, BINARY, CONTINUATION, PONG]),
            st.binary(max_size=6),
            st.booleans(),
            st.sampled_from([False] * 9 + [True]),
        ),
        max_size=12,
    )
)
def test_any_frames_against_a_plain_reading_of_the_rfc(frames: list[tuple]) -> None:
    bench = Bench(max_message_bytes=12, max_fragments=4)
    messages: list[bytes] = []
    parts: list[bytes] | None = None
    broken = False
    for opcode, payload, fin, rsv1 in frames:
        fin = fin or opcode == PONG
        bench.feed(opcode, payload, fin=fin, rsv1=rsv1)
        if broken:
            continue
        if rsv1:
            broken = True
        elif opcode != PONG:
            if (opcode == CONTINUATION) != (parts is not None):
                broken = True
                continue
            whole = fin and parts is None
            parts = [*(parts or []), payload]
            if not whole and (len(parts) > 4 or sum(map(len, parts)) > 12):
                broken = True
            elif fin:
                messages.append(b"".join(parts))
                parts = None
    assert bench.log.messages == messages
    assert bench.listener.stopped == broken
    assert (bench.fault_code is not None) == broken


# --- the protocol's own frames


def test_close_is_handed_on_once_and_ends_the_data(bench: Bench) -> None:
    bench.feed(TEXT, b"before")
    bench.feed(CLOSE, (1008).to_bytes(2, "big") + "시간 초과".encode())
    bench.feed(TEXT, b"after")
    bench.feed(CLOSE, b"")
    assert bench.log.messages == [b"before"]
    assert bench.told == [("close", 1008, "시간 초과")]
    assert bench.listener.end_reason == "the venue closed the connection (1008 시간 초과)"
    assert bench.listener.late_frames == 2


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (b"", ("close", 1005, "")),
        (b"\x03\xe8", ("close", 1000, "")),
        (b"\x0f\xa0bye", ("close", 4000, "bye")),
        (b"\x03", ("fault", 1002)),
        (b"\x00\x00", ("fault", 1002)),
        (b"\x03\xed", ("fault", 1002)),
        (b"\x03\xee", ("fault", 1002)),
        (b"\x03\xf7", ("fault", 1002)),
        (b"\x07\xd0", ("fault", 1002)),
        (b"\x13\x88", ("fault", 1002)),
        (b"\x03\xe8\xff", ("fault", 1007)),
    ],
)
def test_close_frames_are_judged(bench: Bench, payload: bytes, told: tuple) -> None:
    bench.feed(CLOSE, payload)
    assert bench.told[0][: len(told)] == told
    assert bench.listener.stopped


def test_a_pong_tells_the_round_trip(bench: Bench) -> None:
    before = time.monotonic_ns()
    payload = ping_payload()
    bench.feed(PONG, payload)
    ((kind, rtt),) = bench.told
    assert kind == "pong"
    assert 0 <= rtt <= time.monotonic_ns() - before
    for foreign in (b"", b"short", b"\xff" * 8, b"\x00" * 8, b"123456789"):
        bench.feed(PONG, foreign)
    assert [item[1] for item in bench.told[1:]] == [-1] * 5


# --- nothing escapes


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_request_to_end_the_process_is_handed_on(bench: Bench, error: type[BaseException]) -> None:
    def act() -> None:
        raise error

    bench.log.act = act
    bench.feed(TEXT, b"1")
    bench.log.act = None
    bench.feed(TEXT, b"2")
    assert bench.told == [("fatal", error)]
    assert bench.log.messages == [b"1", b"2"]


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError, GeneratorExit, BaseException])
def test_other_exceptions_do_not_reach_picows(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    unraisable: list = []
    monkeypatch.setattr(sys, "unraisablehook", lambda info: unraisable.append(info.exc_type))

    def act() -> None:
        raise error

    bench.log.act = act
    bench.feed(TEXT, b"1")
    bench.feed(TEXT, b"2")
    assert unraisable == [error, error]
    assert bench.told == []


def test_a_callback_that_raises_does_not_reach_picows(monkeypatch: pytest.MonkeyPatch) -> None:
    unraisable: list = []
    monkeypatch.setattr(sys, "unraisablehook", lambda info: unraisable.append(info.exc_type))

    def fail(*_: Any) -> None:
        raise LookupError

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    listener = FeedListener(Log(), 0, on_close=fail, on_pong=interrupt)
    listener.on_ws_frame(None, _make_test_ws_frame(PONG, b"", True, False))  # type: ignore[arg-type]
    listener.on_ws_frame(None, _make_test_ws_frame(CLOSE, b"", True, False))  # type: ignore[arg-type]
    assert unraisable == [KeyboardInterrupt, LookupError]


@pytest.mark.parametrize("version", ["2.3.0", "2.4.0", "2.4.0rc1", "1.9.9", "3.0", "2.3"])
def test_another_picows_is_refused(version: str) -> None:
    with pytest.raises(ImportError, match=r"pip install 'picows>=2.3.1,<2.4'"):
        check_picows(version)
    check_picows("2.3.1")
    check_picows("2.3.7")


# --- over sockets


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

    class Count(Receiver):
        seen = 0

        def on_message(self, link: int, payload: bytes, receive_time_ns: int, now_ns: int) -> None:
            self.seen += 1
            if self.seen == count:
                done.set()

    done = asyncio.Event()
    receiver = Count()
    listener = FeedListener(receiver, 0)
    seen_by_other: list[int] = []

    async def other() -> None:
        while not done.is_set():
            seen_by_other.append(receiver.seen)
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    transport = await connect(serve(saturate), listener)
    await asyncio.wait_for(done.wait(), 60)
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
