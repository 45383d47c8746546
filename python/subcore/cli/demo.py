"""`subcore demo`: the whole thing at work against the embedded exchange, in a few seconds."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import click

from .._histogram import Histogram
from ..types import Priority
from .demo_hostile import RULES, Rogues, block
from .demo_scenarios import CHOICES, run_scenarios
from .demo_view import Look, Report, live_view, print_summary
from .demo_web import watch_by_page

if TYPE_CHECKING:
    from .._events import Event
    from ..component import Component
    from ..manager import SubscriptionManager
    from ..sim.server import SimServer

COMPONENTS = 120
SYMBOLS = 600
SECONDS = 10.0
CHANNELS = ("ticker", "trade", "orderbook", "candle.1m")
LOOK_EVERY_S = 0.25
LOOKS_PER_RATE = 4  # rates on the screen are of the last second
LIVE_WITHIN_S = 15.0
ROGUES_WITHIN_S = 6.0
FIRST_FOUR = (
    ("strategy", Priority.HIGH, (("ticker", ("KRW-BTC", "KRW-ETH")),)),
    ("chart", Priority.NORMAL, (("orderbook", ("KRW-BTC",)), ("candle.1m", ("KRW-BTC",)))),
    ("portfolio", Priority.NORMAL, (("ticker", ("KRW-BTC", "KRW-ADA", "KRW-DOT")),)),
    ("alert", Priority.CRITICAL, (("trade", ("KRW-BTC",)),)),
)


class Demo:
    """One run. `look` is called with the latest figures four times a second."""

    def __init__(self, server: SimServer, manager: SubscriptionManager, report: Report) -> None:
        self._server = server
        self._manager = manager
        self._report = report
        self._rng = random.Random(report.seed)
        self._components: list[Component] = []
        self._events = 0
        self._frames_before = 0
        self._events_before = 0
        self._handling = Histogram()
        self._seen: deque[tuple[float, int, int]] = deque([(time.monotonic(), 0, 0)], LOOKS_PER_RATE)
        self._phase = ""
        self._sent = 0
        self._rogues = Rogues(manager)
        self._measuring = True
        self._watched_since = 0.0

    async def run(self, seconds: float, look: Look) -> None:
        """Four components that overlap, then 120; then watch for `seconds`, the link being cut half-way.

        Among them are some that misbehave; at the end, when all else was measured, one blocks the loop.
        """
        looking = asyncio.get_running_loop().create_task(self._look(look))
        try:
            await self.begin()
            self._frames_before, self._events_before = self._manager.stats().frames, self._events
            self._handling = Histogram()
            self._rogues.start()
            await self._watch(seconds)
            await self._until_live()  # a restore that began late is waited for
            await self._rogues.until_over(ROGUES_WITHIN_S)
            await self._end_rogues()
        finally:
            looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await looking

    async def begin(self) -> None:
        """Until all that the 124 components want is proven."""
        await self._first_four()
        await self._everyone()

    async def _end_rogues(self) -> None:
        report, rogues = self._report, self._rogues
        await rogues.end()
        report.rogues = rogues.all
        report.bystanders_lost = sum(each.stats().lost for each in self._components)
        report.bystanders_closed = sum(each.closed for each in self._components)
        report.seconds = time.monotonic() - self._watched_since
        self._look_once()
        self._measure()  # over all of that time
        self._measuring = False
        self._phase += ", the loop blocked at the end"
        report.blocking = await block(self._manager)

    async def _watch(self, seconds: float) -> None:
        self._phase = f"{len(self._components)} components, watched for {seconds:g} s"
        self._watched_since = time.monotonic()
        try:
            await asyncio.sleep(seconds / 2)
            self._cut()
            self._phase += ", the link cut half-way"
            await asyncio.sleep(seconds / 2)
        finally:
            self._report.seconds = time.monotonic() - self._watched_since

    def _cut(self) -> None:
        """Reset the connection, as a failing network would: everything has to come back."""
        from ..sim.faults import Fault

        self._server.exchange.inject(Fault("drop_rst"), self._server.clock())
        self._server.wake()

    async def _first_four(self) -> None:
        report = self._report
        self._phase = f"{len(FIRST_FOUR)} components that overlap"
        for name, priority, wants in FIRST_FOUR:
            component = self._manager.component(name, priority=priority)
            for channel, symbols in wants:
                component.subscribe(channel, symbols, self._handle)
                report.four_topics += len(symbols)
            self._components.append(component)
        report.four_components = len(FIRST_FOUR)
        report.four_live_s = await self._until_live()
        report.four_messages = self._manager.stats().messages_sent

    async def _everyone(self) -> None:
        symbols = self._symbols()
        self._phase = f"{COMPONENTS} components more, all at once"
        for number in range(COMPONENTS):
            channel = CHANNELS[number % len(CHANNELS)]
            priority = Priority.LOW if channel == "candle.1m" else Priority.NORMAL
            component = self._manager.component(f"component-{number:03d}", priority=priority)
            component.subscribe(channel, self._rng.sample(symbols, 20), self._handle)
            component.subscribe("ticker", symbols[number * 5 : number * 5 + 5], self._handle)
            self._components.append(component)
        self._report.all_live_s = await self._until_live()

    def _symbols(self) -> list[str]:
        return list(self._server.exchange.markets)[:SYMBOLS]

    async def _until_live(self) -> float:
        began = time.monotonic()
        await asyncio.gather(*(component.live(timeout=LIVE_WITHIN_S) for component in self._components))
        return time.monotonic() - began

    def _handle(self, event: Event) -> None:
        self._handling.add(max(time.time_ns() - event.receive_time_ns, 0))
        self._events += 1

    async def _look(self, look: Look) -> None:
        """Now and then until it is cancelled, and then once more: the last picture shows how it ended."""
        try:
            while True:
                await asyncio.sleep(LOOK_EVERY_S)
                look(self._phase, self._look_once(), self._report)
        finally:
            look(self._phase, self._look_once(), self._report)

    def _look_once(self) -> Any:
        stats, now = self._manager.stats(), time.monotonic()
        self._report.sends += [now] * (stats.messages_sent - self._sent)
        self._sent = stats.messages_sent
        if not self._measuring:
            return stats
        self._measure()
        then, frames, events = self._seen[0]
        self._seen.append((now, stats.frames, self._events))
        passed = max(now - then, 1e-9)
        self._report.frames_per_s = round((stats.frames - frames) / passed, 1)
        self._report.events_per_s = round((self._events - events) / passed, 1)
        return stats

    def _measure(self) -> None:
        report, stats = self._report, self._manager.stats()
        report.components, report.interests = stats.component_count, stats.interests
        report.streams = sum(stats.streams.values())
        report.streams_open = stats.streams.get("OPEN", 0)
        report.frames = stats.frames - self._frames_before
        report.events = self._events - self._events_before
        if report.seconds:
            report.frames_per_s = round(report.frames / report.seconds, 1)
            report.events_per_s = round(report.events / report.seconds, 1)
        report.latency_p50_us = _us(stats.latency_p50_ns)
        report.latency_p99_us = _us(stats.latency_p99_ns)
        report.handler_p50_us = _us(self._handling.percentile(50))
        report.handler_p99_us = _us(self._handling.percentile(99))
        report.messages = stats.messages_sent
        report.most_messages_in_1_s = most_within(report.sends, 1.0)
        report.most_messages_in_60_s = most_within(report.sends, 60.0)
        report.violations = len(self._server.violations)
        report.bad_frames = sum(stats.bad_frames.values())
        report.handler_errors = stats.handler_errors - self._rogues.handler_errors
        report.memory_kib = stats.memory_bytes // 1024
        report.restores = self._manager.restores


def _us(ns: int | None) -> float | None:
    return None if ns is None else ns / 1000


def most_within(times: list[float], seconds: float) -> int:
    """The greatest number of `times` (ascending) in any stretch of so many seconds."""
    most = start = 0
    for end, time_ in enumerate(times):
        while times[start] <= time_ - seconds:
            start += 1
        most = max(most, end - start + 1)
    return most


@click.command("demo")
@click.option(
    "--seconds", type=click.FloatRange(min=0.5), help="How long to watch.  [default: 10, with --web no end]"
)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option(
    "--rate", type=click.FloatRange(min=0.01, max=200), default=1.0, show_default=True, help="Of the market."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the live view and summary.")
@click.option(
    "--scenario", type=click.Choice(CHOICES),
    help="One scenario of the table, or all, with the plain manager and with subcore, in virtual time.",
)  # fmt: skip
@click.option("--full", is_flag=True, help="The long size of the scenarios.")
@click.option("--web", is_flag=True, help="Serve a page to watch it by, and go on until Ctrl-C.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Of the page; left out, a free one.")
def command(
    seconds: float | None,
    seed: int,
    rate: float,
    as_json: bool,
    scenario: str | None,
    full: bool,
    web: bool,
    port: int,
) -> None:
    """Run 124 components over 600 symbols against an exchange that lives in this process."""
    if scenario is not None:
        run_scenarios(scenario, seed, full=full, as_json=as_json)
        return
    if full:
        raise click.UsageError("--full is a size of --scenario: say which")
    if web:
        watch_by_page(seed, rate, seconds, port)
        return
    run_demo(Report(seed, rate), SECONDS if seconds is None else seconds, as_json=as_json)


def run_demo(report: Report, seconds: float, *, as_json: bool) -> None:
    """The demo with its summary; exits non-zero where a promise was not kept."""
    from ..errors import SubcoreError

    logging.getLogger("subcore").addHandler(
        logging.NullHandler()
    )  # the cut is told in the view and the summary
    stopped = False
    try:
        asyncio.run(_run(report, seconds, quiet=as_json))
    except KeyboardInterrupt:
        stopped = True
    except SubcoreError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(report.as_dict()))
    else:
        print_summary(report, stopped)
        click.echo("To watch it on a page: subcore demo --web")
    if report.violations or not report.is_whole:
        raise SystemExit(1 if not stopped else 130)


async def _run(report: Report, seconds: float, *, quiet: bool) -> None:
    from ..manager import SubscriptionManager
    from ..sim.server import SimServer

    async with (
        SimServer(seed=report.seed, rate=report.rate) as server,
        SubscriptionManager("upbit", url=server.url, seed=report.seed, obligations=RULES) as manager,
    ):
        with live_view(quiet) as look:
            await Demo(server, manager, report).run(seconds, look)
