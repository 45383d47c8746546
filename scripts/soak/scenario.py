"""One scenario from one seed: components come and go, everything fails now and then, and the judge looks on."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from math import inf

import numpy as np
from bounds import overgrown
from directed import ACTS, end_let_go
from grammar import Key
from judge import Broken
from places import astray, of_wrong_depth
from world import BASES, CLOCKS, FAULTS, LASTING, WORLDS, JudgedDriver

from subcore.engine import events
from subcore.sim.faults import Fault
from subcore.types import StreamState

STEPS = 200
COMPONENTS = 20
BITTEN = 3
AT_CONNECT = ("refuse", "cut", "hang", "status")
SLOW = ("mute_pong", "hang")
SILENT = ("silent",) * 5  # most markets are silent for longer by themselves
RARE = (
    *SLOW,
    *SLOW,
    *SLOW,
    *SILENT,
    "close",
    "delist",
    "drop_fin",
    "error",
    "stall",
)  # once more: few of them bite
TOPICS = 100
TOO_FAST = 0.65  # of errors and closes
SETTLE_S = 75.0
QUIET_S = 20.0  # in which nothing is to be done
ROUNDS = 6
CALM_ROUNDS = (
    10  # until a nursery's streams are home: a calm minute, and one rewrite of a settled link a minute
)


@dataclass(slots=True)
class Result:
    """What one scenario came to. `pairs` counts (state, event) of streams."""

    world: str
    seed: int
    broken: str = ""
    history: str = ""
    checks: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    tally: Counter[str] = field(default_factory=Counter)
    pairs: np.ndarray | None = None


def play(world_name: str, seed: int, *, history: int = 60) -> Result:
    """Run one scenario. A broken promise is in the result, with the latest history."""
    rng = random.Random(f"{world_name} {seed}")
    driver = JudgedDriver(WORLDS[world_name](rng), seed, rng)
    result = Result(world_name, seed)
    try:
        _wild(driver, rng)
        _settle(driver)
        _leave(driver)
    except Exception as error:  # whatever it is, the run ends where it came up
        result.broken = f"{type(error).__name__}: {error}"
        result.history = driver.read_history(history)
    result.checks, result.tally = driver.judge.checks + driver.core.handlers.counts, driver.tally
    result.faults.update(driver.exchange.fault_counts)
    result.faults.update({kind: driver.tally[kind] for kind in CLOCKS})
    result.pairs = driver.engine.streams.pairs.copy()
    return result


def _wild(driver: JudgedDriver, rng: random.Random) -> None:
    driver.wishes.want(TOPICS)
    topics = len(set().union(*driver.wishes.held.values()))
    flaps_at = rng.randrange(STEPS // 4, STEPS + STEPS // 4)  # in some, never
    acts = dict(zip(rng.sample(range(STEPS), len(ACTS)), ACTS, strict=True))
    for step in range(STEPS):
        if step == flaps_at:
            _flap(driver, rng)
        if step in acts:
            acts[step](driver, rng)
        for _ in range(rng.choice((1, 1, 1, 4, 12))):
            driver.wishes.step()
        if rng.random() < 0.09 or step in (50, 100, 150):
            _fault(driver, rng)
        if rng.random() < 0.05:
            _operate(driver, rng)
        driver.run(rng.choice((0.0, 0.0, 0.01, 0.2, 1.0, 5.0)))
        _check_step(driver)
    _check_size(driver, topics)


def _check_size(driver: JudgedDriver, topics: int) -> None:
    """A scenario that is smaller than said shows less than said."""
    bitten = sum(driver.exchange.fault_counts.values()) + sum(driver.tally[kind] for kind in CLOCKS)
    for what, there, least in (
        ("steps", driver.judge.checks["steps"], STEPS),
        ("components", len(driver.wishes.held), COMPONENTS),
        ("topics", topics, TOPICS),
        ("faults", bitten, BITTEN),
    ):
        if there < least:
            raise Broken(f"the scenario is too small: {there} {what}, {least} are the least")


def _fault(driver: JudgedDriver, rng: random.Random) -> None:
    kind = rng.choice((*FAULTS, *CLOCKS, *RARE))
    seconds = rng.uniform(10.0, 30.0) if kind in SLOW else rng.uniform(0.5, 12.0)
    if (
        kind == "stall"
    ):  # the loop is stuck, or the machine sleeps: time leaps, and whoever could want things is stuck too
        driver.tally[kind] += 1
        most = (
            55.0 if driver.world.grammar.counts_pings else 100.0
        )  # pings that pile up are answered together; after a minute the venue gives up
        stuck = rng.uniform(0.3, most)
        driver.stall(stuck)
        driver.run(stuck)
    elif kind == "duplicate":
        driver.duplicates_until = driver.now + round(seconds * 1e9)
    else:
        driver.exchange.inject(_described(driver, rng, kind, seconds), driver.now)
        if kind in AT_CONNECT:  # they bite where somebody connects: one link, or all of them at once
            open_ones = sorted(driver.exchange.connections)
            for conn in open_ones if rng.random() < 0.5 else open_ones[:1]:
                driver.exchange.inject(Fault("drop_rst", conn=conn), driver.now)


def _flap(driver: JudgedDriver, rng: random.Random) -> None:
    """Streams ask for links of all kinds, and then the venue accepts every connection and drops it at once."""
    driver.turn()
    wanted = sorted(driver.core.wanted())
    for event in (events.OwnLink, events.StandBy):
        driver.handle(event(np.array(sorted(rng.sample(wanted, min(6, len(wanted)))), np.int32), True))
    driver.run(8.0)
    driver.tally["times of flapping links"] += 1
    for _ in range(400):
        for conn in sorted(driver.exchange.connections):
            driver.exchange.inject(Fault("drop_rst", conn=conn), driver.now)
        driver.run(0.05)


def _described(driver: JudgedDriver, rng: random.Random, kind: str, seconds: float) -> Fault:
    symbol = rng.choice(driver.world.markets[2:])
    if kind in ("error", "close") and rng.random() < TOO_FAST:  # which accuses no stream
        if driver.world.name == "upbit" and kind == "error":
            driver.tally["too fast, said the venue"] += 1
            return Fault(kind, symbol=symbol, name="TOO_MANY_REQUEST", seconds=seconds)
        if driver.world.name == "binance" and kind == "close":
            driver.tally["too fast, said the venue"] += 1
            return Fault(kind, code=1008)
    if kind == "error":
        driver.accuse(symbol, 4 * seconds)
        return Fault(kind, symbol=symbol, seconds=4 * seconds)
    if kind == "delist":
        if sum(market in driver.exchange.markets for market in driver.world.markets) <= len(BASES):
            kind = "drop_rst"  # enough are gone
        else:
            driver.accuse(symbol, inf)
            topics = [topic for topic in driver.world.topics if topic.symbol == symbol]
            driver.wishes.take(rng.sample(topics, 2))  # which never come
            return Fault(kind, symbol=symbol)
    if kind == "silent":
        names = sorted({key[0] for key in driver.wishes.classes() if key[1] == symbol}) or ["trade"]
        return Fault(kind, symbol=symbol, channel=rng.choice(names), seconds=seconds)
    if (
        kind == "half_open"
    ):  # for good: no network gives a connection back and loses what was written meanwhile
        return Fault(kind, conn=rng.choice(sorted(driver.exchange.connections) or [0]))
    code = rng.choice((429, 418)) if kind == "status" else 0
    return Fault(kind, seconds=seconds if kind in LASTING else None, code=code)


def _operate(driver: JudgedDriver, rng: random.Random) -> None:
    """What people and the manager do beside wishes."""
    wanted = sorted(driver.core.wanted())
    act = rng.choice(("rotate", "ask again", "standby", "own link", "markets"))
    driver.tally[act] += 1
    if act == "rotate":
        driver.handle(events.Rotate())
    elif act == "ask again":
        _ask_again(driver)
    elif act in ("standby", "own link") and wanted:
        driver.turn()
        some = np.array(sorted(rng.sample(wanted, min(6, len(wanted)))), np.int32)
        event = events.StandBy if act == "standby" else events.OwnLink
        driver.handle(event(some, rng.random() < 0.5))
    elif act == "markets":
        driver.handle(events.SymbolsKnown(frozenset(driver.exchange.markets)))


def _ask_again(driver: JudgedDriver) -> None:
    refused = sorted(driver.streams_in(StreamState.REFUSED) & driver.core.wanted())
    if refused:
        driver.handle(events.AskedAgain(np.array(refused, np.int32)))


def _check_step(driver: JudgedDriver) -> None:
    """Properties 2 (by the venue's own log), 10 and 11 (by the dict), 12; and that the links' own tables are sound."""
    driver.judge.checks["steps"] += 1
    driver.core.handlers.check()
    driver.alive.check(driver)
    driver.waiting.check(driver)
    if driver.exchange.violations:
        raise Broken(f"property 2: the venue counted {driver.exchange.violations[0]}")
    if (differs := driver.wishes.differs()) is not None:
        raise Broken(f"property 10 or 11: {differs}")
    for link in driver.engine.links.values():
        if len(wrong := link.wire.verify()):  # type: ignore[attr-defined]  # of the core's set alone
            raise Broken(
                f"property 1: the books of link {link.id} contradict themselves about {wrong.tolist()}"
            )
    wanted = sorted(driver.core.wanted())
    classes = driver.core.columns(np.array(wanted, np.int32)).priorities.tolist()
    found = set(zip(map(driver.key_of, wanted), classes, strict=True))
    if found != set(driver.wishes.classes().items()):
        differ = sorted(found ^ set(driver.wishes.classes().items()))
        raise Broken(f"property 11: wanted by one of the two, or in another class: {differ}")


def _settle(driver: JudgedDriver) -> None:
    """Property 1 and 5: after quiet, what the venue has of us is what is wanted, less what was refused."""
    driver.is_wild = False
    driver.exchange.heal(driver.now)
    end_let_go(driver)
    driver.core.handlers.act = lambda: None
    driver.run(SETTLE_S)
    _ask_again(driver)
    for _ in range(ROUNDS):
        driver.run(SETTLE_S)
        differs = _differs(driver)
        if differs is None:
            break
    else:
        raise Broken(differs)
    _check_step(driver)
    _end_restores(driver)
    _come_home(driver)
    _stay_quiet(driver)
    doubled = np.flatnonzero(driver.engine.streams.legs.link[1::2] >= 0).tolist()
    if endless := driver.arbitrated - set(doubled):
        raise Broken(f"property 1: copies of what one link carries are compared: {sorted(endless)}")
    if driver.core.live() != driver.core.wanted() | _paused(driver):
        raise Broken("property 7: ids are in use that nobody wants")


def _end_restores(driver: JudgedDriver) -> None:
    """Property 6: what is gone for good is refused in the end, so a restore ends that waits for it."""
    for _ in range(ROUNDS):
        if not driver.engine.restores:
            return
        driver.run(SETTLE_S)
    missing = sum(restore.pending for restore in driver.engine.restores)
    raise Broken(f"property 6: a restore has no end: {missing} streams are missing")


def _come_home(driver: JudgedDriver) -> None:
    """Property 1: after calm each stream is where it may stay, and as wide as it is wanted."""
    if wrong := of_wrong_depth(driver):
        raise Broken(f"property 1: {wrong}")
    for _ in range(CALM_ROUNDS):
        if not astray(driver):
            return
        driver.run(SETTLE_S)
    raise Broken(f"property 1: far from home after quiet: {astray(driver)}")


def _stay_quiet(driver: JudgedDriver) -> None:
    """Property 3: where nothing changes any more, nothing is asked for, and no link is opened or given up. What the
    venue has no more is asked for again until it is refused, as the guilty are found (property 6), or, where the venue
    lists whatever it was asked for, called open without data; and it may be called open still and fall silent later."""
    gone = {s for s in driver.core.wanted() if driver.key_of(s)[1] not in driver.exchange.markets}
    waits: set[int] = set()
    for _ in range(CALM_ROUNDS if gone else 1):
        waits = gone - driver.streams_in(StreamState.REFUSED, StreamState.OPEN)
        if not waits and _is_quiet(driver):
            driver.judge.checks["times of quiet"] += 1
            return
        driver.judge.checks["times not quiet yet"] += 1
        driver.run(SETTLE_S)
    if waits:
        raise Broken(f"property 6: the venue has them no more, and nobody says so: {driver.keys_of(waits)}")
    raise Broken("property 3: something is asked for, or a link is opened, though nothing has changed")


def _is_quiet(driver: JudgedDriver) -> bool:
    before, connects = driver.judge.checks["requests"], driver.engine.stats.connects
    driver.run(QUIET_S)
    return driver.judge.checks["requests"] == before and driver.engine.stats.connects == connects


def _differs(driver: JudgedDriver) -> str | None:
    """Where the venue's books and what is wanted differ."""
    wanted = driver.wishes.classes().keys()
    states = {driver.key_of(s): driver.engine.row(s).state for s in driver.core.wanted()}
    refused = {key for key, state in states.items() if state is StreamState.REFUSED}
    gone = {key for key in wanted if key[1] not in driver.exchange.markets}
    if refused - gone:
        return f"property 5: good ones stay refused: {sorted(refused - gone)}"
    missing = {k: s.name for k, s in states.items() if s is not StreamState.OPEN and k not in refused | gone}
    if missing:
        return f"property 1: not open after quiet: {missing}"
    doubled = set(map(driver.key_of, driver.doubled & driver.core.wanted()))
    carried = Counter(_carried(driver))
    for key in wanted | carried.keys():
        allowed = (0, 1, 2) if key in gone else (2,) if key in doubled else (1,)
        if key in refused:
            allowed = (0,)
        if carried[key] not in allowed:
            return f"property 1: {carried[key]} connections carry {key}, {allowed} allowed"
    return None


def _paused(driver: JudgedDriver) -> set[int]:
    """Streams that only paused components hold."""
    held = {topic for name in driver.wishes.paused for topic in driver.wishes.held[name]}
    keys = {driver.key_of_topic(topic) for topic in held}
    return {stream for stream in driver.core.live() if driver.key_of(stream) in keys}


def _carried(driver: JudgedDriver) -> list[Key]:
    """Every stream that some connection serves, by the exchange's books."""
    found: list[Key] = []
    for connection in driver.exchange.connections.values():
        if driver.world.name == "binance":
            names = [name.partition("@") for name in connection.streams]
            found += [(kind.partition("@")[0], symbol.upper(), 0) for symbol, _, kind in names]
        else:  # codes it does not know stay in the request and are served by nobody
            found += [(stream.type, stream.code, stream.level) for stream in connection.subscriptions]
    return found


def _leave(driver: JudgedDriver) -> None:
    """Property 7: everybody closes, and nothing is left."""
    if (grown := overgrown(driver.engine)) is not None:
        raise Broken(f"property 12: {grown}")
    driver.wishes.drop_all()
    driver.run(90)
    if driver.exchange.connections:
        raise Broken(f"property 7: connections stay: {sorted(driver.exchange.connections)}")
    if driver.core.sizes != (0, 0, 0):
        raise Broken(f"property 7: components, interests and streams left: {driver.core.sizes}")
    if driver.core.handlers.sizes != (0, 0):
        raise Broken(f"property 7: routes and sinks left: {driver.core.handlers.sizes}")
    if driver.engine.deadline() is not None or driver.engine.streams.reasons:
        raise Broken("property 7: the engine still waits for something")
