"""What `on_status` may do: everything, and nobody else notices."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

from manager_rig import make
from subcore.component import Component
from subcore.engine.actions import Notify
from subcore.engine.topics import NO_IDS
from subcore.runtime import Runtime
from subcore.testing import VirtualClock
from subcore.types import Status, StatusKind
from virtual_manager import World

BTC, ETH = "KRW-BTC", "KRW-ETH"


def test_a_status_may_close_whoever_is_told_next() -> None:
    async def main(world: World) -> None:
        others: list[Component] = []
        async with world.manager() as manager:

            def close_others(_: Any) -> None:
                for other in others:
                    other.close()

            a = make(manager, "a", on_status=close_others)
            others += [make(manager, name, on_status=lambda _: None) for name in "bc"]
            for component in (a, *others):
                component.subscribe("ticker", BTC)
            await a.live(10.0)
            assert all(other.closed for other in others)
            await asyncio.sleep(120.0)
            assert manager.topic("ticker", BTC).holders == ("a",)

    World().run(main)


def test_a_status_may_close_its_component_and_another_takes_the_stream_over() -> None:
    """With all that the closing changes left to a turn of its own: the engine is in the middle of nothing."""

    async def main(world: World) -> None:
        async with world.manager() as manager:
            mine: list[Component] = []
            a = make(manager, "a", on_status=lambda _: mine[0].close())
            mine.append(a)
            a.subscribe("ticker", [BTC, ETH])
            b = make(manager, "b")
            b.subscribe("ticker", ETH)
            await b.live(10.0)
            assert a.closed
            assert [info.topic.symbol for info in manager.topics()] == [ETH]

    World().run(main)


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError, GeneratorExit, BaseException])
def test_a_status_may_raise_what_it_likes_and_is_called_for_the_next(
    error: type[BaseException], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inside the fan-out too, where nothing that is raised could be told to anybody."""
    unraisable: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    told: list[StatusKind] = []

    def on_status(status: Status) -> None:
        told.append(status.kind)
        raise error("planned")

    def handler(event: Any) -> None:
        raise LookupError("of the handler")

    async def main(world: World) -> None:
        async with world.manager() as manager:
            a = make(manager, "a", on_status=on_status)
            a.subscribe("ticker", BTC, handler)
            await a.live(10.0, evidence="data")
            await asyncio.sleep(1.0)
            assert {StatusKind.OPEN, StatusKind.ERROR} <= set(told)
            stats = a.stats()
            assert stats.handler_errors == len(told) + told.count(StatusKind.ERROR)
            assert stats.last_error == f"on_status: {error.__name__}: planned"

    World().run(main)
    assert unraisable == []
    assert caplog.text.count("on_status of component 'a' raised") == len(told)


def test_what_one_status_raises_keeps_no_other_from_being_told() -> None:
    """Not even what is no Exception, such as a test's own failure: handlers may raise that, too."""
    told: list[StatusKind] = []

    def raises(status: Status) -> None:
        raise BaseException("planned")

    async def main(world: World) -> None:
        async with world.manager() as manager:
            make(manager, "a", on_status=raises).subscribe("ticker", BTC, lambda event: None)
            b = make(manager, "b", on_status=lambda status: told.append(status.kind))
            b.subscribe("ticker", BTC, lambda event: None)
            await b.live(10.0, evidence="data")
            assert StatusKind.OPEN in told

    World().run(main)


class Scripted:
    """An engine that answers each event with these actions, and an owner that is told of them."""

    def __init__(
        self, clock: VirtualClock, script: dict[str, list[str]], reply: Callable[[str], None]
    ) -> None:
        self.script = script
        self.told: list[str] = []
        self.reply = reply
        unused: Any = None
        owner: Any = self
        engine: Any = self
        self.runtime = Runtime(engine, unused, unused, owner=owner, connect=unused, clock=clock)
        self.runtime._loop = asyncio.get_running_loop()

    def handle(self, event: Any, now: int) -> list[Any]:
        return [Notify(StatusKind.OPEN, NO_IDS, text) for text in self.script[event]]

    def deadline(self) -> int:
        return 10**18

    def notify(self, notice: Notify) -> None:
        self.told.append(notice.reason)
        self.reply(notice.reason)


@pytest.mark.parametrize("error", [LookupError("planned"), SystemExit(3)])
async def test_an_action_that_fails_keeps_no_other_from_being_done(error: BaseException) -> None:
    """The loop is told of it, outside the engine's turn, and the timer stands."""
    later: list[Callable[[], None]] = []

    def reply(text: str) -> None:
        if text == "b":
            raise error

    scripted = Scripted(VirtualClock(), {"news": ["a", "b", "c"]}, reply)
    runtime = scripted.runtime
    assert runtime._loop is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime._loop, "call_soon", lambda call, **_: later.append(call))
        runtime.handle("news")  # type: ignore[arg-type]
    assert scripted.told == ["a", "b", "c"]
    assert runtime._timer is not None
    runtime._timer.cancel()
    with pytest.raises(type(error)):
        later.pop()()
    assert later == []


async def test_what_a_status_calls_for_is_done_after_what_was_due() -> None:
    """`rotate` in `on_status` gives the engine another event while the actions of the last are half done."""

    def reply(text: str) -> None:
        if text == "a":
            scripted.runtime.handle("more")  # type: ignore[arg-type]

    scripted = Scripted(VirtualClock(), {"news": ["a", "b"], "more": ["c"]}, reply)
    scripted.runtime.handle("news")  # type: ignore[arg-type]
    assert scripted.told == ["a", "b", "c"]
    assert scripted.runtime._timer is not None
    scripted.runtime._timer.cancel()
