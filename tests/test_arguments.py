"""What a call cannot mean is a UsageError at the call, with what to give instead; nothing has changed then."""

from __future__ import annotations

import types
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from manager_rig import make
from subcore import Callback, Obligations, Priority, Queue, SubscriptionManager, merge
from subcore.errors import UsageError
from virtual_manager import World

BTC = "KRW-BTC"


async def later(_: Any) -> None: ...


def generates(_: Any) -> Iterator[None]:
    yield None


async def generates_later(_: Any) -> Any:
    yield None


class Generates:
    def __call__(self, _: Any) -> Iterator[None]:
        yield None

    def made(self, _: Any) -> Iterator[None]:
        yield None


CALLS: dict[str, tuple[dict[str, Any], str]] = {
    "priority": ({"priority": 9}, "Priority.CRITICAL"),
    "priority by name": ({"priority": "high"}, "Priority.HIGH"),
    "grouping": ({"grouping": "x"}, "price step"),
    "groupings": ({"grouping": [1]}, "price step"),
    "depth": ({"depth": "5"}, "offered"),
    "depths": ({"depth": [5]}, "offered"),
    "delivery": ({"delivery": object()}, r"Queue\(\)"),
    "depth of no number": ({"depth": True}, "book levels"),
    "standby": ({"standby": "no"}, "standby= is True or False"),
    "own_link": ({"own_link": None}, "own_link= is True or False"),
    "raw": ({"raw": 1}, "raw= is True or False"),
    "image": ({"image": "no"}, "image= is True or False"),
    "handler": ({"handler": 5}, "callable with one event.* give a function"),
    "handler that makes": ({"handler": generates}, "generates only makes a generator: give a function"),
    "handler that makes, async": ({"handler": generates_later}, "only makes a generator"),
    "handler that makes, in parts": ({"handler": partial(generates)}, "only makes a generator"),
    "handler that makes, of an object": ({"handler": Generates()}, "only makes a generator"),
    "handler that makes, a method": ({"handler": Generates().made}, "only makes a generator"),
    "handler of old": ({"handler": types.coroutine(generates)}, "only makes a generator"),
}
COMPONENTS: dict[str, tuple[dict[str, Any], str]] = {
    "priority": ({"priority": 9}, "Priority.CRITICAL"),
    "delivery": ({"delivery": object()}, r"Queue\(\)"),
    "callback": ({"delivery": Callback()}, r"Queue\(\)"),
    "on_status": ({"on_status": 5}, "give a function"),
    "async on_status": ({"on_status": later}, "plain function"),
    "owner": ({"owner": 5}, "weakly referenced, not int: give"),
    "include_status": ({"include_status": "no"}, "include_status= is True or False"),
}
MANAGERS: dict[str, tuple[dict[str, Any], str]] = {
    "claim_grace": ({"claim_grace": "a"}, "claim_grace is a number of seconds"),
    "speed": ({"speed": "x"}, "speed must be 0"),
    "channel_priority": ({"channel_priority": [1]}, "channel_priority is a mapping"),
    "no channel_priority": ({"channel_priority": 0}, "channel_priority is a mapping"),
    "obligations": ({"obligations": 5}, r"obligations is Obligations\(\.\.\.\), or None"),
    "seed": ({"seed": "x"}, "seed is a whole number"),
    "clock": ({"clock": 5}, r"clock has monotonic_ns\(\)"),
    "no clock": ({"clock": 0}, r"clock has monotonic_ns\(\)"),
    "connect": ({"connect": 5}, "connect is called for each connection"),
    "snapshot_path": ({"snapshot_path": ""}, "snapshot_path is the path of a file, and '' names none"),
    "snapshot_path of no text": ({"snapshot_path": 5}, "snapshot_path is the path of a file, not 5"),
    "snapshot_path with a NUL": ({"snapshot_path": "a\0b"}, "no system takes a NUL in one"),
    "replay": ({"replay": 5}, "replay is the path of a file"),
}
OBLIGATIONS: dict[str, Any] = {
    "slow": "x",
    "tries": 5,
    "tries ": ("a",),
    "blocked": "x",
    "errors": "x",
    "beats_missed": 1.5,
    "veto": 5,
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


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("x", "number of seconds"),
        (float("nan"), "number of seconds"),
        (1e10, r"1e\+09 at most.* float\('inf'\)"),
        (10**400, r"1e\+09 at most.* float\('inf'\)"),
    ],
)
def test_times(wrong: Any, says: str) -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            component = make(manager, "c")
            component.subscribe("ticker", BTC)
            for call in (component.live, component.batch, manager.rotate, manager.close):
                with pytest.raises(UsageError, match=says):
                    await call(timeout=wrong)
            await component.live(float("inf"))

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


@pytest.mark.parametrize("what", MANAGERS)
def test_a_manager(what: str) -> None:
    options, says = MANAGERS[what]
    with pytest.raises(UsageError, match=says):
        SubscriptionManager("upbit", url="ws://h", **options)


@pytest.mark.parametrize("what", OBLIGATIONS)
def test_obligations_of_another_kind(what: str) -> None:
    with pytest.raises(UsageError, match=f"{what.strip()}=.* is no obligation"):
        Obligations(**{what.strip(): OBLIGATIONS[what]})


@pytest.mark.parametrize("error", [UsageError, TypeError])
def test_what_cannot_be_called_or_referred_to_is_a_type_error_too(error: type[Exception]) -> None:
    manager = World().manager()
    with pytest.raises(error):
        manager.component("c", owner=5)
    component = manager.component("c")
    with pytest.raises(error):
        component.subscribe("ticker", BTC, 5)  # type: ignore[arg-type]
    component.close()


@pytest.mark.parametrize("most", [0, -1, "x", 1.5, True])
def test_how_many_at_once(most: Any) -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            component = make(manager, "c")
            for reader in (component, merge(component)):
                with pytest.raises(UsageError, match="max must be at least 1"):
                    await reader.batch(most)

    World().run(main)


def test_what_is_restored_or_asked_about() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            for wrong in (None, 5, b""):
                with pytest.raises(UsageError, match="restore takes a Snapshot"):
                    await manager.restore(wrong)  # type: ignore[arg-type]
            for ask in (manager.topic, manager.explain):
                with pytest.raises(UsageError, match="a symbol is a text"):
                    ask("ticker", None)  # type: ignore[arg-type]
            with pytest.raises(UsageError, match="book levels"):
                make(manager, "c").unsubscribe("orderbook", BTC, depth=True)

    World().run(main)
