"""A policy changes while events wait: what waits is read first, in order, and nothing is lost untold."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

import subcore
from inbox_model import NEWEST, PlainInbox
from manager_rig import make
from policy_desk import BTC, ETH, XRP, Desk, play, read
from subcore import Latest, Queue, Ring, Status, StatusKind
from subcore._events import Event
from subcore.errors import CapacityError


def test_a_policy_changes_live_and_what_waits_is_read_first() -> None:
    async def main(desk: Desk) -> None:
        one = make(desk.manager, "one")
        one.subscribe("ticker", [BTC, ETH])
        await desk.ready(one)
        messages = desk.manager.stats().messages_sent
        desk.send("ticker", BTC, BTC, ETH)
        one.subscribe("ticker", BTC, delivery=Latest())
        desk.send("ticker", BTC, ETH, BTC)
        one.subscribe("ticker", BTC)  # says nothing of it, so it stays
        desk.send("ticker", ETH, BTC)
        one.subscribe("ticker", BTC, delivery=Queue())
        desk.send("ticker", BTC)
        assert one._member.inbox.box_count == 2
        assert await read(one) == [1, 2, 3, 5, 7, 8, 9]
        assert one._member.inbox.box_count == 1, "the box of the newest is read and gone"
        assert one.stats().conflated == 2, "its figures stay"
        await asyncio.sleep(5.0)
        assert desk.manager.stats().messages_sent == messages

    play(main)


def test_a_policy_changes_from_inside_a_handler_of_the_same_stream() -> None:
    async def main(desk: Desk) -> None:
        one, other = make(desk.manager, "one"), make(desk.manager, "other")
        one.subscribe("ticker", BTC)
        await desk.ready(one)
        policies = iter([Latest(), Queue(4), Queue(), Ring(4), Queue(5)])

        def change(event: Event) -> None:
            one.subscribe("ticker", BTC, delivery=next(policies))

        other.subscribe("ticker", BTC, change)
        desk.send("ticker", BTC, BTC, BTC, BTC)
        other.subscribe("ticker", BTC, lambda event: None)
        desk.send("ticker", BTC)
        assert one.ring("ticker").read()["receive_time_ns"].tolist() == [5]
        assert await read(one) == [1, 2, 3, 4]
        other.subscribe("ticker", BTC, change)
        desk.send("ticker", BTC)
        other.close()
        desk.send("ticker", BTC)
        assert await read(one) == [7]

    play(main)


def test_policies_that_wait_to_be_read_are_bounded_and_a_failed_call_changes_nothing() -> None:
    async def main(desk: Desk) -> None:
        one = make(desk.manager, "one")
        one.subscribe("ticker", BTC)
        await desk.ready(one)
        for size in range(1, 16):
            desk.send("ticker", BTC)
            one.subscribe("ticker", BTC, delivery=Queue(size))
        desk.send("ticker", BTC)
        with pytest.raises(CapacityError, match="read before"):
            one.subscribe("ticker", [BTC, ETH], delivery=Queue(99))
        assert [str(topic) for topic in one.topics] == ["ticker:KRW-BTC"]
        desk.send("ticker", BTC)
        assert await read(one) == [*range(1, 18)], "the queue that was the last goes on"
        one.subscribe("ticker", [BTC, ETH], delivery=Queue(99))
        assert one._member.inbox.box_count == 2

    play(main)


@pytest.mark.parametrize("own", [Queue(), Latest()])
def test_a_status_is_told_however_many_policies_wait(own: subcore.Delivery) -> None:
    async def main(desk: Desk) -> None:
        one = make(desk.manager, "one", delivery=own, include_status=True)
        one._member.include_status = False  # no box of statuses yet
        for size in range(1, 17):
            one.subscribe("ticker", BTC, delivery=Queue(size))
            if size == 1:
                await desk.ready(one)
            desk.send("ticker", BTC)
        one._member.include_status = True
        one._member.tell(Status(StatusKind.OPEN, (), "told", 1, 0))
        assert one._member.inbox.box_count == 17
        *events, status = await read(one)
        assert (events, status.reason) == ([*range(1, 17)], "told")

    play(main)


def test_a_reader_that_waits_gets_what_a_new_policy_brings() -> None:
    async def main(desk: Desk) -> None:
        one = make(desk.manager, "one")
        one.subscribe("ticker", BTC)
        await desk.ready(one)
        task = asyncio.create_task(anext(one))
        await asyncio.sleep(0.1)
        one.subscribe("ticker", BTC, delivery=Latest())
        desk.send("ticker", BTC)
        assert (await task).receive_time_ns == 1
        task = asyncio.create_task(anext(one))
        await asyncio.sleep(0.1)
        one.close()
        with pytest.raises(StopAsyncIteration):
            await task

    play(main)


@pytest.mark.parametrize("seed", range(4))
def test_policies_changed_at_any_time_against_a_plain_list(seed: int) -> None:
    """Three markets, each with a policy that changes in flight; what is read is what the list says, gaps included."""
    rng = random.Random(seed)
    policies = [Queue(), Queue(3), Queue(2, "drop_newest"), Latest(), Queue(5)]
    sizes = {Queue(): 8192, Queue(3): 3, Queue(2, "drop_newest"): -2, Latest(): NEWEST, Queue(5): 5}

    async def main(desk: Desk) -> None:
        one = make(desk.manager, "one", include_status=True)
        one.subscribe("ticker", [BTC, ETH, XRP])
        await desk.ready(one)
        plain, now = PlainInbox(), dict.fromkeys((BTC, ETH, XRP), policies[0])
        changes = 0

        def read_some(count: int) -> None:
            got = [item for item in one._member.inbox.get_many(count) if not told_slow(item)]
            wanted = plain.take(len(got))
            for item, (what, content) in zip(got, wanted, strict=True):
                if what == "gap":
                    assert (item.kind, item.count) == (StatusKind.LOSS, sum(content.values()))
                    assert {topic.symbol for topic in item.topics} == set(content)
                else:
                    assert item.receive_time_ns == content

        for _ in range(400):
            symbol, dice = rng.choice((BTC, ETH, XRP)), rng.random()
            if dice < 0.6:
                (event,) = desk.send("ticker", symbol)
                plain.put(now[symbol], sizes[now[symbol]], symbol, event.receive_time_ns)
            elif dice < 0.8:
                now[symbol] = rng.choice(policies)
                one.subscribe("ticker", symbol, delivery=now[symbol])
                changes += 1
            else:
                read_some(rng.randint(1, 6))
            assert one.stats().queued == plain.events
        read_some(100_000)
        assert plain.items == []
        assert changes > 50
        assert one._member.inbox.box_count <= 4

    play(main)


def told_slow(item: Any) -> bool:
    return isinstance(item, Status) and item.kind in (StatusKind.SLOW, StatusKind.RECOVERED)
