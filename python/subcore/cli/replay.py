"""`subcore replay`: decode a recording, say what is in it and how long it took."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import click

from .._decode import decode_all
from .._events import Event
from ..errors import DecodeError, SubcoreError
from ..recording import FrameReader

PROGRESS_EVERY = 4096


@dataclass(slots=True)
class Tally:
    """What a replay has seen so far."""

    frames: int = 0
    bytes: int = 0
    decode_ns: int = 0
    first_receive_ns: int = 0
    last_receive_ns: int = 0
    channels: Counter[str] = field(default_factory=Counter)
    controls: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    first_errors: list[str] = field(default_factory=list)

    def as_dict(self, path: str, venue: str) -> dict[str, Any]:
        """The summary for machines."""
        return {
            "file": path,
            "venue": venue,
            "frames": self.frames,
            "bytes": self.bytes,
            "span_s": (self.last_receive_ns - self.first_receive_ns) / 1e9 if self.first_receive_ns else None,
            "events_by_channel": dict(self.channels.most_common()),
            "controls": dict(self.controls.most_common()),
            "errors_by_reason": dict(self.errors.most_common()),
            "ns_per_frame": round(self.decode_ns / self.frames, 1) if self.frames else None,
        }


@click.command("replay")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--venue", "-v", required=True, help="Whose frames these are, e.g. upbit.")
@click.option("--events", metavar="OUT", help="Write one JSON object an event to OUT; - is standard output.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
def command(file: str, venue: str, events: str | None, as_json: bool) -> None:
    """Decode the recording FILE (.jsonl or .jsonl.gz) and summarise it."""
    tally = Tally()
    try:
        with _events_file(events, file) as out, contextlib.suppress(KeyboardInterrupt):
            _replay(FrameReader(file), venue, tally, out)
    except SubcoreError as error:
        raise click.ClickException(str(error)) from error
    except BrokenPipeError:
        sys.stderr.close()
        return
    except OSError as error:
        raise click.ClickException(f"cannot write events to {events}: {error.strerror}") from error
    _print_summary(tally, file, venue, as_json, to_stderr=events == "-")


def _replay(reader: FrameReader, venue: str, tally: Tally, out: IO[str] | None) -> None:
    decode_all(venue, b"{}")  # what is loaded and compiled once is no cost of a frame
    with _progress(reader, out) as advance:
        for receive_ns, payload in reader:
            _decode_one(venue, payload, receive_ns, tally, out)
            if tally.frames % PROGRESS_EVERY == 0:
                advance(reader.position)


def _decode_one(venue: str, payload: bytes, receive_ns: int, tally: Tally, out: IO[str] | None) -> None:
    tally.frames += 1
    tally.bytes += len(payload)
    tally.first_receive_ns = tally.first_receive_ns or receive_ns
    tally.last_receive_ns = receive_ns or tally.last_receive_ns
    began = time.perf_counter_ns()
    try:
        decoded = decode_all(venue, payload, receive_time_ns=receive_ns)
    except DecodeError as error:
        tally.errors[error.reason] += 1
        if len(tally.first_errors) < 5:
            tally.first_errors.append(f"frame {tally.frames}: {error}")
        return
    finally:
        tally.decode_ns += time.perf_counter_ns() - began
    for item in decoded:
        if not isinstance(item, Event):
            tally.controls[type(item).__name__] += 1
            continue
        tally.channels[item.channel] += 1
        if out is not None:
            out.write(json.dumps(item.to_dict(), ensure_ascii=False, allow_nan=False) + "\n")


@contextlib.contextmanager
def _events_file(target: str | None, source: str) -> Iterator[IO[str] | None]:
    if target is None:
        yield None
    elif target == "-":
        yield sys.stdout
    elif Path(target).exists() and Path(target).samefile(source):
        raise click.ClickException(f"{target} is the recording itself: give --events another file")
    else:
        with Path(target).open("w", encoding="utf-8") as file:
            yield file


@contextlib.contextmanager
def _progress(reader: FrameReader, out: IO[str] | None) -> Iterator[Callable[[int], None]]:
    if not sys.stderr.isatty() or (out is not None and out.isatty()):  # a bar would lie between the events
        yield lambda position: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    columns = ("{task.description}", BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("decoding", total=reader.size)
        yield lambda position: bar.update(task, completed=position)


def _print_summary(tally: Tally, file: str, venue: str, as_json: bool, *, to_stderr: bool) -> None:
    summary = tally.as_dict(file, venue)
    if as_json:
        click.echo(json.dumps(summary), err=to_stderr)
        return
    click.echo(f"{tally.frames:,} frames, {tally.bytes:,} bytes", err=to_stderr)
    if summary["span_s"]:
        click.echo(f"recorded over {summary['span_s']:.1f} s", err=to_stderr)
    for title, counts in (("events", tally.channels), ("control", tally.controls), ("refused", tally.errors)):
        for name, count in counts.most_common():
            click.echo(f"  {title:8} {name:24} {count:>10,}", err=to_stderr)
    for line in tally.first_errors:
        click.echo(f"  {line}", err=to_stderr)
    if tally.frames:
        click.echo(
            f"decoding took {summary['ns_per_frame']:,} ns a frame, events made and dropped", err=to_stderr
        )
