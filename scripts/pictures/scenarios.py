"""The figures of the scenario table as bars: the plain manager, subcore, and what is wanted."""

from __future__ import annotations

import sys
from typing import Any

try:
    import matplotlib as mpl
except ModuleNotFoundError:
    sys.exit("matplotlib is missing: pip install -e '.[docs]'")

mpl.use("svg")

from drawing import BLUE, GREY, INK, ORANGE, save
from matplotlib import pyplot
from matplotlib.axes import Axes

from subcore.scenarios.figures import FIGURES

NEVER = "never"


def draw(said: dict[str, Any]) -> None:
    """Write scenarios.svg from what `subcore demo --scenario all --json` wrote."""
    rows = [(each, figure) for each in said["scenarios"] for figure in each["figures"]]
    columns = 4
    lines = -(-len(rows) // columns)
    figure, axes = pyplot.subplots(lines, columns, figsize=(10.5, 2.5 * lines), squeeze=False)
    for place, (each, row) in zip(axes.flat, rows, strict=False):
        _panel(place, each, row)
    for place in list(axes.flat)[len(rows) :]:
        place.axis("off")
    save(figure, "scenarios", "The plain manager and subcore in each figure")


def _panel(axes: Axes, each: dict[str, Any], row: dict[str, Any]) -> None:
    definition = FIGURES[row["key"]]
    known = [value for value in (row["before"], row["after"], row["wanted"]) if value is not None]
    top = max(known) * 1.25
    for at, (value, colour) in enumerate(((row["before"], ORANGE), (row["after"], BLUE))):
        height = top * 0.95 if value is None else value
        axes.bar(
            at, height, color=colour, width=0.6, hatch="//" if value is None else None, edgecolor="white"
        )
        axes.text(
            at, min(height, top * 0.97), definition.show(value), ha="center", va="bottom", size=8, color=INK
        )
    axes.axhline(row["wanted"], color=GREY, ls="--", lw=1)
    axes.set(
        xticks=[0, 1], xticklabels=["plain", "subcore"], yticks=[], ylim=(0, top * 1.08), xlim=(-0.6, 1.6)
    )
    axes.spines["left"].set_visible(False)
    title = f"{each['scenario']}. {each['title']}:\n{definition.name}"
    axes.set_title(f"{title}\nwanted {definition.show_wanted()}", size=8, color=INK, loc="left")
