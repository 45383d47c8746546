"""A transaction belongs to the block that opened it: nothing begun inside, however late it acts, joins it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from contextlib import nullcontext
from contextvars import ContextVar
from typing import Any

import pytest

from manager_rig import make
from subcore import Latest, Queue
from subcore.errors import UsageError
from subcore.sim import Exchange
from subcore.sim.binance import BinanceExchange
from subcore.types import Priority
from virtual_manager import World

BTC, ETH, XRP = "KRW-BTC", "KRW-ETH", "KRW-XRP"
COINS = ("BTC", "ETH", "XRP", "ADA", "SOL")
HOUSES: dict[str, tuple[str, list[str], Any]] = {
    "upbit": ("ticker", [f"KRW-{coin}" for coin in COINS], Exchange),
    "binance": ("book_ticker", [f"{coin}USDT" for coin in COINS], BinanceExchange),
}
REQUEST: ContextVar[str] = ContextVar("request", default="none")


def test_a_task_made_inside_wishes_for_itself() -> None:
    """While the block is open, and when it is over."""

    async def main(world: World) -> None:
        async with world.manager() as manager:
            a, b = make(manager, "a"), make(manager, "b")
            late = asyncio.Event()

            async def worker() -> None:
                b.subscribe("trade", ETH)
                await late.wait()
                b.subscribe("ticker", ETH)

            with manager.transaction():
                a.subscribe("ticker", BTC)
                task = asyncio.create_task(worker())
                await asyncio.sleep(0)
                assert (len(a.topics), len(b.topics)) == (0, 1)
            late.set()
            await task
            assert (len(a.topics), len(b.topics)) == (1, 2)
            await asyncio.gather(a.live(10.0), b.live(10.0))

    World().run(main)


@pytest.mark.parametrize("in_block", [True, False])
@pytest.mark.parametrize("house", ["upbit", "binance"])
def test_what_one_block_changes_is_planned_as_one_however_many_turns_it_takes(
    house: str, in_block: bool
) -> None:
    """On a link that is open and may send at once. Outside a block each of the calls leaves by itself."""
    channel, (first, *codes), make_exchange = HOUSES[house]

    async def main(world: World) -> None:
        async with world.manager(venue=house) as manager:
            a, b = make(manager, "a"), make(manager, "b")
            a.subscribe(channel, first)
            await a.live(10.0)
            await asyncio.sleep(5.0)
            planned, received = manager._hub.engine.stats.plans, world.exchange.stats.requests
            with manager.transaction() if in_block else nullcontext():
                a.subscribe(channel, codes[0])
                await asyncio.sleep(0.0)
                with manager.transaction() if in_block else nullcontext():
                    b.subscribe(channel, codes[1])
                    await asyncio.sleep(1.0)
                b.replace(channel, codes[2])
                await asyncio.sleep(1.0)
                said = manager._hub.engine.stats.plans - planned
                assert said == 0 if in_block else said >= 3
                a.subscribe(channel, [first, codes[3]], priority=Priority.HIGH)
            await asyncio.sleep(1.0)
            if in_block:
                assert manager._hub.engine.stats.plans - planned == 1
                assert world.exchange.stats.requests - received == 1
            await asyncio.gather(a.live(10.0), b.live(10.0))
            assert {topic.symbol for topic in a.topics} == {first, codes[0], codes[3]}
            assert {topic.symbol for topic in b.topics} == {codes[2]}

    World(make=make_exchange, markets=[first, *codes], rate=20.0).run(main)


@pytest.mark.parametrize("by", ["handler", "status", "call_soon", "timer"])
def test_what_a_block_sets_going_wishes_for_itself(by: str) -> None:
    """`close` schedules the turn inside the block: the timers and links of that turn inherit nothing of it."""

    async def main(world: World) -> None:
        async with world.manager() as manager:

            def want(_: Any = None) -> None:
                component.subscribe("trade", XRP)

            component = make(manager, "c", on_status=want if by == "status" else None)
            old = make(manager, "old")
            await asyncio.sleep(1.0)
            with manager.transaction():
                old.close()
                if by == "call_soon":
                    asyncio.get_running_loop().call_soon(want)
                if by == "timer":
                    asyncio.get_running_loop().call_later(1.0, want)
                component.subscribe("ticker", BTC, want if by == "handler" else None)
            await asyncio.sleep(30.0)
            assert {str(topic) for topic in component.topics} == {"ticker:KRW-BTC", "trade:KRW-XRP"}

    World().run(main)


def test_no_context_of_a_caller_reaches_a_handler() -> None:
    """A trace id of whoever happened to call first is nobody's who is called later."""

    async def main(world: World) -> None:
        seen = set()
        async with world.manager() as manager:
            component = make(manager, "c", on_status=lambda _: seen.add(REQUEST.get()))
            await asyncio.sleep(1.0)
            REQUEST.set("of the caller")
            component.subscribe("ticker", BTC)
            await component.live(10.0)
        assert seen == {"none"}

    World().run(main)


def test_a_nested_block_that_raises_takes_its_own_wishes_with_it() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            a = make(manager, "a")
            with manager.transaction():
                a.subscribe("ticker", BTC)
                with pytest.raises(KeyError), manager.transaction():  # noqa: PT012
                    a.subscribe("trade", BTC)
                    with manager.transaction():
                        a.subscribe("trade", ETH)
                    raise KeyError
                a.subscribe("ticker", ETH)
            assert {str(topic) for topic in a.topics} == {"ticker:KRW-BTC", "ticker:KRW-ETH"}

    World().run(main)


def test_calls_that_act_at_once_are_not_undone_by_their_block() -> None:
    """As the docstring of `transaction` says; wishes of a component closed meanwhile are nobody's, also by its id."""

    async def main(world: World) -> None:
        async with world.manager() as manager:
            a, b = make(manager, "a"), make(manager, "b")
            with pytest.raises(KeyError), manager.transaction():  # noqa: PT012
                a.pause()
                b.close()
                raise KeyError
            assert a.paused
            assert b.closed
            with manager.transaction():
                a.subscribe("ticker", BTC)
                a.close()
                heir = make(manager, "heir")
            assert heir.topics == ()

    World().run(main)


@pytest.mark.parametrize("in_block", [True, False])
def test_who_says_no_handler_keeps_the_one_given_before(in_block: bool) -> None:
    """What calls say one after the other, they say in a block, too."""

    async def main(world: World) -> None:
        async with world.manager() as manager:
            component, got = make(manager, "c"), list[Any]()
            with manager.transaction() if in_block else nullcontext():
                component.subscribe("ticker", BTC, got.append)
                component.subscribe("ticker", [BTC, ETH], priority=Priority.HIGH)
            await component.live(10.0)
            await asyncio.sleep(5.0)
            assert {event.symbol for event in got} == {BTC}
            assert {event.symbol for event in await component.batch()} == {ETH}

    World().run(main)


@pytest.mark.parametrize("in_block", [True, False])
def test_who_says_no_handler_where_none_was_given_asks_for_what_he_says_last(in_block: bool) -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            component = make(manager, "c")
            with manager.transaction() if in_block else nullcontext():
                component.subscribe("ticker", BTC)
                component.subscribe("ticker", BTC, raw=True)
                component.subscribe("trade", BTC, lambda event: None)
            await component.live(10.0)
            await asyncio.sleep(5.0)
            assert all(event.raw for event in await component.batch())

    World().run(main)


_CALLS: dict[str, Callable[[Any, Any], None]] = {
    "handler": lambda one, take: one.subscribe("trade", BTC, take),
    "queue": lambda one, take: one.subscribe("trade", BTC, delivery=Queue(9)),
    "class": lambda one, take: one.subscribe("trade", BTC, priority=Priority.HIGH),
    "class of two": lambda one, take: one.subscribe("trade", [BTC, ETH], priority=Priority.HIGH),
    "other handler": lambda one, take: one.subscribe("ticker", BTC, take),
    "gone": lambda one, take: one.unsubscribe("trade", BTC),
    "replaced": lambda one, take: one.replace("trade", BTC, priority=Priority.HIGH),
    "replaced by another": lambda one, take: one.replace("trade", ETH, take),
}


def _outcome(manager: Any, before: str, calls: tuple[str, ...], *, in_block: bool) -> Any:
    """What a component whose own policy suits no trades has then, in which class, and where it goes; or why not."""
    hub, seen = manager._hub, list[Any]()
    with contextlib.closing(manager.component("one", delivery=Latest())) as one:
        _CALLS[before](one, seen.append)
        try:
            with manager.transaction() if in_block else nullcontext():
                for call in calls:
                    _CALLS[call](one, seen.append)
        except UsageError as error:
            return str(error)
        return sorted(
            (
                str(hub.intent.topic_of(id)),
                hub.ledger.class_held(one._member.id, id),
                type(hub.router.handler_of(sink)).__name__,
            )
            for sink in one._member.sinks
            for id in hub.router.topics_of_sink(sink).tolist()
        )


@pytest.mark.parametrize("before", ["gone", "handler", "queue", "replaced by another"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_what_its_own_policy_does_not_suit_is_taken_in_a_block_where_it_is_taken_outside(
    before: str, count: int
) -> None:
    """All courses of calls of this length: refused alike, or the same topics in the same classes and places. What a
    block takes back before it ends was never asked for."""

    async def main(world: World) -> None:
        manager = world.manager()
        verdicts = set()
        for calls in itertools.product(_CALLS, repeat=count):
            inside = _outcome(manager, before, calls, in_block=True)
            outside = _outcome(manager, before, calls, in_block=False)
            verdicts.add(isinstance(outside, str))
            if isinstance(outside, str) and not isinstance(
                inside, str
            ):  # a later call took back what was wrong
                assert calls[-1].startswith("replaced") or "gone" in calls, calls
                assert all(place != "LatestBox" for _, _, place in inside), calls
            else:
                assert inside == outside, calls
        assert verdicts == {True, False}
        await manager.close()

    World().run(main)
