"""The `subcore` command. Each subcommand is a module of its own, imported when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

import subcore

COMMANDS: dict[str, str] = {
    "demo": "subcore.cli.demo",
    "plan": "subcore.cli.plan",
    "replay": "subcore.cli.replay",
    "sim": "subcore.cli.sim",
    "top": "subcore.cli.top",
    "watch": "subcore.cli.watch",
}
"""Name -> module whose `command` is the click command."""


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one only to run it or to show its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: Any = import_module(COMMANDS[cmd_name]).command
        assert isinstance(command, click.Command)
        return command


@click.group(cls=LazyGroup)
@click.version_option(subcore.__version__)
def main() -> None:
    """Market-data subscriptions: many components, one wire."""
