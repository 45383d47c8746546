"""Hot standby over real sockets: one link after the other is cut under load, and no event is lost or comes twice.

    python scripts/standby_losses.py --ci       60 losses (under a minute)
    python scripts/standby_losses.py --full     1,000 losses
    python scripts/standby_losses.py --full --managers 2 --seed 7

Managers stand abreast, each with an exchange of its own and every market on two links. All times are divided by 20: the
exchange's, the venue's windows, the engine's. A loss is one link of one manager, reset in the middle of its data; the
next one follows when both links carry everything again. Every trade the exchange made in between, by its own account,
must have reached every manager exactly once. Exit 1 = it did not, a limit was broken, or the exchange made fewer than
1,000 a second for one of them.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import sizes
from faster import FASTER, faster_settings, faster_venue

import subcore
import subcore.hub
from subcore.engine.engine import Engine
from subcore.sim.durations import Durations
from subcore.sim.faults import Fault
from subcore.sim.markets import markets_for
from subcore.sim.server import SimServer
from subcore.types import StreamState

EVENTS_A_SECOND = 2000.0  # as planned: over LEAST_A_SECOND come of it
LEAST_A_SECOND = 1000.0
TRADES_AN_ORDER = 1.9  # about
MARKETS = [f"KRW-S{number:02}" for number in range(20)]
PATIENCE_S = 30.0
LOOK_S = 0.01
CALM_S = 0.5
LATE_NS = 50_000_000

Key = tuple[str, int]


class Account:
    """What the exchange made, by its own books."""

    def __init__(self, server: SimServer) -> None:
        self.made: list[Key] = []
        traffic = server.exchange._traffic  # type: ignore[attr-defined]
        emit = traffic._emit

        def noted(feed: Any, type_: str, now: int, item: Any) -> None:
            if type_ == "trade":
                self.made.append((feed.market.code, item.sequential_id))
            emit(feed, type_, now, item)

        traffic._emit = noted


class Client:
    """One manager with its exchange, and how often it got each trade."""

    def __init__(self, number: int, seed: int) -> None:
        rate = EVENTS_A_SECOND / TRADES_AN_ORDER / sum(market.trade_rate for market in markets_for(MARKETS))
        self.server = SimServer(
            seed=seed + number, markets=MARKETS, rate=rate, variety=0, durations=Durations().divided(FASTER)
        )
        self.account = Account(self.server)
        self.got: Counter[Key] = Counter()
        self.losses = 0
        self.lost = 0
        self.behind_ns = 0
        self._rng = random.Random(f"{seed} {number}")
        self._seed = seed + number

    def _take(self, event: Any) -> None:
        self.got[event.symbol, event.id] += 1

    async def play(self, losses: int) -> None:
        async with (
            self.server,
            subcore.SubscriptionManager(faster_venue(), url=self.server.url, seed=self._seed) as manager,
        ):
            component = manager.component("hot")
            component.subscribe("trade", MARKETS, self._take, standby=True)
            await component.live(PATIENCE_S)
            await self._doubled(manager)
            first = len(self.account.made)
            began = time.monotonic()
            for _ in range(losses):
                await self._lose(manager)
            self.seconds = time.monotonic() - began
            due = self.account.made[first:]
            assert len(due) == len(set(due)), "the exchange gave two trades one id"
            await asyncio.sleep(CALM_S)
            self.due = len(due)
            self.rate = len(due) / self.seconds
            self.lost = sum(key not in self.got for key in due)
            self.twice = sum(count > 1 for count in self.got.values())
            self.duplicates = manager.stats().duplicates
            self.told = manager.stats().losses_of_link

    async def _lose(self, manager: subcore.SubscriptionManager) -> None:
        await asyncio.sleep(self._rng.uniform(0.0, 0.1))
        exchange = self.server.exchange
        conn = self._rng.choice(sorted(exchange.connections))
        exchange.inject(Fault("drop_rst", conn=conn), self.server.clock())
        self.server.wake()
        before = manager.stats().losses_of_link
        await self._until(
            lambda: conn not in exchange.connections and manager.stats().losses_of_link > before, manager
        )
        await self._doubled(manager)
        self.losses += 1

    async def _doubled(self, manager: subcore.SubscriptionManager) -> None:
        """Wait until two links carry every market, by the manager's account and by the exchange's."""
        await self._until(lambda: self._is_doubled(manager), manager)

    async def _until(self, holds: Callable[[], bool], manager: subcore.SubscriptionManager) -> None:
        """Patience does not run while the exchange, on a busy machine, is behind its own clock."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            self.behind_ns = max(self.behind_ns, self.server.behind_ns)
            if self.server.behind_ns > LATE_NS:
                deadline = time.monotonic() + PATIENCE_S
            elif time.monotonic() > deadline:
                said = {manager.explain(info.topic.channel, info.topic.symbol) for info in manager.topics()}
                carried = [len(c.subscriptions) for c in self.server.exchange.connections.values()]
                raise SystemExit(f"after {self.losses} losses not on two links; carried: {carried}; {said}")
            await asyncio.sleep(LOOK_S)

    def _is_doubled(self, manager: subcore.SubscriptionManager) -> bool:
        carried = [
            sum(subscription.live for subscription in connection.subscriptions.values())
            for connection in self.server.exchange.connections.values()
        ]
        return carried == [len(MARKETS)] * 2 and all(
            info.other_link is not None and info.state is StreamState.OPEN for info in manager.topics()
        )


async def run(managers: int, losses: int, seed: int) -> bool:
    """Play, and print what came of it; whether every promise was kept."""
    clients = [Client(number, seed) for number in range(managers)]
    await asyncio.gather(*(client.play(losses // managers) for client in clients))
    kept = True
    for number, client in enumerate(clients):
        violations = len(client.server.violations)
        kept &= client.lost == client.twice == violations == 0
        is_loaded = client.rate >= LEAST_A_SECOND  # else nothing was shown
        kept &= client.losses == losses // managers and client.duplicates > 0 and is_loaded
        print(
            f"manager {number}: {client.losses} losses in {client.seconds:.0f} s at {client.rate:,.0f} events/s; "
            f"lost {client.lost}, twice {client.twice}, held back {client.duplicates:,}, violations {violations}, "
            f"the exchange up to {client.behind_ns // 1_000_000} ms behind its clock"
            + ("" if is_loaded else f"; BROKEN: under {LEAST_A_SECOND:,.0f} events/s nothing is shown")
        )
    return kept


def main() -> int:
    parser = sizes.parser(__doc__, ci="60 losses", full="1,000 losses")
    parser.add_argument("--managers", type=int, default=2)
    parser.add_argument("--losses", type=int, default=None)
    chosen = parser.parse_args()
    losses = chosen.losses or (1000 if chosen.full else 60)
    print(f"seed {chosen.seed}, {losses} losses, {chosen.managers} managers", flush=True)
    # The engine has no settings a user could give: this is for tests alone.
    subcore.hub.Engine = partial(Engine, settings=faster_settings())  # type: ignore[misc, assignment]
    logging.getLogger("subcore").setLevel(logging.ERROR)
    return 0 if asyncio.run(run(chosen.managers, losses, chosen.seed)) else 1


if __name__ == "__main__":
    sys.exit(main())
