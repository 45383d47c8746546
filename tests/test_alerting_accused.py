"""What counts as lost or as left unread, and whom an alert accuses of it, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from alert_stage import SYMBOLS, Heard, busy, play, told_of
from manager_rig import make
from subcore import Latest, Obligations, Queue, Ring, Severity
from subcore.engine.clock import SECOND
from subcore.manager import SubscriptionManager
from virtual_manager import World


@pytest.mark.simulation
def test_loss_is_over_a_minute_after_the_last_one() -> None:
    async def script(world: World, manager: SubscriptionManager, heard: Heard) -> None:
        async def slow(event: Any) -> None:
            await asyncio.sleep(wait)

        wait = 0.4
        component = make(manager, "works")
        component.subscribe("ticker", SYMBOLS, slow, delivery=Queue(2))
        await asyncio.sleep(20.0)
        component.unsubscribe("ticker")
        lost, wait = component.stats().lost, 0.0
        assert lost > 0
        ended = world.clock.now
        over = await heard.until(False, 90.0)
        assert 60 <= (over.time_ns - world.clock.epoch - ended) / SECOND <= 67
        assert heard.alerts[0].issue.value <= component.stats().lost == lost

    told_of(play(busy(13), script), "loss", "works", "component")


def test_loss_of_rows_of_a_ring() -> None:
    async def script(world: World, manager: SubscriptionManager, heard: Heard) -> None:
        component = make(manager, "ring")
        component.subscribe("ticker", SYMBOLS, delivery=Ring(2))
        reader = component.ring("ticker")
        await asyncio.sleep(5.0)
        reader.read()
        await heard.until(True, 7.0)
        assert manager.issues()[0].value == component.stats().overrun > 0
        await heard.until(False, 90.0)

    told_of(play(busy(14), script), "loss", "ring", "component")


def test_what_a_handler_that_is_given_up_loses_counts() -> None:
    async def script(world: World, manager: SubscriptionManager, heard: Heard) -> None:
        gate = asyncio.Event()

        async def raises(event: Any) -> None:
            await gate.wait()
            raise ValueError("it always does")

        component = make(manager, "raises")
        component.subscribe("ticker", SYMBOLS, raises)
        while component.stats().queued < 30:
            await asyncio.sleep(0.05)
        gate.set()
        await asyncio.sleep(0.1)  # it is cut off, and what waits is kept for a try that works
        component.unsubscribe("ticker")
        raised = await heard.until(True, 5.0)
        assert raised.issue.value == component.stats().lost > 10
        await heard.until(False, 90.0)

    told_of(play(busy(25), script, obligations=Obligations()), "loss", "raises", "component")


def test_who_gets_the_id_of_one_that_lost_is_not_accused() -> None:
    async def script(world: World, manager: SubscriptionManager, heard: Heard) -> None:
        async def slow(event: Any) -> None:
            await asyncio.sleep(0.4)

        await asyncio.sleep(3.05)
        loser = make(manager, "loser")
        loser.subscribe("ticker", SYMBOLS, slow, delivery=Queue(2))
        while not loser.stats().lost:  # the next look is still to come
            await asyncio.sleep(0.02)
        loser.close()
        innocent = make(manager, "innocent")
        assert innocent._member.id == loser._member.id
        innocent.subscribe("ticker", SYMBOLS, lambda event: None)
        await asyncio.sleep(5.0)
        assert heard.told == []

    play(lambda: World(seed=13, rate=20.0), script)


@pytest.mark.simulation
def test_what_latest_keeps_may_be_left_unread() -> None:
    async def script(world: World, manager: SubscriptionManager, heard: Heard) -> None:
        gate = asyncio.Event()

        async def stuck(event: Any) -> None:
            await gate.wait()

        component = make(manager, "mixed", delivery=Latest())
        component.subscribe("ticker", SYMBOLS)
        await asyncio.sleep(40.0)
        assert heard.told == []
        component.subscribe("trade", SYMBOLS, stuck)
        raised = await heard.until(True, 20.0)
        assert raised.issue.severity is Severity.WARNING
        assert raised.issue.value < 10.0
        assert "for its handler" in raised.issue.evidence
        component.close()
        await asyncio.sleep(2.0)

    play(lambda: World(seed=15, rate=0.2), script)


@pytest.mark.simulation
def test_of_very_many_that_do_not_read_the_worst_are_named_and_the_others_counted() -> None:
    async def script(world: World, manager: SubscriptionManager, heard: Heard) -> None:
        crowd = [make(manager, f"{place:03}") for place in range(120)]
        worst = [component.name for component in crowd[-6:]]  # those with the greatest ids
        for component in crowd[-6:]:
            component.subscribe("ticker", SYMBOLS)
        await asyncio.sleep(8.0)
        assert sorted(issue.subject for issue in manager.issues()) == worst
        for component in crowd[:-6]:
            component.subscribe("ticker", SYMBOLS)
        await asyncio.sleep(6.0)
        issues = manager.issues()
        assert sorted(issue.subject for issue in issues[:6]) == worst
        assert {issue.others for issue in issues} == {120 - 16}
        await asyncio.sleep(20.0)
        issues = manager.issues()
        assert {issue.severity for issue in issues} == {Severity.CRITICAL}
        assert {issue.others for issue in issues} == {120 - 32}
        assert all(raised for raised, _, _ in heard.told), "nobody is over"
        for component in crowd:
            component.close()
        await asyncio.sleep(2.0)

    play(busy(15), script)


def test_of_very_many_that_lose_all_are_counted() -> None:
    async def script(world: World, manager: SubscriptionManager, heard: Heard) -> None:
        crowd = [make(manager, f"{place:03}", delivery=Queue(1)) for place in range(120)]
        for component in crowd:
            component.subscribe("ticker", SYMBOLS)
        await heard.until(True, 10.0)
        await asyncio.sleep(3.0)
        assert {(issue.rule, issue.others) for issue in manager.issues()} == {("loss", 120 - 16)}
        for component in crowd:
            component.close()
        await asyncio.sleep(2.0)

    play(busy(12), script)


@pytest.mark.simulation
def test_who_gets_the_id_of_one_that_was_stuck_has_an_issue_of_its_own() -> None:
    async def script(world: World, manager: SubscriptionManager, heard: Heard) -> None:
        first = make(manager, "first")
        first.subscribe("ticker", SYMBOLS)
        await heard.until(True, 20.0)
        first.close()
        assert manager.issues() == []
        second = make(manager, "second")
        assert second._member.id == first._member.id
        second.subscribe("ticker", SYMBOLS)
        await heard.until(False, 2.0)
        assert heard.told == [(True, "queue_age", "first"), (False, "queue_age", "first")]
        await asyncio.sleep(10.0)
        (issue,) = manager.issues()
        assert issue.subject == "second"
        assert issue.value < 12.0
        second.close()
        await asyncio.sleep(1.5)
        assert heard.told[2:] == [(True, "queue_age", "second"), (False, "queue_age", "second")]

    play(lambda: World(seed=15, rate=1.0), script)
