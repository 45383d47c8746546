"""What the dashboard says over sockets: its figures equal stats(). The page itself: test_dashboard_page.py."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import numpy as np
import pytest

import subcore
from dashboard_rig import WANTED
from manager_rig import make, until
from page_client import PageClient, get
from subcore.dashboard import Dashboard
from subcore.dashboard.columns import COMPONENT_COLUMNS
from subcore.dashboard.restores import restores_json
from subcore.engine.adaptive import Measure, MeasureTaken
from subcore.engine.alerts import Issue, Severity
from subcore.exporters.prometheus import exposition
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
    for point in event["points"]:
        assert list(history) == list(point)
        assert point["time_s"] in history["time_s"]
    assert event["points"]
    await until(lambda: not dashboard.viewers)


async def test_events_that_are_seldom_hold_each_second_since_the_last(dashboard: Dashboard) -> None:
    figures = dashboard._figures
    for _ in range(20):
        figures.look()
    figures.live.interval_s = 3.0  # as where many components make it dear
    event = json.loads((await figures.live.get(anew=True)).removeprefix(b"data: "))
    times = figures.history.as_json()["time_s"]
    assert [point["time_s"] for point in event["points"]] == times[-8:], "two intervals and a bit"


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
        shown, now = (
            re.sub(r"[0-9.]+ m?s", "so long", text).partition(",")[0]  # more data may speak for it by now
            for text in (said["explain"], manager.explain(channel, symbol, **options))
        )
        assert shown == now
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


async def test_load_is_that_of_the_manager(
    manager: SubscriptionManager, dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = {"enabled": False, "level": "CALM", "measures": []}
    assert (await get(dashboard.url, "/load.json")).json() == calm
    adapting = manager._hub.granting.adapting
    taken = MeasureTaken(Measure.CONFLATE, Priority.LOW, "the loop is late", 5, None, "before 3, and 2 now")
    monkeypatch.setattr(type(adapting._adaptive), "taken", (taken,))
    told = (await get(dashboard.url, "/load.json")).json()
    (one,) = told["measures"]
    clock = manager._hub.clock
    assert one.pop("since_ns") == pytest.approx(clock.time_ns() - clock.monotonic_ns(), abs=60e9)
    assert one == {
        "measure": "conflate",
        "priority": "LOW",
        "reason": "the loop is late",
        "effect": "before 3, and 2 now",
    }
    async with PageClient(dashboard.url) as client:
        await client.get("/events")
        assert (await client.event())["load"]["measures"][0]["reason"] == "the loop is late"


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


async def test_a_name_that_utf8_cannot_say_costs_nobody_the_page(
    manager: SubscriptionManager, dashboard: Dashboard
) -> None:
    make(manager, "\ud800half")
    reply = await get(dashboard.url, "/stats.json")
    assert reply.status == 200
    assert set(reply.json()["components"]) == {"desk", "\ud800half"}


async def test_metrics_are_those_of_the_exporter(manager: SubscriptionManager, dashboard: Dashboard) -> None:
    parser = pytest.importorskip("prometheus_client.parser", reason="prometheus_client is not installed")

    def samples(text: bytes) -> dict[str, float]:
        families = parser.text_string_to_metric_families(text.decode())
        return {
            f"{s.name} {sorted(s.labels.items())}": s.value for family in families for s in family.samples
        }

    before = samples(exposition(manager)[0])
    reply = await get(dashboard.url, "/metrics")
    after = samples(exposition(manager)[0])
    assert reply.headers["content-type"].startswith("text/plain; version=")
    told = samples(reply.body)
    assert before.keys() <= told.keys() <= after.keys()
    counts = [name for name in before if "_total " in name]
    assert len(counts) > 20
    assert all(before[name] <= told[name] <= after[name] for name in counts)
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    more = await get(dashboard.url, "/metrics?topics=1", accept)
    assert more.headers["content-type"].startswith("application/openmetrics-text")
    assert more.body.endswith(b"# EOF\n")
    assert b"subcore_topic_" in more.body


async def test_metrics_without_their_library_say_what_to_install(
    dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("prometheus_client")] + [
        "prometheus_client"
    ]:
        monkeypatch.setitem(sys.modules, name, None)
    reply = await get(dashboard.url, "/metrics")
    assert (reply.status, b"subcore[metrics]" in reply.body) == (501, True)
