"""A whole manager in virtual time: a loop whose clock jumps, and links in memory to the pure exchange.

What waits for time costs none: when nothing is ready, the clock goes to the next timer. A program that hangs fails:
after half an hour of virtual time or what it is given, or when nothing is left that could happen.
"""

from __future__ import annotations

import asyncio
import itertools
import selectors
import time
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, Protocol
from urllib.parse import urlsplit

from subcore.engine.clock import SECOND
from subcore.errors import LinkError
from subcore.link import HandshakeRefused
from subcore.manager import SubscriptionManager
from subcore.sim import Exchange, Refusal
from subcore.testing.clock import VirtualClock

__all__ = ["DELAY_S", "PING", "PONG", "Receiver", "VirtualLoop", "World"]

REAL_PATIENCE_S = 5.0
WRITE_PATIENCE_S = 60.0  # of real time: where much else runs, a thread has its turn late
LOOK_S = 0.002  # of real time, between two looks whether a thread has ended
PATIENCE_S = 1800.0  # of virtual time
DELAY_S = 0.005
PING, PONG = 9, 10
_NUMBERS = itertools.count()


class _JumpingSelector(selectors.DefaultSelector):
    """Never sleeps: time goes on by itself, but while somebody writes to a disk, which takes time of the real kind."""

    clock: VirtualClock
    writes: Callable[[], bool] = staticmethod(lambda: False)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is not None and (ready := self._while_written()):
            return ready
        if timeout is None:
            ready = super().select(REAL_PATIENCE_S)  # another thread may have a word
            if not ready:
                raise RuntimeError("nothing is left that could happen: something waits for ever")
            return ready
        self.clock.advance_to(self.clock.now + max(1, round(timeout * SECOND)))
        return []

    def _while_written(self) -> list[tuple[selectors.SelectorKey, int]]:
        """What comes before the last write is done. A thread's last word wakes this, but it may have come already."""
        ready: list[tuple[selectors.SelectorKey, int]] = []
        began = time.monotonic()
        while not ready and self.writes() and time.monotonic() - began < WRITE_PATIENCE_S:
            ready = super().select(LOOK_S)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time is the clock's."""

    def __init__(self, clock: VirtualClock, writes: Callable[[], bool] = lambda: False) -> None:
        """`writes`: whether a thread is on its way to an end that somebody may wait for."""
        selector = _JumpingSelector()
        selector.clock, selector.writes = clock, writes
        super().__init__(selector)
        self._virtual = clock

    def time(self) -> float:
        """The clock's seconds."""
        return self._virtual.now / SECOND


class Receiver(Protocol):
    """A client's end of a connection."""

    def receive(self, output: Any) -> None:
        """Something of the exchange has arrived."""


class World:
    """The exchange, the network and the clock; managers come and go. One seed, one course of events.

    `options` are those of the exchange; `make` makes it of them. Each way takes 5 ms.
    """

    def __init__(self, seed: int = 1, *, make: Callable[..., Exchange] = Exchange, **options: Any) -> None:
        self.clock = VirtualClock()
        self.exchange = make(
            **{"seed": seed, "rate": 0.5, "markets": ["KRW-BTC", "KRW-ETH", "KRW-XRP"], **options}
        )
        self._ends: dict[int, Receiver] = {}
        self._managers: weakref.WeakSet[SubscriptionManager] = weakref.WeakSet()
        self._timer: asyncio.TimerHandle | None = None
        self._last_arrival = 0.0
        self.seed = seed
        self.url = f"ws://world-{next(_NUMBERS)}"  # limits are counted over the process for each host

    def manager(self, **options: Any) -> SubscriptionManager:
        """One that reaches this exchange, and nothing else. Nobody is judged unless that is asked for: tests of other
        things leave events unread for long."""
        made: list[SubscriptionManager] = []

        async def connect(url: str, headers: Any, listener: Any) -> Any:
            answer = await self.knock(headers, urlsplit(url).path)
            if not isinstance(answer, int):
                if answer.status:
                    raise HandshakeRefused(answer.status)
                raise LinkError(f"refused: {answer.kind}")
            transport = _Transport(self, made[0], listener.link, answer)
            self.attach(answer, transport)
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
        self._managers.add(made[0])
        return made[0]

    async def knock(self, headers: Any, path: str) -> int | Refusal:
        """Ask for a connection, one way later: its number, to be attached at once, or why there is none."""
        await asyncio.sleep(DELAY_S)
        return self.exchange.connect(self.ns(), headers=headers, path=path)

    def attach(self, conn: int, end: Receiver) -> None:
        """What comes of this connection goes there."""
        self._ends[conn] = end
        self.pump()

    def ns(self) -> int:
        """The present, as the exchange has it."""
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
            end = self._ends.get(output.conn)
            if end is not None:
                self._later(self.arrives, end, output)
        if self._timer is not None:
            self._timer.cancel()
        due = self.exchange.deadline()
        if due is not None:
            wait = max(0, due - self.ns()) / SECOND
            self._timer = asyncio.get_running_loop().call_later(wait, self.pump)

    def arrives(self, end: Receiver, output: Any) -> None:
        """Something of the exchange is there; for subclasses that look on."""
        end.receive(output)

    def send(self, conn: int, opcode: int, payload: bytes) -> None:
        """A client sends; it arrives one way later."""
        self._later(self._tell, conn, opcode, payload)

    def leave(self, conn: int) -> None:
        """A client's end is gone."""
        self._later(self._gone, conn)

    def _later(self, call: Callable[..., None], *arguments: Any) -> None:
        """One way later, and after all that is on its way: timers of one time come in any order."""
        loop = asyncio.get_running_loop()
        self._last_arrival = max(loop.time() + DELAY_S, self._last_arrival + 1 / SECOND)
        loop.call_at(self._last_arrival, call, *arguments)

    def _gone(self, conn: int) -> None:
        self.exchange.closed(conn, self.ns())

    def _tell(self, conn: int, opcode: int, payload: bytes) -> None:
        self.exchange.receive(conn, opcode, payload, self.ns())
        self.pump()

    def run(self, main: Callable[[Any], Coroutine[Any, Any, Any]], *, patience_s: float = PATIENCE_S) -> Any:
        """Run `main(self)` to its end, on a loop of its own. RuntimeError = an exception nobody took."""
        loop = VirtualLoop(
            self.clock, lambda: any(manager._hub.saving.is_ending for manager in self._managers)
        )
        faults: list[str] = []
        loop.set_exception_handler(lambda _, context: faults.append(str(context)))
        try:
            return loop.run_until_complete(asyncio.wait_for(main(self), patience_s))
        finally:
            if self._timer is not None:
                self._timer.cancel()
            loop.run_until_complete(asyncio.sleep(1.0))
            loop.close()
            self.ended()
            if faults:
                raise RuntimeError("\n".join(faults))

    def ended(self) -> None:
        """Called when a run is through; for subclasses."""


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

    def send(self, opcode: int, payload: bytes) -> None:
        self._world.send(self._conn, opcode, payload)

    def ping(self, payload: bytes = b"") -> None:
        self._pinged = asyncio.get_running_loop().time()
        self.send(PING, payload)

    def close(self, code: int, reason: str) -> None:
        self.abort()

    def abort(self) -> None:
        if not self._closed.is_set():
            self._closed.set()
            self._world.leave(self._conn)

    async def wait_closed(self) -> None:
        await self._closed.wait()

    def receive(self, output: Any) -> None:
        if self._closed.is_set():
            return
        if output.kind == "ping":
            self.send(PONG, output.payload)
        elif output.kind == "pong":
            rtt = asyncio.get_running_loop().time() - self._pinged
            self._hub.runtime.pong(self._link, self._generation, round(rtt * SECOND))
        elif output.kind == "frame":
            self._hub.feed.feed(self._link, output.payload, self._world.ns())
        else:
            self._closed.set()
            self._hub.runtime.links[self._link].lost(self._generation, f"the venue ended it: {output.kind}")
