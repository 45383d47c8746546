"""`subcore plan`: what a set of interests will take, before anybody subscribes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..engine.forecast import Expected, Forecast

__all__ = ["command"]

MIB = 1 << 20


@click.command("plan")
@click.argument("file", metavar="FILE")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--seed", default=1, show_default=True, help="Of the rehearsal: same seed, same messages.")
def command(file: str, as_json: bool, seed: int) -> None:
    """Foretell what the plan in FILE (TOML) takes: links, messages, processor, memory, time of a restore.

    The real engine plays the plan in virtual time, and a few seconds of frames over a local socket say what they cost
    on this machine. No venue is asked anything.
    """
    from ..errors import SubcoreError
    from ..figures import as_json as to_json
    from ..planning.files import read_plan
    from ..planning.prediction import predict

    try:
        forecast = predict(read_plan(file), seed=seed)
    except SubcoreError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:  # no local socket, or a machine so busy that it took a minute
        raise click.ClickException(
            f"calibrating on this machine failed: {str(error) or type(error).__name__}; try again"
        ) from error
    if as_json:
        click.echo(json.dumps(to_json(forecast), ensure_ascii=False, allow_nan=False))
    else:
        click.echo(_table(forecast))


def _table(forecast: Forecast) -> str:
    one = forecast
    rows = [
        ("links", _figure(one.links), ""),
        ("messages until all is proven", _figure(one.messages), f"after {one.settled_s.value:.2f} s"),
        ("frames a second", _figure(one.frames_per_s), ""),
        ("bytes a second", _figure(one.bytes_per_s), ""),
        ("events handed over a second", _figure(one.deliveries_per_s), ""),
        ("of one core", _figure(one.cpu_share, 100, " %"), _parts(one)),
        ("memory", _figure(one.memory_bytes, 1 / MIB, " MiB"), ""),
        ("restore after all links are lost", _figure(one.restored_s, 1, " s"), ""),
    ]
    wide = max(len(name) for name, _, _ in rows)
    head = (
        f"{one.venue}: {one.components:,} components, {one.interests:,} interests, "
        f"{one.topics:,} topics, {one.streams:,} streams"
    )
    lines = [head, *(f"  {name:{wide}}  {figure:32} {more}".rstrip() for name, figure, more in rows)]
    return "\n".join([*lines, *(f"note: {note}" for note in one.notes)])


def _figure(expected: Expected, times: float = 1.0, unit: str = "") -> str:
    value, low, high = (_number(each * times) for each in (expected.value, expected.low, expected.high))
    return f"{value}{unit}" if low == high else f"{value}{unit} ({low} to {high})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _parts(forecast: Forecast) -> str:
    parts = sorted(forecast.cpu_parts.items(), key=lambda part: -part[1])
    total = sum(forecast.cpu_parts.values()) or 1.0
    return ", ".join(f"{name} {share / total:.0%}" for name, share in parts[:3] if share)
