"""What a manager tells and does about its links, over real sockets: restores, explanations, rotation."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from manager_rig import SOON, make, until
from subcore.engine.events import Rotate
from subcore.errors import ManagerClosed, SubscribeError, UsageError
from subcore.manager import SubscriptionManager
from subcore.sim.faults import Fault
from subcore.sim.server import SimServer
from subcore.types import Evidence, Priority, StatusKind, StreamState
from virtual_manager import World

SYMBOLS = ["KRW-BTC", "KRW-ETH", "KRW-XRP", "KRW-SOL"]


async def lose(server: SimServer, manager: SubscriptionManager) -> None:
    server.exchange.inject(Fault("drop_rst"), server.clock())
    server.wake()
    await until(lambda: manager.stats().losses_of_link >= 1)


async def test_a_restore_is_accounted_for_by_class_and_stream(
    server: SimServer, manager: SubscriptionManager
) -> None:
    statuses: list[Any] = []
    fast = make(manager, "fast", priority=Priority.CRITICAL, on_status=statuses.append)
    slow = make(manager, "slow", priority=Priority.LOW)
    fast.subscribe("orderbook", SYMBOLS[:2])
    slow.subscribe("ticker", SYMBOLS)
    await fast.live(SOON)
    await slow.live(SOON)
    assert manager.restores == ()
    await lose(server, manager)
    (under_way,) = manager.restores
    assert not under_way.done
    assert under_way.seconds is None
    assert "under way" in str(under_way)
    await fast.live(SOON)
    await slow.live(SOON)
    await until(lambda: manager.restores[-1].done)
    (report,) = manager.restores
    by_class = {row.priority: row for row in report.classes}
    assert (by_class[Priority.CRITICAL].lost, by_class[Priority.CRITICAL].proven) == (2, 2)
    assert (by_class[Priority.LOW].lost, by_class[Priority.LOW].proven) == (4, 4)
    assert by_class[Priority.HIGH].lost == 0
    assert {(s.topic.channel, s.topic.symbol) for s in report.streams} == {
        *(("orderbook", symbol) for symbol in SYMBOLS[:2]),
        *(("ticker", symbol) for symbol in SYMBOLS),
    }
    for stream in report.streams:
        assert stream.state is StreamState.OPEN
        assert stream.evidence & (Evidence.DATA | Evidence.LISTED)
        assert stream.asked_seconds is not None
        assert stream.back_seconds is not None
        assert stream.asked_seconds <= stream.back_seconds <= (report.seconds or 0.0)
    assert str(report).splitlines()[2].split()[:5] == ["critical", "2", "2", "2", "0"]
    await until(lambda: any(s.kind is StatusKind.RECOVERED for s in statuses))
    (recovered,) = [s for s in statuses if s.kind is StatusKind.RECOVERED]
    assert {topic.symbol for topic in recovered.topics} == set(SYMBOLS[:2])


def test_a_restore_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            fast = make(manager, "fast", priority=Priority.CRITICAL)
            slow = make(manager, "slow", priority=Priority.LOW)
            fast.subscribe("ticker", "KRW-BTC")
            slow.subscribe("trade", ["KRW-BTC", "KRW-ETH"])
            await fast.live(10.0)
            await slow.live(10.0)
            world.exchange.inject(Fault("drop_rst"), world.ns())
            with caplog.at_level(logging.INFO, "subcore.engine"):
                while not (manager.restores and manager.restores[-1].done):
                    await asyncio.sleep(0.1)
            (report,) = manager.restores
            (record,) = [r for r in caplog.records if r.message.startswith("restored ")]
            assert (record.name, record.levelno) == ("subcore.engine", logging.INFO)
            took = f"in {report.seconds:.3f} s after {report.reason}"
            assert record.message == f"restored 3 of 3 streams {took}"
            assert report.reason.startswith("link lost: ")
            last = {
                f"{row.priority.name.lower()}_seconds": row.last_seconds for row in report.classes if row.lost
            }
            assert set(last) == {"critical_seconds", "low_seconds"}
            said = record.__dict__["subcore"]
            assert said == pytest.approx({"restore": report.number, "seconds": report.seconds, **last})

    World().run(main)


async def test_a_topic_is_explained_from_wish_to_proof(manager: SubscriptionManager) -> None:
    assert manager.explain("ticker", "KRW-BTC") == "no component wants it"
    component = make(manager, "a")
    component.subscribe("ticker", ["KRW-BTC"])
    assert (
        manager.explain("ticker", "KRW-BTC")
        == "asked for just now: it is planned as this turn of the loop ends"
    )
    await asyncio.sleep(0)
    assert "link 0" in manager.explain("ticker", "KRW-BTC")
    await component.live(SOON)
    assert manager.explain("ticker", "KRW-BTC").startswith("open for ")
    assert "proven by data, on link 0" in manager.explain("ticker", "KRW-BTC")
    await manager.close()
    assert manager.explain("ticker", "KRW-BTC") == (
        "nothing is asked for: the manager is closed, make a new one"
    )


def test_what_the_venue_does_not_list_is_asked_for_beside_the_others_and_given_up() -> None:
    """Its second link is opened from within a look at all links."""

    async def main(world: World) -> None:
        async with world.manager() as manager:
            component = make(manager, "a")
            component.subscribe("ticker", ["KRW-BTC", "KRW-NOSUCH"])
            with pytest.raises(SubscribeError, match="asked for 4 times: the venue does not list it"):
                await component.live(300.0)
            assert manager.topic("ticker", "KRW-BTC").state is StreamState.OPEN
            assert len(manager.stats().links) == 2

    World().run(main)


def test_answers_that_nobody_reads_cost_the_link_also_where_nothing_is_sent() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            desk = make(manager, "desk")
            desk.subscribe("ticker", "KRW-BTC")
            await desk.live(10.0)
            (transport,) = world._ends.values()
            transport.write_queue_bytes = 2 << 20
            await asyncio.sleep(5.0)
            assert manager.stats().losses_of_link == 1
            assert manager.topic("ticker", "KRW-BTC").state is StreamState.OPEN

    World().run(main)


@pytest.mark.simulation  # a quarter of a minute, most of it waiting
async def test_a_rotation_delivers_every_trade_once(server: SimServer, manager: SubscriptionManager) -> None:
    got: list[tuple[str, int]] = []
    component = make(manager, "a")
    component.subscribe("trade", SYMBOLS, lambda event: got.append((event.symbol, event.id)))
    await component.live(SOON)
    before = set(server.exchange.connections)
    for _ in range(3):
        await until(lambda: len(got) >= 20)
        await manager.rotate(timeout=SOON)
        count = len(got)
        await until(lambda count=count: len(got) > count + 10)
    assert not before & set(server.exchange.connections)
    assert len(got) == len(set(got)), "no trade came twice"
    assert manager.stats().losses_of_link == 0
    assert manager.stats().repeated + manager.stats().duplicates > 0, "both links brought some"


async def test_a_rotation_that_cannot_be_proven_ends_its_wait_and_keeps_the_link(
    server: SimServer, manager: SubscriptionManager
) -> None:
    component = make(manager, "a")
    component.subscribe("ticker", SYMBOLS)
    await component.live(SOON)
    server.exchange.inject(Fault("refuse", seconds=30.0), server.clock())
    with pytest.raises(
        TimeoutError, match=r"^not replaced within 0\.2 s: link 0\..* it is tried again: call rotate\(\)"
    ):
        await manager.rotate(timeout=0.2)
    assert {info.state for info in manager.topics()} == {StreamState.OPEN}
    assert manager.stats().losses_of_link == 0


async def test_only_a_running_manager_rotates(server: SimServer) -> None:
    idle = SubscriptionManager("upbit", url=server.url)
    with pytest.raises(UsageError):
        await idle.rotate()
    async with SubscriptionManager("upbit", url=server.url) as running:
        await asyncio.wait_for(running.rotate(), SOON)


def test_rotate_waits_for_a_link_that_cannot_be_replaced_yet() -> None:
    """One that has a trial under way: it is replaced once that is over, and `rotate` returns only then."""

    async def main(world: World) -> None:
        async with world.manager() as manager:
            component = make(manager, "c")
            component.subscribe("ticker", "KRW-BTC")
            await component.live(10.0)
            handlers = manager._hub.engine._handlers
            rotate, busy, asked = handlers[Rotate], [True], set[int]()

            def not_yet(event: Rotate, now: int) -> None:
                asked.update(event.links or manager._hub.engine.links)
                if not busy[0]:
                    rotate(event, now)

            handlers[Rotate] = not_yet
            rotating = asyncio.create_task(manager.rotate())
            await asyncio.sleep(5.0)
            assert not rotating.done()
            busy[0] = False
            await asyncio.wait_for(rotating, 30.0)
            assert asked == {0}, "no successor is replaced in its turn"
            assert manager.topic("ticker", "KRW-BTC").link == 1

    World().run(main)


def test_rotate_ends_with_the_manager() -> None:
    async def main(world: World) -> None:
        manager = world.manager()
        await manager.start()
        component = make(manager, "c")
        component.subscribe("ticker", "KRW-BTC")
        await component.live(10.0)

        async def hang(*_: Any) -> Any:
            await asyncio.sleep(1e6)

        manager._hub.runtime._connect = hang
        rotating = asyncio.create_task(manager.rotate())
        await asyncio.sleep(1.0)
        await manager.close()
        with pytest.raises(ManagerClosed, match="while it replaced"):
            await asyncio.wait_for(rotating, 1.0)

    World().run(main)
