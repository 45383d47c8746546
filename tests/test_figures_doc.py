"""docs/operations.md names every figure, and none that does not exist."""

from __future__ import annotations

import re

import pytest

from conftest import ROOT
from subcore import figures
from subcore.costing import TOPIC_COSTS, ComponentCost
from subcore.topic_figures import TOPIC_STATS

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
RECORDS = [name for name in figures.__all__ if name != "as_json"]


def named(record: str) -> list[str]:
    """Figures in the first column of the record's table."""
    table = PAGE.split(f"of `{record}` | means |\n", 1)[1].split("\n\n", 1)[0]
    cells = [line.split("|")[1] for line in table.splitlines()[1:]]
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


@pytest.mark.parametrize("record", RECORDS)
def test_every_figure_is_explained(record: str) -> None:
    assert sorted(named(record)) == sorted(getattr(figures, record).__dataclass_fields__)


def test_every_column_of_topics_is_explained() -> None:
    assert named("TOPIC_STATS") == list(TOPIC_STATS.names or ())
    assert named("TOPIC_COSTS") == list(TOPIC_COSTS.names or ())


def test_every_cost_is_explained() -> None:
    assert named("ComponentCost") == list(ComponentCost.__dataclass_fields__)


def test_every_logger_is_named() -> None:
    source = "".join(path.read_text("utf-8") for path in (ROOT / "python" / "subcore").rglob("*.py"))
    used = set(re.findall(r"getLogger\(\"(subcore\.[a-z.]+)\"\)", source))
    assert len(used) > 10
    assert used == set(re.findall(r"^\| `(subcore\.[a-z]+)` \| [a-z]", PAGE, re.MULTILINE))
