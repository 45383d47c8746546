"""Manager and components over real sockets, against the embedded exchange.

Times of the venue are divided by 20, so nothing here waits for more than a moment; nothing asserts a duration.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

import subcore
from subcore.component import Component
from subcore.errors import (
    ComponentClosed,
    ManagerClosed,
    NameTakenError,
    SubscribeError,
    SubscribeTimeout,
    UnknownSymbolError,
    UnsupportedError,
    UsageError,
    WrongThread,
)
from subcore.manager import SubscriptionManager
from subcore.sim.durations import Durations
from subcore.sim.faults import Fault
from subcore.sim.server import SimServer
from subcore.types import StatusKind, StreamState, Topic

SOON = 10.0
KEPT: list[Component] = []


def make(manager: SubscriptionManager, name: str, **options: Any) -> Component:
    """A component that lives as long as its manager, without being closed by the test."""
    component = manager.component(name, **options)
    KEPT.append(component)
    return component


@pytest.fixture
async def server() -> AsyncIterator[SimServer]:
    async with SimServer(seed=3, rate=5.0, durations=Durations().divided(20)) as running:
        yield running
        assert list(running.violations) == []


@pytest.fixture
async def manager(server: SimServer) -> AsyncIterator[SubscriptionManager]:
    async with SubscriptionManager("upbit", url=server.url, seed=1) as running:
        yield running
    KEPT.clear()
    names = [t.get_name() for t in asyncio.all_tasks() if t.get_name().startswith("subcore")]
    assert names == []
    assert [t.name for t in threading.enumerate() if t.name.startswith("subcore")] == []


async def until(condition: Any) -> None:
    async with asyncio.timeout(SOON):
        while not condition():
            await asyncio.sleep(0.005)


async def test_the_example_of_the_readme(manager: SubscriptionManager) -> None:
    momentum = make(manager, "momentum", priority=subcore.Priority.HIGH)
    momentum.subscribe("ticker", ["KRW-BTC", "KRW-ETH"])
    await momentum.live(timeout=SOON)
    seen = set()
    async for event in momentum:
        assert isinstance(event, subcore.Ticker)
        assert event.price is not None
        assert event.receive_time_ns > 0
        seen.add(event.symbol)
        if len(seen) == 2:
            break
    assert seen == {"KRW-BTC", "KRW-ETH"}
    assert manager.stats().messages_sent == 1


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


async def test_async_handlers_and_mixed_deliveries_are_refused(manager: SubscriptionManager) -> None:
    async def handler(event: Any) -> None: ...

    component = make(manager, "strict")
    with pytest.raises(TypeError, match="async"):
        component.subscribe("ticker", "KRW-BTC", handler)
    with pytest.raises(UsageError, match="not both"):
        component.subscribe("ticker", "KRW-BTC", print, delivery=subcore.Queue())
    with pytest.raises(UsageError, match="needs a handler"):
        component.subscribe("ticker", "KRW-BTC", delivery=subcore.Callback())
    with pytest.raises(UsageError, match="one queue"):
        component.subscribe("ticker", "KRW-BTC", delivery=subcore.Queue(5))
    assert component.topics == ()


async def test_transactions_land_together_or_not_at_all(manager: SubscriptionManager) -> None:
    a, b = make(manager, "a"), make(manager, "b")
    with manager.transaction():
        a.subscribe("ticker", "KRW-BTC")
        with manager.transaction():
            b.subscribe("trade", "KRW-ETH")
        assert a.topics == b.topics == ()
    assert len(a.topics) == len(b.topics) == 1
    with pytest.raises(RuntimeError, match="mine"), manager.transaction():  # noqa: PT012
        a.unsubscribe("ticker")
        b.subscribe("ticker", "KRW-ADA")
        raise RuntimeError("mine")
    assert len(a.topics) == len(b.topics) == 1
    await asyncio.gather(a.live(SOON), b.live(SOON))
    assert manager.stats().messages_sent == 1


async def test_a_handler_keeps_its_component_alive_while_the_transaction_is_open(
    manager: SubscriptionManager,
) -> None:
    got: list[Any] = []
    with manager.transaction():
        manager.component("unheld").subscribe("ticker", "KRW-BTC", got.append)
        gc.collect()
    await until(lambda: got)


async def test_a_transaction_belongs_to_its_task(manager: SubscriptionManager) -> None:
    a, b = make(manager, "a"), make(manager, "b")

    async def other() -> None:
        b.subscribe("ticker", "KRW-ETH")

    task = None
    with manager.transaction():
        a.subscribe("ticker", "KRW-BTC")
    task = asyncio.get_running_loop().create_task(other())
    with manager.transaction():
        a.subscribe("trade", "KRW-BTC")
        assert len(a.topics) == 1
    await task
    assert len(a.topics) == 2
    assert len(b.topics) == 1


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


async def test_live_names_what_is_missing(server: SimServer) -> None:
    async with SubscriptionManager("upbit", url=server.url, markets=["KRW-BTC"]) as manager:
        component = make(manager, "hopeful")
        component.subscribe("ticker", ["KRW-BTC", "KRW-NOPE"])
        with pytest.raises(SubscribeError) as caught:
            await component.live(timeout=SOON)
        assert list(caught.value.reasons) == [Topic("ticker", "KRW-NOPE")]
        await until(lambda: manager.topic("ticker", "KRW-BTC").state is StreamState.OPEN)
        component.close()


async def test_live_times_out_and_can_be_cancelled(server: SimServer) -> None:
    manager = SubscriptionManager("upbit", url="ws://127.0.0.1:9")
    await manager.start()
    component = make(manager, "waiting")
    component.subscribe("ticker", "KRW-BTC")
    with pytest.raises(SubscribeTimeout, match="ticker:KRW-BTC") as caught:
        await component.live(timeout=0.05)
    assert isinstance(caught.value, TimeoutError)
    waiting = asyncio.get_running_loop().create_task(component.live())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    closing = asyncio.get_running_loop().create_task(component.live())
    await asyncio.sleep(0)
    component.close()
    with pytest.raises(ComponentClosed):
        await closing
    await manager.close()


async def test_one_reader_at_a_time_and_cancelling_loses_nothing(manager: SubscriptionManager) -> None:
    component = make(manager, "reading")
    reader = asyncio.get_running_loop().create_task(component.batch())
    await asyncio.sleep(0)
    with pytest.raises(UsageError, match="reader"):
        await component.batch()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert await component.batch(timeout=0.01) == []
    component.subscribe("ticker", "KRW-BTC")
    assert await component.batch(timeout=SOON)


async def test_a_lost_link_is_restored_and_proven(server: SimServer, manager: SubscriptionManager) -> None:
    statuses: list[Any] = []
    component = make(manager, "restored", on_status=statuses.append)
    component.subscribe("ticker", ["KRW-BTC", "KRW-ETH"])
    await component.live(SOON)
    server.exchange.inject(Fault("drop_rst"), server.clock())
    server.wake()
    await until(lambda: manager.stats().losses_of_link == 1)
    await component.live(SOON)
    await until(lambda: len([s for s in statuses if s.kind is StatusKind.OPEN]) >= 2)
    assert manager.stats().messages_sent == 2
    assert StatusKind.SUSPECT in {s.kind for s in statuses}


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


async def test_a_bound_method_goes_with_its_object(
    manager: SubscriptionManager, caplog: pytest.LogCaptureFixture
) -> None:
    class Strategy:
        def __init__(self) -> None:
            self.events: list[Any] = []

        def on_ticker(self, event: Any) -> None:
            self.events.append(event)

    alive = [Strategy()]
    component = make(manager, "method")
    component.subscribe("ticker", "KRW-BTC", alive[0].on_ticker)
    component.subscribe("ticker", "KRW-BTC", alive[0].on_ticker)
    await until(lambda: alive[0].events)
    with caplog.at_level(logging.WARNING, "subcore"):
        alive.clear()
        gc.collect()
        await until(lambda: component.topics == ())
    assert "method" in caplog.text


async def test_a_component_nobody_holds_dies_but_one_with_handlers_lives(
    manager: SubscriptionManager,
) -> None:
    got: list[Any] = []
    manager.component("handled").subscribe("ticker", "KRW-BTC", got.append)
    gc.collect()
    await until(lambda: got)
    assert set(manager.components) == {"handled"}
    lonely: Component | None = manager.component("lonely")
    assert lonely is not None
    lonely.subscribe("trade", "KRW-BTC")
    with pytest.warns(ResourceWarning, match="lonely"):  # noqa: PT031
        lonely = None
        gc.collect()
    await until(lambda: set(manager.components) == {"handled"})


async def test_an_owner_that_is_done_takes_its_component_along(manager: SubscriptionManager) -> None:
    async def work() -> None:
        await asyncio.sleep(0)

    task = asyncio.get_running_loop().create_task(work())
    owned = make(manager, "owned", owner=task)
    owned.subscribe("ticker", "KRW-BTC")
    await task
    await until(lambda: owned.closed)


async def test_other_threads_are_sent_to_call_threadsafe(manager: SubscriptionManager) -> None:
    component = make(manager, "threads")
    errors: list[BaseException] = []

    def other() -> None:
        try:
            component.subscribe("ticker", "KRW-BTC")
        except BaseException as error:
            errors.append(error)
        manager.stats()
        component.stats()
        manager.call_threadsafe(component.subscribe, "ticker", "KRW-ETH").result(SOON)

    await asyncio.to_thread(other)
    assert isinstance(errors[0], WrongThread)
    assert "call_threadsafe" in str(errors[0])
    assert list(map(str, component.topics)) == ["ticker:KRW-ETH"]


async def test_wishes_before_start_are_kept(server: SimServer) -> None:
    manager = SubscriptionManager("upbit", url=server.url)
    component = make(manager, "early")
    component.subscribe("ticker", "KRW-BTC")
    await manager.start()
    await component.live(SOON)
    with pytest.raises(UsageError):
        await manager.start()
    component.close()
    report = await manager.close()
    assert report.clean
    assert report.links_closed == 1
    assert (await manager.close()).seconds == 0
    with pytest.raises(ManagerClosed):
        make(manager, "late")


async def test_an_exception_in_the_block_closes_everything(server: SimServer) -> None:
    with pytest.raises(RuntimeError, match="mine"):  # noqa: PT012
        async with SubscriptionManager("upbit", url=server.url) as manager:
            component = make(manager, "doomed")
            component.subscribe("ticker", "KRW-BTC")
            await component.live(SOON)
            raise RuntimeError("mine")
    assert component.closed
    assert [t for t in asyncio.all_tasks() if t.get_name().startswith("subcore")] == []


def test_keyboard_interrupt_in_a_handler_ends_the_loop() -> None:
    async def main() -> None:
        async with (
            SimServer(seed=3, rate=5.0, durations=Durations().divided(20)) as server,
            SubscriptionManager("upbit", url=server.url) as manager,
        ):
            manager.component("stop").subscribe("ticker", "KRW-BTC", interrupt)
            await asyncio.sleep(SOON)

    def interrupt(event: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
