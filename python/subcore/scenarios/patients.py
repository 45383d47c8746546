"""Components that are well until a fault is injected: what each of them does, with either manager."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from subcore.component import Component
from subcore.scenarios.sides import PlainComponent, PlainSide, SubcoreSide
from subcore.types import Status

__all__ = ["COMPONENT_FAULTS", "Patient", "PlainPatient"]

COMPONENT_FAULTS = (
    "a heartbeat promised each 1 s ends", "a heartbeat promised each 2 s ends", "a heartbeat promised each 3 s ends",
    "nobody reads any more", "an async handler does not return", "a handler raises on every call", "its task dies",
)  # fmt: skip


class Patient:
    """One component of subcore, well until `fails` is set. What it is told goes to `told(name, status)`."""

    def __init__(self, side: SubcoreSide, name: str, fault: str, symbols: list[str], told: Any) -> None:
        self.name, self.fault, self.fails = name, fault, False
        options: dict[str, Any] = {}
        if "heartbeat" in fault:
            options["heartbeat"] = float(fault.split()[4])
        self.task: asyncio.Task[None] | None = None
        if fault == "its task dies":
            self.task = options["owner"] = asyncio.create_task(self._live_on())

        def on_status(status: Status) -> None:
            told(name, status)

        self.component: Component = side.manager.component(name, on_status=on_status, **options)
        side.components[name] = self.component
        if fault == "nobody reads any more":
            self.component.subscribe("ticker", symbols)
            self.task = asyncio.create_task(self._read())
        elif fault == "an async handler does not return":
            self.component.subscribe("ticker", symbols, self._handle_and_wait)
        else:
            self.component.subscribe("ticker", symbols, self._handle)
        if "heartbeat" in options:
            self.task = asyncio.create_task(self._beat(options["heartbeat"]))

    def _handle(self, event: Any) -> None:
        if self.fails and self.fault == "a handler raises on every call":
            raise ValueError("planted")

    async def _handle_and_wait(self, event: Any) -> None:
        if self.fails:
            await asyncio.Event().wait()

    async def _read(self) -> None:
        async for _ in self.component:
            if self.fails:
                await asyncio.Event().wait()

    async def _beat(self, interval: float) -> None:
        while not self.fails:
            self.component.heartbeat()
            await asyncio.sleep(interval / 2)

    async def _live_on(self) -> None:
        while not self.fails:
            await asyncio.sleep(0.05)

    async def end(self) -> None:
        """It is no more."""
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self.task
        self.component.close()


class PlainPatient:
    """The like of it with the plain manager, which knows neither heartbeats nor readers nor owners."""

    def __init__(self, side: PlainSide, name: str, fault: str, symbols: list[str]) -> None:
        self.name, self.fault, self.fails = name, fault, False
        component = side.components[name] = PlainComponent(side.manager)
        component.on_data = self._handle
        component.wants["ticker"] = dict.fromkeys(symbols)
        side.manager.subscribe(component, "ticker", symbols)

    @property
    def raises(self) -> bool:
        """Whether its fault is one that the plain manager logs."""
        return self.fault == "a handler raises on every call"

    def _handle(self, channel: str, symbol: str, data: dict[str, Any]) -> None:
        if self.fails and self.fault == "a handler raises on every call":
            raise ValueError("planted")
