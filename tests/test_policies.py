"""How events wait, by component and by subscription: through the public calls, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

import subcore
from manager_rig import make
from policy_desk import BTC, ETH, XRP, Desk, play, read
from subcore import Latest, Queue, Ring, Status, StatusKind
from subcore.errors import QueueOverflow, UsageError
from virtual_manager import World


def test_the_newest_of_each_topic_is_read_and_the_rest_counted() -> None:
    async def main(desk: Desk) -> None:
        chart = make(desk.manager, "chart", delivery=Latest())
        chart.subscribe("ticker", [BTC, ETH])
        await desk.ready(chart)
        desk.send("ticker", BTC, ETH, BTC, BTC)
        assert await read(chart) == [2, 4]
        desk.send("ticker", ETH)
        assert (await anext(aiter(chart))).receive_time_ns == 5
        stats = chart.stats()
        assert (stats.conflated, stats.lost, stats.queued) == (2, 0, 0)
        assert {str(topic): count for topic, count in stats.conflations.items()} == {"ticker:KRW-BTC": 2}

    play(main)


def test_trades_are_conflated_only_where_that_is_said_by_name() -> None:
    async def main(desk: Desk) -> None:
        chart = make(desk.manager, "chart", delivery=Latest())
        for _ in range(2):  # the second time every topic is known
            with pytest.raises(UsageError, match=r"delivery=Latest\(\) to this call"):
                chart.subscribe("trade", BTC)
            assert chart.topics == ()
            chart.subscribe("trade", BTC, delivery=Queue(9))
            chart.unsubscribe("trade")
        chart.subscribe("trade", BTC, delivery=Latest())
        chart.subscribe("trade", ETH, delivery=Queue(9))
        await desk.ready(chart)
        desk.send("trade", BTC, ETH, BTC, ETH)
        assert await read(chart) == [2, 3, 4]

    play(main)


def test_each_subscription_has_its_own_and_all_are_read_in_the_order_of_arrival() -> None:
    async def main(desk: Desk) -> None:
        mixed = make(desk.manager, "mixed", include_status=True)
        mixed.subscribe("trade", BTC)
        mixed.subscribe("ticker", [BTC, ETH], delivery=Latest())
        mixed.subscribe("orderbook", BTC, delivery=Queue(2))
        await desk.ready(mixed)
        desk.send("trade", BTC)  # 1
        desk.send("orderbook", BTC)  # 2, lost
        desk.send("ticker", BTC, ETH)  # 3 conflated, 4
        desk.send("trade", BTC)  # 5
        desk.send("orderbook", BTC, BTC)  # 6, 7
        desk.send("ticker", BTC)  # 8
        first, loss, *rest = await read(mixed)
        assert (first, rest) == (1, [4, 5, 6, 7, 8])
        assert (loss.kind, loss.count, [str(t) for t in loss.topics]) == (
            StatusKind.LOSS,
            1,
            ["orderbook:KRW-BTC"],
        )
        assert {str(t): n for t, n in mixed.stats().losses.items()} == {"orderbook:KRW-BTC": 1}

    play(main)


def test_rows_of_a_ring_are_polled() -> None:
    async def main(desk: Desk) -> None:
        poll = make(desk.manager, "poll", delivery=Ring(4))
        with pytest.raises(UsageError, match="no ring of ticker"):
            poll.ring("ticker")
        poll.subscribe("ticker", [BTC, ETH])
        poll.subscribe("trade", BTC)
        await desk.ready(poll)
        ring, trades = poll.ring("ticker"), poll.ring("trade")
        ring.read()
        trades.read()
        desk.send("ticker", BTC, ETH)
        desk.send("trade", BTC)
        rows = ring.read()
        assert rows["receive_time_ns"].tolist() == [1, 2]
        assert [str(desk.hub.intent.topic_of(topic)) for topic in rows["topic"].tolist()] == [
            "ticker:KRW-BTC",
            "ticker:KRW-ETH",
        ]
        assert trades.read()["receive_time_ns"].tolist() == [3]
        desk.send("ticker", *[BTC] * 6)
        assert len(ring.read()) == 4
        assert (ring.overrun, poll.stats().overrun, poll.stats().queued) == (2, 2, 0)
        poll.subscribe("ticker", ETH, delivery=Ring(8))
        with pytest.raises(UsageError, match=r"rings of ticker with \[4, 8\] rows: say which"):
            poll.ring("ticker")
        wide = poll.ring("ticker", size=8)
        desk.send("ticker", BTC, ETH)
        assert (len(ring), len(wide)) == (1, 1)
        poll.subscribe("ticker", BTC, delivery=Ring(8))
        desk.send("ticker", BTC)
        assert (len(ring.read()), len(wide.read())) == (1, 2), "the old ring is still read"
        assert poll.ring("ticker").ring.size == 8
        assert poll.stats().overrun == 2
        poll.close()
        assert len(wide.read()) == 0

    play(main)


def test_a_frame_fills_a_row_and_its_market_is_named() -> None:
    """From the exchange's own frames, beside the events made of the same."""

    async def main(world: World) -> None:
        async with world.manager(latest=False) as manager:
            poll, events = make(manager, "poll"), make(manager, "events")
            for channel in ("ticker", "trade", "orderbook"):
                poll.subscribe(channel, [BTC, ETH, XRP], delivery=Ring(5000))
                events.subscribe(channel, [BTC, ETH, XRP])
            await poll.live(60.0)
            await asyncio.sleep(20.0)
            found = await events.batch(10_000)
            for channel in ("ticker", "trade"):
                reader = poll.ring(channel)
                rows = reader.read()
                mine = [event for event in found if event.channel == channel]
                assert len(rows) == len(mine) > 3
                assert reader.symbols(rows) == [event.symbol for event in mine]
                assert rows["price"].tolist() == [event.price for event in mine]
                assert rows["exchange_time_ns"].tolist() == [event.exchange_time_ns for event in mine]
            rows = poll.ring("orderbook").read()
            books = [event for event in found if event.channel == "orderbook"]
            assert rows["bid_price"].tolist() == [book.bids[0].price for book in books]
            assert rows["total_ask_size"].tolist() == [book.total_ask_size for book in books]

    World(rate=2.0).run(main)


def test_what_cannot_be_is_refused_with_what_can() -> None:
    async def main(desk: Desk) -> None:
        one = make(desk.manager, "one")
        for delivery in (Latest(), Ring(8)):
            with pytest.raises(UsageError, match="for what is read"):
                one.subscribe("ticker", BTC, print, delivery=delivery)
        with pytest.raises(UsageError, match="raw="):
            one.subscribe("ticker", BTC, raw=True, delivery=Ring(8))
        with pytest.raises(UsageError, match="component"):
            make(desk.manager, "two", delivery=subcore.Callback())
        with pytest.raises(UsageError, match="delivery is a"):
            make(desk.manager, "two", delivery="latest")
        assert one.topics == ()
        assert one._member.inbox.box_count == 0

    play(main)


def test_a_slow_reader_is_told_so_and_told_when_it_has_recovered() -> None:
    async def main(desk: Desk) -> None:
        told: list[Status] = []
        slow = make(desk.manager, "slow", delivery=Queue(8), on_status=told.append)
        slow.subscribe("ticker", [BTC, ETH])
        await desk.ready(slow)
        told.clear()
        desk.send("ticker", *[BTC] * 6)
        assert told == [], "nobody is called from inside a frame"
        await asyncio.sleep(0)
        desk.send("ticker", BTC, BTC)
        await asyncio.sleep(0)
        assert [(status.kind, status.count) for status in told] == [(StatusKind.SLOW, 6)]
        assert {str(topic) for topic in told[0].topics} == {"ticker:KRW-BTC", "ticker:KRW-ETH"}
        assert "6 of 8" in told[0].reason
        await slow.batch(3)
        await asyncio.sleep(0)
        assert len(told) == 1, "between the marks nothing is told"
        await slow.batch(1)
        await asyncio.sleep(0)
        assert [(status.kind, status.count) for status in told[1:]] == [(StatusKind.RECOVERED, 4)]

    play(main)


def test_reading_ends_with_an_error_where_a_queue_ends_on_overflow() -> None:
    async def main(desk: Desk) -> None:
        strict = make(desk.manager, "strict")
        strict.subscribe("ticker", BTC, delivery=Queue(2, overflow="close"))
        strict.subscribe("ticker", ETH)
        await desk.ready(strict)
        desk.send("ticker", ETH, BTC, BTC, BTC, ETH)
        got = []

        async def read_all() -> None:
            async for event in strict:
                got.append(event.receive_time_ns)

        with pytest.raises(QueueOverflow, match="larger queue"):
            await read_all()
        assert got == [1, 2, 3]
        for _ in range(2):
            with pytest.raises(QueueOverflow):
                await strict.batch()
            with pytest.raises(QueueOverflow):
                await anext(strict)
        desk.send("ticker", BTC)
        assert strict.stats().lost == 2

    play(main)


def test_an_overflow_that_ends_reading_is_logged_and_its_queue_is_called_slow_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main(desk: Desk) -> None:
        told: list[Status] = []
        strict = make(desk.manager, "strict", on_status=told.append)
        strict.subscribe("ticker", BTC, delivery=Queue(4, overflow="close"))
        await desk.ready(strict)
        told.clear()
        for _ in range(6):
            desk.send("ticker", BTC)
            await asyncio.sleep(0)
        assert [(status.kind, status.count) for status in told] == [(StatusKind.SLOW, 3)]

    play(main)
    assert [
        record.getMessage() for record in caplog.records if "ends on overflow" in record.getMessage()
    ] == [
        "a queue of component 'strict' that ends on overflow held 4 events and was full: reading ends after them"
    ]


def test_statuses_have_their_place_also_where_only_the_newest_waits() -> None:
    async def main(desk: Desk) -> None:
        chart = make(desk.manager, "chart", delivery=Latest(), include_status=True)
        chart.subscribe("ticker", [BTC, ETH])
        await desk.ready(chart)
        desk.send("ticker", BTC)
        chart._member.tell(Status(StatusKind.OPEN, (), "between", 1, 0))
        desk.send("ticker", ETH)
        before, status, after = await read(chart)
        assert (before, status.reason, after) == (1, "between", 2)

    play(main)


def test_what_must_be_taken_is_due_and_nothing_else() -> None:
    async def main(desk: Desk) -> None:
        one = make(desk.manager, "one")
        one.subscribe("ticker", BTC)
        one.subscribe("ticker", ETH, delivery=Latest())
        one.subscribe("ticker", XRP, delivery=Ring(4))
        await desk.ready(one)
        id = one._member.id
        due, done, _ = desk.hub.duties.row(id)
        assert due == done
        desk.send("ticker", BTC, ETH, XRP, BTC)
        columns = desk.hub.duties.columns()
        assert columns.due[id] - columns.done[id] == 2
        await one.batch(1)
        assert desk.hub.duties.row(id)[1] == done + 1
        one.close()
        assert desk.hub.duties.row(id) == (0, 0, 0)
        assert await read(one) == [2, 4]
        assert desk.hub.duties.row(id) == (0, 0, 0)

    play(main)
