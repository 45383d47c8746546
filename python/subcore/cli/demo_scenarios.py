"""`subcore demo --scenario`: the scenarios of the table, before and after, on the terminal."""

from __future__ import annotations

import json
import logging
from typing import Any

import click

__all__ = ["CHOICES", "run_scenarios"]

CHOICES = ("1", "2", "3", "4", "5", "all")


def run_scenarios(which: str, seed: int, *, full: bool, as_json: bool) -> None:
    """Play one or all and print what came out. Exits with 1 where a bound is not kept, or orjson is missing."""
    from ..errors import UsageError
    from ..scenarios import table

    numbers = list(table.SCENARIOS) if which == "all" else [int(which)]
    logging.disable(logging.CRITICAL)  # what either manager complains of is counted, and shown
    try:
        outcomes = table.run(numbers, seed, full=full, tell=lambda line: click.echo(line, err=True))
    except UsageError as error:
        raise click.ClickException(str(error)) from error
    finally:
        logging.disable(logging.NOTSET)
    said = table.as_dict(outcomes, seed, full=full)
    if as_json:
        click.echo(json.dumps(said))
    else:
        print_table(said)
    if not said["good"]:
        raise SystemExit(1)


def print_table(said: dict[str, Any]) -> None:
    """All figures in one table, what else was counted, and the definitions."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(
        "", "figure", "plain manager", "subcore", "wanted", "", title="The scenarios, before and after"
    )
    for each, figure, row in _rows(said):
        verdict = "[green]met[/]" if figure["met"] else "[red]not met[/]"
        table.add_row(f"{each['scenario']} {each['title']}", *row, verdict)
    console.print(table)
    for each in said["scenarios"]:
        console.print(f"[bold]{each['scenario']} {each['title']}[/] ({each['seconds']:.0f} s)")
        for what, both in each["facts"].items():
            console.print(f"   {_line(what, both)}")
        for fault in each["faults"]:
            console.print(f"   [red]wrong: {fault}[/]")
    texts = {figure["name"]: figure["definition"] for _, figure, _ in _rows(said)}
    for name, text in texts.items():
        console.print(f"[bold]{name}[/]: {text}", style="dim")


def _rows(said: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]]:
    from ..scenarios.figures import FIGURES

    rows: list[tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = []
    for each in said["scenarios"]:
        for figure in each["figures"]:
            definition = FIGURES[figure["key"]]
            shown = (definition.show(figure["before"]), definition.show(figure["after"]))
            rows.append((each, figure, (definition.name, *shown, definition.show_wanted())))
    return rows


def _line(what: str, both: dict[str, Any]) -> str:
    from ..scenarios.figures import show_fact

    shown = [(show_fact(what, both[when]), when) for when in ("before", "after")]
    return f"{what}: " + ", ".join(f"{value} {when}" for value, when in shown if value)
