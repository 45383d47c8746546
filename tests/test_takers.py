"""Each async handler is judged by itself, whatever others of its component, or who reads it, get done meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

import subcore
from subcore.engine.liveness import TICK_NS, Liveness, Look, Step
from subcore.engine.obligations import Obligations
from subcore.engine.takers import NOBODY, Handlers
from subcore.handling import HandlerDuties
from subcore.types import StatusKind
from test_obligations import LADDER, Told, busy, read_all, until_true
from virtual_manager import World

SLOW, QUARANTINED, REAPED, RECOVERED = (
    StatusKind.SLOW,
    StatusKind.QUARANTINED,
    StatusKind.REAPED,
    StatusKind.RECOVERED,
)


async def hang(event: Any) -> None:
    await asyncio.sleep(1e6)


@pytest.mark.parametrize("sibling", ["async", "plain", "reader", "none"])
def test_a_handler_that_hangs_is_named_and_reaped_however_busy_the_others_are(sibling: str) -> None:
    world = busy()

    async def main(world: World) -> None:
        async with world.manager(obligations=subcore.Obligations()) as manager:
            told, got = Told(world), []

            async def work(event: Any) -> None:
                got.append(event)

            one = manager.component("one", on_status=told)
            reader = asyncio.create_task(read_all(one, got))
            one.subscribe("ticker", "KRW-BTC", hang)
            if sibling == "reader":
                one.subscribe("ticker", "KRW-ETH")
            elif sibling != "none":
                one.subscribe("ticker", "KRW-ETH", work if sibling == "async" else got.append)
            await until_true(lambda: told.kinds)
            began = told.statuses[0][0]
            await until_true(lambda: one.closed)
            assert told.kinds == LADDER
            for _, status in told.statuses:
                assert status.reason.startswith("its handler hang has ")
            assert 3.9 <= told.at(QUARANTINED) - began <= 5.0
            assert 29.0 <= told.at(REAPED) - told.at(QUARANTINED) <= 31.0
            assert (len(got) > 20) is (sibling != "none")
            await asyncio.wait([reader])
            reader.exception()

    world.run(main)


def test_what_nobody_reads_is_found_though_the_handlers_work() -> None:
    world = busy()

    async def main(world: World) -> None:
        async with world.manager(obligations=subcore.Obligations()) as manager:
            told, got = Told(world), []

            async def work(event: Any) -> None:
                got.append(event)

            one = manager.component("one", on_status=told)
            one.subscribe("ticker", "KRW-BTC")
            one.subscribe("ticker", "KRW-ETH", work)
            await until_true(lambda: one.closed)
            assert told.kinds == LADDER
            assert "none was taken" in told.statuses[-1][1].reason
            assert len(got) > 20

    world.run(main)


def test_a_slow_handler_beside_quick_ones_is_slow_and_named_but_never_worse() -> None:
    """It does an event each two seconds, and more than that come."""
    world = busy()

    async def main(world: World) -> None:
        async with world.manager(obligations=subcore.Obligations()) as manager:
            told, got, pace = Told(world), [], [2.0]

            async def crawl(event: Any) -> None:
                await asyncio.sleep(pace[0])

            async def work(event: Any) -> None:
                got.append(event)

            one = manager.component("one", on_status=told)
            one.subscribe("ticker", "KRW-BTC", crawl)
            one.subscribe("ticker", ["KRW-ETH", "KRW-XRP"], work)
            await asyncio.sleep(60.0)
            assert told.kinds == [SLOW]
            assert "crawl" in told.statuses[0][1].reason
            pace[0] = 0.0
            await until_true(lambda: RECOVERED in told.kinds)
            assert told.kinds == [SLOW, RECOVERED]
            one.close()

    world.run(main)


def test_a_handler_that_takes_anothers_id_begins_anew() -> None:
    duties, first, second = HandlerDuties(), object(), object()
    id = duties.begin(3, first)  # type: ignore[arg-type]
    duties.table.add(id, due=5)
    given = duties.look()
    assert given is not None
    assert (given.owner.tolist(), given.due.tolist(), set(given.born)) == ([3], [5], {id})
    duties.end(id, first)  # type: ignore[arg-type]
    assert duties.begin(4, second) == id  # type: ignore[arg-type]
    duties.end(id, first)  # type: ignore[arg-type]
    given = duties.look()
    assert given is not None
    assert (given.owner.tolist(), given.due.tolist(), set(given.born)) == ([4], [0], {id})
    more = [duties.begin(number, object()) for number in range(200)]  # type: ignore[arg-type]
    given = duties.look()
    assert given is not None
    assert given.owner.tolist() == [4, *range(200)]
    assert sorted([id, *more]) == list(range(201))


class Two:
    """A component that reads, with two handlers, told by the tick."""

    def __init__(self) -> None:
        self.engine = Liveness(Obligations())
        self.engine.add(5)
        self.owner = np.array([NOBODY, 5, 5])
        self.due, self.done, self.lost = (np.zeros(3, np.int64) for _ in range(3))
        self.born: set[int] = {1, 2}
        self.now = 0
        self.reads = np.zeros(8, np.int64)
        self.vetoes = False

    def kinds(self, ticks: int) -> list[tuple[StatusKind, str]]:
        """What follows, and for whom."""
        found = []
        for _ in range(ticks):
            self.now += TICK_NS
            self.reads += 1
            self.done[1] += 1
            self.due[1] += 1
            handlers = Handlers(self.owner, self.due, self.done, self.lost, self.born)
            self.born = set()
            for step in self.engine.look(Look(self.reads + 1, self.reads, handlers=handlers), self.now):
                assert isinstance(step, Step)
                found.append((step.kind, step.reason.split(" has ")[0][-1]))
                if self.vetoes and step.rises:
                    self.engine.vetoed(step)
                else:
                    self.engine.carried(step)
        return found


def test_the_worst_of_several_counts() -> None:
    two = Two()
    assert two.kinds(20) == []
    two.due[2] = 1
    assert two.kinds(22) == [(SLOW, "2"), (QUARANTINED, "2")]
    assert two.engine.is_stopped(5)
    two.done[2] = 1
    assert [kind for kind, _ in two.kinds(40)] == [RECOVERED]
    two.due[2] = 2
    two.owner[2] = NOBODY  # it ended
    assert two.kinds(40) == []
    two.owner[2], two.born, two.due[2], two.done[2] = 5, {2}, 1, 0
    assert two.kinds(19) == [(SLOW, "2")]
    two.born = {2}  # another at once, which was given as much
    assert [kind for kind, _ in two.kinds(12)] == [RECOVERED, SLOW]
    assert [kind for kind, _ in two.kinds(140)][:2] == LADDER[1:]


def test_a_pause_a_veto_and_a_word_of_its_component_give_a_handler_its_time_again() -> None:
    two = Two()
    two.due[2] = 1
    two.engine.pause(5, True)
    assert two.kinds(60) == []
    two.engine.pause(5, False)
    assert two.kinds(4) == []
    two.engine.pause(5, True)
    two.engine.pause(5, False)
    assert two.kinds(4) == []
    assert two.kinds(2) == [(SLOW, "2")]
    two.vetoes = True
    assert [kind for kind, _ in two.kinds(60)] == [QUARANTINED] * 3
    two.engine.forgive(5)
    two.vetoes = False
    assert [kind for kind, _ in two.kinds(3)] == [RECOVERED]
    assert two.kinds(18) == [(SLOW, "2"), (QUARANTINED, "2")]
    two.vetoes = True
    assert [kind for kind, _ in two.kinds(260)] == [REAPED] * 2


def test_a_wait_for_proof_excuses_no_handler() -> None:
    two = Two()
    two.engine.excuse(5, 1)
    two.due[2] = 1
    assert two.kinds(22) == [(SLOW, "2"), (QUARANTINED, "2")]
