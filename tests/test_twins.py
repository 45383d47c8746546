"""`raw=` said again of topics that stay where they go: their events carry the frame's bytes from then on, or do not."""

from __future__ import annotations

import asyncio
import gc
import itertools
from collections.abc import Callable
from contextlib import closing, nullcontext
from typing import Any

import pytest

from manager_rig import make
from subcore import Latest, Queue, Ring
from subcore.component import Component
from subcore.errors import UsageError
from subcore.types import Priority
from virtual_manager import World

BTC, ETH = "KRW-BTC", "KRW-ETH"


class _Taker:
    """Handlers of each kind, which note what they got."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    def bound(self, event: Any) -> None:
        self.got.append(event)

    async def bound_async(self, event: Any) -> None:
        self.got.append(event)

    def __call__(self, event: Any) -> None:
        self.got.append(event)

    @property
    def function(self) -> Callable[[Any], None]:
        return self.got.append

    @property
    def function_async(self) -> Any:
        async def take(event: Any) -> None:
            self.got.append(event)

        return take


HANDLERS = ("bound", "bound_async", "__call__", "function", "function_async")


async def came(component: Component, taker: _Taker) -> list[tuple[bool, bool]]:
    """Of the events of a while: whether the handler got it, and whether with the frame's bytes."""
    await asyncio.sleep(2.0)  # what a rate held back is as it came
    component._member.inbox.get_many(10_000)
    taker.got.clear()
    await asyncio.sleep(4.0)
    queued = component._member.inbox.get_many(10_000)
    for event in (*taker.got, *queued):
        assert event.raw is None or event.symbol.encode() in event.raw
    return [(True, event.raw is not None) for event in taker.got if event.symbol == BTC] + [
        (False, event.raw is not None) for event in queued if event.symbol == BTC
    ]


@pytest.mark.parametrize("in_block", [True, False])
@pytest.mark.parametrize("kind", [*HANDLERS, "own queue", "another queue", "latest"])
def test_bytes_come_and_go_and_the_place_stays(kind: str, in_block: bool) -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            one, taker = make(manager, "one"), _Taker()
            options: dict[str, Any] = {
                "another queue": {"delivery": Queue(900)},
                "latest": {"delivery": Latest()},
            }
            goes_to_handler = kind in HANDLERS
            handler = getattr(taker, kind) if goes_to_handler else None
            one.subscribe("ticker", BTC, handler, **options.get(kind, {}))
            one.subscribe("ticker", ETH, taker.function)  # so that it has a handler in any case
            one.subscribe("orderbook", BTC, delivery=Ring(8))
            await one.live(10.0)
            sent = manager.stats().messages_sent
            steps: list[tuple[dict[str, Any], bool]] = [
                ({}, False),
                ({"raw": True}, True),
                ({"raw": True, "priority": Priority.HIGH}, True),
                ({"priority": Priority.HIGH}, False),
                ({"raw": True, "max_rate": 1.0}, True),
                ({}, False),
            ]
            for how, with_bytes in steps:
                with manager.transaction() if in_block else nullcontext():
                    one.subscribe("ticker", BTC, **how)
                gc.collect()
                assert set(await came(one, taker)) == {(goes_to_handler, with_bytes)}, how
            assert manager.stats().messages_sent == sent
            assert len(one._member.sinks) == len({BTC, ETH, "ring"}), "none is left of what was before"

    World(rate=10.0).run(main)


def test_within_one_block_the_last_word_counts() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            one, taker = make(manager, "one"), _Taker()
            with manager.transaction():
                one.subscribe("ticker", BTC, taker.bound)
                one.subscribe("ticker", BTC, raw=True)
            await one.live(10.0)
            assert set(await came(one, taker)) == {(True, True)}
            with manager.transaction():
                one.subscribe("ticker", BTC, raw=True)
                one.subscribe("ticker", BTC, taker.bound)
            assert set(await came(one, taker)) == {(True, False)}
            with manager.transaction():
                one.replace("ticker", [BTC, ETH], raw=True)
            assert set(await came(one, taker)) == {(True, True)}

    World(rate=10.0).run(main)


def test_a_ring_has_none_and_says_so_and_nothing_has_changed() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            one, taker = make(manager, "one"), _Taker()
            one.subscribe("ticker", BTC, taker.bound)
            one.subscribe("ticker", ETH, delivery=Ring(8))
            with pytest.raises(UsageError, match="component 'one': a ring keeps numbers"):
                one.subscribe("ticker", [BTC, ETH], raw=True)
            await one.live(10.0)
            assert set(await came(one, taker)) == {(True, False)}
            assert len(one.ring("ticker").read()) > 0

    World(rate=10.0).run(main)


_CALLS: dict[str, Callable[[Component], None]] = {
    "ring": lambda one: one.subscribe("ticker", BTC, delivery=Ring(8)),
    "queue": lambda one: one.subscribe("ticker", BTC, delivery=Queue(9)),
    "handler": lambda one: one.subscribe("ticker", BTC, print),
    "bytes": lambda one: one.subscribe("ticker", BTC, raw=True),
    "bytes of two": lambda one: one.subscribe("ticker", [BTC, ETH], raw=True),
    "no bytes": lambda one: one.subscribe("ticker", BTC),
    "gone": lambda one: one.unsubscribe("ticker", BTC),
    "replaced": lambda one: one.replace("ticker", ETH),
}


def _outcome(manager: Any, calls: tuple[str, ...], in_block: bool) -> list[tuple[str, str, bool]] | None:
    """Where each topic goes after the first of these calls and then the others, with bytes or not; None = refused."""
    with closing(make(manager, "one")) as one:
        _CALLS[calls[0]](one)
        try:
            with manager.transaction() if in_block else nullcontext():
                for call in calls[1:]:
                    _CALLS[call](one)
        except UsageError:
            return None
        hub = manager._hub
        return sorted(
            (str(hub.intent.topic_of(topic)), str(key[:2]), key[2] is True)
            for key, sink in one._member._sinks.items()
            for topic in hub.router.topics_of_sink(sink).tolist()
        )


def test_bytes_are_refused_of_a_ring_in_a_block_where_they_are_outside() -> None:
    """All courses of two calls after another one. What a block takes back was never asked for."""

    async def main(world: World) -> None:
        async with world.manager() as manager:
            refused = 0
            for calls in itertools.product(_CALLS, repeat=3):
                inside, outside = (_outcome(manager, calls, in_block) for in_block in (True, False))
                if inside is None or outside is not None:
                    assert inside == outside, calls
                else:
                    assert "gone" in calls[1:] or "replaced" in calls[1:], calls
                refused += inside is None
            assert refused > 20

    World(rate=1.0).run(main)


def test_an_object_that_went_is_not_kept() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            one, taker = make(manager, "one"), _Taker()
            one.subscribe("ticker", BTC, taker.bound)
            one.subscribe("ticker", BTC, raw=True)
            del taker
            gc.collect()
            await asyncio.sleep(1.0)
            assert one.topics == ()

    World(rate=10.0).run(main)
