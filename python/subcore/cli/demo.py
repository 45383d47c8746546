"""`subcore demo`: the whole thing at work against the embedded exchange, in a few seconds."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..component import Component
    from ..manager import SubscriptionManager
    from ..reports import Stats
    from ..sim.server import SimServer

COMPONENTS = 120
SYMBOLS = 600
CHANNELS = ("ticker", "trade", "orderbook", "candle.1m")
LOOK_EVERY_S = 0.25
LIVE_WITHIN_S = 15.0
FIRST_FOUR = (
    ("strategy", (("ticker", ("KRW-BTC", "KRW-ETH")),)),
    ("chart", (("orderbook", ("KRW-BTC",)), ("candle.1m", ("KRW-BTC",)))),
    ("portfolio", (("ticker", ("KRW-BTC", "KRW-ADA", "KRW-DOT")),)),
    ("alert", (("trade", ("KRW-BTC",)),)),
)


@dataclass(slots=True)
class Report:
    """What the demo measured; the summary and --json are made of it."""

    seed: int
    rate: float
    four_components: int = 0
    four_topics: int = 0
    four_messages: int = 0
    four_live_s: float = 0.0
    components: int = 0
    interests: int = 0
    streams: int = 0
    streams_open: int = 0
    all_live_s: float = 0.0
    seconds: float = 0.0
    frames: int = 0
    events: int = 0
    frames_per_s: float = 0.0
    events_per_s: float = 0.0
    latency_p50_us: float | None = None
    latency_p99_us: float | None = None
    messages: int = 0
    most_messages_in_1_s: int = 0
    most_messages_in_60_s: int = 0
    violations: int = 0
    bad_frames: int = 0
    handler_errors: int = 0
    memory_kib: int = 0
    sends: list[float] = field(default_factory=list, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        values = asdict(self)
        del values["sends"]
        return values


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

    async def run(self, seconds: float, look: Callable[[str, Stats, Report], None]) -> None:
        """Four components that overlap, then 120; then watch for `seconds`."""
        looking = asyncio.get_running_loop().create_task(self._look(look))
        try:
            await self._first_four()
            await self._everyone()
            self._frames_before = self._manager.stats().frames
            self._events = 0
            began = time.monotonic()
            await asyncio.sleep(seconds)
            self._report.seconds = time.monotonic() - began
        finally:
            looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await looking
            self._measure()

    async def _first_four(self) -> None:
        report = self._report
        for name, wants in FIRST_FOUR:
            component = self._manager.component(name)
            for channel, symbols in wants:
                component.subscribe(channel, symbols, self._count)
                report.four_topics += len(symbols)
            self._components.append(component)
        report.four_components = len(FIRST_FOUR)
        report.four_live_s = await self._until_live()
        report.four_messages = self._manager.stats().messages_sent

    async def _everyone(self) -> None:
        symbols = self._symbols()
        for number in range(COMPONENTS):
            component = self._manager.component(f"component-{number:03d}")
            channel = CHANNELS[number % len(CHANNELS)]
            component.subscribe(channel, self._rng.sample(symbols, 20), self._count)
            component.subscribe("ticker", symbols[number * 5 : number * 5 + 5], self._count)
            self._components.append(component)
        self._report.all_live_s = await self._until_live()

    def _symbols(self) -> list[str]:
        return list(self._server.exchange.markets)[:SYMBOLS]

    async def _until_live(self) -> float:
        began = time.monotonic()
        await asyncio.gather(*(component.live(timeout=LIVE_WITHIN_S) for component in self._components))
        return time.monotonic() - began

    def _count(self, event: object) -> None:
        self._events += 1

    async def _look(self, look: Callable[[str, Stats, Report], None]) -> None:
        sent = 0
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            stats = self._manager.stats()
            now = time.monotonic()
            self._report.sends += [now] * (stats.messages_sent - sent)
            sent = stats.messages_sent
            self._measure()
            look(f"{len(self._components)} components", stats, self._report)

    def _measure(self) -> None:
        report, stats = self._report, self._manager.stats()
        report.components, report.interests = stats.components, stats.interests
        report.streams = sum(stats.streams.values())
        report.streams_open = stats.streams.get("OPEN", 0)
        report.frames = stats.frames - self._frames_before
        report.events = self._events
        if report.seconds:
            report.frames_per_s = round(report.frames / report.seconds, 1)
            report.events_per_s = round(report.events / report.seconds, 1)
        report.latency_p50_us = None if stats.latency_p50_ns is None else stats.latency_p50_ns / 1000
        report.latency_p99_us = None if stats.latency_p99_ns is None else stats.latency_p99_ns / 1000
        report.messages = stats.messages_sent
        report.most_messages_in_1_s = most_within(report.sends, 1.0)
        report.most_messages_in_60_s = most_within(report.sends, 60.0)
        report.violations = len(self._server.violations)
        report.bad_frames = sum(stats.bad_frames.values())
        report.handler_errors = stats.handler_errors
        report.memory_kib = stats.memory_bytes // 1024


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
    "--seconds", type=click.FloatRange(min=0.5), default=10.0, show_default=True, help="How long to watch."
)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option(
    "--rate", type=click.FloatRange(min=0.01, max=200), default=1.0, show_default=True, help="Of the market."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the live view and summary.")
def command(seconds: float, seed: int, rate: float, as_json: bool) -> None:
    """Run 124 components over 600 symbols against an exchange that lives in this process."""
    from ..errors import SubcoreError

    report = Report(seed, rate)
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
        _summary(report, stopped)
    if report.violations or report.streams_open < report.streams:
        raise SystemExit(1 if not stopped else 130)


async def _run(report: Report, seconds: float, *, quiet: bool) -> None:
    from ..manager import SubscriptionManager
    from ..sim.server import SimServer

    async with (
        SimServer(seed=report.seed, rate=report.rate) as server,
        SubscriptionManager("upbit", url=server.url, seed=report.seed) as manager,
    ):
        with _view(quiet) as look:
            await Demo(server, manager, report).run(seconds, look)


@contextlib.contextmanager
def _view(quiet: bool) -> Iterator[Callable[[str, Stats, Report], None]]:
    from rich.console import Console
    from rich.live import Live

    console = Console()
    if quiet or not console.is_terminal:
        yield lambda title, stats, report: None
        return
    with Live(console=console, refresh_per_second=8, transient=True) as live:
        yield lambda title, stats, report: live.update(_table(title, stats, report))


def _table(title: str, stats: Stats, report: Report) -> Any:
    from rich.table import Table

    table = Table(title=f"subcore demo: {title}", show_header=False, min_width=64)
    latency = f"{report.latency_p50_us or 0:,.0f} / {report.latency_p99_us or 0:,.0f} us"
    states = "  ".join(f"{name.lower()} {count}" for name, count in stats.streams.items() if count)
    for name, value in (
        ("frames from the exchange", f"{stats.frames:,}"),
        ("events delivered", f"{report.events:,}"),
        ("interests -> streams", f"{stats.interests:,} -> {sum(stats.streams.values()):,}"),
        ("streams", states),
        ("delay p50 / p99", latency),
        ("messages in 1 s", f"{_bar(report.most_messages_in_1_s, 5)} at most 5"),
        ("messages in 60 s", f"{_bar(report.most_messages_in_60_s, 100)} at most 100"),
    ):
        table.add_row(name, value)
    return table


def _bar(used: int, most: int) -> str:
    filled = round(20 * min(used, most) / most)
    return f"{'█' * filled}{'░' * (20 - filled)} {used:>3}"


def _summary(report: Report, stopped: bool) -> None:
    lines = (
        "Stopped early." if stopped else "",
        f"Four components wanted {report.four_topics} topics: {report.four_messages} message(s) to the exchange, "
        f"all proven after {report.four_live_s:.2f} s.",
        f"Then {report.components} components held {report.interests:,} interests in {report.streams:,} streams "
        f"on one connection: {report.streams_open:,} proven, the last after {report.all_live_s:.2f} s.",
        f"{report.messages} messages were sent in all, at most {report.most_messages_in_1_s} in a second (limit 5) and "
        f"{report.most_messages_in_60_s} in a minute (limit 100); the exchange counted {report.violations} violations.",
        f"In {report.seconds:.1f} s came {report.frames:,} frames ({report.frames_per_s:,.0f}/s), handed out as "
        f"{report.events:,} events ({report.events_per_s:,.0f}/s).",
        f"From the exchange's clock to a handler: {report.latency_p50_us or 0:,.0f} us in the median, "
        f"{report.latency_p99_us or 0:,.0f} us at p99.",
        f"The core's tables took {report.memory_kib:,} KiB; {report.bad_frames} frames could not be read, "
        f"{report.handler_errors} handlers failed.",
    )
    for line in lines:
        if line:
            click.echo(line)
