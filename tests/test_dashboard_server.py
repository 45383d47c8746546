"""The dashboard as a server, on each event loop: bounds, tokens, what browsers are told, and its end."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from conftest import ROOT
from manager_rig import until
from page_client import PageClient, get
from subcore.dashboard import Dashboard
from subcore.dashboard.answers import HEADERS
from subcore.dashboard.connection import Connection
from subcore.dashboard.server import CONNECTIONS, REQUESTS_PER_S
from subcore.errors import UsageError
from subcore.manager import SubscriptionManager
from subcore.sim.server import SimServer
from test_dashboard_connection import Wire


async def test_every_answer_says_what_browsers_must_not_do(dashboard: Dashboard) -> None:
    for target in (
        "/",
        "/app.js",
        "/style.css",
        "/stats.json",
        "/nothing",
        "/healthz",
        "/vendor/uplot/LICENSE.txt",
    ):
        reply = await get(dashboard.url, target)
        assert reply.status == (404 if target == "/nothing" else 200), target
        for header in HEADERS:
            name, _, value = header.partition(": ")
            assert reply.headers[name.lower()] == value, target
        assert "unsafe" not in reply.headers["content-security-policy"]
    for target in ("/..%2f..%2fetc/passwd", "/../app.js", "/static/app.js", "/__init__.py", "//app.js"):
        assert (await get(dashboard.url, target)).status == 404, target


async def test_head_says_the_same_without_a_body(dashboard: Dashboard) -> None:
    async with PageClient(dashboard.url) as client:
        whole, head = await client.get("/app.js"), await client.get("/app.js", method="HEAD")
        assert whole.headers == head.headers
        assert len(whole.body) == int(head.headers["content-length"]) > 0
        assert (await client.get("/healthz")).status == 200  # on the same connection
        assert (await client.get("/events", method="HEAD")).status == 200
        assert await client.ended() == b""


async def test_nothing_can_be_changed(dashboard: Dashboard) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT"):
        reply = await get(dashboard.url, "/stats.json", method=method)
        assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD"), method


async def test_hostile_clients_harm_nobody(dashboard: Dashboard) -> None:
    async with PageClient(dashboard.url) as innocent:
        for data in (
            b"\x00" * 100 + b"\r\n\r\n",
            b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",  # names no host
            b"GET /" + b"a" * 20_000,
            b"\x16\x03\x01\x02\x00\r\n\r\n",
        ):
            async with PageClient(dashboard.url) as client:
                client.writer.write(data)
                said = await client.ended()
                assert not said or said.startswith(b"HTTP/1.1 4"), said
            assert (await innocent.get("/healthz")).status == 200
    assert dashboard.counts["bad_requests"] == 3
    assert not dashboard.counts["errors"]


async def test_connections_are_bounded(dashboard: Dashboard) -> None:
    clients = [PageClient(dashboard.url) for _ in range(CONNECTIONS)]
    for client in clients:
        await client.__aenter__()
    async with PageClient(dashboard.url) as late:
        reply = await late.reply()
        assert (reply.status, reply.headers["connection"]) == (503, "close")
        await late.ended()
    assert (await clients[0].get("/healthz")).status == 200
    for client in clients:
        client.writer.close()
    await until(lambda: not dashboard._connections)
    assert dashboard.counts["too_many_connections"] == 1
    assert (await get(dashboard.url, "/healthz")).status == 200


async def test_requests_a_second_are_bounded(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [5.0]
    monkeypatch.setattr("subcore.dashboard.server.time", SimpleNamespace(monotonic=lambda: now[0]))
    statuses = []
    async with PageClient(dashboard.url) as client:
        for second in (5.0, 5.9, 6.0):
            now[0] = second
            statuses.append((await client.get("/healthz")).status)
            if second == 5.0:
                dashboard._in_second[True] = REQUESTS_PER_S - 1
            statuses.append((await client.get("/healthz")).status)
    assert statuses == [200, 200, 429, 429, 200, 200]
    assert dashboard.counts["too_many_requests"] == statuses.count(429)


async def test_who_may_not_look_is_bounded_too_and_keeps_nobody_out(
    dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subcore.dashboard.server.time", SimpleNamespace(monotonic=lambda: 5.0))
    elsewhere = {"Host": "elsewhere.test"}
    async with PageClient(dashboard.url) as client:
        refused = (await client.get("/healthz", headers=elsewhere)).status
        dashboard._in_second[False] = REQUESTS_PER_S
        assert (await client.get("/healthz", headers=elsewhere)).status == 429 != refused
        assert (await client.get("/healthz")).status == 200
    assert dashboard.counts["too_many_requests"] == 1


async def test_who_is_just_being_accepted_ends_too(manager: SubscriptionManager) -> None:
    """Its first turn comes after the port was closed."""
    dashboard = await manager.serve_dashboard()
    dashboard.finish()
    connection, wire = Connection(dashboard), Wire()
    connection.connection_made(wire)
    assert (wire.aborted, wire.sent) == (True, b"")
    connection.data_received(b"GET /stats.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert dashboard._figures.tasks() == []
    connection.connection_lost(None)
    assert await dashboard.ended(1.0) == []


async def test_a_token_opens_it(manager: SubscriptionManager) -> None:
    token = "a token of enough length"
    dashboard = await manager.serve_dashboard(host="0.0.0.0", token=token)
    assert (await get(dashboard.url, "/")).status == 401
    assert (await get(dashboard.url, "/", {"Authorization": f"Bearer {token}"})).status == 200
    reply = await get(dashboard.url, "/?token=a+token+of+enough+length")
    cookie = reply.headers["set-cookie"].partition(";")[0]
    assert (await get(dashboard.url, "/stats.json", {"Cookie": cookie})).status == 200
    assert token not in repr(dashboard) + str(vars(dashboard))


async def test_an_answer_that_fails_is_counted_and_told_once(
    dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ValueError("a bug of ours")

    monkeypatch.setattr(dashboard._figures, "readiness", fail)
    assert [(await get(dashboard.url, "/readyz")).status for _ in range(3)] == [500] * 3
    assert dashboard.counts["errors"] == 3
    assert [record.message for record in caplog.records] == [
        "an answer of the dashboard failed: ValueError('a bug of ours')"
    ]
    assert (await get(dashboard.url, "/healthz")).status == 200


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc here")
@pytest.mark.parametrize("by", ["itself", "the manager"])
async def test_its_end_leaves_nothing(server: SimServer, by: str) -> None:
    before = descriptors()
    async with SubscriptionManager("upbit", url=server.url) as manager:
        dashboard = await manager.serve_dashboard()
        viewer, asker, silent = (PageClient(dashboard.url) for _ in range(3))
        for client in (viewer, asker, silent):
            await client.__aenter__()
        await viewer.get("/events")
        await viewer.event()
        asker.writer.write(b"GET /stats.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
        if by == "itself":
            await dashboard.close()
            await dashboard.close()
        else:
            report = await manager.close()
            assert report.unfinished == ()
        assert [task.get_name() for task in asyncio.all_tasks() if "dashboard" in task.get_name()] == []
        for client in (viewer, asker, silent):
            await client.ended()
            client.writer.close()
        with pytest.raises(OSError, match="onnect"):
            await asyncio.open_connection("127.0.0.1", dashboard.port)
    del viewer, asker, silent
    gc.collect()
    for _ in range(200):
        if descriptors() <= before:
            break
        await asyncio.sleep(0.01)
    assert descriptors() <= before


async def test_a_port_that_is_taken(manager: SubscriptionManager) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="address already in use"):
            await manager.serve_dashboard(port=taken.getsockname()[1])
    assert manager._hub.dashboards == []


async def test_only_a_running_manager_has_one(server: SimServer) -> None:
    manager = SubscriptionManager("upbit", url=server.url)
    with pytest.raises(UsageError, match="running"):
        await manager.serve_dashboard()
    async with manager:
        with pytest.raises(UsageError, match="token"):
            await manager.serve_dashboard(host="0.0.0.0")
    with pytest.raises(UsageError, match="closed"):
        await manager.serve_dashboard()


async def test_two_of_one_manager(manager: SubscriptionManager) -> None:
    first, second = await manager.serve_dashboard(), await manager.serve_dashboard()
    assert first.url != second.url
    await first.close()
    assert (await get(second.url, "/healthz")).status == 200


def test_what_is_bundled_is_what_was_fetched() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "vendor_uplot.py"), "--check"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


async def test_what_is_being_made_ends_with_it(manager: SubscriptionManager) -> None:
    dashboard = await manager.serve_dashboard()
    hangs = asyncio.Event()

    async def never(turns: Any) -> Any:
        hangs.set()
        await asyncio.get_running_loop().create_future()

    dashboard._figures._stats._make = never
    async with PageClient(dashboard.url) as client:
        client.writer.write(b"GET /stats.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await hangs.wait()
        assert (await manager.close()).unfinished == ()
        assert dashboard._figures.tasks() == []
