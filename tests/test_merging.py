"""One reader for several components: in the order of receiving, nothing lost, each ends for itself."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import pytest

import subcore
from manager_rig import KEPT, SOON, make, until
from subcore.errors import ComponentClosed, QueueOverflow, UsageError
from subcore.manager import SubscriptionManager
from subcore.sim.binance import BinanceExchange
from subcore.sim.server import SimServer
from subcore.types import Status, StatusKind
from trades import BTC, ETH, offline, send, turns


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    yield
    KEPT.clear()


def readers(count: int, **options: Any) -> tuple[list[SubscriptionManager], list[subcore.Component]]:
    """So many components, each of a manager of its own."""
    managers = [offline() for _ in range(count)]
    components = [make(manager, f"c{at}", **options) for at, manager in enumerate(managers)]
    for component in components:
        component.subscribe("trade", BTC)
    return managers, components


async def close(managers: list[SubscriptionManager]) -> None:
    for manager in managers:
        await manager.close()


@pytest.mark.parametrize("seed", range(20))
async def test_what_waits_comes_in_the_order_it_was_received(seed: int) -> None:
    """Against one list, sorted: whatever is read in between, by whichever call, cancelled or not."""
    rng = random.Random(seed)
    managers, components = readers(3)
    merged = subcore.merge(*components)
    sent: list[tuple[int, int]] = []
    got: list[tuple[int, int]] = []
    now = 0

    async def read() -> None:
        got.extend((event.receive_time_ns, event.id) for event in await merged.batch(rng.randint(1, 5)))

    for number in range(200):
        now += rng.randint(0, 3)
        place = rng.randrange(3)
        send(managers[place], BTC, number, now + 1)
        sent.append((now + 1, number))
        if rng.random() < 0.3:
            reading = asyncio.create_task(read())
            await turns(rng.randint(0, 3))
            if rng.random() < 0.5:
                reading.cancel()
            await asyncio.wait([reading])
        elif rng.random() < 0.1 and len(got) < len(sent):
            event = await anext(merged)
            got.append((event.receive_time_ns, event.id))
    await close(managers)
    got += [(event.receive_time_ns, event.id) async for event in merged]
    assert sorted(got) == sorted(sent), "each once"
    assert [at for at, _ in got] == sorted(at for at, _ in sent)
    for place in range(3):  # of one time each component's own order stays
        mine = [number for _, number in got if number % 3 == place]
        assert len(mine) == len(set(mine))


async def test_a_reader_waits_for_whichever_is_first_and_cancelling_loses_nothing() -> None:
    managers, components = readers(2)
    merged = subcore.merge(*components)
    for place in (1, 0):
        reading = asyncio.create_task(merged.__anext__())
        await turns()
        reading.cancel()
        await asyncio.wait([reading])
        assert reading.cancelled()
        reading = asyncio.create_task(merged.__anext__())
        await turns()
        send(managers[place], BTC, place)
        assert (await reading).id == place
    assert await merged.batch(timeout=0.001) == []
    send(managers[0], BTC, 7)
    assert [event.id for event in await components[0].batch()] == [7], "it can be read by itself again"
    await close(managers)


async def test_one_reader_a_component() -> None:
    managers, components = readers(2)
    merged = subcore.merge(*components)
    reading = asyncio.create_task(components[1].batch())
    await turns()
    with pytest.raises(UsageError, match=r"'c1'.*another reader"):
        await merged.batch()
    merging = asyncio.create_task(subcore.merge(components[0]).batch())
    await turns()
    with pytest.raises(UsageError, match=r"'c0'.*another reader"):
        await components[0].batch()
    send(managers[0], BTC, 0)
    send(managers[1], BTC, 1)
    assert [event.id for event in await reading + await merging] == [1, 0]
    await close(managers)


@pytest.mark.parametrize("what", ["closed", "its manager closed"])
async def test_each_ends_for_itself_and_the_iteration_with_the_last(what: str) -> None:
    managers, components = readers(2)
    merged = subcore.merge(*components)
    got: list[int] = []

    async def read() -> None:
        got.extend([event.id async for event in merged])

    reading = asyncio.create_task(read())
    send(managers[0], BTC, 1)
    send(managers[0], BTC, 2)
    components[0].close() if what == "closed" else await managers[0].close()
    await turns()
    assert merged.components == (components[1],)
    send(managers[1], BTC, 3)
    await turns()
    assert not reading.done()
    await close(managers)
    await reading
    assert got == [1, 2, 3]
    assert merged.components == ()
    assert await merged.batch() == []
    with pytest.raises(ComponentClosed, match="merge others"):
        await merged.batch()  # a loop of batches would never let anything else run


async def test_statuses_and_losses_stand_in_their_places() -> None:
    managers, components = readers(2, include_status=True, delivery=subcore.Queue(2))
    merged = subcore.merge(*components)
    for number in range(4):
        send(managers[0], BTC, number, at_ns=10 + number)
    send(managers[1], BTC, 9, at_ns=12)
    items = [
        item.kind.name if isinstance(item, Status) else item.id
        for item in await merged.batch()
        if not isinstance(item, Status) or item.kind is StatusKind.LOSS
    ]
    assert items == ["LOSS", 2, 9, 3]
    await close(managers)


async def test_a_queue_that_overflows_for_good_says_so_once() -> None:
    managers, components = readers(2)
    strict = make(managers[0], "strict", delivery=subcore.Queue(1, overflow="close"))
    strict.subscribe("trade", ETH)
    merged = subcore.merge(strict, components[1])
    for number in range(3):
        send(managers[0], ETH, number)
    assert (await anext(merged)).id == 0
    with pytest.raises(QueueOverflow, match="'strict'"):
        await anext(merged)
    send(managers[1], BTC, 5)
    assert (await anext(merged)).id == 5
    await close(managers)


async def test_what_merge_cannot_mean() -> None:
    managers, components = readers(1)
    for given, says in (
        ((), "at least one"),
        ((components[0], components[0]), "twice"),
        (("c0",), "components"),
    ):
        with pytest.raises(UsageError, match=says):
            subcore.merge(*given)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="at least 1"):
        await subcore.merge(*components).batch(0)
    await close(managers)


async def test_two_venues_over_sockets(server: SimServer, manager: SubscriptionManager) -> None:
    """Upbit and Binance on embedded exchanges: of what waits, in the order of receiving; each event of both once."""
    async with (
        SimServer(BinanceExchange(seed=2, rate=20.0)) as other,
        SubscriptionManager("binance", url=other.url, seed=1) as second,
    ):
        upbit, binance = make(manager, "upbit"), make(second, "binance")
        upbit.subscribe("trade", [BTC, ETH])
        binance.subscribe("trade", ["BTCUSDT", "ETHUSDT"])
        counted: list[Any] = []
        for one, symbols in ((manager, [BTC, ETH]), (second, ["BTCUSDT", "ETHUSDT"])):
            make(one, "counts").subscribe("trade", symbols, counted.append)
        merged = subcore.merge(upbit, binance)
        got: list[Any] = []
        async with asyncio.timeout(SOON):
            while {event.venue for event in got} != {"upbit", "binance"} or len(got) < 40:
                await until(lambda: upbit.stats().queued + binance.stats().queued >= 5)
                items = await merged.batch()
                times = [event.receive_time_ns for event in items]
                assert times == sorted(times)
                got += items
        upbit.close()
        binance.close()
        got += [event async for event in merged]
        for venue in ("upbit", "binance"):
            due = [event.id for event in counted if event.venue == venue]
            mine = [event.id for event in got if event.venue == venue]
            assert mine == due[: len(mine)]
            assert len(due) - len(mine) < 5, "what came between the two closings"
