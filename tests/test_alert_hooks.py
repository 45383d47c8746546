"""Who is told of alerts, and what may go wrong in telling: in virtual time, where `asyncio.sleep` costs none."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from alert_stage import Heard, calm, play, reader
from subcore import Alert, AlertRule, AlertRules, Issue
from subcore.engine.clock import SECOND
from subcore.errors import UsageError
from subcore.figures import as_json
from subcore.manager import SubscriptionManager
from virtual_manager import World


async def stall(world: World, manager: SubscriptionManager) -> None:
    """Something that raises an alert at the next look, and is over at the one after that."""
    world.clock.advance_to(world.clock.now + SECOND)
    await asyncio.sleep(2.5)


AT_ONCE = AlertRules(loop_lag=AlertRule(above=0.5, below=0.5), again=0.0, a_minute=1000)


def test_hooks_are_called_and_what_they_raise_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "subcore.alerts")
    seen: list[tuple[str, bool]] = []

    async def script(world: World, manager: SubscriptionManager, heard: Heard) -> None:
        async def late(alert: Alert) -> None:
            await asyncio.sleep(0.1)
            seen.append(("async", alert.raised))
            raise ValueError("of the async one")

        def raises(alert: Alert) -> None:
            seen.append(("plain", alert.raised))
            raise asyncio.CancelledError("of the plain one")

        ends = [manager.on_alert(late), manager.on_alert(raises), manager.on_alert(raises)]
        await stall(world, manager)
        assert heard.told == [(True, "loop_lag", "upbit"), (False, "loop_lag", "upbit")]
        assert sorted(seen) == sorted(
            [*[("plain", True), ("plain", False)] * 2, ("async", True), ("async", False)]
        )
        assert manager.stats().handler_errors == 6
        for end in [*ends, ends[0]]:
            end()
        await stall(world, manager)
        assert len(heard.told) == 4
        assert len(seen) == 6
        assert manager._hub.alerting.tasks == set()

    play(calm(31), script, alerts=AT_ONCE)
    lines = [record for record in caplog.records if record.name == "subcore.alerts"]
    errors = [record for record in lines if record.levelno == logging.ERROR]
    assert len(errors) == 1, "once a minute"
    assert "raised" in errors[0].message
    said = [record.getMessage() for record in lines if record not in errors]
    assert [text.split(":")[0] for text in said] == [
        "loop_lag of process upbit",
        "over after 1 s",
    ] * 2


def test_an_async_hook_that_waited_for_what_was_cancelled_has_failed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def script(world: World, manager: SubscriptionManager, heard: Heard) -> None:
        async def waits(alert: Alert) -> None:
            gone = asyncio.get_running_loop().create_future()
            gone.cancel()
            await gone

        end = manager.on_alert(waits)
        await stall(world, manager)
        end()
        assert manager.stats().handler_errors == 2

    play(calm(31), script, alerts=AT_ONCE)
    assert "waits (on_alert) raised" in caplog.text


class Odd(BaseException):
    """As a test's own failure, or a library's timeout."""


def test_what_an_async_hook_raises_counts_whatever_it_is(caplog: pytest.LogCaptureFixture) -> None:
    async def script(world: World, manager: SubscriptionManager, heard: Heard) -> None:
        async def odd(alert: Alert) -> None:
            await asyncio.sleep(0)
            raise Odd

        end = manager.on_alert(odd)
        await stall(world, manager)
        end()
        assert manager.stats().handler_errors == 2

    play(calm(35), script, alerts=AT_ONCE)
    assert "odd (on_alert) raised" in caplog.text


def test_a_hook_that_hangs_is_cancelled_at_the_end_and_never_piles_up() -> None:
    cancelled: list[bool] = []

    async def script(world: World, manager: SubscriptionManager, heard: Heard) -> None:
        async def hangs(alert: Alert) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.append(alert.raised)

        manager.on_alert(hangs)
        for _ in range(40):
            await stall(world, manager)
        assert len(heard.told) == 80
        assert len(manager._hub.alerting.tasks) == 64
        assert manager.stats().handler_errors == 16

    play(calm(32), script, alerts=AT_ONCE)
    assert len(cancelled) == 64


def test_a_hook_may_close_the_manager() -> None:
    async def main(world: World) -> None:
        manager = world.manager(alerts=AT_ONCE)
        await manager.start()
        reports = []

        async def close(alert: Alert) -> None:
            reports.append(await manager.close())

        manager.on_alert(close)
        await stall(world, manager)
        await asyncio.sleep(2.0)
        assert reports[0].unfinished == ()
        assert manager.issues() == []

    calm(33)().run(main)


def test_figures_that_cannot_be_read_break_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def script(world: World, manager: SubscriptionManager, heard: Heard) -> None:
        gauges = manager._hub.alerting.gauges

        def broken() -> int:
            raise OSError("no /proc")

        working, gauges.growth.resident = gauges.growth.resident, broken
        component = await reader(manager)
        await asyncio.sleep(30.0)
        assert manager._hub.alerting.errors >= 5
        assert manager.stats().handler_errors == 0
        assert component.stats().delivered > 0
        gauges.growth.resident = working

    play(calm(34), script)
    assert sum("could not be read" in record.message for record in caplog.records) == 1


def test_off_is_off_and_wrong_is_refused() -> None:
    async def main(world: World) -> None:
        async with world.manager(alerts=None) as manager:
            manager.on_alert(lambda alert: None)
            await stall(world, manager)
            assert manager.issues() == []
            with pytest.raises(UsageError, match="on_alert takes a function"):
                manager.on_alert("print")  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="alerts is AlertRules"):
            world.manager(alerts=True)

    calm(35)().run(main)


def test_issues_may_be_asked_for_in_another_thread() -> None:
    async def script(world: World, manager: SubscriptionManager, heard: Heard) -> None:
        asked: list[list[Issue]] = []
        ends = threading.Event()

        def ask() -> None:
            asked.append(manager.issues())
            while not ends.is_set():
                asked.append(manager.issues())

        thread = threading.Thread(target=ask)
        thread.start()
        for _ in range(8):
            await stall(world, manager)
        ends.set()
        thread.join()
        assert asked
        assert {len(issues) for issues in asked} <= {0, 1}
        assert len(heard.told) == 16

    play(calm(37), script, alerts=AT_ONCE)


def test_issues_are_plain_json() -> None:
    async def script(world: World, manager: SubscriptionManager, heard: Heard) -> None:
        world.clock.advance_to(world.clock.now + SECOND)
        while not heard.alerts:
            await asyncio.sleep(0.1)
        (issue,) = as_json(manager.issues())
        assert (issue["rule"], issue["severity"], issue["kind"]) == ("loop_lag", "WARNING", "process")
        assert issue["since_ns"] == heard.alerts[0].time_ns
        await asyncio.sleep(2.0)

    play(calm(36), script, alerts=AT_ONCE)
