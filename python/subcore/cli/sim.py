"""`subcore sim`: the embedded exchange on a port."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import Any

import click

from subcore.sim import KINDS, Fault, FaultSpecError, Machine
from subcore.sim.houses import HOUSES
from subcore.sim.server import SimServer

__all__ = ["command"]


def _parse_faults(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[float, Fault], ...]:
    try:
        return tuple(Fault.parse(value) for value in values)
    except FaultSpecError as error:
        raise click.BadParameter(str(error), ctx, param) from None


_FAULT_HELP = (
    "A fault: KIND[:key=value,...][@SECONDS]; may be given several times. Example: "
    "--fault drop_rst@30 --fault status:code=429,retry_after=3,seconds=10@30. Kinds: "
    + ", ".join(KINDS)
    + "."
)


def _make_exchange(venue: str, over_limit: str | None, speedup: float, **options: Any) -> Machine[Any]:
    house = HOUSES[venue]
    if over_limit is not None and over_limit not in house.over_limit:
        allowed = " or ".join(house.over_limit)
        raise click.BadParameter(f"{venue} answers no message over the limit with an {over_limit}: {allowed}")
    return house.make(over_limit=over_limit, speedup=speedup, **options)


@click.command("sim")
@click.option(
    "--venue", default=next(iter(HOUSES)), show_default=True, type=click.Choice(list(HOUSES)),
    help="Whose grammar, limits and habits.",
)  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Port; 0 takes a free one.")
@click.option("--seed", default=1, show_default=True, help="Same seed, same markets and same traffic.")
@click.option(
    "--rate", default=1.0, show_default=True, type=click.FloatRange(0, 10_000, min_open=True),
    help="Traffic; 1 = about 800 book frames a second over all markets.",
)  # fmt: skip
@click.option("--fault", "faults", multiple=True, metavar="SPEC", callback=_parse_faults, help=_FAULT_HELP)
@click.option(
    "--speedup", default=1.0, show_default=True, type=click.FloatRange(0, 10_000, min_open=True),
    help="Divide every time of the venue (idle drop, windows, delays) by this.",
)  # fmt: skip
@click.option(
    "--over-limit", type=click.Choice(["error", "close", "ignore"]),
    help="What a message over the limit brings; by default an error from upbit, a close from binance.",
)  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Stop after this time.")
@click.option("--json", "as_json", is_flag=True, help="Print the start and the summary as JSON lines.")
def command(
    venue: str, host: str, port: int, seed: int, rate: float, faults: tuple[tuple[float, Fault], ...], speedup: float,
    over_limit: str | None, seconds: float | None, as_json: bool,
) -> None:  # fmt: skip
    """Run an embedded exchange: a venue's WebSocket grammar, limits and habits, with generated markets.

    Connect to the URL it prints. Ctrl-C ends it with a summary.

    \b
    Upbit's private route, /websocket/v1/private, takes tokens signed with
      access key  subcore-test-access-key
      secret key  subcore-test-secret-key-of-no-account-anywhere
    and its account trades by itself.
    """
    exchange = _make_exchange(venue, over_limit, speedup, seed=seed, rate=rate, faults=faults)
    server = SimServer(exchange, host=host, port=port)
    try:
        asyncio.run(_serve(server, seconds, as_json))
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on {host}:{port}: {os.strerror(error.errno or 0) if error.errno else error}"
        ) from None
    _summary(server, as_json)


async def _serve(server: SimServer, seconds: float | None, as_json: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if seconds is not None:
        loop.call_later(seconds, stop.set)
    async with server:
        if as_json:
            click.echo(
                json.dumps(
                    {"url": server.url, "rest_url": server.rest_url, "markets": len(server.exchange.markets)}
                )
            )
        else:
            click.echo(
                f"{server.url}  ({len(server.exchange.markets)} markets; REST at {server.rest_url}; Ctrl-C ends)"
            )
        sys.stdout.flush()
        show = sys.stdout.isatty() and not as_json
        while not stop.is_set():
            before = server.exchange.stats.frames
            try:
                await asyncio.wait_for(stop.wait(), 1.0)
            except TimeoutError:
                if show:
                    click.echo(f"\r\x1b[K{_rate_line(server, before)}", nl=False)
        if show:
            click.echo()


def _rate_line(server: SimServer, frames_before: int) -> str:
    stats = server.exchange.stats
    return (
        f"{len(server.exchange.connections)} connections  {stats.frames - frames_before:,} frames/s  "
        f"{stats.messages:,} messages  {stats.violations:,} violations  {server.behind_ns / 1e6:,.0f} ms behind"
    )


def _summary(server: SimServer, as_json: bool) -> None:
    stats, faults = server.exchange.stats, dict(server.exchange.fault_counts)
    if as_json:
        click.echo(json.dumps({**vars(stats), "faults": faults, "slow_readers": server.slow_readers}))
        return
    click.echo(
        f"connections {stats.connects:,} (refused {stats.refused:,}, idle drops {stats.idle_drops:,})\n"
        f"messages    {stats.messages:,} (requests {stats.requests:,}, errors {stats.errors:,})\n"
        f"violations  {stats.violations:,}\n"
        f"frames      {stats.frames:,} ({stats.bytes / 1e6:,.1f} MB)"
    )
    if faults:
        click.echo("faults      " + ", ".join(f"{kind} {count:,}" for kind, count in sorted(faults.items())))
