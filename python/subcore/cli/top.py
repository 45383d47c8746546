"""`subcore top`: a manager's figures on the terminal, from its page or from a file of JSON lines."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from .top_source import Source

EVERY_S = 1.0
LEAST_S = 0.2
MESSAGE_LONGEST = 1000


@click.command("top")
@click.argument("source", metavar="URL|FILE")
@click.option(
    "--token", envvar="SUBCORE_TOKEN", help="The page's token; or set SUBCORE_TOKEN, which ps does not show."
)
@click.option(
    "--every", type=click.FloatRange(min=LEAST_S), default=EVERY_S, show_default=True, help="Seconds."
)
@click.option("--once", is_flag=True, help="Print one view, all rows of it, and exit.")
@click.option("--json", "as_json", is_flag=True, help="Print what was read as one JSON object, and exit.")
def command(source: str, token: str | None, every: float, once: bool, as_json: bool) -> None:
    """Show what a manager does: URL is its page's (manager.serve_dashboard(), subcore demo --web), FILE is one that
    JsonLines writes.

    Keys: q quits, tab goes to topics and back, / searches, < and > choose the column to sort by, r reverses, arrows
    and page keys scroll, p freezes what is shown.
    """
    from .top_source import SourceError, source_of
    from .top_text import clean

    try:
        found = source_of(source, token)
        if as_json:
            click.echo(json.dumps(found.read(topics=found.has_topics).as_dict()))
        elif once:
            _print(found)
        elif not sys.stdout.isatty():
            raise click.ClickException("standard output is no terminal: add --once for one view, or --json")
        else:
            _watch(found, every)
    except SourceError as error:
        raise click.ClickException(clean(error, MESSAGE_LONGEST)) from None
    except BrokenPipeError:
        sys.stderr.close()


def _print(source: Source) -> None:
    from rich.console import Console

    from .top_state import State
    from .top_view import draw

    console = Console(highlight=False, markup=False, emoji=False)
    seen = source.read(topics=source.has_topics)
    for line in draw(seen, State(), name=source.name, width=console.width, height=None).lines:
        console.print(line, no_wrap=True, crop=True)


def _watch(source: Source, every: float) -> None:
    from rich.console import Console

    from .top_loop import watch

    console = Console(highlight=False, markup=False, emoji=False)
    if console.is_dumb_terminal:  # rich would draw nothing there
        raise click.ClickException(
            "this TERM names a terminal without pictures: add --once for one view, or --json"
        )
    with contextlib.suppress(KeyboardInterrupt):
        watch(source, every, console)
