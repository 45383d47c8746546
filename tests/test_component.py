"""What a component may do over real sockets, against the embedded exchange."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

import subcore
from manager_rig import SOON, make, until
from subcore.errors import (
    ComponentClosed,
    NameTakenError,
    UnknownSymbolError,
    UnsupportedError,
    UsageError,
)
from subcore.manager import SubscriptionManager


async def test_overlapping_components_share_streams_and_one_message(manager: SubscriptionManager) -> None:
    wants = {"a": ["KRW-BTC", "KRW-ETH"], "b": ["KRW-BTC"], "c": ["KRW-BTC", "KRW-ADA"]}
    components = []
    for name, symbols in wants.items():
        component = make(manager, name)
        component.subscribe("ticker", symbols)
        component.subscribe("trade", symbols[:1])
        components.append(component)
    await asyncio.gather(*(c.live(timeout=SOON) for c in components))
    stats = manager.stats()
    assert stats.messages_sent == 1
    assert stats.interests == 8
    assert stats.streams["OPEN"] == 4
    holders = {str(info.topic): set(info.holders) for info in manager.topics()}
    assert holders["ticker:KRW-BTC"] == {"a", "b", "c"}
    assert holders["ticker:KRW-ADA"] == {"c"}


async def test_each_holder_gets_its_own_cut_of_one_stream(manager: SubscriptionManager) -> None:
    small: list[Any] = []
    wide: list[Any] = []
    component = make(manager, "cuts")
    component.subscribe("orderbook", "KRW-BTC", small.append, depth=1)
    component.subscribe("orderbook", "KRW-BTC", wide.append, depth=15)
    await component.live(timeout=SOON)
    await until(lambda: small and wide)
    assert {len(book.bids) for book in small} == {1}
    assert {len(book.bids) for book in wide} == {15}
    assert manager.stats().streams["OPEN"] == 1


async def test_handlers_raw_frames_and_re_subscription(manager: SubscriptionManager) -> None:
    first: list[Any] = []
    second: list[Any] = []
    component = make(manager, "handlers")
    component.subscribe("ticker", "KRW-BTC", first.append, raw=True)
    await component.live(timeout=SOON)
    await until(lambda: first)
    assert b"KRW-BTC" in first[0].raw
    component.subscribe("ticker", "KRW-BTC", second.append)
    count = len(first)
    await until(lambda: second)
    assert len(first) == count
    assert second[0].raw is None
    component.subscribe("ticker", "KRW-BTC")
    count = len(second)
    await until(lambda: len(second) > count)
    assert manager.stats().messages_sent == 1


async def test_unsubscribe_replace_and_close_change_what_is_held(manager: SubscriptionManager) -> None:
    component = make(manager, "changing")
    component.subscribe("ticker", ["KRW-BTC", "KRW-ETH"])
    component.subscribe("orderbook", "KRW-BTC", depth=5)
    component.subscribe("orderbook", "KRW-BTC", depth=15)
    component.unsubscribe("orderbook", "KRW-BTC", depth=5)
    component.unsubscribe("trade", "KRW-BTC")
    assert set(map(str, component.topics)) == {
        "ticker:KRW-BTC",
        "ticker:KRW-ETH",
        "orderbook:KRW-BTC:depth=15",
    }
    component.replace("ticker", ["KRW-ETH", "KRW-ADA"])
    assert set(map(str, component.topics)) == {
        "ticker:KRW-ADA",
        "ticker:KRW-ETH",
        "orderbook:KRW-BTC:depth=15",
    }
    component.unsubscribe("ticker")
    assert list(map(str, component.topics)) == ["orderbook:KRW-BTC:depth=15"]
    component.close()
    component.close()
    assert component.topics == ()
    assert manager.stats().interests == 0
    await until(lambda: not any(manager.stats().streams.values()))


async def test_changes_that_cancel_before_the_turn_ends_send_nothing(manager: SubscriptionManager) -> None:
    component = make(manager, "steady")
    component.subscribe("ticker", "KRW-BTC")
    await component.live(timeout=SOON)
    for _ in range(100):
        component.subscribe("trade", "KRW-ETH")
        component.unsubscribe("trade", "KRW-ETH")
    await asyncio.sleep(0.2)
    assert manager.stats().messages_sent == 1
    assert len(manager.topics()) == 1
    assert sum(manager.stats().streams.values()) == 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("ticker", "krw-btc"), UnknownSymbolError),
        (("ticker", ["KRW-BTC", ""]), UnknownSymbolError),
        (("nope", "KRW-BTC"), UnsupportedError),
        (("ticker", 5), UsageError),
        (("ticker", ["KRW-BTC", None]), UsageError),
    ],
)
async def test_a_failed_call_changes_nothing(
    manager: SubscriptionManager, arguments: tuple[Any, ...], error: type[Exception]
) -> None:
    component = make(manager, "failing")
    component.subscribe("trade", "KRW-BTC")
    before = component.topics
    for call in (component.subscribe, component.replace):
        with pytest.raises(error):
            call(*arguments)
    with pytest.raises(UnsupportedError):
        component.subscribe("orderbook", "KRW-BTC", depth=7)
    with pytest.raises(UnsupportedError):
        component.subscribe("ticker", "KRW-BTC", depth=5)
    assert component.topics == before
    assert manager.stats().interests == 1


async def test_mixed_deliveries_are_refused(manager: SubscriptionManager) -> None:
    component = make(manager, "strict")
    with pytest.raises(UsageError, match="not both"):
        component.subscribe("ticker", "KRW-BTC", print, delivery=subcore.Queue())
    with pytest.raises(UsageError, match="needs a handler"):
        component.subscribe("ticker", "KRW-BTC", delivery=subcore.Callback())
    with pytest.raises(UsageError, match="delivery is a Queue"):
        component.subscribe("ticker", "KRW-BTC", delivery="queue")  # type: ignore[arg-type]
    assert component.topics == ()


async def test_names_are_unique_among_the_living(manager: SubscriptionManager) -> None:
    first = make(manager, "one")
    with pytest.raises(NameTakenError, match="one"):
        make(manager, "one")
    first.close()
    second = make(manager, "one")
    assert manager.components == {"one": second}
    with pytest.raises(UsageError):
        make(manager, "")


async def test_a_closed_component_says_so_and_can_be_read_out(manager: SubscriptionManager) -> None:
    component = make(manager, "closing")
    component.subscribe("ticker", "KRW-BTC")
    await component.live(SOON)
    await until(lambda: component.stats().queued >= 3)
    component.close()
    queued = component.stats().queued
    for call in (
        lambda: component.subscribe("ticker", "KRW-BTC"),
        component.pause,
        lambda: component.unsubscribe("x"),
    ):
        with pytest.raises(ComponentClosed):
            call()
    assert len([event async for event in component]) == queued
    assert await component.batch() == []


async def test_a_loop_of_batches_ends_when_its_component_is_closed(manager: SubscriptionManager) -> None:
    """However it is written, and whoever closes it: a parked one too."""
    component = make(manager, "read")
    component.subscribe("ticker", "KRW-BTC")
    await component.live(SOON)
    got: list[int] = []

    async def read() -> None:
        while True:
            got.append(len(await component.batch()))

    reading = asyncio.create_task(read())
    await until(lambda: got)
    component.close()
    with pytest.raises(ComponentClosed, match="'read' is closed"):
        await asyncio.wait_for(reading, SOON)
    assert got[-1] == 0
    assert 0 not in got[:-1]
    with pytest.raises(ComponentClosed):
        await component.batch(timeout=0.0)
    other = make(manager, "other")
    assert await other.batch(timeout=0.0) == await other.batch(timeout=0.0) == [], "it is not closed"
    other.close()
    assert await other.batch() == []


async def test_pause_takes_streams_off_the_wire_and_resume_puts_them_back(
    manager: SubscriptionManager,
) -> None:
    got: list[Any] = []
    component = make(manager, "pausing")
    component.subscribe("ticker", "KRW-BTC", got.append)
    await component.live(SOON)
    await until(lambda: got)
    component.pause()
    component.pause()
    count = len(got)
    await until(lambda: not any(link.up for link in manager.stats().links))
    assert len(got) == count
    assert len(component.topics) == 1
    component.resume()
    await until(lambda: len(got) > count)
    assert component.paused is False


async def test_a_paused_component_gets_nothing_by_a_handler_it_gives_meanwhile(
    manager: SubscriptionManager,
) -> None:
    late: list[Any] = []
    others: list[Any] = []
    paused, other = make(manager, "paused"), make(manager, "other")
    paused.pause()
    paused.subscribe("ticker", "KRW-BTC", late.append)
    other.subscribe("ticker", "KRW-BTC", others.append)
    await until(lambda: len(others) >= 2)
    assert late == []
    paused.resume()
    await until(lambda: late)


async def test_a_failing_handler_affects_nobody(
    manager: SubscriptionManager, caplog: pytest.LogCaptureFixture
) -> None:
    good: list[Any] = []

    def bad(event: Any) -> None:
        raise ValueError("as it will")

    failing, healthy = make(manager, "failing"), make(manager, "healthy")
    with caplog.at_level(logging.ERROR, "subcore"):
        failing.subscribe("ticker", "KRW-BTC", bad)
        healthy.subscribe("ticker", "KRW-BTC", good.append)
        await healthy.live(SOON)
        await until(lambda: len(good) >= 3)
    assert failing.stats().handler_errors >= 3
    assert failing.stats().last_error == "ValueError: as it will"
    assert healthy.stats().handler_errors == 0
    assert len([r for r in caplog.records if "failing" in r.getMessage()]) == 1


async def test_handlers_may_change_everything_while_they_run(manager: SubscriptionManager) -> None:
    seen: list[str] = []
    other = make(manager, "other")
    other.subscribe("ticker", "KRW-BTC", lambda event: seen.append("other"))
    component = make(manager, "busy")

    def handler(event: Any) -> None:
        seen.append("busy")
        other.close()
        component.subscribe("trade", "KRW-ETH", lambda trade: seen.append("trade"))
        component.unsubscribe("ticker")

    component.subscribe("ticker", "KRW-BTC", handler)
    await until(lambda: "trade" in seen)
    first = seen.index("busy")
    assert "other" not in seen[first + 1 :]
    assert list(map(str, component.topics)) == ["trade:KRW-ETH"]
