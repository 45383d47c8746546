"""How often the settled link is asked anew for what it carries, by the rules in `engine/placement.py`, exactly.

Each such message makes the venue send all of its snapshots again, so what must not be disturbed is left alone.
`test_simulation.py` has the same in a flood of all kinds of changes, where only a loose bound holds.
"""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from subcore.engine import actions
from subcore.engine.clock import SECOND
from subcore.engine.context import Settings
from subcore.engine.link import Link, Role
from subcore.sim.exchange import Exchange
from subcore.testing import EngineDriver
from subcore.types import Priority
from subcore.venues import venue

pytestmark = pytest.mark.simulation

SETTINGS = Settings()
HURTS, CALM = SETTINGS.hurts, SETTINGS.calm
CALM_S = CALM / SECOND
SOON = 2 * SECOND
CODES = [f"KRW-N{number}" for number in range(400)]
VENUE = venue("upbit").at("ws://sim.test:80")


class Flood:
    """A settled link that must not be disturbed, and new tickers, one after the other."""

    def __init__(self, seed: int = 1, *, settled: int = 3, priority: Priority = Priority.CRITICAL) -> None:
        self.exchange = Exchange(seed, markets=CODES, rate=0.1)
        self.driver = EngineDriver(VENUE, self.exchange, seed=seed)
        self.codes = iter(CODES)
        self.settled = [next(self.codes) for _ in range(settled)]
        self.driver.subscribe("anchor", "ticker", self.settled, priority=priority)
        assert self.driver.run_until(self.driver.all_settled, 5)
        self.driver.run(CALM_S)

    def add(self, count: int, every_s: float) -> list[str]:
        """So many tickers, one at a time."""
        added = []
        for _ in range(count):
            added.append(next(self.codes))
            self.driver.subscribe("flood", "ticker", added[-1:])
            self.driver.run(every_s)
        return added

    def rewrites(self, link: int = 0) -> list[tuple[int, int]]:
        """When each request of a link left that stated what it carried already, and how many streams it stated."""
        found, before = [], set[str]()
        for at, did in self.driver.history:
            if isinstance(did, actions.Send) and did.request and did.link == link:
                codes = {code for entry in json.loads(did.payload) for code in entry.get("codes", ())}
                if before & codes:
                    found.append((at, len(codes)))
                before = codes
        return found

    def carried(self) -> list[int]:
        """How many streams each connection has, by the exchange's own account."""
        return [len(connection.streams) for connection in self.exchange.connections.values()]

    def nursery(self) -> Link:
        """The only one that carries anything."""
        (link,) = [
            k for k in self.driver.engine.links.values() if k.role is Role.NURSERY and k.wire.len_target
        ]
        return link


def most_in_a_minute(times: list[int]) -> int:
    return max(sum(at - 60 * SECOND < other <= at for other in times) for at in times)


@pytest.mark.parametrize(("settled", "priority"), [(3, Priority.CRITICAL), (51, Priority.NORMAL)])
@pytest.mark.parametrize("every_s", [0.2, 1.0, 8.0])
def test_a_link_to_be_left_alone_is_rewritten_as_often_as_the_rules_have_it_and_once_more_at_the_end(
    settled: int, priority: Priority, every_s: float
) -> None:
    """What comes and goes after that never touches it; all that stayed comes home in one message."""
    flood = Flood(settled=settled, priority=priority)
    added = flood.add(HURTS, every_s)
    flood.driver.run(1.0)  # the venue takes five messages a second
    for _ in range(max(20, round(30 / every_s) // 4)):
        came = flood.add(4, every_s)
        flood.driver.unsubscribe("flood", "ticker", came[:1])
        added += came[1:]
    assert len(flood.rewrites()) == HURTS
    assert flood.carried()[0] == settled + HURTS
    flood.driver.run(2 * CALM_S + 5)
    times = [at for at, _ in flood.rewrites()]
    assert len(times) == HURTS + 1
    assert most_in_a_minute(times) == HURTS
    assert flood.rewrites()[-1][1] == settled + len(added) == flood.carried()[0]
    assert len(flood.carried()) == 1
    assert not flood.exchange.violations


@pytest.mark.parametrize(("every_s", "is_borne"), [(10.0, True), (9.8, False)])
def test_six_changes_a_minute_are_borne_and_a_seventh_is_not(every_s: float, is_borne: bool) -> None:
    flood = Flood()
    flood.add(20, every_s)
    times = [at for at, _ in flood.rewrites()]
    assert most_in_a_minute(times) == HURTS
    assert len(times) == (20 if is_borne else HURTS)
    assert len(flood.exchange.connections) == (1 if is_borne else 2)


def test_a_link_that_nobody_minds_is_rewritten_each_time() -> None:
    """Few streams and none of the highest class: a second connection would cost more than it spares."""
    flood = Flood(settled=3, priority=Priority.HIGH)
    flood.add(20, 1.0)
    assert len(flood.rewrites()) == 20
    assert len(flood.exchange.connections) == 1


def test_streams_of_several_bursts_come_home_together_a_minute_after_the_last() -> None:
    flood = Flood()
    flood.add(HURTS, 1.0)
    for _ in range(3):
        flood.add(4, 1.0)
        flood.driver.run(CALM_S / 4)
    last = flood.nursery().sent_at
    flood.driver.run(2 * CALM_S)
    assert len(flood.rewrites()) == HURTS + 1
    at, count = flood.rewrites()[-1]
    assert count == 3 + HURTS + 3 * 4
    assert CALM <= at - last < CALM + SOON


def test_a_settled_link_that_was_rewritten_just_now_is_not_rewritten_for_a_homecoming() -> None:
    flood = Flood()
    first = flood.add(HURTS, 1.0)
    flood.add(4, 1.0)
    flood.driver.run(CALM_S / 2)
    flood.driver.unsubscribe("flood", "ticker", first[:1])
    flood.driver.run(2 * CALM_S)
    (removed, _), (home, count) = flood.rewrites()[HURTS:]
    assert CALM <= home - removed < CALM + SOON
    assert count == 3 + HURTS - 1 + 4


@pytest.mark.parametrize("apart_s", [0.0, 1.0, 20.0, 45.0])
def test_two_nurseries_come_home_a_minute_apart_each_in_one_message(apart_s: float) -> None:
    """The engine opens one for each route; a second one, opened by hand, must wait for its turn."""
    flood = Flood()
    flood.add(HURTS, 1.0)
    flood.add(5, 0.2)
    flood.driver.run(apart_s)
    first, engine = flood.nursery(), flood.driver.engine
    engine._placement.open_link(first.route.name, Role.NURSERY)
    engine.links[first.id] = engine.links.pop(first.id)  # the other one is found before it
    flood.add(7, 0.2)
    flood.driver.run(2.0)
    assert flood.carried() == [3 + HURTS, 5, 7]
    flood.driver.run(4 * CALM_S)
    (one, some), (other, all_of_them) = flood.rewrites()[HURTS:]
    assert other - one >= CALM
    assert (some, all_of_them) == (3 + HURTS + 5, 3 + HURTS + 5 + 7)
    assert all(b - a >= CALM for (a, _), (b, _) in pairwise(flood.rewrites()[HURTS - 1 :]))
    assert flood.carried() == [3 + HURTS + 5 + 7]
    assert not flood.exchange.violations
