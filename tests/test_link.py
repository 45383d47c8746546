"""Every way a connection can begin and end, against a server that misbehaves on purpose."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from typing import Any

import picows
import pytest

from listening import Count
from raw_server import Peer, raw_server
from subcore._listener import FeedListener
from subcore.dialing import RECEIVE_BUFFER_BYTES, Dialer
from subcore.link import Link
from subcore.resolver import Address, Resolver

DEADLINE = 5.0


class Listener(picows.WSListener):
    """The Python twin of what the core's listener reports."""

    def __init__(self, link: Link, generation: int, log: asyncio.Queue[tuple[Any, ...]]) -> None:
        self.link, self.generation, self.log = link, generation, log

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type == picows.WSMsgType.CLOSE:
            self.link.received_close(
                self.generation, int(frame.get_close_code()), frame.get_close_reason() or ""
            )
        else:
            self.log.put_nowait(("frame", frame.get_payload_as_bytes()))

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        self.link.lost(self.generation, "the connection ended without a close frame")


class Owner:
    def __init__(self) -> None:
        self.log: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()

    def link_up(self, link: int, generation: int, rtt_ns: int) -> None:
        assert rtt_ns > 0
        self.log.put_nowait(("up", generation))

    def link_down(self, link: int, generation: int, reason: str, **more: Any) -> None:
        self.log.put_nowait(("down", generation, reason, {k: v for k, v in more.items() if v}))

    def make_listener(self, link: Link, generation: int) -> Any:
        return Listener(link, generation, self.log)

    async def next(self) -> tuple[Any, ...]:
        return await asyncio.wait_for(self.log.get(), DEADLINE)


def make_link(owner: Owner, resolver: Resolver | None = None) -> Link:
    return Link(0, owner, Dialer(resolver))


async def down_after(script: Any) -> tuple[Any, ...]:
    owner = Owner()
    link = make_link(owner)
    async with raw_server(script) as url:
        link.connect(1, url, {})
        seen = await owner.next()
        if seen[0] == "up":
            seen = await owner.next()
        assert not link.is_up
        assert owner.log.empty()
        assert await link.close(1.0) == ""
    return seen


async def test_messages_go_both_ways_and_no_origin_is_sent() -> None:
    got: list[Any] = []

    async def script(peer: Peer) -> None:
        await peer.accept()
        got.append(dict(peer.headers))
        got.append(await peer.read_frame())
        peer.frame(2, b"data")
        got.append(await peer.read_frame())

    owner = Owner()
    link = make_link(owner)
    async with raw_server(script) as url:
        link.connect(1, url, {"X-Test": "yes"})
        assert await owner.next() == ("up", 1)
        assert link.send(1, 1, b"hello")
        assert await owner.next() == ("frame", b"data")
        link.disconnect(1, "done")
        assert (await owner.next())[:3] == ("down", 1, "done")
        assert not link.send(1, 1, b"late")
        await asyncio.sleep(0)
    assert got[0]["x-test"] == "yes"
    assert "origin" not in got[0]
    assert got[1] == (1, b"hello")
    assert got[2][0] == 8


async def test_closed_before_101() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()

    seen = await down_after(script)
    assert "handshake" in seen[2]


async def test_closed_inside_101() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: webs")

    assert "handshake" in (await down_after(script))[2]


@pytest.mark.parametrize(
    ("status", "header", "expected"),
    [
        (429, "Retry-After: 7", {"http_status": 429, "retry_after_s": 7.0}),
        (418, "X: y", {"http_status": 418}),
        (401, "Retry-After: soon", {"http_status": 401}),
        (429, "Retry-After: 1e9", {"http_status": 429, "retry_after_s": 86_400.0}),
        *((429, f"Retry-After: {said}", {"http_status": 429}) for said in ("nan", "inf", "-7", "9" * 400)),
    ],
)
async def test_refusals_carry_status_and_retry_after(
    status: int, header: str, expected: dict[str, Any]
) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.raw(f"HTTP/1.1 {status} No\r\n{header}\r\nContent-Length: 0\r\n\r\n".encode())

    assert (await down_after(script))[3] == expected


async def test_nonsense_instead_of_http() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.raw(b"\x00\xff" * 400 + b"\r\n\r\n")

    assert (await down_after(script))[0] == "down"


@pytest.mark.parametrize(
    "frame", [b"\x81\x7f" + b"\xff" * 8, b"\x81\x7f" + b"\x00" * 3 + b"\x01" * 5, b"\x83\x01a", b"\x09\x01a"]
)
async def test_what_the_transport_has_against_the_peer_is_told_once(frame: bytes) -> None:
    """picows raises it where the end is waited for as well; asyncio would log a traceback each time."""
    faults: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))

    async def script(peer: Peer) -> None:
        await peer.accept()
        peer.raw(frame)
        await peer.reader.read()

    assert (await down_after(script))[0] == "down"
    gc.collect()
    await asyncio.sleep(0)
    assert faults == []


async def test_fin_without_close_is_a_fault() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()

    assert (await down_after(script))[3] == {"code": 1006}


async def test_reset_is_a_fault() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.writer.drain()
        await asyncio.sleep(0)
        peer.reset()

    assert (await down_after(script))[0] == "down"


@pytest.mark.parametrize("code", [1000, 1008, 4001])
async def test_close_frame_is_answered_and_ends_the_link(code: int) -> None:
    answered: list[tuple[int, bytes]] = []

    async def script(peer: Peer) -> None:
        await peer.accept()
        peer.frame(8, code.to_bytes(2, "big") + b"bye")
        answered.append(await peer.read_frame())

    seen = await down_after(script)
    assert seen[3] == {"code": code}
    assert "bye" in seen[2]
    assert answered == [(8, code.to_bytes(2, "big"))]


async def test_a_peer_that_stops_reading_is_dropped() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(DEADLINE)

    owner = Owner()
    link = make_link(owner)
    async with raw_server(script) as url:
        link.connect(1, url, {})
        await owner.next()
        sent = 0
        while link.send(1, 1, b"x" * 60_000) and link.is_up:
            sent += 1
            assert sent < 1000
        seen = await owner.next()
        assert "stopped reading" in seen[2]


async def test_a_peer_that_pings_and_reads_no_answer_is_dropped() -> None:
    """The transport answers by itself: without a look now and then its answers would pile up for ever."""

    async def script(peer: Peer) -> None:
        await peer.accept()
        while True:
            peer.raw((b"\x89\x7d" + b"x" * 125) * 1000)
            await peer.writer.drain()

    owner = Owner()
    link = make_link(owner)
    async with raw_server(script) as url, asyncio.timeout(30.0):
        link.connect(1, url, {})
        await owner.next()
        while link.is_up:
            link.look_at_queue()
            await asyncio.sleep(0)
        assert "stopped reading" in (await owner.next())[2]
        assert await link.close(2.0) == ""


async def test_refused_port() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    owner = Owner()
    link = make_link(owner)
    link.connect(1, f"ws://127.0.0.1:{port}/x", {})
    assert "cannot connect" in (await owner.next())[2]


@pytest.mark.parametrize(
    "url", ["ws://h:99999", "ws://h:x", "ws://[::1", "ws://", "ws://" + "a" * 70 + ".com"]
)
async def test_a_url_that_is_none(url: str, caplog: pytest.LogCaptureFixture) -> None:
    owner = Owner()
    make_link(owner).connect(1, url, {})
    assert "cannot connect" in (await owner.next())[2]
    assert caplog.records == []


async def test_an_address_of_a_kind_that_the_machine_has_not_leaves_the_next_one() -> None:
    """The resolver names addresses of IPv6 also where the system makes no such sockets."""
    unknown = (9999, socket.SOCK_STREAM, 0, ("::1", 1, 0, 0))

    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.reader.read()

    async with raw_server(script) as url:

        def lookup(host: str, port: int) -> list[Address]:
            return [unknown, (socket.AF_INET, socket.SOCK_STREAM, 0, ("127.0.0.1", port))]

        owner = Owner()
        link = make_link(owner, Resolver(lookup))
        link.connect(1, url.replace("127.0.0.1", "both.example"), {})
        assert (await owner.next())[0] == "up"
        assert await link.close(1.0) == ""


@pytest.mark.parametrize("where", ["dns", "handshake"])
async def test_close_ends_within_its_deadline_whatever_hangs(where: str) -> None:
    release = threading.Event()
    reached = asyncio.Event()
    loop = asyncio.get_running_loop()

    def lookup(host: str, port: int) -> list[Address]:
        loop.call_soon_threadsafe(reached.set)
        release.wait(30)
        return []

    async def script(peer: Peer) -> None:
        await peer.read_request()
        reached.set()
        await peer.reader.read()

    owner = Owner()
    link = make_link(owner, Resolver(lookup) if where == "dns" else None)
    async with raw_server(script) as url:
        link.connect(1, "ws://hung.example/" if where == "dns" else url, {})
        await asyncio.wait_for(reached.wait(), DEADLINE)
        began = loop.time()
        assert await link.close(1.0) == ""
        assert loop.time() - began < 1.0
        assert owner.log.empty()
        release.set()
        others = [t for t in asyncio.all_tasks() if t.get_name().startswith("subcore")]
        assert others == []


async def test_a_connect_ends_at_whatever_moment_it_is_cancelled() -> None:
    """A venue that takes connections and says nothing would else hold up close() for all the time it has."""

    async def script(peer: Peer) -> None:
        await peer.reader.read()

    async with raw_server(script) as url:
        for turns in range(60):
            task = asyncio.ensure_future(Dialer()(url, {}, Listener(make_link(Owner()), 1, asyncio.Queue())))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task}, timeout=1.0)
            assert task.done(), f"cancelled after {turns} turns of the loop"


async def test_an_older_generation_reaches_nobody() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.reader.read()

    owner = Owner()
    link = make_link(owner)
    async with raw_server(script) as url:
        link.connect(1, url, {})
        link.connect(2, url, {})
        assert await owner.next() == ("up", 2)
        link.lost(1, "late word of the first")
        link.disconnect(1, "late wish")
        await asyncio.sleep(0)
        assert link.is_up
        assert owner.log.empty()
        await link.close(1.0)
    gc.collect()


async def test_a_saturating_sender_brings_a_bounded_number_of_frames_at_once() -> None:
    """One event-loop callback handles what the socket's buffer holds, and that is bounded."""
    size, count = 944, 40_000
    frame = b"x" * size

    async def script(peer: Peer) -> None:
        await peer.accept()
        for _ in range(count // 100):  # asyncio writes as slowly as the square of how many pieces wait
            for _ in range(100):
                peer.frame(2, frame)
            await peer.writer.drain()
        await peer.reader.read()

    receiver = Count(count)
    listener = FeedListener(receiver, 0)
    async with raw_server(script) as url:
        transport = await Dialer()(url, {}, listener)
        await asyncio.wait_for(receiver.done.wait(), 60)
        transport.abort()
        await transport.wait_closed()
    # Linux doubles SO_RCVBUF for its bookkeeping; a read may find a partial frame left by the one before.
    most = 2 * RECEIVE_BUFFER_BYTES // (size + 4) + 1
    assert 0 < listener.most_frames <= most
    assert listener.messages == count


async def test_after_its_end_a_link_takes_no_orders_and_may_be_used_again() -> None:
    """The transport ignores what comes after a disconnect, without a word: the link owns that state."""
    got: list[tuple[int, bytes]] = []

    async def script(peer: Peer) -> None:
        await peer.accept()
        got.append(await peer.read_frame())
        peer.close()

    owner = Owner()
    link = make_link(owner)
    async with raw_server(script) as url:
        for generation, word in ((1, b"first"), (2, b"second")):
            link.connect(generation, url, {})
            assert await owner.next() == ("up", generation)
            assert link.send(generation, 1, word)
            assert (await owner.next())[:2] == ("down", generation)
            assert not link.is_up
            link.ping(generation)
            link.disconnect(generation, "again")
            assert not link.send(generation, 1, b"late")
        await asyncio.sleep(0)
        assert owner.log.empty()
        assert await link.close(1.0) == ""
    assert got == [(1, b"first"), (1, b"second")]
