"""Scenario 4: components die badly, streams freeze and links fall silent; how long each takes to be found.

With subcore an event that names a fault is a Status: one of the component for a component's fault, SUSPECT with the
topic for a frozen stream, SUSPECT with a topic of the link for a silent link. With the plain manager it is what it does
of itself: its ten-minute check that lists the topic, the end of the link after pings without an answer, the log line
about a component that raised.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
from collections.abc import Sequence
from typing import Any

from subcore.engine.clock import SECOND
from subcore.engine.obligations import Obligations
from subcore.scenarios.account import Key
from subcore.scenarios.changes import markets
from subcore.scenarios.figures import Figure, Outcome
from subcore.scenarios.finding import Finder, Injected, median, worst
from subcore.scenarios.patients import COMPONENT_FAULTS, Patient, PlainPatient
from subcore.scenarios.sides import PlainSide, SubcoreSide
from subcore.scenarios.stage import Stage
from subcore.sim import Fault
from subcore.sim.rest import ORDERBOOK_PATH, TICKER_PATH
from subcore.testing.world import DELAY_S
from subcore.types import Priority, StatusKind, Topic

__all__ = ["MEDIAN_AT_MOST_S", "bad_ends", "play_plain", "play_subcore"]

SYMBOLS, RATE = 4, 1.0
MS = 1_000_000
CHANNELS = ("ticker", "trade", "orderbook")
WARM_S = 90.0  # until the habits of streams are known
MEDIAN_AT_MOST_S = 0.5
PATIENCE_S = 60.0  # a fault not named by then is not found
CHECKS_S = 1300.0  # in which the plain manager's check comes twice
ACCUSED = {StatusKind.SLOW, StatusKind.QUARANTINED, StatusKind.REAPED, StatusKind.ERROR}
SILENT, FROZEN = "a link falls silent", "a stream freezes"


def _fit(stage: Stage, rng: random.Random, count: int) -> list[Key]:
    """Streams whose frames come with a median interval of at most 0.5 s, by what came over the network."""
    fit = [
        key
        for key, gaps in sorted(stage.gaps.items())
        if len(gaps) == gaps.maxlen and statistics.median(gaps) <= MEDIAN_AT_MOST_S * SECOND
    ]
    if count and not fit:
        raise RuntimeError("no stream is busy enough to be frozen")
    return rng.sample(fit, min(count, len(fit)))


def play_subcore(
    seed: int,
    *,
    frozen: int = 8,
    silent: int = 2,
    rounds: int = 1,
    kinds: Sequence[str] = COMPONENT_FAULTS,
    warm_s: float = WARM_S,
) -> Finder:
    """Faults one after another; each is over before the next."""
    codes = markets(SYMBOLS)
    stage = Stage(seed, codes, rate=RATE, variety=8)
    rng = random.Random(f"bad ends {seed}")
    finder = Finder(stage.ns)

    async def main(_: Stage) -> None:
        side = SubcoreSide(stage, obligations=Obligations(blocked=None), latest=_newest(stage))
        await side.start()
        watch = side.manager.component("watch", on_status=lambda status: finder.told(("watch", status)))
        side.components["watch"] = watch
        for channel in CHANNELS:
            watch.subscribe(channel, codes, lambda event: None)
        await asyncio.sleep(warm_s)
        for key in _fit(stage, rng, frozen):
            await _freeze(stage, finder, key, rng)
        for _again in range(silent):
            await _silence(stage, finder, rng)
        for number in range(rounds):
            for fault in kinds:
                await _fail(side, finder, f"{fault} ({number})", fault, codes, rng)
        await side.stop()

    stage.run(main, patience_s=50_000.0)
    return finder


def _newest(stage: Stage) -> Any:
    """What a manager's question about the newest finds on the venue's pages, one way there and one back."""

    async def latest(topics: Sequence[Topic]) -> dict[Topic, int]:
        await asyncio.sleep(2 * DELAY_S)
        codes = ",".join(sorted({topic.symbol for topic in topics}))
        times: dict[tuple[bool, str], int] = {}
        for path, field, is_book in (
            (TICKER_PATH, "trade_timestamp", False),
            (ORDERBOOK_PATH, "timestamp", True),
        ):
            status, _, body = stage.exchange.get(stage.ns(), f"{path}?markets={codes}")
            if status == 200:
                times |= {(is_book, row["market"]): row[field] * MS for row in json.loads(body)}
        return {topic: times.get((topic.channel == "orderbook", topic.symbol), 0) for topic in topics}

    return latest


async def _found(fault: Any, rng: random.Random) -> None:
    """Until it is named, or too late; and a while more, for all to come to rest."""
    for _ in range(round(PATIENCE_S / 0.1)):
        if fault.found is not None:
            break
        await asyncio.sleep(0.1)
    await asyncio.sleep(rng.uniform(15.0, 20.0))


async def _freeze(stage: Stage, finder: Finder, key: Key, rng: random.Random) -> None:
    channel, symbol = key

    def names(event: Any) -> bool:
        status = event[1]
        return status.kind is StatusKind.SUSPECT and any(
            (topic.channel, topic.symbol) == key for topic in status.topics
        )

    fault = finder.inject(FROZEN, " ".join(key), names)
    stage.exchange.inject(Fault("silent", channel=channel, symbol=symbol), stage.ns())
    await _found(fault, rng)
    stage.exchange.heal(stage.ns(), "silent")


async def _silence(stage: Stage, finder: Finder, rng: random.Random) -> None:
    conns = stage.exchange.carries()
    conn = max(conns, key=lambda one: len(conns[one]))

    def names(event: Any) -> bool:
        status = event[1]
        return status.kind is StatusKind.SUSPECT and any(
            (topic.channel, topic.symbol) in conns[conn] for topic in status.topics
        )

    fault = finder.inject(SILENT, f"connection {conn}", names)
    stage.exchange.inject(Fault("half_open", conn=conn), stage.ns())
    await _found(fault, rng)


async def _fail(
    side: SubcoreSide, finder: Finder, name: str, what: str, codes: list[str], rng: random.Random
) -> None:
    patient = Patient(side, name, what, codes[:5], lambda who, status: finder.told((who, status)))
    await asyncio.sleep(rng.uniform(5.0, 15.0))

    def names(event: Any) -> bool:
        return event[0] == name and event[1].kind in ACCUSED

    patient.fails = True
    await _found(finder.inject(what, name, names), rng)
    await patient.end()
    del side.components[name]


def play_plain(seed: int, *, frozen: int = 8, silent: int = 2, rounds: int = 1) -> Finder:
    """The same kinds of faults, all within the first minutes: the check comes each ten."""
    codes = markets(SYMBOLS)
    stage = Stage(seed, codes, rate=RATE, variety=8)
    rng = random.Random(f"bad ends {seed}")
    finder = Finder(stage.ns)

    async def main(_: Stage) -> None:
        side = PlainSide(stage)
        side.on_lost = lambda: finder.told(("link lost", None))
        side.on_stale = lambda stale: finder.told(("stale", stale))
        for channel in CHANNELS:
            side.hold("watch", channel, codes, Priority.NORMAL)
        sick = [
            PlainPatient(side, f"{what} ({n})", what, codes[:5])
            for n in range(rounds)
            for what in COMPONENT_FAULTS
        ]
        await side.start()
        await asyncio.sleep(WARM_S)
        watching = asyncio.create_task(_watch_errors(side, finder))
        for key in _fit(stage, rng, frozen):
            finder.inject(FROZEN, " ".join(key), _lists(key))
            stage.exchange.inject(Fault("silent", channel=key[0], symbol=key[1]), stage.ns())
            await asyncio.sleep(rng.uniform(0.0, 20.0))
        for patient in sick:
            patient.fails = True
            finder.inject(patient.fault, patient.name, _raises if patient.raises else _never)
            await asyncio.sleep(rng.uniform(0.0, 20.0))
        await asyncio.sleep(CHECKS_S)
        for _again in range(silent):
            conn = max(stage.exchange.connections)
            finder.inject(SILENT, f"connection {conn}", lambda event: event[0] == "link lost")
            stage.exchange.inject(Fault("half_open", conn=conn), stage.ns())
            await asyncio.sleep(PATIENCE_S)
        watching.cancel()
        await side.stop()

    stage.run(main, patience_s=50_000.0)
    return finder


async def _watch_errors(side: PlainSide, finder: Finder) -> None:
    """Each exception of a component is counted and logged; for whoever reads the log, it is named."""
    seen = side.manager.errors
    while True:
        await asyncio.sleep(0.1)
        if side.manager.errors > seen:
            seen = side.manager.errors
            finder.told(("raised", None))


def _lists(key: Key) -> Any:
    return lambda event: event[0] == "stale" and key in event[1]


def _raises(event: Any) -> bool:
    return bool(event[0] == "raised")


def _never(event: Any) -> bool:
    """Nothing the plain manager says is about this."""
    return False


def bad_ends(seed: int = 1, *, plays: int = 1, frozen: int = 6, silent: int = 2, rounds: int = 1) -> Outcome:
    """Scenario 4: all kinds of faults, with both managers; several plays."""
    seeds = range(seed, seed + plays)
    before, after = (
        [
            fault
            for number in seeds
            for fault in play(number, frozen=frozen, silent=silent, rounds=rounds).faults
        ]
        for play in (play_plain, play_subcore)
    )
    outcome = Outcome(4, "a component dies badly")
    for key, of in (("found_worst", worst), ("found_median", median)):
        outcome.figures.append(Figure(key, of(_seconds(before)), of(_seconds(after))))
    outcome.facts["faults injected"] = len(before), len(after)
    for kind in (SILENT, FROZEN, *COMPONENT_FAULTS):
        times = _rounded(worst(_seconds(before, kind))), _rounded(worst(_seconds(after, kind)))
        outcome.facts[f"{kind}, worst, seconds"] = times
    outcome.faults += [f"{each.kind}: {each.what}: never named" for each in after if each.found is None]
    return outcome


def _seconds(faults: list[Injected], kind: str | None = None) -> list[float | None]:
    return [fault.seconds for fault in faults if kind in (None, fault.kind)]


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)
