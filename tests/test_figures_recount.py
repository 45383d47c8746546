"""Counters that `stats()` gives against plain models that know nothing of the core: sets, deques and sums."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from engine_script import Script
from fed_manager import trade
from manager_rig import make
from subcore.engine import events
from subcore.engine.obligations import Obligations, Verdict
from subcore.manager import SubscriptionManager
from subcore.sim.exchange import Refusal
from subcore.sim.faults import Fault
from subcore.sim.markets import markets_for
from subcore.testing.fleet import STEP_S, Fleet
from subcore.types import Status, StatusKind, Unknown
from test_figures_wire import Recount
from virtual_manager import World

# -- the wire


class Troubled(Recount):
    """Counts as well how connections end, what they begin with, and what the venue says that is no data."""

    def __init__(self, seed: int, **options: Any) -> None:
        super().__init__(seed, **options)
        self.open: set[int] = set()
        self.lost = self.begun = 0

    async def knock(self, headers: Any, path: str) -> Any:
        answer = await super().knock(headers, path)
        if not isinstance(answer, Refusal):
            self.open.add(answer)
        return answer

    def _asked(self, conn: int, wanted: set[tuple[str, str]]) -> None:
        if conn not in self.asked:
            self.begun += 1
        super()._asked(conn, wanted)

    def arrives(self, end: Any, output: Any) -> None:
        if not end._closed.is_set():
            if output.kind == "frame":
                said = json.loads(output.payload)
                is_data = "type" in said or "ty" in said
                self.counts["controls"] += not is_data
                if "error" in said:
                    self.counts["failed_requests"] += 1
                    self._is_over(output.conn)
            elif output.kind not in ("ping", "pong"):
                self._is_over(output.conn)
        super().arrives(end, output)

    def _is_over(self, conn: int) -> None:
        """Unasked: by an error, which the venue's close follows, or without a word."""
        if conn in self.open:
            self.open.remove(conn)
            self.asked.pop(conn, None)
            self.counts["losses"] += 1

    def leave(self, conn: int) -> None:
        self.open.discard(conn)
        self.asked.pop(conn, None)
        super().leave(conn)

    @property
    def on_wire(self) -> set[tuple[str, str]]:
        return {each for conn in self.open for each in self.asked.get(conn, ())}


async def change(
    world: Troubled, manager: SubscriptionManager, rng: random.Random, steps: int
) -> AsyncIterator[tuple[int, set[tuple[str, str]]]]:
    """Somebody changes his mind again and again; the step, and what is wanted then."""
    wanted: set[tuple[str, str]] = {("orderbook", "KRW-BTC")}
    make(manager, "keeper").subscribe("orderbook", "KRW-BTC", lambda event: None)
    one = make(manager, "one")
    for step in range(steps):
        channel, symbols = rng.choice(["ticker", "trade"]), rng.sample(["KRW-BTC", "KRW-ETH", "KRW-XRP"], 2)
        if rng.random() < 0.5:
            one.subscribe(channel, symbols, lambda event: None)
            wanted |= {(channel, symbol) for symbol in symbols}
        else:
            one.unsubscribe(channel, symbols)
            wanted -= {(channel, symbol) for symbol in symbols}
        await asyncio.sleep(rng.choice([0.0, 0.01, 0.05, 0.3, 2.5]))
        yield step, wanted


@pytest.mark.simulation
@pytest.mark.parametrize("seed", range(2))
def test_what_waits_is_what_is_wanted_and_was_not_said(seed: int) -> None:
    print(f"seed {seed}")

    async def main(world: Troubled) -> None:
        async with world.manager() as manager:
            waited = 0
            async for step, wanted in change(world, manager, random.Random(f"waits {seed}"), 150):
                [link] = manager.stats().links
                assert link.waiting == len(wanted ^ world.on_wire), (step, wanted, world.on_wire)
                waited += link.waiting > 0
            assert waited > 20

    Troubled(seed, rate=0.7).run(main)


@pytest.mark.simulation
@pytest.mark.parametrize("seed", range(2))
def test_losses_restores_and_refusals_are_counted_as_they_happened(seed: int) -> None:
    print(f"seed {seed}")
    rng = random.Random(f"troubled {seed}")

    async def main(world: Troubled) -> None:
        async with world.manager() as manager:
            async for step, _ in change(world, manager, rng, 40):
                if step % 8 == 5:
                    world.exchange.inject(Fault("drop_rst"), world.ns())
                    world.pump()
                    await asyncio.sleep(rng.choice([0.1, 1.0, 8.0]))
                up = [number for number, link in manager._hub.runtime.links.items() if link.is_up]
                if step % 10 == 2 and up:
                    manager._hub.feed.feed(up[0], b'{"hello": 1}', world.ns())
                    world.counts["controls"] += 1
                    world.counts["unknown_control"] += 1
                    await asyncio.sleep(0.01)
            one = manager.components["one"]
            one.unsubscribe("ticker")
            await asyncio.sleep(20.0)
            world.exchange.inject(Fault("error", symbol="KRW-XRP", channel="ticker"), world.ns())
            one.subscribe("ticker", ["KRW-ETH", "KRW-XRP"], lambda event: None)
            await asyncio.sleep(60.0)
            stats = manager.stats()
            names = [name for name in world.counts if name != "controls"]
            assert {name: getattr(stats.wire, name) for name in names} == {n: world.counts[n] for n in names}
            assert stats.controls == world.counts["controls"]
            assert stats.wire.losses >= 3
            assert stats.wire.failed_requests >= 1
            assert stats.wire.restores == world.begun - len(stats.links) > 2, (
                "of each link, all but the first"
            )

    Troubled(seed, rate=0.7).run(main)


def test_events_of_a_connection_that_is_no_more_are_counted() -> None:
    rng = random.Random("late")
    s = Script()
    ids = s.open_with("ticker", "KRW-BTC")
    late = 0
    for _ in range(300):
        if rng.random() < 0.05:
            s.down()
            s.reconnect()
        link, generation = rng.choice([0, 0, 0, 7]), s.generation - rng.choice([0, 0, 1])
        event: events.Event = rng.choice(
            [
                events.Pong(link, generation, 5),
                events.LinkActivity(link, generation, s.now, 5),
                events.ControlFrame(link, generation, Unknown(b"", 1)),
                events.StreamEvidence(link, generation, ids[:0]),
                events.LinkUp(link, generation, 5),  # a connection that is up does not come up
            ]
        )
        before = s.engine.stats.late_events
        s.tell(event)
        late = (link, generation) != (0, s.generation) or isinstance(event, events.LinkUp)
        assert s.engine.stats.late_events - before == late, event


# -- who is silent


@pytest.mark.simulation
@pytest.mark.parametrize("seed", [1])
def test_who_was_asked_again_and_about_is_counted_as_a_world_that_knows_who_froze_says(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streams freeze, of which a re-ask is right; and the venue's pages lie, so that others are asked again in vain."""
    print(f"seed {seed}")
    codes = [f"KRW-N{number}" for number in range(6)]
    fleet = Fleet(list(markets_for(codes)), seed)
    rng, names = random.Random(f"fleet {seed}"), Counter[str]()
    honest = fleet._newest

    def newest(streams: Any) -> Any:
        return np.full(len(streams), fleet.now) if names["lies"] % 2 else honest(streams)

    monkeypatch.setattr(fleet, "_newest", newest)
    for _ in range(8):
        names["lies"] += 1
        for _ in range(round(rng.uniform(60.0, 120.0) / STEP_S)):
            fleet.step()
        fit = [
            row for row in fleet.streams.tolist() if row not in fleet.frozen and fleet.columns._counted[row]
        ]
        fleet.freeze(rng.choice(fit))
    for _ in range(round(120.0 / STEP_S)):
        fleet.step()
    stats = fleet.engine.stats
    found = [one for one in fleet.report.frozen if one.seconds is not None]
    assert found
    assert stats.questions == fleet.report.questions > 20
    # one that happens to speak just as it is asked again seems to have had something to say
    assert 0.75 * len(fleet.report.needless) <= stats.needless_reasks <= len(fleet.report.needless)
    assert stats.needless_reasks > 3
    assert stats.reasks == len(found) + len(fleet.report.needless)


# -- what was done about components


@pytest.mark.simulation
def test_steps_that_were_vetoed_are_none() -> None:
    rng, told, vetoed = random.Random("veto"), Counter[str](), Counter[str]()

    def veto(verdict: Verdict) -> bool:
        no = rng.random() < 0.5
        vetoed[verdict.kind.name] += no
        return no

    def note(status: Status) -> None:
        steps = (StatusKind.SLOW, StatusKind.QUARANTINED, StatusKind.REAPED, StatusKind.RECOVERED)
        told[status.kind.name] += status.kind in steps and not status.topics

    async def main(world: World) -> None:
        rules = Obligations(slow=0.5, quarantine=1.5, grace=1.0, calm=1.0, veto=veto)
        async with world.manager(obligations=rules) as manager:
            for number in range(6):
                hangs = make(manager, f"hangs {number}", on_status=note)
                hangs.subscribe("ticker", "KRW-BTC")
                await asyncio.sleep(rng.uniform(0.0, 3.0))
                await hangs.batch(10_000, timeout=0.0) if not hangs.closed else None
            await asyncio.sleep(60.0)
            steps = manager.stats().steps
            assert steps == {kind: count for kind, count in told.items() if count}
            assert steps["REAPED"] == 6
            assert set(vetoed) == {"SLOW", "QUARANTINED", "REAPED"}

    World(seed=3, rate=5.0).run(main)


def test_totals_stay_as_streams_go_and_resting_is_no_loss() -> None:
    """Gaps of a stream whose id was given back, and a link that was closed since nobody wanted anything."""

    async def main(world: World) -> None:
        async with world.manager() as manager:
            component = make(manager, "c")
            component.subscribe("trade", "KRW-BTC", lambda event: None)
            await component.live(10.0)
            for price, number, kind in ((1, 1, "REALTIME"), (1, 999_999, "SNAPSHOT")):
                manager._hub.feed.feed(0, trade("KRW-BTC", price, number, kind), world.ns())
            assert manager.stats().gaps == 1
            component.unsubscribe("trade")
            await asyncio.sleep(30.0)
            assert not manager.stats().links[0].up
            assert manager.stats().gaps == 1
            component.subscribe("trade", "KRW-BTC", lambda event: None)
            await component.live(10.0)
            wire = manager.stats().wire
            assert (wire.restores, wire.losses, wire.connects) == (0, 0, 2)
            world.exchange.inject(Fault("drop_rst"), world.ns())
            await asyncio.sleep(10.0)
            wire = manager.stats().wire
            assert (wire.restores, wire.losses, wire.connects) == (1, 1, 3)

    World(1).run(main)
