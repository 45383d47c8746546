"""The thread that names who holds the event loop. Handlers here hold it until they were named, so nothing is timed."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import threading
from typing import Any

import pytest

import subcore
from manager_rig import make, until
from subcore.sim.server import SimServer
from subcore.types import StatusKind
from subcore.watchdog import NAME, Watchdog

PATIENCE_S = 20.0
QUICK = subcore.Obligations(blocked=0.1, calm=0.2)


class Named(logging.Handler):
    """Sets an event once the watchdog has said something; in its thread."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.said = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self.said.set()


@pytest.fixture
def named() -> Any:
    handler, log = Named(), logging.getLogger("subcore.watchdog")
    log.addHandler(handler)
    yield handler
    log.removeHandler(handler)


async def test_a_handler_that_holds_the_loop_is_named_while_it_does_and_told_afterwards(
    server: SimServer, named: Named
) -> None:
    told: list[subcore.Status] = []
    others: list[subcore.Status] = []
    got: list[Any] = []
    held: list[bool] = []

    def hold(event: Any) -> None:
        if not held:
            held.append(named.said.wait(PATIENCE_S))

    async with subcore.SubscriptionManager("upbit", url=server.url, seed=1, obligations=QUICK) as manager:
        blocker = manager.component("blocker", on_status=told.append)
        other = manager.component("other", on_status=others.append, heartbeat=0.5)
        other.subscribe("ticker", "KRW-BTC", got.append)
        blocker.subscribe("ticker", "KRW-BTC", hold)
        await until(lambda: held)
        await until(lambda: manager.blockers and manager.blockers[0].over)
        [found] = manager.blockers
        assert (found.component, found.handler.rsplit(".", 1)[-1]) == ("blocker", "hold")
        assert found.seconds >= QUICK.blocked
        assert "named.said.wait" in found.stack
        assert "'blocker' holds the event loop" in named.lines[0]
        await until(lambda: any(status.kind is StatusKind.SLOW for status in told))
        assert "held the event loop" in next(s.reason for s in told if s.kind is StatusKind.SLOW)
        assert all(status.kind is StatusKind.OPEN for status in others)
        assert held == [True]
        await until(lambda: told[-1].kind is StatusKind.RECOVERED)
        assert [status.kind for status in told[-2:]] == [StatusKind.SLOW, StatusKind.RECOVERED]
        blocker.close()
        other.close()
    assert [thread for thread in threading.enumerate() if thread.name == NAME] == []


@pytest.mark.parametrize("who", ["async handler", "on_status", "veto"])
async def test_an_async_handler_and_hooks_that_hold_the_loop_are_named_too(
    server: SimServer, named: Named, who: str
) -> None:
    told: list[subcore.Status] = []
    held: list[bool] = []

    def hold(what: Any) -> bool:
        if not held:
            held.append(named.said.wait(PATIENCE_S))
        return False

    async def hold_later(event: Any) -> None:
        await asyncio.sleep(0)
        hold(event)

    def hear(status: subcore.Status) -> None:
        told.append(status)
        if who == "on_status":
            hold(status)

    rules = subcore.Obligations(blocked=0.1, slow=0.0, veto=hold if who == "veto" else None)
    async with subcore.SubscriptionManager("upbit", url=server.url, seed=1, obligations=rules) as manager:
        blocker = manager.component("blocker", on_status=hear)
        blocker.subscribe("ticker", "KRW-BTC", hold_later if who == "async handler" else None)
        await until(lambda: manager.blockers and manager.blockers[0].over)
        [found] = manager.blockers
        name = {"async handler": "hold_later", "on_status": "hear (on_status)", "veto": "hold (veto)"}[who]
        assert (found.component, found.handler.rsplit(".", 1)[-1]) == ("blocker", name)
        assert found.seconds >= rules.blocked
        assert "named.said.wait" in found.stack
        assert "'blocker' holds the event loop" in named.lines[0]
        if who == "async handler":
            await until(lambda: any("held the event loop" in status.reason for status in told))
            assert (blocker.stats().worst_ns or 0) >= 100_000_000
        else:
            await asyncio.sleep(0)
            assert not any("held the event loop" in status.reason for status in told)
        blocker.close()


async def test_code_that_keeps_the_interpreter_to_itself_is_named_at_once_afterwards(
    server: SimServer,
) -> None:
    done: list[int] = []

    def hold(event: Any) -> None:
        if not done:
            done.append(sum(range(20_000_000)))  # one call in C, which nothing interrupts

    async with subcore.SubscriptionManager("upbit", url=server.url, seed=1, obligations=QUICK) as manager:
        blocker = manager.component("blocker")
        blocker.subscribe("ticker", "KRW-BTC", hold)
        await until(lambda: manager.blockers and manager.blockers[0].over)
        [found] = manager.blockers
        assert found.component == "blocker"
        assert found.seconds >= QUICK.blocked
        blocker.close()


class FakeRouter:
    """Calls as a test says they are."""

    def __init__(self) -> None:
        self.call = (-1, -1)
        self.number = 0
        self.looks = 0
        self.looked = threading.Condition()
        self.each_is_new = False
        self.called_names: tuple[str, str] | None = None

    @property
    def calling(self) -> tuple[int, int]:
        with self.looked:
            self.looks += 1
            self.number += self.each_is_new
            self.looked.notify_all()
        return self.call

    @property
    def call_number(self) -> int:
        return self.number

    def wait(self, looks: int) -> None:
        with self.looked:
            most = self.looks + looks
            assert self.looked.wait_for(lambda: self.looks >= most, PATIENCE_S)


async def watched(router: FakeRouter, looks: int) -> Watchdog:
    """What a watchdog found in so many looks."""
    names = {(7, 1): ("seven", "len"), (7, 404): ("seven", "len")}
    dog = Watchdog(router, lambda *call: names.get(call), 0.02, False)  # type: ignore[arg-type]
    dog.start()
    await asyncio.to_thread(router.wait, looks)
    dog.end()
    assert await dog.ended(PATIENCE_S) == []
    return dog


@pytest.mark.parametrize(
    ("call", "each_is_new", "count"),
    [
        ((7, 1), False, 1),  # one call, named once however long it lasts
        ((7, 1), True, 0),  # a busy handler: another call at each look
        ((-1, -1), False, 0),
        ((8, 1), False, 0),  # a component that was closed meanwhile
        ((7, 404), False, 1),  # ... or whose sink was: it runs all the same
    ],
)
async def test_only_a_call_that_lasts_is_named(call: tuple[int, int], each_is_new: bool, count: int) -> None:
    router = FakeRouter()
    router.call, router.each_is_new = call, each_is_new
    dog = await watched(router, 8)
    assert [(one.component, one.over) for one in dog.found] == [("seven", False)] * count


async def test_what_the_thread_could_not_see_is_named_afterwards() -> None:
    dog = await watched(FakeRouter(), 1)
    dog.over("seven", "len", 2.5, 1)
    dog.over("seven", "len", 3.5, 2)
    assert [(one.seconds, one.stack, one.over) for one in dog.found] == [(2.5, "", True), (3.5, "", True)]


async def test_stacks_are_dumped_only_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """... and not on a loop that is idle, which comes by four times a second."""
    calls: list[Any] = []
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda after, **_: calls.append(after))
    monkeypatch.setattr(faulthandler, "cancel_dump_traceback_later", lambda: calls.append("cancel"))
    for dumps, blocked, after in (
        (False, 0.02, []),
        (True, 0.02, [0.5, "cancel"]),
        (True, 3.0, [3.0, "cancel"]),
    ):
        calls.clear()
        dog = Watchdog(FakeRouter(), lambda *_: None, blocked, dumps)  # type: ignore[arg-type]
        dog.start()
        dog.loop_runs()
        dog.end()
        await dog.ended(PATIENCE_S)
        assert calls == after


async def test_it_can_be_switched_off(server: SimServer) -> None:
    off = subcore.Obligations(blocked=None)
    async with subcore.SubscriptionManager("upbit", url=server.url, seed=1, obligations=off) as manager:
        make(manager, "x").subscribe("ticker", "KRW-BTC")
        assert [thread for thread in threading.enumerate() if thread.name == NAME] == []
        assert manager.blockers == ()
