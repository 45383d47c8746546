"""The dashboard over sockets: figures equal stats(), streams, ends, bounds. The page itself: test_dashboard_page.py."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import subcore
from conftest import ROOT
from manager_rig import make, until
from page_client import PageClient, get
from subcore.component import Component
from subcore.dashboard import Dashboard
from subcore.dashboard.answers import HEADERS
from subcore.dashboard.columns import COMPONENT_COLUMNS
from subcore.dashboard.restores import restores_json
from subcore.dashboard.server import CONNECTIONS, REQUESTS_PER_S
from subcore.engine.alerts import Issue, Severity
from subcore.errors import UsageError
from subcore.figures import as_json
from subcore.manager import SubscriptionManager
from subcore.restoring import RestoreReport, _Columns, _of_class
from subcore.sim.faults import Fault
from subcore.sim.server import SimServer
from subcore.types import Priority, StreamColumns

# May rise and fall between two looks.
RESTLESS = {
    "frame_rate",
    "byte_rate",
    "delivered_rate",
    "rate",
    "delay",
    "recent_delay",
    "fan_out",
    "loop_lag",
}
RESTLESS |= {"loop_share", "memory", "queued", "queue_age_ns", "mean_ns", "p50_ns", "p99_ns", "rtt_ns"}
RESTLESS |= {"last_delay_ns", "rate_1s", "rate_10s", "rate_60s"}
WANTED = {"ticker": ["KRW-BTC", "KRW-ETH"], "trade": ["KRW-BTC"]}


@pytest.fixture
async def desk(manager: SubscriptionManager) -> Component:
    component = make(manager, "desk", priority=subcore.Priority.CRITICAL, heartbeat=None)
    for channel, symbols in WANTED.items():
        component.subscribe(channel, symbols, lambda event: None)
    await component.live(timeout=10.0)
    return component


@pytest.fixture
async def dashboard(manager: SubscriptionManager, desk: Component) -> Dashboard:
    return await manager.serve_dashboard()


def between(before: Any, shown: Any, after: Any, path: str = "") -> int:
    """What was shown lies between two looks at the same figures, one before and one after. How many were compared."""
    if isinstance(shown, dict):
        assert shown.keys() == before.keys() == after.keys(), path
        return sum(
            between(before[key], value, after[key], f"{path}.{key}")
            for key, value in shown.items()
            if key not in RESTLESS
        )
    if isinstance(shown, list):
        assert len(before) == len(shown) == len(after), path
        return sum(between(*each, path) for each in zip(before, shown, after, strict=True))
    if before == after:
        assert shown == before, path
    elif None not in (before, shown, after):
        assert min(before, after) <= shown <= max(before, after), path
    return 1


async def test_stats_are_those_of_the_manager(manager: SubscriptionManager, dashboard: Dashboard) -> None:
    before = as_json(manager.stats())
    shown = (await get(dashboard.url, "/stats.json")).json()
    assert between(before, shown, as_json(manager.stats())) > 100
    assert shown["frames"] > 0
    assert shown["components"]["desk"]["delivered"] > 0


async def test_topics_are_those_of_the_manager(manager: SubscriptionManager, dashboard: Dashboard) -> None:
    before = as_json(manager.topic_stats())
    shown = (await get(dashboard.url, "/topics.json")).json()
    assert between(before, shown, as_json(manager.topic_stats())) > 50
    assert sorted(zip(shown["channel"], shown["symbol"], strict=True)) == sorted(
        (channel, symbol) for channel, symbols in WANTED.items() for symbol in symbols
    )
    some = (await get(dashboard.url, "/topics.json?columns=symbol,frames")).json()
    assert list(some) == ["symbol", "frames"]
    assert some["symbol"] == shown["symbol"]
    for wrong in ("nope", "symbol,symbol"):
        assert (await get(dashboard.url, f"/topics.json?columns={wrong}")).status == 400


async def test_the_stream_tells_what_the_page_shows(
    manager: SubscriptionManager, dashboard: Dashboard
) -> None:
    async with PageClient(dashboard.url) as client:
        reply = await client.get("/events")
        assert reply.headers["content-type"] == "text/event-stream"
        await client.event()
        before = manager.stats()
        event = await client.event()  # one of the next second
        after = manager.stats()
        assert dashboard.viewers == 1
    history = (await get(dashboard.url, "/history.json")).json()
    first, last = ({**as_json(stats), "components": {}} for stats in (before, after))
    between(first, event["stats"], last)
    assert event["venue"] == "upbit"
    columns = event["components"]
    assert list(columns) == list(COMPONENT_COLUMNS)
    assert (columns["name"], columns["health"], columns["caps"]) == (["desk"], ["well"], [{}])
    (delivered,) = columns["delivered"]
    assert before.components["desk"].delivered <= delivered <= after.components["desk"].delivered
    assert list(history) == list(event["point"])
    assert event["point"]["time_s"] in history["time_s"]
    await until(lambda: not dashboard.viewers)


async def test_caps_are_shown(manager: SubscriptionManager, dashboard: Dashboard) -> None:
    slow = make(manager, "slow")
    slow.subscribe("ticker", ["KRW-BTC", "KRW-ETH"], lambda event: None, max_rate=2.0)
    shown = (await get(dashboard.url, "/component.json?name=slow")).json()
    assert shown["capped"] == {"user": 2}
    assert shown["caps"] == ["2 topics: at most 2 events a second (user)"]
    assert shown["stats"]["interests"] == 2
    assert (await get(dashboard.url, "/component.json?name=nobody")).status == 404
    async with PageClient(dashboard.url) as client:
        await client.get("/events")
        columns = (await client.event())["components"]
        assert columns["caps"][columns["name"].index("slow")] == {"user": 2}


async def test_a_topic_is_explained(manager: SubscriptionManager, dashboard: Dashboard) -> None:
    deep = make(manager, "deep")
    deep.subscribe("orderbook", "KRW-BTC", lambda event: None, depth=5)
    await deep.live(timeout=10.0)
    for topic, options in (("ticker:KRW-BTC", {}), ("orderbook:KRW-BTC:depth=5", {"depth": 5})):
        said = (await get(dashboard.url, f"/explain.json?topic={topic}")).json()
        channel, symbol = topic.split(":")[:2]
        assert said["topic"] == topic == said["info"]["topic"]
        assert said["info"]["state"] == "OPEN"
        assert (
            said["explain"].split(",")[0].rpartition(" ")[0]
            == (manager.explain(channel, symbol, **options).split(",")[0].rpartition(" ")[0])
        )
    for wrong in (
        "ticker:KRW-XRP",
        "nope:KRW-BTC",
        "orderbook:KRW-BTC:depth=0",
        "ticker:KRW-BTC:grouping=1e999",
    ):
        reply = await get(dashboard.url, f"/explain.json?topic={wrong}")
        assert (reply.status, list(reply.json())) == (404, ["error"]), wrong
    for wrong in ("", "ticker", ":KRW-BTC"):
        assert (await get(dashboard.url, f"/explain.json?topic={wrong}")).status == 400


async def test_a_restore_is_told(
    manager: SubscriptionManager, server: SimServer, dashboard: Dashboard
) -> None:
    assert (await get(dashboard.url, "/restores.json")).json() == []
    server.exchange.inject(Fault("drop_rst"), server.clock())
    server.wake()
    await until(lambda: manager.restores and manager.restores[-1].done)
    (told,) = (await get(dashboard.url, "/restores.json")).json()
    (report,) = manager.restores
    assert (told["reason"], told["seconds"], told["done"]) == (report.reason, report.seconds, True)
    (row,) = told["classes"]
    assert (row["priority"], row["lost"], row["back"], row["proven"]) == ("CRITICAL", 3, 3, 3)
    backs = sorted(stream.back_seconds or 0.0 for stream in report.streams)
    asked = min(stream.asked_seconds or 0.0 for stream in report.streams)
    assert (row["half_seconds"], row["newest_seconds"], row["first_asked_seconds"]) == (
        backs[1],
        backs[2],
        asked,
    )


async def test_issues_are_those_of_the_manager(
    manager: SubscriptionManager, dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await get(dashboard.url, "/issues.json")).json() == []
    issue = Issue(
        "loss", Severity.CRITICAL, "component", "<b>", 7, 3.0, 0.0, "events", "3 were lost.", "Read faster."
    )
    monkeypatch.setattr(manager, "issues", lambda: [issue])
    (told,) = (await get(dashboard.url, "/issues.json")).json()
    assert told == as_json(issue)
    assert (told["severity"], told["subject"], told["evidence"]) == ("CRITICAL", "<b>", "3 were lost.")
    async with PageClient(dashboard.url) as client:
        await client.get("/events")
        assert (await client.event())["issues"] == [told]


async def test_readiness_is_true_of_critical_streams(
    manager: SubscriptionManager, server: SimServer, dashboard: Dashboard
) -> None:
    assert (await get(dashboard.url, "/healthz")).body == b"ok\n"
    ready = await get(dashboard.url, "/readyz")
    assert (ready.status, ready.json()["critical"]["flowing"], ready.json()["missing"]) == (200, 3, [])
    low = make(manager, "low", priority=subcore.Priority.LOW)
    low.subscribe("ticker", "KRW-NOSUCH", lambda event: None)  # is never proven, and nobody's worry
    assert (await get(dashboard.url, "/readyz")).status == 200
    server.exchange.inject(Fault("refuse", seconds=30.0), server.clock())
    server.exchange.inject(Fault("drop_rst"), server.clock())
    server.wake()
    await until(lambda: not manager.stats().streams["OPEN"])
    ready = await get(dashboard.url, "/readyz")
    assert ready.status == 503
    said = ready.json()
    assert (said["ready"], said["running"]) == (False, True)
    assert (said["critical"]["wanted"], said["critical"]["flowing"], said["critical"]["recovering"]) == (
        3,
        0,
        3,
    )
    assert sorted(said["missing"]) == ["ticker:KRW-BTC", "ticker:KRW-ETH", "trade:KRW-BTC"]


async def test_a_critical_stream_that_is_only_asked_for_is_not_ready(manager: SubscriptionManager) -> None:
    dashboard = await manager.serve_dashboard()
    assert (await get(dashboard.url, "/readyz")).status == 200  # nobody relies on anything
    alert = make(manager, "alert", priority=subcore.Priority.CRITICAL)
    alert.subscribe("ticker", "KRW-BTC", lambda event: None)
    ready = await get(dashboard.url, "/readyz")
    assert (ready.status, ready.json()["missing"]) == (503, ["ticker:KRW-BTC"])
    await alert.live(timeout=10.0)
    assert (await get(dashboard.url, "/readyz")).status == 200


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


async def test_requests_a_second_are_bounded(dashboard: Dashboard) -> None:
    async with PageClient(dashboard.url) as client:
        replies = [await client.get("/healthz") for _ in range(2 * REQUESTS_PER_S + 2)]
    statuses = [reply.status for reply in replies]
    if dashboard.counts["too_many_requests"]:  # a slow machine takes longer than a second for them
        assert set(statuses) == {200, 429}
        assert statuses.count(429) == dashboard.counts["too_many_requests"]


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


def test_a_restore_under_way_by_hand() -> None:
    """Five streams of two classes, lost at 1 s; times in seconds here."""
    asked, ended = np.array([2, 3, 3, 0, 4]), np.array([5, 9, 7, 0, 0])
    columns = _Columns(
        StreamColumns(*[np.zeros(5)] * 6),  # type: ignore[arg-type]
        [None],
        ["ticker"],
        10**9,
        np.array([3, 3, 3, 3, 0], np.int32),
        asked * 10**9,
        ended * 10**9,
        np.zeros(5, np.uint8),
        np.zeros(5, np.uint8),
    )
    classes = tuple(_of_class(priority, columns) for priority in sorted(Priority, reverse=True))
    (told,) = restores_json([RestoreReport(1, "a loss", 7, False, classes, columns)])
    first, last = told["classes"]
    assert (told["done"], told["seconds"], first["priority"], last["priority"]) == (
        False,
        None,
        "CRITICAL",
        "LOW",
    )
    assert (first["lost"], first["asked"], first["back"], last["back"]) == (4, 3, 3, 0)
    assert (first["first_asked_seconds"], first["half_seconds"], first["newest_seconds"]) == (1.0, 6.0, 8.0)
    assert (last["first_asked_seconds"], last["half_seconds"], last["newest_seconds"]) == (3.0, None, None)
    assert (first["last_seconds"], last["last_seconds"]) == (None, None)
