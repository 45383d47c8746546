"""Both managers behind one face, so that the same trace can be played with either."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from subcore.component import Component
from subcore.scenarios.plain_manager import PlainManager
from subcore.scenarios.stage import Stage
from subcore.testing.world import DELAY_S, PING, PONG
from subcore.types import Priority

__all__ = ["SIDES", "PlainSide", "Side", "SubcoreSide"]

RETRY_S, PING_IDLE_S, PING_ANSWER_S = 5.0, 20.0, 10.0  # as `plain_manager.run` has them
TEXT = 1


class Side(Protocol):
    """A manager with its components on a stage."""

    async def start(self) -> None:
        """Run from now on."""

    async def stop(self) -> None:
        """End."""

    def hold(self, who: str, channel: str, symbols: list[str], priority: Priority) -> None:
        """A component wants these, too."""

    def drop(self, who: str, channel: str, symbols: list[str]) -> None:
        """It wants these no more."""


class SubcoreSide:
    """The whole of subcore by its public face."""

    def __init__(self, stage: Stage, **options: Any) -> None:
        self.manager = stage.manager(**options)
        self.components: dict[str, Component] = {}

    async def start(self) -> None:
        """Run from now on."""
        await self.manager.start()

    async def stop(self) -> None:
        """End."""
        for component in self.components.values():
            component.close()
        await self.manager.close()

    def hold(self, who: str, channel: str, symbols: list[str], priority: Priority) -> None:
        """A component wants these, too."""
        component = self.components.get(who)
        if component is None:
            component = self.components[who] = self.manager.component(who, priority=priority)
        component.subscribe(channel, symbols, _ignore)

    def drop(self, who: str, channel: str, symbols: list[str]) -> None:
        """It wants these no more."""
        self.components[who].unsubscribe(channel, symbols)


def _ignore(event: Any) -> None:
    """A handler without anything to do."""


class PlainComponent:
    """One of the plain manager's: asks for all of its topics again after a reconnect, as its author remembered."""

    def __init__(self, manager: PlainManager) -> None:
        self.wants: dict[str, dict[str, None]] = {}
        self.on_data: Callable[[str, str, dict[str, Any]], None] = _ignore_data
        self._manager = manager

    def on_reconnect(self) -> None:
        """One call for each channel, as in the beginning."""
        for channel, symbols in self.wants.items():
            if symbols:
                self._manager.subscribe(self, channel, list(symbols))


def _ignore_data(channel: str, symbol: str, data: dict[str, Any]) -> None:
    """A handler without anything to do."""


class PlainSide:
    """The plain manager on a link in memory, run as `plain_manager.run` runs it on a socket."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.manager = PlainManager(clock=lambda: stage.clock.now / 1e9)
        self.components: dict[str, PlainComponent] = {}
        self.on_lost: Callable[[], None] = lambda: None
        self.on_stale: Callable[[list[tuple[str, str]]], None] = lambda stale: None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Run from now on."""
        self._tasks = [asyncio.create_task(self._connect()), asyncio.create_task(self._check())]

    async def stop(self) -> None:
        """End."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hold(self, who: str, channel: str, symbols: list[str], priority: Priority) -> None:
        """A component wants these, too; the class means nothing here."""
        component = self.components.setdefault(who, PlainComponent(self.manager))
        component.wants.setdefault(channel, {}).update(dict.fromkeys(symbols))
        self.manager.subscribe(component, channel, symbols)

    def drop(self, who: str, channel: str, symbols: list[str]) -> None:
        """It wants these no more."""
        component = self.components[who]
        for symbol in symbols:
            component.wants[channel].pop(symbol, None)
        self.manager.unsubscribe(component, channel, symbols)

    async def _connect(self) -> None:
        while True:
            answer = await self._stage.knock({}, "/websocket/v1")
            if isinstance(answer, int):
                await asyncio.sleep(DELAY_S)
                link = _PlainLink(self._stage, self.manager, answer)
                self._stage.attach(answer, link)
                self.manager.connected(link.send)
                await link.over()
                self.manager.disconnected()
                self.on_lost()
            await asyncio.sleep(RETRY_S)

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(self.manager.stale_after)
            self.on_stale(self.manager.check_stale())


class _PlainLink:
    """picows' end: pings when nothing came for 20 s, and gives up 10 s later."""

    def __init__(self, stage: Stage, manager: PlainManager, conn: int) -> None:
        self._stage, self._manager, self._conn = stage, manager, conn
        self._loop = asyncio.get_running_loop()
        self._came = self._loop.time()
        self._closed = asyncio.Event()

    def send(self, payload: bytes) -> None:
        self._stage.send(self._conn, TEXT, payload)

    async def over(self) -> None:
        """Returns when the connection is no more."""
        while not self._closed.is_set():
            quiet_until = self._came + PING_IDLE_S
            if await self._closes_before(quiet_until) or self._came + PING_IDLE_S > quiet_until:
                continue
            self._stage.send(self._conn, PING, b"")
            asked = self._loop.time()
            await self._closes_before(asked + PING_ANSWER_S)
            if self._came < asked and not self._closed.is_set():
                self._closed.set()
                self._stage.leave(self._conn)

    async def _closes_before(self, when: float) -> bool:
        try:
            async with asyncio.timeout_at(when):
                await self._closed.wait()
        except TimeoutError:
            return False
        return True

    def receive(self, output: Any) -> None:
        if self._closed.is_set():
            return
        self._came = self._loop.time()
        if output.kind == "ping":
            self._stage.send(self._conn, PONG, output.payload)
        elif output.kind == "frame":
            self._manager.on_frame(output.payload)
        elif output.kind != "pong":
            self._closed.set()


SIDES: dict[str, Callable[[Stage], Side]] = {"before": PlainSide, "after": SubcoreSide}
