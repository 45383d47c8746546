"""The life of a stream as boxes and arrows, read from the table that the engine uses."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from drawing import BLUE, GREY, INK, RED, save
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from subcore.engine.topics import KEEP, LATE, NEXT, TopicEvent
from subcore.types import StreamState

PLACES = {
    StreamState.CLOSED: (0.0, 0.0),
    StreamState.WAITING: (1.5, 0.0),
    StreamState.SENT: (3.0, 0.0),
    StreamState.OPEN: (4.5, 0.0),
    StreamState.RECOVERING: (3.75, 1.3),
    StreamState.REFUSED: (1.5, -1.2),
}
SAYS = {
    StreamState.CLOSED: "nobody wants it",
    StreamState.WAITING: "wanted, not sent",
    StreamState.SENT: "asked for, not proven",
    StreamState.OPEN: "proven",
    StreamState.RECOVERING: "proven before, link lost",
    StreamState.REFUSED: "final, with the reason",
}
WIDE, HIGH = 0.47, 0.2
# From everywhere to one state: said in words, not in five arrows each.
LEFT_OUT = (TopicEvent.UNWANTED, TopicEvent.REFUSED)
S = StreamState


class Way(NamedTuple):
    """How an arrow is drawn: from which side of a box to which, how bent, and where its words stand."""

    start: tuple[float, float]
    end: tuple[float, float]
    bend: float
    words: tuple[float, float]


TOP, BOTTOM, LEFT, RIGHT = (0.0, HIGH), (0.0, -HIGH), (-WIDE, 0.0), (WIDE, 0.0)
WAYS = {
    (S.CLOSED, S.WAITING): Way(RIGHT, LEFT, 0.0, (0.75, 0.13)),
    (S.WAITING, S.SENT): Way(RIGHT, LEFT, 0.0, (2.25, 0.13)),
    (S.SENT, S.OPEN): Way(RIGHT, LEFT, 0.0, (3.78, 0.35)),
    (S.CLOSED, S.SENT): Way((0.1, HIGH), (-0.3, HIGH), -0.25, (1.4, 0.72)),
    (S.CLOSED, S.OPEN): Way((-0.1, HIGH), (0.1, HIGH), -0.42, (2.1, 1.25)),
    (S.SENT, S.WAITING): Way((-0.2, -HIGH), (0.3, -HIGH), -0.35, (2.25, -0.22)),
    (S.OPEN, S.WAITING): Way((0.0, -HIGH), (0.1, -HIGH), -0.3, (3.1, -0.78)),
    (S.SENT, S.RECOVERING): Way((0.0, HIGH), (-0.3, -HIGH), -0.15, (2.8, 0.72)),
    (S.RECOVERING, S.SENT): Way((-0.05, -HIGH), (0.3, HIGH), -0.15, (3.72, 0.62)),
    (S.OPEN, S.RECOVERING): Way((0.25, HIGH), (0.3, -HIGH), 0.15, (4.92, 0.78)),
    (S.REFUSED, S.WAITING): Way(TOP, BOTTOM, 0.0, (1.16, -0.62)),
}


def moves() -> dict[tuple[StreamState, StreamState], list[str]]:
    """What leads from one state to another."""
    found: dict[tuple[StreamState, StreamState], list[str]] = defaultdict(list)
    for state in StreamState:
        for event in TopicEvent:
            to = int(NEXT[state, event])
            if event not in LEFT_OUT and to not in (KEEP, LATE, state):
                found[state, StreamState(to)].append(event.name)
    return found


def draw() -> None:
    """Write states.svg. Fails where the table has a move that no arrow is there for, or the other way round."""
    found = moves()
    if found.keys() != WAYS.keys():
        raise SystemExit(f"the table and WAYS differ by {found.keys() ^ WAYS.keys()}: draw these moves anew")
    figure, axes = pyplot.subplots(figsize=(10, 5.2))
    for (old, new), names in found.items():
        arrow(axes, old, new, names)
    for state, (x, y) in PLACES.items():
        colour = {StreamState.OPEN: BLUE, StreamState.REFUSED: RED}.get(state, INK)
        box = FancyBboxPatch((x - WIDE, y - HIGH), 2 * WIDE, 2 * HIGH, boxstyle="round,pad=0.02", zorder=3)
        box.set(facecolor="white", edgecolor=colour, linewidth=1.6)
        axes.add_patch(box)
        axes.text(x, y + 0.05, state.name, ha="center", va="center", weight="bold", color=colour, zorder=4)
        axes.text(x, y - 0.09, SAYS[state], ha="center", va="center", size=7.5, color=GREY, zorder=4)
    words = "UNWANTED leads from every state to CLOSED,\nREFUSED from every wanted one to REFUSED"
    axes.text(3.0, -1.2, words, ha="left", va="center", size=8.5, color=GREY)
    axes.set(xlim=(-0.6, 5.3), ylim=(-1.5, 1.6), aspect="equal")
    axes.axis("off")
    save(figure, "states", "The life of a stream")


def arrow(axes: Axes, old: StreamState, new: StreamState, names: list[str]) -> None:
    """One arrow with the events beside it."""
    way = WAYS[old, new]
    start, end = ((x + dx, y + dy) for (x, y), (dx, dy) in ((PLACES[old], way.start), (PLACES[new], way.end)))
    axes.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=11, shrinkA=2, shrinkB=2,
                        connectionstyle=f"arc3,rad={way.bend}", color=INK, lw=0.9)
    )  # fmt: skip
    axes.text(*way.words, "\n".join(names), ha="center", va="center", size=7, color=INK, zorder=5,
              bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8})  # fmt: skip
