"""What all pictures share: colours that stay apart for colour-blind eyes, and where they go."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"
INK, GREY, BLUE, SKY, ORANGE, GREEN, RED = (
    "#1b1f24", "#6e7781", "#0072b2", "#56b4e9", "#e69f00", "#009e73", "#d55e00",
)  # fmt: skip

# The same file from the same data: no random ids, and texts as texts.
mpl.rcParams.update({"svg.hashsalt": "subcore", "svg.fonttype": "none", "font.size": 9, "axes.spines.top": False,
                     "axes.spines.right": False, "axes.edgecolor": GREY, "font.family": "sans-serif"})  # fmt: skip


def save(figure: Figure, name: str, title: str) -> None:
    """Write a picture on white: pages may be dark."""
    FOLDER.mkdir(exist_ok=True)
    figure.tight_layout()
    metadata = {"Date": None, "Title": title, "Creator": "scripts/pictures"}
    figure.savefig(FOLDER / f"{name}.svg", facecolor="white", metadata=metadata)
    print(FOLDER / f"{name}.svg", flush=True)
