"""`subcore demo --web`: the demo goes on and on, with a page to watch it by, and things go wrong now and then."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from .demo_hostile import Rogues

if TYPE_CHECKING:
    from ..dashboard import Dashboard
    from ..manager import SubscriptionManager
    from ..sim.server import SimServer

FIRST_AFTER_S = 12.0
EVERY_S = 25.0
# What the exchange does, in words, and as faults: (kind, seconds it lasts or None).
TROUBLES: tuple[tuple[str, tuple[tuple[str, float | None], ...]], ...] = (
    ("the exchange cuts the connection, and takes no new one for 4 s", (("drop_rst", None), ("refuse", 4.0))),
    ("components begin to misbehave: some hang, some raise, one reads nothing", ()),
    ("the exchange closes the connection, and is back at once", (("close", None),)),
    ("the exchange falls silent for 8 s, and the connection stays", (("half_open", 8.0),)),
)


class WebDemo:
    """Keeps 124 components busy until it is cancelled or `seconds` are over; `say` is given a line for each trouble."""

    def __init__(self, server: SimServer, manager: SubscriptionManager, say: Callable[[str], None]) -> None:
        self._server = server
        self._manager = manager
        self._say = say
        self._rogues = Rogues(manager)

    async def run(self, seconds: float | None) -> None:
        """Troubles one after the other, for so long."""
        until = None if seconds is None else time.monotonic() + seconds
        try:
            for number, (told, faults) in enumerate(itertools.cycle(TROUBLES)):
                wait = FIRST_AFTER_S if number == 0 else EVERY_S
                if until is not None and time.monotonic() + wait >= until:
                    await asyncio.sleep(until - time.monotonic())
                    return
                await asyncio.sleep(wait)
                self._say(told)
                await self._cause(faults)
        finally:
            await self._rogues.end()

    async def _cause(self, faults: tuple[tuple[str, float | None], ...]) -> None:
        from ..sim.faults import Fault

        for kind, lasts in faults:
            self._server.exchange.inject(Fault(kind, seconds=lasts), self._server.clock())
        self._server.wake()
        if not faults:
            await self._rogues.end()  # of the last round: some of them go on for ever
            self._rogues = Rogues(self._manager)
            self._rogues.start()


def greet(dashboard: Dashboard, seconds: float | None) -> None:
    """Where the page is, in a line that a script can read."""
    click.echo(dashboard.url)
    lasts = "Ctrl-C ends it" if seconds is None else f"it ends after {seconds:g} s"
    click.echo(f"Open this address in a browser; {lasts}. What is done to the demo is told here:")


def say(line: str) -> None:
    """With the time, as on the page."""
    click.echo(f"{time.strftime('%H:%M:%S')}  {line}")


def watch_by_page(seed: int, rate: float, seconds: float | None, port: int) -> None:
    """The command: one clear line where it cannot be."""
    from ..errors import SubcoreError

    try:
        asyncio.run(run_web(seed, rate, seconds, port))
    except KeyboardInterrupt:
        pass
    except (SubcoreError, OSError) as error:
        raise click.ClickException(str(error)) from error


async def run_web(seed: int, rate: float, seconds: float | None, port: int) -> None:
    """Until Ctrl-C, or for so long. OSError where the port cannot be had."""
    from ..manager import SubscriptionManager
    from ..sim.server import SimServer
    from .demo import Demo
    from .demo_view import Report

    logging.getLogger("subcore").addHandler(logging.NullHandler())  # the page tells it
    async with (
        SimServer(seed=seed, rate=rate) as server,
        SubscriptionManager("upbit", url=server.url, seed=seed) as manager,
    ):
        greet(await manager.serve_dashboard(port=port), seconds)
        demo = Demo(server, manager, Report(seed, rate))
        await demo.begin()
        say("124 components over 600 symbols are at work")
        await WebDemo(server, manager, say).run(seconds)
