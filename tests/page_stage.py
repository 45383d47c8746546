"""A manager with its dashboard and the embedded exchange in a thread of their own, for tests that drive a browser."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from subcore.component import Component
from subcore.dashboard import Dashboard
from subcore.manager import SubscriptionManager
from subcore.sim.durations import Durations
from subcore.sim.faults import Fault
from subcore.sim.server import SimServer

T = TypeVar("T")


class Stage:
    """Everything happens in the thread's loop; `call` and `wait` carry calls in and wait for them."""

    def __init__(self, *, rate: float = 2.0, fast: bool = True) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="page stage")
        self._thread.start()
        self.errors: list[str] = []
        self.loop.set_exception_handler(lambda _, context: self.errors.append(str(context)))
        durations = Durations().divided(20) if fast else Durations()
        self.server: SimServer = self.call(lambda: SimServer(seed=3, rate=rate, durations=durations))
        self.wait(self.server.start())
        self.kept: list[Component] = []
        self.manager: SubscriptionManager
        self.dashboard: Dashboard

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def call(self, function: Callable[..., T], *args: Any, **options: Any) -> T:
        async def run() -> T:
            return function(*args, **options)

        return self.wait(run())

    def open(self, port: int = 0) -> str:
        """A new manager and its page; where that is."""

        def make() -> SubscriptionManager:
            return SubscriptionManager("upbit", url=self.server.url, seed=1)

        self.manager = self.call(make)
        self.wait(self.manager.start())
        self.dashboard = self.wait(self.manager.serve_dashboard(port=port))
        return self.dashboard.url

    def component(
        self, name: str, wants: dict[str, list[str]], handler: Any = None, **options: Any
    ) -> Component:
        """One that holds all of this, proven."""

        async def make() -> Component:
            made = self.manager.component(name, **options)
            for channel, symbols in wants.items():
                made.subscribe(channel, symbols, handler or (lambda event: None))
            await made.live(timeout=20.0)
            return made

        self.kept.append(self.wait(make()))
        return self.kept[-1]

    def fault(self, kind: str, **options: Any) -> None:
        def inject() -> None:
            self.server.exchange.inject(Fault(kind, **options), self.server.clock())
            self.server.wake()

        self.call(inject)

    def shut(self) -> None:
        """The manager and its page end."""
        self.wait(self.manager.close())
        self.kept.clear()

    def end(self) -> None:
        self.shut()
        self.wait(self.server.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()
        assert self.errors == []
