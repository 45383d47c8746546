"""What a call cannot mean is a UsageError at the call, with what to give instead; nothing has changed then."""

from __future__ import annotations

from typing import Any

import pytest

from manager_rig import make
from subcore import Callback, Priority, Queue, SubscriptionManager
from subcore.errors import UsageError
from virtual_manager import World

BTC = "KRW-BTC"


async def later(_: Any) -> None: ...


CALLS: dict[str, tuple[dict[str, Any], str]] = {
    "priority": ({"priority": 9}, "Priority.CRITICAL"),
    "priority by name": ({"priority": "high"}, "Priority.HIGH"),
    "grouping": ({"grouping": "x"}, "price step"),
    "groupings": ({"grouping": [1]}, "price step"),
    "depth": ({"depth": "5"}, "offered"),
    "depths": ({"depth": [5]}, "offered"),
    "delivery": ({"delivery": object()}, r"Queue\(\)"),
}
COMPONENTS: dict[str, tuple[dict[str, Any], str]] = {
    "priority": ({"priority": 9}, "Priority.CRITICAL"),
    "delivery": ({"delivery": object()}, r"Queue\(\)"),
    "callback": ({"delivery": Callback()}, r"Queue\(\)"),
    "on_status": ({"on_status": 5}, "give a function"),
    "async on_status": ({"on_status": later}, "plain function"),
}


@pytest.mark.parametrize("what", CALLS)
@pytest.mark.parametrize("act", ["subscribe", "replace"])
def test_subscribe_and_replace(act: str, what: str) -> None:
    options, says = CALLS[what]

    async def main(world: World) -> None:
        async with world.manager() as manager:
            component = make(manager, "c")
            with pytest.raises(UsageError, match=says):
                getattr(component, act)("orderbook", BTC, **options)
            assert component.topics == ()

    World().run(main)


@pytest.mark.parametrize("what", COMPONENTS)
def test_component(what: str) -> None:
    options, says = COMPONENTS[what]

    async def main(world: World) -> None:
        async with world.manager() as manager:
            with pytest.raises(UsageError, match=says):
                manager.component("c", **options)
            made = make(manager, "c", priority=Priority.HIGH, delivery=Queue(4), on_status=print)
            assert made.name == "c"

    World().run(main)


@pytest.mark.parametrize("wrong", ["x", float("nan")])
def test_times(wrong: Any) -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            component = make(manager, "c")
            component.subscribe("ticker", BTC)
            for call in (component.live, component.batch, manager.rotate, manager.close):
                with pytest.raises(UsageError, match="number of seconds"):
                    await call(timeout=wrong)
            await component.live(10)

    World().run(main)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ws://h:99999", "host:port"),
        ("ws://h:0", "host:port"),
        ("ws://h:x", "host:port"),
        ("ws://", "host:port"),
        ("ws://[h", "host:port"),
        ("http://h", "host:port"),
        (5, "host:port"),
        (b"ws://h", "host:port"),
        ("ws://h:1/path", "leave out"),
        ("ws://h?a=b", "leave out"),
    ],
)
def test_an_address(url: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        SubscriptionManager("upbit", url=url)


@pytest.mark.parametrize("url", ["ws://h", "wss://h:65535/", "ws://[::1]:9"])
def test_a_good_address(url: str) -> None:
    assert SubscriptionManager("upbit", url=url).venue.url == url.rstrip("/")


def test_the_classes_of_channels() -> None:
    with pytest.raises(UsageError, match=r"Priority\.LOW"):
        SubscriptionManager("upbit", url="ws://h", channel_priority={"ticker": 9})  # type: ignore[dict-item]
