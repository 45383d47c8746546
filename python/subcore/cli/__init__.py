"""The `subcore` command."""

from __future__ import annotations

import click

import subcore


@click.group()
@click.version_option(subcore.__version__)
def main() -> None:
    """Market-data subscriptions: demo, watch, replay, sim."""
