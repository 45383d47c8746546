"""The manager's life over real sockets, against the embedded exchange."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import threading
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

import subcore
from loops import LOOPS, run_on
from manager_rig import SOON, make, until
from subcore import markets
from subcore.dialing import Dialer
from subcore.errors import (
    ManagerClosed,
    UsageError,
    WrongThread,
)
from subcore.manager import SubscriptionManager
from subcore.resolver import Address, Resolver
from subcore.sim.durations import Durations
from subcore.sim.faults import Fault
from subcore.sim.server import SimServer
from subcore.types import CloseReport, StatusKind
from subcore.venues import get_venue


async def test_the_example_of_the_readme(manager: SubscriptionManager) -> None:
    momentum = make(manager, "momentum", priority=subcore.Priority.HIGH)
    momentum.subscribe("ticker", ["KRW-BTC", "KRW-ETH"])
    await momentum.live(timeout=SOON)
    seen = set()
    async for event in momentum:
        assert isinstance(event, subcore.Ticker)
        assert event.price is not None
        assert event.receive_time_ns > 0
        seen.add(event.symbol)
        if len(seen) == 2:
            break
    assert seen == {"KRW-BTC", "KRW-ETH"}
    assert manager.stats().messages_sent == 1


async def test_a_lost_link_is_restored_and_proven(server: SimServer, manager: SubscriptionManager) -> None:
    statuses: list[Any] = []
    component = make(manager, "restored", on_status=statuses.append)
    component.subscribe("ticker", ["KRW-BTC", "KRW-ETH"])
    await component.live(SOON)
    server.exchange.inject(Fault("drop_rst"), server.clock())
    server.wake()
    await until(lambda: manager.stats().losses_of_link == 1)
    await component.live(SOON)
    await until(lambda: len([s for s in statuses if s.kind is StatusKind.OPEN]) >= 2)
    assert manager.stats().messages_sent == 2
    assert StatusKind.SUSPECT in {s.kind for s in statuses}


async def test_other_threads_are_sent_to_call_threadsafe(manager: SubscriptionManager) -> None:
    component = make(manager, "threads")
    errors: list[BaseException] = []

    def other() -> None:
        try:
            component.subscribe("ticker", "KRW-BTC")
        except BaseException as error:
            errors.append(error)
        manager.stats()
        component.stats()
        manager.call_threadsafe(component.subscribe, "ticker", "KRW-ETH").result(SOON)

    await asyncio.to_thread(other)
    assert isinstance(errors[0], WrongThread)
    assert "call_threadsafe" in str(errors[0])
    assert list(map(str, component.topics)) == ["ticker:KRW-ETH"]


async def test_wishes_before_start_are_kept(server: SimServer) -> None:
    manager = SubscriptionManager("upbit", url=server.url)
    component = make(manager, "early")
    component.subscribe("ticker", "KRW-BTC")
    await manager.start()
    await component.live(SOON)
    with pytest.raises(UsageError):
        await manager.start()
    component.close()
    report = await manager.close()
    assert report.clean
    assert report.links_closed == 1
    assert (await manager.close()).seconds == 0
    with pytest.raises(ManagerClosed):
        make(manager, "late")


async def test_an_exception_in_the_block_closes_everything(server: SimServer) -> None:
    with pytest.raises(RuntimeError, match="mine"):  # noqa: PT012
        async with SubscriptionManager("upbit", url=server.url) as manager:
            component = make(manager, "doomed")
            component.subscribe("ticker", "KRW-BTC")
            await component.live(SOON)
            raise RuntimeError("mine")
    assert component.closed
    assert [t for t in asyncio.all_tasks() if t.get_name().startswith("subcore")] == []


@pytest.mark.parametrize("loop_kind", LOOPS)
def test_keyboard_interrupt_in_a_handler_ends_the_loop(loop_kind: str) -> None:
    async def main() -> None:
        async with (
            SimServer(seed=3, rate=5.0, durations=Durations().divided(20)) as server,
            SubscriptionManager("upbit", url=server.url) as manager,
        ):
            manager.component("stop").subscribe("ticker", "KRW-BTC", interrupt)
            await asyncio.sleep(SOON)

    def interrupt(event: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_on(loop_kind, main())


def never_answers() -> socket.socket:
    """Listens on the loopback: connections are made and nothing is ever said."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    return listener


async def close_while_it_hangs(manager: SubscriptionManager, reached: Awaitable[object]) -> CloseReport:
    await manager.start()
    async with asyncio.timeout(SOON):
        await reached
        return await manager.close(timeout=SOON / 2)


@pytest.mark.parametrize("loop_kind", LOOPS)
@pytest.mark.parametrize("where", ["rest", "handshake"])
def test_close_ends_while_a_server_never_answers(
    where: str, loop_kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(markets, "FETCH_DEADLINE_S", 60.0)  # it ends because of close(), not by itself

    async def main() -> tuple[CloseReport, bytes]:
        port = listener.getsockname()[1]
        upbit = get_venue("upbit").at(f"ws://127.0.0.1:{port}")
        venue = dataclasses.replace(upbit, markets_url=f"http://127.0.0.1:{port}/v1/market/all")
        manager = SubscriptionManager(venue) if where == "rest" else SubscriptionManager(upbit, markets=None)
        component = manager.component("waiting")
        if where == "handshake":
            component.subscribe("ticker", "KRW-BTC")

        async def request() -> None:
            peer, _ = await loop.sock_accept(listener)
            peers.append(peer)
            asked.append(await loop.sock_recv(peer, 1024))

        loop = asyncio.get_running_loop()
        report = await close_while_it_hangs(manager, request())
        assert component.closed
        assert [
            task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("subcore")
        ] == []
        return report, asked[0]

    peers: list[socket.socket] = []
    asked: list[bytes] = []
    with never_answers() as listener:
        report, request = run_on(loop_kind, main())
        # the program's end waited for no thread either: REST still hangs in its own
        hung = [thread for thread in threading.enumerate() if thread.name == "subcore-markets"]
        assert len(hung) == (where == "rest")
        for peer in peers:
            peer.close()
        for thread in hung:
            thread.join(SOON)
            assert not thread.is_alive()
    assert (b"/v1/market/all" in request) == (where == "rest")
    assert report.unfinished == ()
    assert report.clean


@pytest.mark.parametrize("loop_kind", LOOPS)
def test_close_ends_while_the_name_server_never_answers(loop_kind: str) -> None:
    started, release = threading.Event(), threading.Event()

    def lookup(host: str, port: int) -> list[Address]:
        started.set()
        release.wait(SOON)
        return []

    async def main() -> CloseReport:
        dialer = Dialer(Resolver(lookup))
        manager = SubscriptionManager("upbit", url="ws://hung.example", connect=dialer)
        component = manager.component("waiting")
        component.subscribe("ticker", "KRW-BTC")
        return await close_while_it_hangs(manager, asyncio.to_thread(started.wait))

    report = run_on(loop_kind, main())
    (hung,) = [thread for thread in threading.enumerate() if thread.name == "subcore-dns-hung.example"]
    release.set()
    hung.join(SOON)
    assert report.clean
