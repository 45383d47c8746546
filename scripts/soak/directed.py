"""What chance alone brings about too rarely: the venue lets go of streams, and its list names markets that are none."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np

from subcore.engine import events
from subcore.sim.faults import Fault
from subcore.types import StreamState, Topic

if TYPE_CHECKING:
    from world import JudgedDriver

LET_GO = 4  # streams at a time
WANTED = 2  # of a market that is none
LIST_GAP_S = 10.0  # the list of markets is asked for no sooner after the last time


def let_go(driver: JudgedDriver, rng: random.Random) -> None:
    """The venue carries some streams of a connection no more and does not say so: only its list leaves them out. Where
    requests add and remove, whoever sees that asks again for what is OPEN."""
    exchange = driver.exchange
    some = [conn for conn in exchange.connections.values() if conn.streams]
    if not some:
        return
    conn = rng.choice(some)
    driver.let_go.add(conn.id)
    for name in rng.sample(list(conn.streams), min(LET_GO, len(conn.streams))):
        _forget(driver, conn, name)
        driver.tally["streams let go"] += 1


def _forget(driver: JudgedDriver, conn: Any, name: Any) -> None:
    traffic = driver.exchange._traffic
    carried = conn.streams.pop(name)
    if driver.world.name == "binance":
        if carried is not None:
            traffic.remove(carried)
    elif name in conn.subscriptions:
        traffic.remove(conn.subscriptions.pop(name), driver.now)


def end_let_go(driver: JudgedDriver) -> None:
    """Nobody need notice it where nothing is asked for: such a connection ends, as all do one day."""
    for conn in sorted(driver.let_go & driver.exchange.connections.keys()):
        driver.exchange.inject(Fault("drop_rst", conn=conn), driver.now)
    driver.let_go.clear()


def left_out_once_refused(driver: JudgedDriver, rng: random.Random) -> None:
    """Two markets stand in the list of markets and are none: they are asked for. Then one is taken off that list and so
    refused, just before the venue's list of what the link carries, which is asked for the other's sake, comes."""
    one, two = driver.world.ghosts
    _wait_for_list(driver, rng)
    driver.run(LIST_GAP_S - rng.uniform(1.7, 2.1))
    _tell(driver, one, two)
    _want(driver, rng, one, two)
    driver.run(1.6)
    _tell(driver, one)
    driver.run(2.0)


def refused_twice(driver: JudgedDriver, rng: random.Random) -> None:
    """A market that is none is refused by an error while it waits for the next list of markets, which lacks it."""
    two = driver.world.ghosts[1]
    _wait_for_list(driver, rng)
    driver.exchange.inject(Fault("error", symbol=two, seconds=LIST_GAP_S + 1.0), driver.now)
    _tell(driver, two)
    _want(driver, rng, two)
    driver.run(0.01)
    _tell(driver)
    driver.run(LIST_GAP_S + 1.0)


def _wait_for_list(driver: JudgedDriver, rng: random.Random) -> None:
    """Until the list of markets was asked for just now: when that is done the next time is known then."""
    _tell(driver)
    _want(driver, rng, driver.world.ghosts[0])
    before = driver.counts["RequestMarkets"]
    driver.run_until(lambda: driver.counts["RequestMarkets"] > before, LIST_GAP_S + 1.0)


def _tell(driver: JudgedDriver, *more: str) -> None:
    driver.handle(events.SymbolsKnown(frozenset(driver.exchange.markets) | set(more)))


def _want(driver: JudgedDriver, rng: random.Random, *symbols: str) -> None:
    """Somebody wants streams of these, though they were refused before."""
    for symbol in symbols:
        topics: list[Topic] = [topic for topic in driver.world.topics if topic.symbol == symbol]
        driver.wishes.take(rng.sample(topics, WANTED))
    driver.turn()
    refused = driver.streams_in(StreamState.REFUSED)
    again = sorted(stream for stream in refused if driver.key_of(stream)[1] in symbols)
    if again:
        driver.handle(events.AskedAgain(np.array(again, np.int32)))


ACTS = (*(let_go,) * 3, *(left_out_once_refused,) * 4, refused_twice)
