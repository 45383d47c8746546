"""Questions about what is newest over real sockets: connections kept, lost, broken off, hanging and closed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from manager_rig import make, until
from newest_rig import LATEST, UPBIT, Rig, limits_of_this_test, ticker
from subcore import hub, pages
from subcore.clock import SystemClock
from subcore.engine import asking
from subcore.engine.clock import SECOND
from subcore.engine.context import Settings
from subcore.engine.engine import Engine
from subcore.manager import SubscriptionManager
from subcore.newest import RestPages
from subcore.sim.exchange import Exchange
from subcore.sim.faults import Fault
from subcore.sim.server import SimServer
from subcore.types import DataState
from subcore.venue import Venue

__all__ = ["limits_of_this_test"]  # a fixture


def at_rest(url: str, rest_url: str) -> Venue:
    """Upbit at the embedded exchange, its REST too."""
    return replace(UPBIT.at(url), latest=replace(LATEST, url=rest_url))


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds are tenths."""
    settings = Settings(frozen=SECOND, ask_gap=SECOND // 10, tick=SECOND // 40)
    monkeypatch.setattr(hub, "Engine", partial(Engine, settings=settings))
    for name in ("LEAD", "LATE", "LINK_LEAD", "LINK_LATE", "LINK_UNKNOWN", "UNKNOWN"):
        monkeypatch.setattr(asking, name, getattr(asking, name) // 10)


@pytest.mark.usefixtures("soon")
async def test_a_frozen_stream_is_found_over_sockets_and_comes_back() -> None:
    async with SimServer(Exchange(3, markets=["KRW-BTC", "KRW-ETH"], rate=8.0)) as server:
        async with SubscriptionManager(at_rest(server.url, server.rest_url), seed=1) as manager:
            books = make(manager, "books")
            books.subscribe("orderbook", ["KRW-BTC", "KRW-ETH"])
            await books.live(10)
            told = manager._hub.meter
            await until(lambda: told.heard(np.array([0], np.int32))[0][0] > 30)
            server.exchange.inject(Fault("silent", channel="orderbook", symbol="KRW-BTC"), server.clock())
            row = manager._hub.engine.row
            await until(lambda: row(0).data is DataState.SUSPECT)
            await until(lambda: row(0).data is DataState.GOOD)
            stats = manager._hub.engine.stats
            assert stats.reasks == 1
            assert stats.losses == 0
        assert not server.violations


async def test_one_connection_is_kept_and_a_lost_one_is_opened_again() -> None:
    async with SimServer(Exchange(3, markets=["KRW-BTC"], rate=1.0)) as server:
        pages = RestPages(replace(LATEST, url=server.rest_url, limits=()), SystemClock())
        rig = Rig(pages)
        for _ in range(3):
            told = await rig.ask(*ticker("KRW-BTC"))
            assert told[0] > 0
        rig.newest.close()
    assert await rig.ask(*ticker("KRW-BTC")) == {}


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def rig_before(serve: Serve) -> tuple[asyncio.Server, Rig]:
    """A server of pages, and who asks it."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    pages_there = replace(LATEST, url=f"http://127.0.0.1:{port}", limits=())
    return server, Rig(RestPages(pages_there, SystemClock()))


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[", b"garbage\r\n\r\n"]
)
async def test_a_server_that_breaks_off_is_a_failure(answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        over.set()

    over = asyncio.Event()
    server, rig = await rig_before(serve)
    assert await rig.ask(*ticker("KRW-BTC")) == {}
    assert "cannot be asked" in caplog.text
    await over.wait()
    server.close()


STEP_S = 40.0
# What http.client makes of a reply that ends the connection: it lets go of the socket before it is read
ENDLESS = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n["


@pytest.mark.parametrize("begun", [b"", ENDLESS], ids=["silent", "endless"])
async def test_a_hanging_page_ends_with_its_manager(monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    monkeypatch.setattr(pages, "STEP_S", STEP_S)
    hangs = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(begun)
        await writer.drain()
        hangs.set()
        await reader.read()
        writer.close()
        await writer.wait_closed()
        over.set()

    over = asyncio.Event()
    server, rig = await rig_before(serve)
    task = asyncio.create_task(rig.ask(*ticker("KRW-BTC")))
    await hangs.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(STEP_S / 2):
        await over.wait()
    server.close()


async def test_a_manager_that_closes_ends_its_connection_to_the_pages() -> None:
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
        await reader.read()
        writer.close()
        over.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    manager = SubscriptionManager("upbit", markets=["KRW-BTC"])
    source = RestPages(replace(LATEST, url=f"http://127.0.0.1:{port}", limits=()), SystemClock())
    manager._hub.enquiries.newest.source = source  # type: ignore[union-attr]
    await source._get("/")
    await manager.close()
    async with asyncio.timeout(5.0):
        await over.wait()
    assert over.is_set()
    assert source._pages._connection is None
    server.close()
