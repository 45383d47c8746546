"""What `subcore demo` shows: a table that is drawn anew while it runs, on a terminal, and a summary at its end."""

from __future__ import annotations

import contextlib
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..figures import Stats
    from ..restoring import RestoreReport
    from .demo_hostile import Blocking, Rogue

PER_SECOND, PER_MINUTE = 5, 100  # what the venue allows a connection, messages in any 1 s and in any 60 s
BAR = 20
WIDEST_PROSE = 100


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
    handler_p50_us: float | None = None
    handler_p99_us: float | None = None
    messages: int = 0
    most_messages_in_1_s: int = 0
    most_messages_in_60_s: int = 0
    violations: int = 0
    bad_frames: int = 0
    handler_errors: int = 0
    memory_kib: int = 0
    sends: list[float] = field(default_factory=list, repr=False)
    """When each message was sent, by time.monotonic()."""
    restores: tuple[RestoreReport, ...] = field(default=(), repr=False)
    rogues: list[Rogue] = field(default_factory=list, repr=False)
    """Components that misbehaved on purpose."""
    bystanders_lost: int = 0
    bystanders_closed: int = 0
    blocking: Blocking | None = field(default=None, repr=False)

    @property
    def is_whole(self) -> bool:
        """Whether all that is wanted is proven, came back after the cut, and nobody paid for those that misbehaved."""
        return (
            self.streams_open == self.streams
            and all(restore.done for restore in self.restores)
            and not self.bystanders_lost
            and not self.bystanders_closed
        )

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        del values["sends"]
        values["restores"] = [_restore_as_dict(restore) for restore in self.restores]
        values["rogues"] = [rogue.as_dict() for rogue in self.rogues]
        values["blocking"] = None if self.blocking is None else asdict(self.blocking)
        return values


def _restore_as_dict(restore: RestoreReport) -> dict[str, Any]:
    return {
        "reason": restore.reason,
        "seconds": restore.seconds,
        "classes": [
            {**asdict(each), "priority": each.priority.name} for each in restore.classes if each.lost
        ],
    }


Look = Callable[[str, "Stats", Report], None]
"""Called four times a second with what is going on and the latest figures."""


@contextlib.contextmanager
def live_view(quiet: bool) -> Iterator[Look]:
    """A table on the terminal for as long as the block runs; nothing where there is none."""
    from rich.console import Console
    from rich.live import Live

    console = Console()
    if quiet or not console.is_terminal:
        yield lambda title, stats, report: None
        return
    with Live(console=console, refresh_per_second=8, transient=True) as live:
        yield lambda title, stats, report: live.update(_view(title, stats, report))


def _view(title: str, stats: Stats, report: Report) -> Any:
    """The figures; below them the last restore, once there was one."""
    from rich.console import Group

    figures = _table(title, stats, report)
    return Group(figures, _restore_table(report.restores[-1])) if report.restores else figures


def _restore_table(restore: RestoreReport) -> Any:
    from rich.table import Table

    when = "under way" if restore.seconds is None else f"whole after {restore.seconds:.2f} s"
    table = Table(title=f"{restore.reason}: {when}", title_style="bold", min_width=76)
    for name in ("class", "streams lost", "asked for", "proven again", "last back"):
        table.add_column(name, justify="left" if name == "class" else "right")
    for row in restore.classes:
        if row.lost:
            last = "-" if row.last_seconds is None else f"{row.last_seconds:.2f} s"
            name = row.priority.name.lower()
            table.add_row(name, f"{row.lost:,}", f"{row.asked:,}", f"{row.proven:,}", last)
    return table


def _table(title: str, stats: Stats, report: Report) -> Any:
    from rich.table import Table

    table = Table(title=f"subcore demo: {title}", show_header=False, title_style="bold", min_width=76)
    states = ", ".join(f"{count:,} {name.lower()}" for name, count in stats.streams.items() if count)
    for name, value, more in (
        ("frames from the exchange", f"{report.frames_per_s:,.0f}/s", f"{stats.frames:,} so far"),
        ("events to handlers", f"{report.events_per_s:,.0f}/s", f"by {stats.interests:,} interests"),
        ("streams", f"{sum(stats.streams.values()):,}", states),
        ("exchange's stamp to arrival", *_percentiles(report.latency_p50_us, report.latency_p99_us)),
        ("arrival to handler", *_percentiles(report.handler_p50_us, report.handler_p99_us)),
        ("messages sent", f"{stats.messages_sent:,}", f"{report.violations} against the limits"),
        ("  in the last second", *_window(report.sends, 1.0, PER_SECOND)),
        ("  in the last minute", *_window(report.sends, 60.0, PER_MINUTE)),
    ):
        table.add_row(name, value, more)
    return table


def _percentiles(p50: float | None, p99: float | None) -> tuple[str, str]:
    return f"p50 {_duration(p50)}", f"p99 {_duration(p99)}"


def _duration(us: float | None) -> str:
    if us is None:
        return "-"
    return f"{us:,.0f} us" if us < 1000 else f"{us / 1000:,.1f} ms"


def _window(sends: list[float], seconds: float, most: int) -> tuple[str, str]:
    """Messages that count against a window now: in words and as a bar."""
    since = time.monotonic() - seconds
    used = sum(at > since for at in sends)
    filled = round(BAR * min(used, most) / most)
    return f"{used} of {most}", "█" * filled + "░" * (BAR - filled)


def print_summary(report: Report, stopped: bool) -> None:
    """What happened, in sentences; wrapped at the width of a terminal."""
    width = min(shutil.get_terminal_size().columns, WIDEST_PROSE) if sys.stdout.isatty() else 10_000
    for sentence in _sentences(report, stopped):
        click.echo(textwrap.fill(sentence, width, subsequent_indent="  ", break_on_hyphens=False))


def _sentences(report: Report, stopped: bool) -> Iterator[str]:
    if stopped:
        yield "Stopped early."
    if not report.four_live_s:
        return
    yield (
        f"{report.four_components} components that overlap wanted {report.four_topics} topics: "
        f"{_count(report.four_messages, 'message')} to the exchange, every stream proven (seen to flow) after "
        f"{report.four_live_s:.2f} s."
    )
    if not report.all_live_s:
        return
    yield (
        f"Then {report.components} components held {report.interests:,} interests in {report.streams:,} streams on "
        f"one connection: {report.streams_open:,} proven, the last after {report.all_live_s:.2f} s."
    )
    yield (
        f"{_count(report.messages, 'message')} sent in all, at most {report.most_messages_in_1_s} in a second (limit "
        f"{PER_SECOND}) and {report.most_messages_in_60_s} in a minute (limit {PER_MINUTE}); the exchange counted "
        f"{_count(report.violations, 'violation')}."
    )
    if not report.seconds:
        return
    yield (
        f"In {report.seconds:.1f} s came {report.frames:,} frames ({report.frames_per_s:,.0f}/s), handed out as "
        f"{report.events:,} events ({report.events_per_s:,.0f}/s)."
    )
    yield (
        f"From arrival to a handler: {_duration(report.handler_p50_us)} in the median, "
        f"{_duration(report.handler_p99_us)} at p99. From the exchange's stamp, in whole ms, to arrival: "
        f"{_duration(report.latency_p50_us)} and {_duration(report.latency_p99_us)}, with the exchange itself in this "
        "process."
    )
    yield from map(_restored, report.restores)
    yield from _rogues(report)
    others = " of the others" if report.rogues else ""
    yield (
        f"The core's tables took {report.memory_kib:,} KiB; {_count(report.bad_frames, 'frame')} could not be read, "
        f"{_count(report.handler_errors, 'handler')}{others} failed."
    )


def _rogues(report: Report) -> Iterator[str]:
    if report.rogues:
        harmed = report.bystanders_lost or report.bystanders_closed
        yield (
            f"{_count(len(report.rogues), 'component')} more misbehaved on purpose, each in its own way; none of the "
            f"others {'was spared' if harmed else 'lost an event or was accused'}. What became of them (the waits are "
            "shortened for this demo):"
        )
        yield from (f"- {rogue}" for rogue in report.rogues)
    blocking = report.blocking
    if blocking is not None and blocking.seconds:
        named = "nobody saw who it was"
        if blocking.named_s is not None:
            stack = ", with its stack" if blocking.has_stack else ""
            named = f"a thread named it after {blocking.named_s:.1f} s{stack}"
        yield f"- at the very end a handler blocked the event loop for {blocking.seconds:.1f} s: {named}"


def _restored(restore: RestoreReport) -> str:
    lost, proven = sum(row.lost for row in restore.classes), sum(row.proven for row in restore.classes)
    told = f"Half-way the exchange cut the connection: {proven:,} of {_count(lost, 'stream')} proven again"
    if restore.seconds is None:
        return f"{told} so far."
    last = [
        f"{row.priority.name} {row.last_seconds:.2f} s"
        for row in restore.classes
        if row.last_seconds is not None
    ]
    return (
        f"{told} after {restore.seconds:.2f} s, and no component had to ask for it. The last of each class: "
        f"{', '.join(last)}."
    )


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
