"""What a plan takes: the arithmetic against simulations and sums by hand, a rehearsal against the real thing."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest

from plan_figures import COSTS, UPBIT
from subcore.engine.forecast import Costs, LinkLoad, Load, ReaderLoad, cpu_share, together_of, wakes_of
from subcore.engine.pacing import PROCESS_LIMITS, Pacer
from subcore.errors import UsageError
from subcore.figures import as_json
from subcore.planning import calibration
from subcore.planning.cast import cast, read
from subcore.planning.plans import Plan, PlannedComponent, PlannedInterests, Rate
from subcore.planning.prediction import predict
from subcore.planning.rehearsal import Rehearsal
from subcore.planning.samples import renamed, sample_of, symbols_like
from subcore.sim.binance import BinanceExchange
from subcore.sim.faults import Fault
from subcore.types import Priority
from subcore.venues import get_venue
from virtual_manager import World

BINANCE = symbols_like("binance")


def plan(venue: str = "upbit", **rates: Rate) -> Plan:
    """Two components, one of them ten times."""
    symbols = UPBIT if venue == "upbit" else BINANCE
    channel = "ticker" if venue == "upbit" else "book_ticker"
    return Plan(
        venue,
        (
            PlannedComponent("a", (PlannedInterests(channel, symbols[:20]),), Priority.HIGH),
            PlannedComponent("b", (PlannedInterests(channel, symbols[10:50], policy="queue"),), count=10),
        ),
        rates or {channel: Rate(2.0)},
    )


# -- arithmetic --


@pytest.mark.parametrize(("rate", "together_s"), [(50, 0.002), (2000, 0.002), (300, 0.01), (5, 0.0)])
def test_readings_of_a_socket_are_as_many_as_in_a_simulation(rate: float, together_s: float) -> None:
    seed = 11
    print(f"seed {seed}")
    rng = random.Random(seed)
    seconds, now, sleeps_until, waits, reads = 20_000 / rate, 0.0, 0.0, False, 0
    while now < seconds:  # who writes sleeps after each piece, and then writes what came meanwhile, at once
        now += rng.expovariate(rate)
        if waits and now > sleeps_until:
            reads, waits, sleeps_until = reads + 1, False, sleeps_until + together_s
        if now >= sleeps_until:
            reads, sleeps_until = reads + 1, now + together_s
        else:
            waits = True
    assert wakes_of(rate, together_s) == pytest.approx(reads / seconds, rel=0.03)
    assert together_of(rate, wakes_of(rate, together_s)) == pytest.approx(together_s, abs=1e-6)


def test_the_share_of_a_core_is_the_sum_of_what_is_done() -> None:
    load = Load(
        [LinkLoad({("ticker", 0): 100.0}), LinkLoad({("orderbook", 5): 50.0})],
        [ReaderLoad("callback", 150.0, handler_ns=2_000), ReaderLoad("queue", 30.0, 30.0, alike=2)],
        idle_ns=1e6,
        timers=14,
    )
    share, parts = cpu_share(load, COSTS)
    by_hand = {
        "idle": 1e6 + 14 * 15_000,
        "reading": 150 * 20_000,  # each frame comes by itself
        "frames": 100 * 4_000 + 50 * 6_000,
        "delivering": 150 * 500 + 60 * 800,
        "waking": 2 * 30 * 9_000
        + 150 * (1 - 0.8**2) * 6_000,  # each event wakes; one reading in five is for each
        "handlers": 150 * 2_000,
    }
    assert {name: part * 1e9 for name, part in parts.items()} == pytest.approx(by_hand)
    assert share.value * 1e9 == pytest.approx(sum(by_hand.values()))
    assert share.low < share.value < share.high
    together = Load(load.links, load.readers, 0.05)
    assert cpu_share(together, COSTS)[1]["reading"] < parts["reading"] / 3
    assert cpu_share(together, COSTS)[1]["waking"] < parts["waking"]


# -- rehearsed --


def carried_out(planned: Plan, seconds: float = 70.0, **options: Any) -> dict[str, Any]:
    """The same on a manager in virtual time, against the exchange."""
    binance = planned.venue == "binance"
    symbols = {s for c in planned.components for i in c.interests for s in i.symbols}
    make = {"make": BinanceExchange} if binance else {}
    world = World(seed=3, markets=sorted(symbols), rate=0.1, **make, **options)
    found: dict[str, Any] = {}

    async def main(world: World) -> None:
        async with world.manager(venue=planned.venue) as manager:
            made = cast(manager, planned)
            readers = [read(component) for component in made]
            for component in made:
                await component.live()
            wire = manager.stats()
            found.update(links=sum(link.up for link in wire.links), messages=wire.messages_sent)
            await asyncio.sleep(seconds)
            stats = manager.stats()
            found.update(memory=stats.memory, streams=sum(stats.streams.values()), topics=stats.topics)
            found.update(interests=stats.interests, restores=[str(r) for r in manager.restores])
            found["took"] = [r.seconds for r in manager.restores]
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)
            for component in made:
                component.close()

    world.run(main)
    return found


def many(channels: int) -> Plan:
    """More than one link of Binance takes: messages of at most 100 names, and 1,024 streams a link."""
    return Plan(
        "binance",
        (
            PlannedComponent(
                "all",
                tuple(
                    PlannedInterests(channel, BINANCE[:110])
                    for channel in ("book_ticker", "trade", "agg_trade", "candle.1m")[:channels]
                ),
            ),
        ),
        {channel: Rate(0.3) for channel in ("book_ticker", "trade", "agg_trade", "candle.1m")},
    )


OWN = Plan(
    "upbit",
    (
        PlannedComponent(
            "c", (PlannedInterests("orderbook", UPBIT[:5], 5, own_link=True),), Priority.CRITICAL
        ),
        PlannedComponent("d", (PlannedInterests("trade", UPBIT[:30], policy="latest"),), Priority.LOW),
        PlannedComponent("e", (PlannedInterests("orderbook", UPBIT[10:40], policy="queue"),), count=3),
    ),
    {"orderbook": Rate(3.0), "trade": Rate(1.0)},
)


@pytest.mark.simulation
@pytest.mark.parametrize("planned", [plan(), OWN, many(3)], ids=["one message", "own link", "many messages"])
def test_links_messages_and_memory_are_those_of_the_real_thing(planned: Plan) -> None:
    seen = carried_out(planned)
    rehearsal = Rehearsal(planned)
    rehearsal.settle()
    links, messages = rehearsal.links, rehearsal.messages
    rehearsal.fill()
    rehearsal.rest(65)
    core, python = rehearsal.memory()
    counts = len(rehearsal.streams), rehearsal.topics, rehearsal.interests
    rehearsal.close()
    assert (links, messages) == (seen["links"], seen["messages"])
    assert counts == (seen["streams"], seen["topics"], seen["interests"])
    was = seen["memory"]
    apart = {name: (size, was.core[name]) for name, size in core.items() if size != was.core[name]}
    assert sum(core.values()) == pytest.approx(sum(was.core.values()), rel=0.1), apart
    assert was.python <= python <= was.python + 1300 * counts[0]  # and the last event of each stream


@pytest.mark.simulation
def test_a_restore_takes_what_it_takes() -> None:
    planned = plan()
    seen = carried_out(planned, faults=[(60.0, Fault("drop_rst"))])
    assert len(seen["took"]) == 1
    said = predict(Plan(planned.venue, planned.components, planned.rates, rtt_ms=10.0), costs=COSTS)
    assert said.restored_s.low <= said.restored_s.value <= said.restored_s.high
    # by the backoff's jitter, anything up to a quarter of a second more
    assert said.restored_s.low - 0.25 <= seen["took"][0] <= said.restored_s.high + 0.25


def sends_by_host() -> dict[str, int]:
    sends: dict[str, int] = {}
    with PROCESS_LIMITS.lock:
        for (_, host, *_), log in PROCESS_LIMITS._logs.items():
            sends[host] = sends.get(host, 0) + len(log)
    return sends


@pytest.mark.parametrize("used_before", [False, True])
def test_a_rehearsal_spends_nothing_of_the_process(used_before: bool) -> None:
    venue = get_venue("upbit")
    if used_before:
        Pacer(venue.limits, venue.host)
    before = sends_by_host()
    rehearsal = Rehearsal(plan())
    rehearsal.settle()
    during = sends_by_host()
    rehearsal.close()
    assert sum(during.values()) > sum(before.values()), "it is counted, by a host of its own"
    assert sends_by_host() == before, "nothing of it is left"


# -- predicted --


def test_a_forecast_has_all_figures_each_with_its_interval() -> None:
    said = predict(plan(), costs=COSTS)
    assert (said.components, said.interests, said.topics, said.streams) == (11, 420, 50, 50)
    assert (said.links.value, said.messages.value) == (1, 1)
    assert said.frames_per_s.value == pytest.approx(100.0)
    assert said.deliveries_per_s.value == pytest.approx(2.0 * 420)
    for name in ("cpu_share", "memory_bytes", "frames_per_s", "bytes_per_s", "restored_s"):
        figure = getattr(said, name)
        assert 0 < figure.low <= figure.value <= figure.high, name
    assert json.loads(json.dumps(as_json(said)))["cpu_share"]["value"] == said.cpu_share.value
    assert said.notes == ()
    slow = Plan(
        "upbit",
        (PlannedComponent("slow", (PlannedInterests("ticker", UPBIT[:50]),), handler_us=20_000),),
        {"ticker": Rate(2.0)},
    )
    assert "of a core" in predict(slow, costs=COSTS).notes[0]


def test_capped_interests_get_no_more_than_their_cap() -> None:
    capped = Plan(
        "upbit",
        (PlannedComponent("a", (PlannedInterests("ticker", UPBIT[:10], max_rate=0.5),)),),
        {"ticker": Rate(2.0), f"ticker:{UPBIT[0]}": Rate(0.1)},
    )
    said = predict(capped, costs=COSTS)
    assert said.frames_per_s.value == pytest.approx(9 * 2.0 + 0.1)
    assert said.deliveries_per_s.value == pytest.approx(9 * 0.5 + 0.1)


@pytest.mark.simulation
def test_a_live_manager_says_its_plan_with_the_rates_it_has() -> None:
    world = World(seed=3, markets=list(UPBIT[:12]), rate=2.0)

    async def main(world: World) -> None:
        async with world.manager() as manager:
            planned = Plan(
                "upbit",
                (
                    PlannedComponent("a", (PlannedInterests("ticker", UPBIT[:8]),), Priority.HIGH),
                    PlannedComponent("b", (PlannedInterests("orderbook", UPBIT[4:12], 5, "queue"),)),
                    PlannedComponent("c", (PlannedInterests("trade", UPBIT[:3], policy="async"),)),
                    PlannedComponent("d", (PlannedInterests("trade", UPBIT[:3], policy="latest"),)),
                ),
            )
            made = cast(manager, planned)
            for component in made:
                await component.live()
            await asyncio.sleep(62)
            found = manager.plan()
            for one, was in zip(found.components, planned.components, strict=True):
                assert (one.name, one.priority) == (was.name, was.priority)
                (got,), (asked,) = one.interests, was.interests
                assert (got.channel, got.depth, got.policy) == (asked.channel, asked.depth, asked.policy)
                assert sorted(got.symbols) == sorted(asked.symbols)
            costs = Costs(1e4, dict.fromkeys(KEYS, 1000.0), COSTS.delivery, COSTS.wake, 1e4, 1e4)
            said = predict(found, costs=costs)
            stats = manager.stats()
            assert said.streams == sum(stats.streams.values())
            assert said.frames_per_s.value == pytest.approx(stats.frame_rate.over_60s, rel=0.05)
            size = stats.bytes / stats.frames
            assert said.bytes_per_s.value == pytest.approx(stats.frame_rate.over_60s * size, rel=0.05)

    world.run(main)


def test_a_live_managers_plan_has_all_that_was_asked_for_and_nothing_of_who_is_paused() -> None:
    world = World(seed=3, markets=list(UPBIT[:12]), rate=2.0)

    async def main(world: World) -> None:
        async with world.manager() as manager:
            asked = (
                PlannedInterests("ticker", UPBIT[:6], standby=True),
                PlannedInterests("ticker", UPBIT[6:8], priority=Priority.CRITICAL, own_link=True),
                PlannedInterests("trade", UPBIT[:3], max_rate=0.5),
            )
            planned = Plan("upbit", (*(PlannedComponent(f"c{n}", (i,)) for n, i in enumerate(asked)),))
            made = cast(manager, planned)
            paused = manager.component("paused")
            paused.subscribe("orderbook", UPBIT, lambda event: None)
            for component in made:
                await component.live()
            paused.pause()
            await asyncio.sleep(30)
            found = manager.plan()
            assert [one.name for one in found.components] == ["c0", "c1", "c2"]
            for one, was in zip([c.interests[0] for c in found.components], asked, strict=True):
                assert (one.standby, one.own_link, one.max_rate) == (was.standby, was.own_link, was.max_rate)
            costs = Costs(1e4, dict.fromkeys(KEYS, 1000.0), COSTS.delivery, COSTS.wake, 1e4, 1e4)
            said = predict(found, costs=costs)
            assert said.links.value == sum(link.up for link in manager.stats().links)
            assert said.deliveries_per_s.value < 8 * 4.0 + 3 * 0.5

    world.run(main)


def test_a_plan_of_nothing_is_told() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            with pytest.raises(UsageError, match="the plan has no topic"):
                predict(manager.plan())
            paused = manager.component("paused")
            paused.subscribe("ticker", UPBIT, lambda event: None)
            paused.pause()
            with pytest.raises(UsageError, match="the plan has no topic"):
                predict(manager.plan())

    World(seed=3, markets=list(UPBIT[:2])).run(main)


def test_a_live_managers_plan_has_what_nobody_has_claimed_yet() -> None:
    world = World(seed=3, markets=list(UPBIT[:4]))

    async def main(world: World) -> None:
        async with world.manager() as first:
            old = first.component("old")
            old.subscribe("ticker", UPBIT[:3], lambda event: None)
            snapshot = first.snapshot()
        async with world.manager() as manager:
            await manager.restore(snapshot, adopt=True)
            (component,) = manager.plan().components
            (held,) = component.interests
            assert (component.name, held.channel, sorted(held.symbols)) == (
                "old",
                "ticker",
                sorted(UPBIT[:3]),
            )

    world.run(main)


def test_bytes_of_one_stream_go_before_those_of_its_channel() -> None:
    given = {"ticker": Rate(2.0, 500.0), "ticker:KRW-BTC": Rate(4.0, 2000.0), "ticker:KRW-ETH": Rate(1.0)}
    asked = PlannedInterests("ticker", ("KRW-BTC", "KRW-ETH", "KRW-XRP"))
    said = predict(Plan("upbit", (PlannedComponent("a", (asked,)),), given), costs=COSTS)
    assert said.bytes_per_s.value == pytest.approx(4 * 2000 + 1 * 500 + 2 * 500)


KEYS = (("ticker", 0), ("orderbook", 5), ("trade", 0))


# -- calibrated --


def test_a_calibration_finds_a_cost_for_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "ROUND_S", 0.001)
    monkeypatch.setattr(calibration, "LEAST", 4)
    monkeypatch.setattr(calibration, "ROUNDS", 1)
    monkeypatch.setattr(calibration, "TIMERS", 3)
    keys = {("ticker", 0), ("orderbook", 30)}
    found = calibration.calibrate(get_venue("upbit"), keys, {"callback", "queue", "latest", "async", "ring"})
    assert set(found.frame) == keys
    assert set(found.delivery) == set(found.wake) == {"callback", "queue", "latest", "async", "ring"}
    assert found.timer > 0
    assert all(cost >= 0 for cost in (found.read, *found.frame.values(), *found.wake.values()))


@pytest.mark.parametrize(
    ("venue", "channel"),
    [
        *(("upbit", name) for name in ("ticker", "trade", "orderbook", "candle.1s", "candle.240m")),
        *(("binance", name) for name in ("book_ticker", "agg_trade", "trade", "orderbook", "candle.1m")),
    ],
)
def test_there_are_frames_of_public_channels(venue: str, channel: str) -> None:
    one = get_venue(venue)
    index = one.channel_index(channel)
    symbol, *_, other = symbols_like(venue)[:8]
    depth = one.channels[index].depths[-1] if one.channels[index].depths else 0
    sample = sample_of(venue, index, depth, symbol)
    said = renamed(sample.frames[-1], symbol, other)
    assert other.encode() in said.upper()
    assert symbol.encode() not in said.upper()
