"""`subcore watch`: print live events of some symbols, recording them if asked."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from .._events import Event
    from ..types import Status


@dataclass(slots=True)
class Watch:
    """What was asked for, and what has come so far."""

    symbols: tuple[str, ...]
    channels: tuple[str, ...]
    as_json: bool
    events: Counter[str] = field(default_factory=Counter)
    began: float = field(default_factory=time.monotonic)

    def show(self, item: Event | Status) -> None:
        """Print one event or status."""
        channel = getattr(item, "channel", None)
        if channel is None:
            click.echo(f"-- {item}", err=True)
            return
        self.events[channel] += 1
        if self.as_json:
            click.echo(json.dumps(item.to_dict(), ensure_ascii=False, allow_nan=False))  # type: ignore[union-attr]
        else:
            click.echo(repr(item))

    def summary(self) -> dict[str, Any]:
        """For the end of the run."""
        elapsed = time.monotonic() - self.began
        total = sum(self.events.values())
        return {
            "seconds": round(elapsed, 1),
            "events": total,
            "events_per_s": round(total / elapsed, 1) if elapsed else 0.0,
            "events_by_channel": dict(self.events.most_common()),
        }


@click.command("watch")
@click.argument("symbols", nargs=-1, required=True, metavar="SYMBOL...")
@click.option("--channel", "-c", "channels", multiple=True, default=("ticker",), show_default=True)
@click.option("--venue", "-v", default="upbit", show_default=True)
@click.option("--url", help="Another address of the venue, e.g. the one `subcore sim` prints.")
@click.option("--record", metavar="FILE", help="Also write every raw frame to FILE (.jsonl or .jsonl.gz).")
@click.option("--seconds", type=click.FloatRange(min=0), help="Stop after so long.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object an event.")
def command(
    symbols: tuple[str, ...],
    channels: tuple[str, ...],
    venue: str,
    url: str | None,
    record: str | None,
    seconds: float | None,
    as_json: bool,
) -> None:
    """Print events of each SYMBOL as they come; Ctrl-C ends with a summary."""
    from ..errors import SubcoreError

    watch = Watch(symbols, channels, as_json)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_run(watch, venue, url, record, seconds))
    except SubcoreError as error:
        raise click.ClickException(str(error)) from error
    except BrokenPipeError:
        sys.stderr.close()
        return
    summary = watch.summary()
    if as_json:
        click.echo(json.dumps(summary), err=True)
    else:
        click.echo(
            f"{summary['events']:,} events in {summary['seconds']} s ({summary['events_per_s']}/s)", err=True
        )


async def _run(watch: Watch, venue: str, url: str | None, record: str | None, seconds: float | None) -> None:
    from ..manager import SubscriptionManager

    async with SubscriptionManager(venue, url=url) as manager:
        if record is not None:
            manager.record(record)
        component = manager.component("watch", include_status=True)
        for channel in watch.channels:
            component.subscribe(channel, watch.symbols)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for item in component:
                    watch.show(item)
