"""What the log says of each step of the ladder: the line, its level, and its figures against plain lists."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import subcore
from virtual_manager import World

LINE = re.compile(r"component '([\w ]+)' is ([A-Z]+): (.*) \((\d+) events wait, (\d+\.\d) s\)")
TICK = 0.25
ROUNDED = 0.051  # a figure has one decimal
SLACK = 2 * TICK + ROUNDED  # what happens between two ticks is seen at the later one, and judged at the next


@dataclass
class Line:
    """One of the log, and what was so when it was written."""

    component: str
    step: str
    reason: str
    waiting: int
    seconds: float
    level: int
    at: float
    came: int


class Lines(logging.Handler):
    """Reads the log as it is written. `came`: when each event of the market came, by a handler that takes all."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.INFO)
        self.world = world
        self.came: list[float] = []
        self.found: list[Line] = []

    def emit(self, record: logging.LogRecord) -> None:
        if said := LINE.fullmatch(record.getMessage()):
            what = said[1], said[2], said[3], int(said[4]), float(said[5])
            self.found.append(Line(*what, record.levelno, self.now, len(self.came)))

    @property
    def now(self) -> float:
        return self.world.clock.now / 1e9

    async def until(self, step: str, count: int = 1) -> Line:
        """The so many-th line of that step."""
        async with asyncio.timeout(120.0):
            while len(found := [line for line in self.found if line.step == step]) < count:
                await asyncio.sleep(0.05)
        return found[count - 1]

    def watch(self, manager: subcore.SubscriptionManager) -> subcore.Component:
        watch = manager.component("watch")
        watch.subscribe("ticker", "KRW-BTC", lambda event: self.came.append(self.now))
        return watch


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler, log = Lines(World(1, rate=8.0)), logging.getLogger("subcore.component")
    level = log.level
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    yield handler
    log.removeHandler(handler)
    log.setLevel(level)


def about(said: float, true: float) -> bool:
    """Never more than it was, nor less than what a look each quarter of a second leaves out."""
    return true - SLACK <= said <= true + ROUNDED


def test_who_does_not_read_is_told_of_with_what_waits_and_for_how_long(lines: Lines) -> None:
    async def main(world: World) -> None:
        async with world.manager(obligations=subcore.Obligations(grace=4.0, calm=2.0)) as manager:
            watch = lines.watch(manager)
            hung = manager.component("hung")
            hung.subscribe("ticker", "KRW-BTC")
            slow, stopped = await lines.until("SLOW"), await lines.until("QUARANTINED")
            for line, least in ((slow, 1.0), (stopped, 5.0)):
                assert line.waiting == line.came, "all that came so far"
                assert line.seconds >= least
                assert about(line.seconds, line.at - lines.came[0])
                wanted = f"{line.waiting} events wait, and none was taken for {line.seconds:.1f} s"
                assert line.reason == wanted
            assert (slow.level, stopped.level) == (logging.WARNING, logging.ERROR)
            while not any(line.step == "RECOVERED" for line in lines.found):
                await hung.batch(10_000, timeout=0.1)
            well = lines.found[-1]
            assert (well.reason, well.level) == ("it takes its events again", logging.INFO)
            assert well.waiting <= 2
            await hung.batch(10_000, timeout=1.0)
            mark = len(lines.came)
            again = await lines.until("QUARANTINED", 2)
            assert again.waiting == again.came - mark
            assert about(again.seconds, again.at - lines.came[mark])
            gone = await lines.until("REAPED")
            assert gone.waiting == again.waiting, "nothing is delivered to who is stopped"
            assert about(gone.seconds, gone.at - lines.came[mark])
            assert gone.seconds >= again.seconds + 4.0 - ROUNDED
            assert gone.level == logging.ERROR
            assert {line.component for line in lines.found} == {"hung"}
            watch.close()

    lines.world.run(main)


def test_a_breaker_is_told_of_with_its_errors_and_since_when(lines: Lines) -> None:
    async def main(world: World) -> None:
        rules = subcore.Obligations(errors=7, tries=(1.0, 2.5), failing=4.0, grace=3.0)
        async with world.manager(obligations=rules) as manager:
            calls: list[float] = []

            def raises(event: Any) -> None:
                calls.append(lines.now)
                raise ValueError("always")

            bad = manager.component("bad")
            bad.subscribe("ticker", "KRW-BTC", raises)
            for step, errors in (("SLOW", 7), ("QUARANTINED", 9), ("REAPED", 9)):
                line = await lines.until(step)
                assert len(calls) == errors
                wanted = f"a handler raised {errors} times in a row and is cut off, for {line.seconds:.1f} s by now"
                assert (line.component, line.reason, line.waiting) == ("bad", wanted, 0)
                assert about(line.seconds, line.at - calls[6])
            assert [line.step for line in lines.found] == ["SLOW", "QUARANTINED", "REAPED"]

    lines.world.run(main)


def test_a_handler_that_works_again_is_told_of(lines: Lines) -> None:
    async def main(world: World) -> None:
        async with world.manager(obligations=subcore.Obligations(errors=3)) as manager:
            calls: list[float] = []

            def raises(event: Any) -> None:
                calls.append(lines.now)
                if len(calls) <= 3:
                    raise ValueError("at first")

            flaky = manager.component("flaky")
            flaky.subscribe("ticker", "KRW-BTC", raises)
            well = await lines.until("RECOVERED")
            assert (well.reason, well.level) == ("its handler works again", logging.INFO)
            assert well.at - calls[3] <= SLACK
            flaky.close()

    lines.world.run(main)


def test_who_does_not_beat_is_told_of_with_its_silence_and_its_promise(lines: Lines) -> None:
    async def main(world: World) -> None:
        async with world.manager(obligations=subcore.Obligations(beats_missed=2)) as manager:
            silent = manager.component("silent", heartbeat=1.5)
            await asyncio.sleep(1.0)
            silent.heartbeat()
            beat = lines.now
            for step in ("QUARANTINED", "REAPED"):
                line = await lines.until(step)
                wanted = f"no heartbeat for {line.seconds:.1f} s, and it promised one each 1.5 s"
                assert (line.reason, line.waiting) == (wanted, 0)
                assert about(line.seconds, line.at - beat)
                assert line.level == logging.ERROR

    lines.world.run(main)


def test_whose_owner_is_done_is_told_of_as_no_fault(lines: Lines) -> None:
    async def main(world: World) -> None:
        async with world.manager(obligations=subcore.Obligations()) as manager:
            owner = asyncio.create_task(asyncio.sleep(2.0))
            owned = manager.component("owned", owner=owner)
            line = await lines.until("REAPED")
            told = (line.component, line.reason, line.waiting, line.seconds, line.level)
            assert told == ("owned", "its owner is done or gone", 0, 0.0, logging.WARNING)
            assert owned.closed

    lines.world.run(main)
