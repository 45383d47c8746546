"""Losses of every kind over real sockets: after each, every stream is proven again, and no limit is broken.

    python scripts/restore_losses.py --ci       70 losses (under a minute)
    python scripts/restore_losses.py --full     1,000 losses
    python scripts/restore_losses.py --full --json --seed 7

One embedded exchange, and four managers abreast at it, each with an address of its own, 120 components and 600 topics
in all classes. All times are divided by 20: the exchange's, the venue's windows, the engine's. A loss takes one link of
one manager, or all of them, and the exchange has in store for that manager what its kind says: see `restore_kinds`. The
next one follows after everything was back and, by turns of chance, 31 to 34 seconds of the venue's time, when the
backoff begins anew, or at most 6, when the links' patience grows.

Back is what the exchange says: its connections carry every topic. Then all components must be `live()`, and each must
have from each of its streams an event as new as the newest that the exchange sent on these connections. Only the topics
of a market that the exchange refused by name may be REFUSED; they are asked for again, and must come back too. Times
count from the fault, so they hold what it takes to notice it, and what the venue refuses meanwhile. A report must tell
of each loss, unless other links held all of it.

Exit 1 = a loss was not noticed or not told of, something did not come back or was refused without cause, or a limit
was broken.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import sizes
from faster import FASTER, faster_settings, faster_venue
from restore_figures import Outcome, show, summary
from restore_kinds import KINDS, Kind, TroubledExchange

import subcore
import subcore.hub
from subcore.dialing import Dialer
from subcore.engine.clock import SECOND
from subcore.engine.engine import Engine
from subcore.engine.pacing import LimitRegistry
from subcore.errors import SubscribeError
from subcore.sim.durations import Durations
from subcore.sim.markets import generate_markets
from subcore.sim.server import SimServer
from subcore.types import Priority, StreamState
from subcore.venue import Venue

MANAGERS = 4
COMPONENTS = 120
CHANNELS = ("ticker", "trade", "orderbook")
MARKETS = [market.code for market in generate_markets() if market.quote == "KRW"][:200]
TOPICS = [(channel, code) for code in MARKETS for channel in CHANNELS]
CLASSES = (
    Priority.CRITICAL,
    Priority.HIGH,
    Priority.HIGH,
    *[Priority.NORMAL] * 5,
    Priority.LOW,
    Priority.LOW,
)
RATE = 0.2  # of the venue's traffic
LATE_NS = 50_000_000  # an exchange so far behind its own clock, on a busy machine, keeps everybody waiting
PATIENCE_S = 30.0
LOOK_S = 0.01
CALM_S = (1.55, 1.7)  # after which the backoff begins anew, and ...
SOON_S = (0.0, 0.3)  # ... too soon for it: breaks between two losses
ALL_LINKS = 0.25  # of the losses take every link of the manager
MARKETS_TO_JUDGE = 3  # on a link that is silent while its pongs come

Key = tuple[str, str]


class BrokenPromise(Exception):
    """What did not come back, and after what."""


def quick_venue() -> Venue:
    """Upbit with its windows and its pings divided.

    When a link is busy stays as it is: the engine averages frames over ten seconds, whoever divides.
    """
    made = faster_venue()
    times = ("idle", "answer", "busy_idle", "busy_answer")
    quick: dict[str, Any] = {name: getattr(made.keepalive, name) / FASTER for name in times}
    return dataclasses.replace(made, keepalive=dataclasses.replace(made.keepalive, **quick))


def make_engine(*arguments: Any, **options: Any) -> Engine:
    """As managers in processes of their own have them: each address has its own limits."""
    settings = dataclasses.replace(faster_settings(), connect_timeout=SECOND)
    return Engine(*arguments, settings=settings, registry=LimitRegistry(), **options)


class Client:
    """One manager at its own address, with its components and the newest they have of each stream."""

    def __init__(self, number: int, seed: int, server: SimServer) -> None:
        self.address = f"10.0.0.{number + 1}"
        self.outcomes: list[Outcome] = []
        self.broken: str | None = None
        self.behind_ns = 0
        self._server = server
        self._exchange: TroubledExchange = server.exchange  # type: ignore[assignment]
        self._rng = random.Random(f"{seed} {number}")
        self._seed = seed + number
        self._newest: list[dict[Key, int]] = []
        self._held: list[set[Key]] = []

    async def play(self, losses: int, tell: Callable[[], None]) -> None:
        dial = Dialer()

        async def connect(url: str, headers: Mapping[str, str], listener: Any) -> Any:
            return await dial(url, {**headers, "X-Forwarded-For": self.address}, listener)

        async with subcore.SubscriptionManager(
            quick_venue(), url=self._server.url, seed=self._seed, connect=connect
        ) as manager:
            self._manager = manager
            self._components = [self._make(number) for number in range(COMPONENTS)]
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.gather(*(c.live() for c in self._components))
            try:
                for kind in self._kinds(losses):
                    calm = kind.needs_habit or self._rng.random() < 0.5
                    await asyncio.sleep(self._rng.uniform(*(CALM_S if calm else SOON_S)))
                    await self._lose(kind, calm)
                    tell()
            except BrokenPromise as error:
                self.broken = str(error)

    def _make(self, number: int) -> subcore.Component:
        """Five topics of its own, and one of each neighbour's."""
        mine = TOPICS[5 * number : 5 * number + 5]
        mine += [TOPICS[(5 * number - 1) % len(TOPICS)], TOPICS[(5 * number + 5) % len(TOPICS)]]
        newest: dict[Key, int] = {}

        def take(event: Any) -> None:
            key = (event.channel, event.symbol)
            mark = event.id if event.channel == "trade" else event.exchange_time_ns // 1_000_000
            newest[key] = max(newest.get(key, 0), mark)

        component = self._manager.component(f"c{number}", priority=CLASSES[number % len(CLASSES)])
        for channel in CHANNELS:
            component.subscribe(channel, [code for name, code in mine if name == channel], take)
        self._newest.append(newest)
        self._held.append(set(mine))
        return component

    def _kinds(self, losses: int) -> list[Kind]:
        """Each as often as the others, in any order."""
        drawn: list[Kind] = []
        while len(drawn) < losses:
            drawn += self._rng.sample(KINDS, len(KINDS))
        return drawn[:losses]

    # -- one loss --

    async def _lose(self, kind: Kind, calm: bool) -> None:
        victims = self._victims(kind)
        market = self._rng.choice(MARKETS)
        doubled = self._exchange.carried_beside(self.address, victims)
        began, began_ns = time.monotonic(), time.time_ns()
        self._exchange.trouble(kind, self.address, victims, market, self._server.clock())
        self._server.wake()
        what = f"{kind.name}, {len(victims)} of {len(self._carrying())} links"

        def are_gone() -> bool:
            """What leaves them for another link until they are noticed is not lost with them."""
            nonlocal doubled
            here = victims & self._exchange.connections.keys()
            doubled |= bool(here) and self._exchange.carried_beside(self.address, here)
            return not here

        await self._until(are_gone, what, "it was not noticed")
        refused = await self._back(what, market if kind.request else None)
        served = self._served_at - began
        back = self._back_after(began_ns)
        if not (back or doubled):
            self._complain(what, "no report tells of it, and no other link held all of it")
        every = max(back.values(), default=served)  # what another link held as well needs no restore
        critical = back.get(Priority.CRITICAL)
        self.outcomes.append(
            Outcome(kind.name, kind.group, calm, critical, every, served, refused, bool(back))
        )

    def _carrying(self) -> list[int]:
        return [conn.id for conn in self._exchange.of(self.address) if conn.subscriptions]

    def _victims(self, kind: Kind) -> set[int]:
        """One link, or all of them. A silence whose pings are answered accuses no link of a market or two: they may be
        halted ([health](../docs/health.md)), so one that carries more is taken for that."""
        mine = self._carrying()
        if kind.needs_habit:
            mine = [conn for conn in mine if self._exchange.fewest_markets({conn}) >= MARKETS_TO_JUDGE]
        return set(mine if self._rng.random() < ALL_LINKS else [self._rng.choice(mine)])

    def _back_after(self, began_ns: int) -> dict[Priority, float]:
        """Seconds from then until the last stream of each class was back, by the manager's reports.

        A restore under way takes in a further loss, so one that began before may tell of this one as well.
        """
        back: dict[Priority, float] = {}
        for report in self._manager.restores:
            for stream in report.streams:
                if stream.state is StreamState.OPEN and stream.back_seconds is not None:
                    seconds = (report.started_ns - began_ns) / SECOND + stream.back_seconds
                    if seconds > 0:
                        back[stream.priority] = max(back.get(stream.priority, 0.0), seconds)
        return back

    async def _back(self, what: str, refusable: str | None) -> int:
        """Wait until everything is back, by everybody's account; how many streams were refused meanwhile."""
        refused: set[Key] = set()
        deadline = time.monotonic() + PATIENCE_S
        while True:
            await self._until(
                lambda: self._is_served(refusable), what, "the exchange does not carry all of it"
            )
            self._served_at = time.monotonic()
            try:
                await asyncio.gather(*(c.live(PATIENCE_S) for c in self._components))
            except SubscribeError:
                refused |= self._refused(what, refusable)
                await self._exchange.over(self.address)
                self._ask_again()
            else:
                self._due = self._exchange.newest(self.address)
                await self._until(self._is_heard, what, "a component lacks what the exchange sent")
                if self._is_served(None):
                    return len(refused)
            if time.monotonic() > deadline:
                self._complain(what, "it did not stay")

    def _is_served(self, but: str | None) -> bool:
        """Whether the exchange carries everything, or all that the manager does not call REFUSED for that market."""
        missing = set(TOPICS) - self._exchange.carried(self.address)
        return all(symbol == but for _, symbol in missing) and all(
            self._manager.topic(*topic).state is StreamState.REFUSED for topic in missing
        )

    def _refused(self, what: str, refusable: str | None) -> set[Key]:
        gone = {
            (info.topic.channel, info.topic.symbol)
            for info in self._manager.topics()
            if info.state is StreamState.REFUSED
        }
        if not gone or any(symbol != refusable for _, symbol in gone):
            self._complain(what, f"not live, and refused: {sorted(gone)}, where {refusable} might be")
        return gone

    def _ask_again(self) -> None:
        gone = [info.topic for info in self._manager.topics() if info.state is StreamState.REFUSED]
        for component, held in zip(self._components, self._held, strict=True):
            for topic in gone:
                if (topic.channel, topic.symbol) in held:
                    component.subscribe(topic.channel, topic.symbol)

    def _is_heard(self) -> bool:
        """Whether each component has of each of its streams what the exchange last sent, or newer."""
        return all(
            newest.get(key, 0) >= self._due.get(key, 0)
            for held, newest in zip(self._held, self._newest, strict=True)
            for key in held
        )

    async def _until(self, holds: Callable[[], bool], what: str, otherwise: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            behind = self._server.behind_ns
            self.behind_ns = max(self.behind_ns, behind)
            if behind > LATE_NS:
                deadline = time.monotonic() + PATIENCE_S
            elif time.monotonic() > deadline:
                self._complain(what, otherwise)
            await asyncio.sleep(LOOK_S)

    def _complain(self, what: str, otherwise: str) -> None:
        carried = self._exchange.carried(self.address)
        missing = [topic for topic in TOPICS if topic not in carried]
        said = Counter(info.state.name for info in self._manager.topics())
        why = [self._manager.explain(*topic) for topic in missing[:3]]
        raise BrokenPromise(
            f"{self.address}, loss {len(self.outcomes) + 1} ({what}): {otherwise}; states {dict(said)}, "
            f"{len(missing)} not carried: {missing[:3]} {why}"
        )


async def run(losses: int, seed: int, managers: int, progress: bool) -> dict[str, Any]:
    """Play; what came of it."""
    exchange = TroubledExchange(seed, markets=MARKETS, rate=RATE, durations=Durations().divided(FASTER))
    began = time.monotonic()
    async with SimServer(exchange) as server:
        clients = [Client(number, seed, server) for number in range(managers)]
        done = [0]

        def tell() -> None:
            done[0] += 1
            if progress and done[0] % max(1, losses // 10) == 0:
                print(f"{done[0]} losses, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)

        shares = [losses // managers + (number < losses % managers) for number in range(managers)]
        await asyncio.gather(
            *(client.play(share, tell) for client, share in zip(clients, shares, strict=True))
        )
        return summary(clients, exchange, losses, time.monotonic() - began)


def main() -> int:
    parser = sizes.parser(__doc__, ci="70 losses", full="1,000 losses")
    parser.add_argument("--losses", type=int, default=None)
    parser.add_argument("--managers", type=int, default=MANAGERS)
    parser.add_argument("--json", action="store_true", help="the figures alone, for machines")
    parser.add_argument("--verbose", action="store_true", help="show what the managers log")
    chosen = parser.parse_args()
    losses = chosen.losses or (1000 if chosen.full else 70)
    print(f"seed {chosen.seed}, {losses} losses, {chosen.managers} managers", file=sys.stderr, flush=True)
    # The engine has no settings a user could give: this is for tests alone.
    subcore.hub.Engine = make_engine  # type: ignore[misc, assignment]
    logging.basicConfig(level=logging.WARNING if chosen.verbose else logging.ERROR)
    told = asyncio.run(run(losses, chosen.seed, chosen.managers, not chosen.json))
    if chosen.json:
        print(json.dumps(told, indent=1))
    else:
        show(told)
    return (
        0
        if told["losses"] == losses
        and not told["broken"]
        and not told["never_bit"]
        and not told["violations"]
        else 1
    )


if __name__ == "__main__":
    sys.exit(main())
