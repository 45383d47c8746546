"""What a venue cannot serve together: found before anything changes, resolved where that is possible, else named."""

from __future__ import annotations

import itertools
import logging
import random
from dataclasses import replace

import pytest

from delta_venue import DELTA
from manager_rig import make
from subcore.engine.conflicts import (
    Conflict,
    ConflictKind,
    Interest,
    Need,
    Outcome,
    can_conflict,
    capacity,
    detect,
    resolve,
)
from subcore.errors import ConflictError, UnsupportedError, UsageError
from subcore.manager import SubscriptionManager
from subcore.types import Priority, Topic
from subcore.venue import Capacity, Channel, Route, Scope
from subcore.venues import venue
from virtual_manager import World

# A venue that has everything the built-in ones do not: "one depth per symbol per connection" (Kraken), book channels
# that exclude each other (OKX, 64004), steps that frames do not show, and few connections.
AWKWARD = replace(
    DELTA,
    name="awkward",
    routes=(Route("public", "/ws"), Route("tick", "/ws")),
    channels=(
        Channel("trade", "trade", snapshot=False),
        Channel("book", "orderbook", depths=(5, 15, 30), exclusive="book"),
        Channel("book-l2", "orderbook", exclusive="book"),
        Channel("book-tick", "orderbook", route="tick", exclusive="book"),
        Channel("steps", "orderbook", grouping=True, groupings_distinct=False),
        Channel("distinct", "orderbook", grouping=True),
    ),
    capacities=(Capacity("streams", 3), Capacity("connections", 2, Scope.IP)),
)


def has(component: str, channel: str, symbol: str = "A", **parameters: float) -> Interest:
    return Interest(component, Topic(channel, symbol, **parameters))  # type: ignore[arg-type]


def found(asked: list[Interest], held: list[Interest]) -> list[tuple[ConflictKind, Outcome]]:
    return [(conflict.kind, conflict.outcome) for conflict in detect(AWKWARD, asked, held)]


def test_the_built_in_venues_leave_little_to_conflict_about() -> None:
    assert [can_conflict(venue(name)) for name in ("upbit", "binance")] == [False, False]
    assert can_conflict(AWKWARD)
    # Each depth is a stream of its own there: nothing is shared.
    two = [has("a", "orderbook", "BTCUSDT", depth=5), has("b", "orderbook", "BTCUSDT", depth=20)]
    assert detect(venue("binance"), two[1:], two[:1]) == []


def test_the_widest_depth_wins_and_both_are_served() -> None:
    held = [has("a", "book", depth=5)]
    (conflict,) = resolve(detect(AWKWARD, [has("b", "book", depth=15)], held))
    assert (conflict.kind, conflict.outcome) == (ConflictKind.DEPTH, Outcome.WIDEST)
    assert str(conflict) == (
        "component 'b': book:A:depth=15 and book:A:depth=5 of component 'a': "
        "one stream with 15 levels serves both, each gets its own"
    )
    (conflict,) = detect(AWKWARD, [has("b", "book")], held)
    assert "all levels" in conflict.remedy
    assert found([has("b", "book", depth=5)], held) == []
    assert found([has("b", "book", "B", depth=15)], held) == []


def test_channels_that_exclude_each_other_go_to_separate_links_or_are_rejected() -> None:
    held = [has("a", "book", depth=5)]
    assert found([has("b", "book-tick")], held) == [(ConflictKind.EXCLUSIVE, Outcome.SEPARATE)]
    assert found([has("b", "book-l2", "B"), has("b", "trade")], held) == []
    assert found(held, [*held, has("b", "book-tick")]) == []  # who has it already is in nobody's way
    with pytest.raises(ConflictError, match="unsubscribe the other first") as raised:
        resolve(detect(AWKWARD, [has("b", "book-l2")], held))
    error = raised.value
    assert (error.component, error.topic) == ("b", Topic("book-l2", "A"))
    assert error.remedy in str(error)
    assert "component 'a'" in str(error)


def test_what_cannot_be_resolved_is_told_before_what_can() -> None:
    held = [has("a", "book-tick"), has("b", "book"), has("c", "book-tick")]
    with pytest.raises(ConflictError, match="of component 'b'"):
        resolve(detect(AWKWARD, [has("d", "book-l2")], held))


def test_two_steps_that_frames_do_not_show_are_rejected() -> None:
    held = [has("a", "steps", grouping=10.0), has("a", "distinct", grouping=10.0)]
    assert found([has("b", "steps", grouping=10.0), has("b", "distinct", grouping=100.0)], held) == []
    assert found([has("b", "steps")], held) == [(ConflictKind.GROUPING, Outcome.REJECT)]
    with pytest.raises(ConflictError, match=r"ask for grouping=10\.0 too"):
        resolve(detect(AWKWARD, [has("b", "steps", grouping=100.0)], held))


def test_two_wishes_of_one_call_conflict_too() -> None:
    assert found([has("a", "book"), has("b", "book-l2")], []) == [(ConflictKind.EXCLUSIVE, Outcome.REJECT)]


def brute_force(most_links: int, per_link: int, streams: dict[str, int]) -> bool:
    """Whether they fit: every way to give links to routes, and to what needs its own, is tried."""
    shares = itertools.product(range(most_links + 1), repeat=len(streams))
    return any(
        sum(share) <= most_links
        and all(n <= k * per_link for n, k in zip(streams.values(), share, strict=True))
        for share in shares
    )


def test_capacity_is_what_the_allowed_connections_can_take() -> None:
    rng = random.Random(7)
    for _ in range(500):
        links, per_link = rng.randint(1, 4), rng.randint(1, 5)
        made = replace(
            AWKWARD, capacities=(Capacity("streams", per_link), Capacity("connections", links, Scope.IP))
        )
        wanted = {"public": rng.randint(0, 9), "tick": rng.randint(0, 9)}
        needs, groups = {}, {}
        for route, count in wanted.items():
            standby, own = (rng.choice((0, rng.randint(0, count))) for _ in "so")
            needs[route] = Need(count, standby, own)
            groups |= {route: count - own, f"{route} twice": standby, f"{route} own": own}
        fits = brute_force(links, per_link, groups)
        conflicts = detect(made, [has("a", "trade")], [], needs)
        assert (conflicts == []) == fits, (links, per_link, needs)


def test_advice_and_bounds_of_one_kind_only_bind_nobody() -> None:
    soft = (Capacity("streams", 3), Capacity("connections", 2, Scope.IP, soft=True))
    assert capacity(replace(AWKWARD, capacities=soft)) is None
    assert capacity(replace(AWKWARD, capacities=soft[:1])) is None
    assert capacity(AWKWARD) == (3, 2)


# The same through a manager: with nothing applied.


@pytest.fixture
def manager() -> SubscriptionManager:
    return SubscriptionManager(replace(venue("upbit"), **_parts()), url="ws://127.0.0.1:9", seed=1)


def _parts() -> dict[str, object]:
    """Upbit's frames and grammar, and rules that it does not have."""
    channels = list(venue("upbit").channels)
    ticker, trade, book = channels[:3]
    channels[:3] = [
        replace(ticker, exclusive="price"),
        replace(trade, exclusive="price"),
        replace(book, groupings_distinct=False),
    ]
    return {
        "channels": tuple(channels),
        "capacities": (Capacity("streams", 4), Capacity("connections", 1, Scope.IP)),
    }


def state(manager: SubscriptionManager) -> object:
    hub = manager._hub
    return (
        {name: sorted(map(str, component.topics)) for name, component in manager.components.items()},
        sorted(hub.ledger.wanted_streams().tolist()),
        manager.conflicts,
        [member.has_handlers for member in hub.members.values()],
    )


async def test_a_conflict_raises_at_the_call_with_nothing_applied(manager: SubscriptionManager) -> None:
    a, b = manager.component("a"), manager.component("b")
    a.subscribe("ticker", ["KRW-BTC", "KRW-ETH"])
    before = state(manager)
    for ask in (b.subscribe, b.replace):
        with pytest.raises(
            ConflictError, match="component 'b': trade:KRW-ETH and ticker:KRW-ETH of component 'a'"
        ):
            ask("trade", ["KRW-XRP", "KRW-ETH"], lambda event: None)
        assert state(manager) == before
    b.subscribe("trade", "KRW-XRP")
    a.close()
    b.subscribe("trade", "KRW-ETH")
    assert len(b.topics) == 2
    await manager.close()


async def test_a_topic_that_was_there_before_conflicts_too(manager: SubscriptionManager) -> None:
    a, b = manager.component("a"), manager.component("b")
    b.subscribe("trade", ["KRW-BTC"])
    b.unsubscribe("trade")
    a.subscribe("ticker", ["KRW-BTC"])
    with pytest.raises(ConflictError):
        b.subscribe("trade", ["KRW-BTC"])
    await manager.close()


async def test_a_paused_component_keeps_what_it_has(manager: SubscriptionManager) -> None:
    a, b = manager.component("a"), manager.component("b")
    a.subscribe("ticker", "KRW-BTC")
    a.pause()
    with pytest.raises(ConflictError):
        b.subscribe("trade", "KRW-BTC")  # else resuming would bring the conflict, and could not raise
    await manager.close()


async def test_a_transaction_raises_at_its_end_and_may_swap(manager: SubscriptionManager) -> None:
    a, b = manager.component("a"), manager.component("b")
    a.subscribe("ticker", "KRW-BTC")
    before = state(manager)
    reached = []

    def conflicting() -> None:
        with manager.transaction():
            b.subscribe("orderbook", "KRW-BTC")
            b.subscribe("trade", "KRW-BTC")
            reached.append("the end")

    with pytest.raises(ConflictError):
        conflicting()
    assert reached == ["the end"]
    assert state(manager) == before
    with manager.transaction():  # what it gives up is in nobody's way
        a.unsubscribe("ticker")
        b.subscribe("trade", "KRW-BTC")
    assert a.topics == ()
    assert len(b.topics) == 1
    await manager.close()


async def test_more_streams_than_all_connections_take_are_rejected(manager: SubscriptionManager) -> None:
    a, b = manager.component("a"), manager.component("b")
    a.subscribe("ticker", ["KRW-A1", "KRW-A2", "KRW-A3"])
    a.subscribe("orderbook", "KRW-A3", depth=5)
    b.subscribe("orderbook", "KRW-A3", depth=15)  # four, since one is shared
    before = state(manager)
    with pytest.raises(
        ConflictError, match="5 streams would be wanted, 2 connections full of them, and upbit allows 1 of 4"
    ):
        b.subscribe("ticker", "KRW-A5")
    assert state(manager) == before
    a.replace("ticker", ["KRW-A1", "KRW-A5"])
    b.subscribe("ticker", "KRW-A2")
    await manager.close()


async def test_what_two_links_carry_counts_twice_and_what_has_its_own_takes_another(
    manager: SubscriptionManager,
) -> None:
    a = manager.component("a", priority=Priority.CRITICAL)
    b = manager.component("b")
    a.subscribe("ticker", ["KRW-A1", "KRW-A2"])
    before = state(manager)

    def ask(**options: bool) -> None:
        with manager.transaction():
            a.subscribe("ticker", ["KRW-A1", "KRW-A2"], **options)  # type: ignore[arg-type]
            b.subscribe("ticker", "KRW-A3")

    for option, said in (("standby", "2 of them twice"), ("own_link", "2 on links of their own")):
        with pytest.raises(
            ConflictError, match=f"{said}, .* connections full of them.* leave standby= or own_link="
        ):
            ask(**{option: True})
        assert state(manager) == before
    a.subscribe("ticker", ["KRW-A1", "KRW-A2"], own_link=True)  # one link is enough: it is all there is
    with pytest.raises(ConflictError, match="3 streams would be wanted, 2 on links of their own"):
        b.subscribe("ticker", "KRW-A3")
    a.subscribe("ticker", ["KRW-A1", "KRW-A2"])
    b.subscribe("ticker", "KRW-A3")
    await manager.close()


async def test_a_venue_may_bound_its_connections_alone() -> None:
    parts = {"capacities": (Capacity("connections", 2, Scope.IP),)}
    manager = SubscriptionManager(replace(venue("upbit"), **parts), url="ws://127.0.0.1:9", seed=1)
    a = manager.component("a", priority=Priority.CRITICAL)
    a.subscribe("ticker", ["KRW-A1", "KRW-A2"])
    a.subscribe("ticker", "KRW-A1", own_link=True)
    with pytest.raises(ConflictError, match="upbit allows 2: unsubscribe"):
        a.subscribe("ticker", "KRW-A2", standby=True)
    assert manager.topic("ticker", "KRW-A2").standby == ()
    a.replace("ticker", "KRW-A2", standby=True)
    await manager.close()


async def test_what_is_resolved_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    manager = SubscriptionManager("upbit", url="ws://127.0.0.1:9", seed=1)
    a, b = manager.component("a"), manager.component("b")
    with caplog.at_level(logging.INFO, "subcore.conflicts"):
        a.subscribe("orderbook", "KRW-BTC", depth=5)
        assert manager.conflicts == ()
        for _ in range(3):
            b.subscribe("orderbook", ["KRW-BTC", "KRW-ETH"], depth=15)
            b.unsubscribe("orderbook")
        b.subscribe("orderbook", "KRW-BTC", depth=15)
    (conflict,) = manager.conflicts
    assert isinstance(conflict, Conflict)
    assert (conflict.component, conflict.rival) == ("b", Interest("a", Topic("orderbook", "KRW-BTC", 5)))
    assert [record.message for record in caplog.records] == [str(conflict)]
    await manager.close()


def test_channels_that_are_kept_apart_go_to_two_connections_of_the_exchange() -> None:
    upbit = venue("upbit")
    ticker, trade, *others = upbit.channels
    public, private = upbit.routes
    made = replace(
        upbit,
        routes=(public, private, replace(public, name="trades")),
        channels=(
            replace(ticker, exclusive="price"),
            replace(trade, exclusive="price", route="trades"),
            *others,
        ),
    )

    async def main(world: World) -> None:
        async with world.manager(venue=made) as manager:
            a, b = make(manager, "a"), make(manager, "b")
            a.subscribe("ticker", ["KRW-BTC", "KRW-ETH"])
            a.subscribe("orderbook", "KRW-BTC")
            b.subscribe("trade", ["KRW-BTC", "KRW-ETH"])
            await a.live(10.0)
            await b.live(10.0)
            carried = [
                {(wanted.type, wanted.code) for wanted in connection.subscriptions}
                for connection in world.exchange.connections.values()
            ]
            tickers = {("ticker", "KRW-BTC"), ("ticker", "KRW-ETH"), ("orderbook", "KRW-BTC")}
            assert sorted(carried, key=len) == [{("trade", "KRW-BTC"), ("trade", "KRW-ETH")}, tickers]
            assert {conflict.outcome for conflict in manager.conflicts} == {Outcome.SEPARATE}

    World().run(main)


async def test_two_depths_of_one_transaction_are_reported() -> None:
    manager = SubscriptionManager("upbit", url="ws://127.0.0.1:9", seed=1)
    a, b = manager.component("a"), manager.component("b")
    with manager.transaction():
        a.subscribe("orderbook", "KRW-BTC", depth=5)
        b.subscribe("orderbook", "KRW-BTC")
    assert [conflict.kind for conflict in manager.conflicts] == [ConflictKind.DEPTH]
    await manager.close()


async def test_a_wrong_parameter_names_component_topic_and_what_is_offered() -> None:
    manager = SubscriptionManager("upbit", url="ws://127.0.0.1:9", seed=1)
    a = manager.component("a")
    with pytest.raises(
        UnsupportedError, match=r"component 'a': orderbook:KRW-BTC:depth=7: .*offered: 1, 5, 15, 30"
    ):
        a.subscribe("orderbook", "KRW-BTC", depth=7)
    with pytest.raises(UsageError, match=r"component 'a': myAsset:\*: .*needs a login"):
        a.subscribe("myAsset", "")
    with pytest.raises(
        UsageError, match="component 'a': ticker:krw-btc: 'krw-btc' is not how Upbit writes a market"
    ):
        a.subscribe("ticker", "krw-btc")
    assert a.topics == ()
    await manager.close()
