"""Many links have something to send at once: some messages leave, the loop goes on, and the rest is due at once."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import pytest

from subcore.engine import events
from subcore.engine.context import Settings
from subcore.engine.engine import Engine
from subcore.sim.binance import BinanceExchange
from subcore.testing import EngineDriver
from subcore.venue import Scope, Venue
from subcore.venues import venue

pytestmark = pytest.mark.simulation

EACH, LINKS = 10, 12
MARKETS = [f"N{number}USDT" for number in range(EACH * LINKS + 50)]


def few_a_link() -> Venue:
    """Binance, where a connection takes few streams."""
    made = venue("binance").at("ws://sim.test:80")
    capacities = tuple(
        dataclasses.replace(c, amount=EACH) if c.resource == "streams" and c.scope is Scope.LINK else c
        for c in made.capacities
    )
    return dataclasses.replace(made, capacities=capacities)


class Counting(EngineDriver):
    """Notes how many messages each event let go."""

    def __init__(self, *given: Any, **options: Any) -> None:
        self.let_go: list[tuple[int, type, int]] = []
        super().__init__(*given, **options)

    def handle(self, event: events.Event) -> None:
        before = self._requests()
        super().handle(event)
        self.let_go.append((self.now, type(event), self._requests() - before))

    def _requests(self) -> int:
        """Sent so far, but for questions what a link carries, which are short."""
        return self.engine.stats.messages - self.engine.stats.listings


@pytest.mark.parametrize("most", [1, 2, 5])
def test_no_event_lets_more_messages_go_than_are_written_at_once(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subcore.testing.driver.Engine", partial(Engine, settings=Settings(messages=most)))
    exchange = BinanceExchange(1, markets=MARKETS, rate=5.0)
    driver = Counting(few_a_link(), exchange, seed=1, delay=(0.01, 0.01))
    driver.subscribe("a", "trade", MARKETS[: EACH * LINKS])
    assert driver.run_until(driver.all_settled, 60)
    for link in driver.engine.links.values():  # on each link one goes and another comes
        streams = link.wire.wire()[:1].tolist()
        names = [topic.symbol for topic in (driver.ledger.topic(stream) for stream in streams)]
        driver.unsubscribe("a", "trade", names)
    driver.run(10)
    driver.let_go.clear()
    driver.subscribe("a", "trade", MARKETS[EACH * LINKS : EACH * LINKS + LINKS])
    assert driver.run_until(driver.all_settled, 30)
    sent = [count for _, _, count in driver.let_go if count]
    assert max(sent) == most
    assert sum(sent) >= LINKS - 1, "each link had a message of its own"
    assert len({when for when, _, count in driver.let_go if count}) == 1, "none waited for time to pass"
    assert not driver.exchange.violations


def test_what_a_link_received_lets_nothing_go() -> None:
    """It is noted: a Tick follows, and does what is due on all links at once."""
    driver = Counting(few_a_link(), BinanceExchange(1, markets=MARKETS, rate=5.0), seed=1)
    driver.subscribe("a", "trade", MARKETS[: EACH * LINKS])
    assert driver.run_until(driver.all_settled, 60)
    driver.unsubscribe("a", "trade", MARKETS[::3])
    driver.let_go.clear()
    driver.run(10)  # a removal goes alone when its time is over, which a tick finds
    let_go = {kind: 0 for _, kind, _ in driver.let_go}
    for _, kind, count in driver.let_go:
        let_go[kind] += count
    assert let_go[events.LinkActivity] == 0
    assert let_go[events.Tick] >= LINKS // 2
