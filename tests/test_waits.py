"""Waiting for proof and for events: what is missing is named, and cancelling loses nothing."""

from __future__ import annotations

import asyncio
import json

import pytest

from manager_rig import SOON, make, until
from subcore.engine.clock import SECOND
from subcore.errors import (
    ComponentClosed,
    SubscribeError,
    SubscribeTimeout,
    UsageError,
)
from subcore.manager import SubscriptionManager
from subcore.sim.faults import Fault
from subcore.sim.server import SimServer
from subcore.types import DataState, StreamState, Topic
from virtual_manager import World


async def test_live_names_what_is_missing(server: SimServer) -> None:
    async with SubscriptionManager("upbit", url=server.url, markets=["KRW-BTC"]) as manager:
        component = make(manager, "hopeful")
        component.subscribe("ticker", ["KRW-BTC", "KRW-NOPE"])
        with pytest.raises(SubscribeError) as caught:
            await component.live(timeout=SOON)
        assert list(caught.value.reasons) == [Topic("ticker", "KRW-NOPE")]
        await until(lambda: manager.topic("ticker", "KRW-BTC").state is StreamState.OPEN)
        component.close()


def test_live_before_start_says_what_to_do_as_explain_does() -> None:
    world = World(markets=["KRW-BTC"])

    async def main(world: World) -> None:
        manager = world.manager()
        early = make(manager, "early")
        early.subscribe("ticker", "KRW-BTC")
        with pytest.raises(SubscribeTimeout) as caught:
            await early.live(timeout=0.3)
        (reason,) = caught.value.reasons.values()
        assert reason == manager.explain("ticker", "KRW-BTC")
        assert "await start() first" in reason
        async with manager:
            await early.live(timeout=10.0)

    world.run(main)


def test_live_waits_for_data_where_that_is_asked_for() -> None:
    """A listing proves a silent market; whoever asks for data waits for its first frame."""

    async def main(world: World) -> None:
        world.exchange.inject(
            Fault("lose", probability=1.0), world.ns()
        )  # of streams; a listing comes through
        async with world.manager() as manager:
            component = make(manager, "patient")
            with pytest.raises(UsageError, match='"any" or "data"'):
                await component.live(evidence="listing")  # type: ignore[arg-type]
            component.subscribe("trade", ["KRW-BTC", "KRW-ETH"])
            await component.live(30.0)
            assert {info.data for info in manager.topics()} == {DataState.NONE}
            with pytest.raises(SubscribeTimeout) as caught:
                await component.live(5.0, evidence="data")
            assert set(caught.value.reasons) == {Topic("trade", "KRW-BTC"), Topic("trade", "KRW-ETH")}
            for reason in caught.value.reasons.values():
                assert reason == "open for 5.0 s, proven by the venue's own list, on link 0; no data yet"
            waiting = asyncio.ensure_future(component.live(60.0, evidence="data"))
            for symbol in ("KRW-BTC", "KRW-ETH"):
                await asyncio.sleep(1.0)
                assert not waiting.done()
                manager._hub.feed.feed(0, json.dumps({**TRADE, "code": symbol}).encode(), world.ns())
            await asyncio.wait_for(waiting, 1.0)
            await component.live(0.0, evidence="data")

    World().run(main)


TRADE = {
    "type": "trade",
    "timestamp": 1_790_000_000_000,
    "trade_price": 5.0,
    "trade_volume": 0.1,
    "ask_bid": "BID",
    "sequential_id": 17900000000000001,
    "stream_type": "REALTIME",
}


def test_a_wait_that_ends_as_its_time_runs_out_says_how_it_ended() -> None:
    """A loop that was held up comes to both at once: what is proven by then is not said to be missing."""

    async def main(world: World) -> None:
        def hold_loop() -> None:
            world.clock.advance_to(world.clock.now + 10 * SECOND)

        def come_late() -> None:
            manager._hub.feed.feed(0, json.dumps({**TRADE, "code": "KRW-BTC"}).encode(), world.ns())
            hold_loop()

        later = asyncio.get_running_loop().call_later
        world.exchange.inject(Fault("lose", probability=1.0), world.ns())
        async with world.manager() as manager:
            patient, closed = make(manager, "patient"), make(manager, "closed")
            for component in (patient, closed):
                component.subscribe("trade", ["KRW-BTC"])
                await component.live(30.0)
            later(0.5, hold_loop)
            later(1.0, closed.close)
            with pytest.raises(ComponentClosed, match="'closed' was closed while it waited"):
                await closed.live(2.0, evidence="data")
            later(1.0, come_late)
            await patient.live(2.0, evidence="data")

    World().run(main)


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
