"""A whole manager in virtual time: a loop whose clock jumps, and links in memory to the pure exchange.

What waits for time costs none: when nothing is ready, the clock goes to the next timer. A test that hangs fails: after
half an hour of virtual time, or when nothing is left that could happen.
"""

from __future__ import annotations

import asyncio
import itertools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

from manager_rig import KEPT
from subcore.engine.clock import SECOND
from subcore.errors import LinkError
from subcore.link import HandshakeRefused
from subcore.manager import SubscriptionManager
from subcore.sim import Exchange
from subcore.testing import VirtualClock

REAL_PATIENCE_S = 5.0
PATIENCE_S = 1800.0  # of virtual time
DELAY_S = 0.005
PING, PONG = 9, 10
_NUMBERS = itertools.count()


class _JumpingSelector(selectors.DefaultSelector):
    """Never sleeps: time goes on by itself."""

    clock: VirtualClock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            ready = super().select(REAL_PATIENCE_S)  # another thread may have a word
            assert ready, "nothing is left that could happen"
            return ready
        self.clock.advance_to(self.clock.now + max(1, round(timeout * SECOND)))
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time is the clock's."""

    def __init__(self, clock: VirtualClock) -> None:
        selector = _JumpingSelector()
        selector.clock = clock
        super().__init__(selector)
        self._virtual = clock

    def time(self) -> float:
        return self._virtual.now / SECOND


class World:
    """The exchange, the network and the clock of one test; managers come and go."""

    def __init__(self, seed: int = 1, **options: Any) -> None:
        self.clock = VirtualClock()
        self.exchange = Exchange(
            **{"seed": seed, "rate": 0.5, "markets": ["KRW-BTC", "KRW-ETH", "KRW-XRP"], **options}
        )
        self._links: dict[int, _Transport] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.seed = seed
        self.url = f"ws://world-{next(_NUMBERS)}"  # limits are counted over the process for each host

    def manager(self, **options: Any) -> SubscriptionManager:
        """One that reaches this exchange, and nothing else. Nobody is judged unless that is asked for: tests of other
        things leave events unread for long."""
        made: list[SubscriptionManager] = []

        async def connect(url: str, headers: Any, listener: Any) -> Any:
            await asyncio.sleep(DELAY_S)
            answer = self.exchange.connect(self.ns(), headers=headers, path=urlsplit(url).path)
            if not isinstance(answer, int):
                if answer.status:
                    raise HandshakeRefused(answer.status)
                raise LinkError(f"refused: {answer.kind}")
            transport = self._links[answer] = _Transport(self, made[0], listener.link, answer)
            self.pump()
            return transport

        made.append(
            SubscriptionManager(
                **{
                    "venue": "upbit",
                    "url": self.url,
                    "clock": self.clock,
                    "connect": connect,
                    "seed": self.seed,
                    "obligations": None,
                    **options,
                },
            )
        )
        return made[0]

    def ns(self) -> int:
        return self.clock.time_ns()

    def carried(self) -> set[str]:
        """What the exchange sends to anybody now."""
        return {
            f"{wanted.type}:{wanted.code}"
            for connection in self.exchange.connections.values()
            for wanted in connection.subscriptions
        }

    def pump(self) -> None:
        """Hand on what left the exchange, and come back when more does."""
        for output in self.exchange.advance(self.ns()):
            transport = self._links.get(output.conn)
            if transport is not None:
                asyncio.get_running_loop().call_later(DELAY_S, transport.receive, output)
        if self._timer is not None:
            self._timer.cancel()
        due = self.exchange.deadline()
        if due is not None:
            wait = max(0, due - self.ns()) / SECOND
            self._timer = asyncio.get_running_loop().call_later(wait, self.pump)

    def tell(self, conn: int, opcode: int, payload: bytes) -> None:
        self.exchange.receive(conn, opcode, payload, self.ns())
        self.pump()

    def run(self, main: Callable[[World], Coroutine[Any, Any, Any]]) -> Any:
        """Run a test to its end, on a loop of its own."""
        loop = VirtualLoop(self.clock)
        faults: list[str] = []
        loop.set_exception_handler(lambda _, context: faults.append(str(context)))
        try:
            return loop.run_until_complete(asyncio.wait_for(main(self), PATIENCE_S))
        finally:
            if self._timer is not None:
                self._timer.cancel()
            loop.run_until_complete(asyncio.sleep(1.0))
            loop.close()
            KEPT.clear()
            assert faults == []
            assert not self.exchange.violations, "the exchange's own count"


class _Transport:
    """One connection in memory; see link.Transport."""

    def __init__(self, world: World, manager: SubscriptionManager, link: int, conn: int) -> None:
        self._world = world
        self._hub = manager._hub
        self._link = link
        self._conn = conn
        self._closed = asyncio.Event()
        self._generation = self._hub.runtime.links[link].generation
        self._pinged = 0.0
        self.write_queue_bytes = 0

    def _later(self, opcode: int, payload: bytes) -> None:
        asyncio.get_running_loop().call_later(DELAY_S, self._world.tell, self._conn, opcode, payload)

    def send(self, opcode: int, payload: bytes) -> None:
        self._later(opcode, payload)

    def ping(self, payload: bytes = b"") -> None:
        self._pinged = asyncio.get_running_loop().time()
        self._later(PING, payload)

    def close(self, code: int, reason: str) -> None:
        self.abort()

    def abort(self) -> None:
        if not self._closed.is_set():
            self._closed.set()
            asyncio.get_running_loop().call_later(
                DELAY_S, self._world.exchange.closed, self._conn, self._world.ns()
            )

    async def wait_closed(self) -> None:
        await self._closed.wait()

    def receive(self, output: Any) -> None:
        if self._closed.is_set():
            return
        if output.kind == "ping":
            self._later(PONG, output.payload)
        elif output.kind == "pong":
            rtt = asyncio.get_running_loop().time() - self._pinged
            self._hub.runtime.pong(self._link, self._generation, round(rtt * SECOND))
        elif output.kind == "frame":
            self._hub.feed.feed(self._link, output.payload, self._world.ns())
        else:
            self._closed.set()
            self._hub.runtime.links[self._link].lost(self._generation, f"the venue ended it: {output.kind}")
