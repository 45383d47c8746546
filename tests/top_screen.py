"""Figures as they were recorded, and the lines that `subcore top` makes of them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from subcore.cli.top_source import Seen
from subcore.cli.top_state import State
from subcore.cli.top_view import draw
from terminals import ESCAPES

RECORDED = json.loads((Path(__file__).parent / "top_figures.json").read_text("utf-8"))


def seen(**changes: Any) -> Seen:
    return Seen(**{**copy.deepcopy(RECORDED), **changes})


def shown(
    figures: Seen, state: State | None = None, *, width: int = 110, height: int | None = 40, **more: Any
) -> list[str]:
    """The lines as a terminal of that size gets them, colours left out."""
    screen = draw(figures, state or State(), name="somewhere", width=width, height=height, **more)
    console = Console(width=width, height=height or 25, force_terminal=True, color_system="truecolor")
    with console.capture() as capture:
        for line in screen.lines:
            console.print(line, no_wrap=True, crop=True)
    drawn = capture.get()
    assert len(screen.lines) <= (height or 10_000)
    lines = ESCAPES.sub("", drawn).split("\n")
    assert "\x1b" not in "".join(lines), "only what colours"
    assert len(lines) == len(screen.lines) + 1, "one line each"
    for line in screen.lines:
        assert line.cell_len <= width
    return lines


@pytest.fixture
def figures_file(tmp_path: Path) -> Path:
    path = tmp_path / "figures.jsonl"
    path.write_text(json.dumps(RECORDED["stats"]) + "\n")
    return path
