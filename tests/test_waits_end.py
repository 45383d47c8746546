"""Every `live()` ends: when what it waits for is proven, refused, wanted no longer, or cannot come."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from manager_rig import make
from subcore.engine.events import SymbolsKnown
from subcore.errors import SubscribeError, UsageError
from subcore.types import Topic
from virtual_manager import World

BTC, ETH, XRP = "KRW-BTC", "KRW-ETH", "KRW-XRP"


async def refuse(*_: Any) -> Any:
    raise OSError("down")


@pytest.mark.parametrize("rest", [[], [BTC]])
def test_what_is_wanted_no_longer_is_not_waited_for(rest: list[str]) -> None:
    """All of the topics, and all that are not proven."""

    async def main(world: World) -> None:
        async with world.manager() as manager:
            component = make(manager, "c")
            if rest:
                component.subscribe("ticker", rest)
                await component.live(10.0)
            manager._hub.runtime._connect = refuse
            for link in manager._hub.runtime.links.values():
                link._connect = refuse
                link.lost(link.generation, "planned")
            await asyncio.sleep(1.0)
            component.subscribe("ticker", [ETH, XRP])
            waiting = asyncio.create_task(component.live())
            await asyncio.sleep(5.0)
            component.unsubscribe("ticker", ETH)
            await asyncio.sleep(5.0)
            assert not waiting.done()
            component.replace("ticker", [])
            await asyncio.wait_for(waiting, 1.0)

    World().run(main)


def test_live_and_pause_exclude_each_other() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            component = make(manager, "c")
            component.subscribe("ticker", BTC)
            component.pause()
            with pytest.raises(UsageError, match=r"'c' is paused.*resume"):
                await component.live()
            component.resume()
            waiting = asyncio.create_task(component.live())
            await asyncio.sleep(0)
            component.pause()
            with pytest.raises(UsageError, match=r"'c' is paused.*resume"):
                await asyncio.wait_for(waiting, 1.0)
            component.resume()
            await component.live(10.0)

    World().run(main)


@pytest.mark.parametrize("is_listed", [True, False])
def test_what_is_asked_for_anew_is_not_refused_by_what_was(is_listed: bool) -> None:
    """A retry right after the refusal waits for the new answer, whichever it is."""

    async def main(world: World) -> None:
        async with world.manager(markets=[BTC]) as manager:
            component, other = make(manager, "c"), make(manager, "d")
            component.subscribe("ticker", [BTC, ETH])
            with pytest.raises(SubscribeError):
                await component.live(60.0)
            markets = frozenset([BTC, ETH] if is_listed else [BTC])
            manager._hub.runtime.handle(SymbolsKnown(markets))
            began = asyncio.get_running_loop().time()
            other.subscribe("ticker", ETH)  # another may ask as well
            component.subscribe("trade", BTC)
            if is_listed:
                await component.live(60.0)
                return
            for _ in range(3):
                component.subscribe("ticker", ETH)
                with pytest.raises(SubscribeError) as caught:
                    await component.live(60.0)
                assert list(caught.value.reasons) == [Topic("ticker", ETH)]
            assert asyncio.get_running_loop().time() > began, "a loop of retries lets the loop go on"

    World().run(main)
