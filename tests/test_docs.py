"""Every Python block of the pages runs as it stands, against the embedded exchange.

A block that holds an import is a whole program: its module body runs, and its `main` where it has one. `asyncio.run` is
left to the test, and a manager without an address gets that of the exchange. A program that never ends is stopped once
it has printed enough. Blocks without an import are fragments: they
compile, and name only what exists.
"""

from __future__ import annotations

import ast
import asyncio
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import subcore
from conftest import ROOT
from subcore.component import Component
from subcore.engine.topics import KEEP, LATE, NEXT, TopicEvent
from subcore.manager import SubscriptionManager
from subcore.sim import TEST_ACCESS_KEY, TEST_SECRET_KEY
from subcore.sim.durations import Durations
from subcore.sim.server import SimServer
from subcore.types import StreamState
from subcore.venue import Counted, Limit
from subcore.venues import venue

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ENOUGH_LINES = 25
SOON = 20.0


class Block(NamedTuple):
    page: str
    line: int
    code: str

    @property
    def is_program(self) -> bool:
        return any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.parse(self.code).body)


def blocks() -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 2
            found.append(Block(str(page.relative_to(ROOT)), line, match[1]))
    return found


BLOCKS = blocks()
PROGRAMS = [block for block in BLOCKS if block.is_program]


def at(block: Block) -> str:
    return f"{block.page}:{block.line}"


def ready(block: Block) -> Any:
    """The block's code object: its lines where the page has them, without `asyncio.run`."""
    code = re.sub(r"^asyncio\.run\(main\(\)\)$", "", block.code, flags=re.MULTILINE)
    return compile("\n" * (block.line - 1) + code, block.page, "exec")


def manager_at(url: str) -> Callable[..., SubscriptionManager]:
    """What makes managers of the same arguments, at `url` where they name no exchange of their own."""

    def make(*args: Any, **options: Any) -> SubscriptionManager:
        return SubscriptionManager(*args, **{"url": url, **options})

    return make


def counting_print(lines: list[str], enough: asyncio.Event) -> Callable[..., None]:
    def say(*values: object) -> None:
        lines.append(" ".join(map(str, values)))
        if len(lines) >= ENOUGH_LINES:
            enough.set()

    return say


def test_the_pages_have_programs() -> None:
    pages = [block.page for block in PROGRAMS]
    assert pages.count("README.md") >= 1
    assert pages.count("docs/quickstart.md") >= 8


KNOWN = {"subcore": subcore, "manager": SubscriptionManager, "component": Component}


def test_blocks_compile_and_name_what_exists() -> None:
    faults = [fault for block in BLOCKS for fault in faults_of(block)]
    assert faults == []


def faults_of(block: Block) -> list[str]:
    try:
        compile(block.code, at(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except SyntaxError as error:
        return [f"{at(block)}: {error}"]
    used = [
        node
        for node in ast.walk(ast.parse(block.code))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in KNOWN
    ]
    return [
        f"{at(block)}: {node.value.id} has no {node.attr}"
        for node in used
        if isinstance(node.value, ast.Name) and not hasattr(KNOWN[node.value.id], node.attr)
    ]


@pytest.mark.parametrize(
    "code", ["component.subscrib('ticker')", "x = subcore.Tickr", "await manager.stop()", "for x in"]
)
def test_a_faulty_block_is_seen(code: str) -> None:
    assert len(faults_of(Block("page.md", 1, code))) == 1


@pytest.mark.parametrize("block", PROGRAMS, ids=at)
async def test_programs_run(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # some write files
    monkeypatch.setenv("UPBIT_ACCESS_KEY", TEST_ACCESS_KEY)
    monkeypatch.setenv("UPBIT_SECRET_KEY", TEST_SECRET_KEY)
    lines: list[str] = []
    enough = asyncio.Event()
    async with SimServer(seed=5, rate=50.0, durations=Durations().divided(20)) as server:
        monkeypatch.setattr(subcore, "SubscriptionManager", manager_at(server.url))
        names: dict[str, Any] = {"__name__": "page", "print": counting_print(lines, enough)}
        exec(ready(block), names)
        if "main" in names:
            await run_until(names["main"], enough)
        assert not server.violations
    assert lines


async def run_until(main: Callable[[], Any], enough: asyncio.Event) -> None:
    """Until `main` ends or `enough` is set; its exception is the test's."""
    program = asyncio.ensure_future(main())
    watch = asyncio.ensure_future(enough.wait())
    await asyncio.wait({program, watch}, timeout=SOON, return_when=asyncio.FIRST_COMPLETED)
    late = not program.done() and not watch.done()
    program.cancel()
    watch.cancel()
    await asyncio.wait({program, watch})
    assert not late, f"it neither ended nor printed {ENOUGH_LINES} lines"
    if not program.cancelled():
        await program


# What the pages say of the code


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def rows(text: str, width: int) -> list[list[str]]:
    """Cells of every table line with so many columns, headers and rules left out."""
    lines = (line.strip() for line in text.splitlines() if line.startswith("| ") and "| --- |" not in line)
    found = ([cell.strip() for cell in line[1:-1].split("|")] for line in lines)
    return [cells for cells in found if len(cells) == width]


def test_the_life_of_a_stream_is_the_one_of_the_engine() -> None:
    table = rows(page("design.md"), 7)
    assert table[0][1:] == [state.name for state in StreamState]
    said = {cells[0].strip("`"): cells[1:] for cells in table[1:]}
    words = {KEEP: "·", LATE: "*late*"} | {int(state): state.name for state in StreamState}
    assert said == {e.name: [words[int(NEXT[s, e])] for s in StreamState] for e in TopicEvent}


def test_every_test_the_design_names_is_there() -> None:
    named = re.findall(r"\btest_\w+(?:\.py)?(?:::test_\w+)?", page("design.md"))
    sources = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "tests").glob("test_*.py")}
    whole = "\n".join(sources.values())
    missing = []
    for name in named:
        file, _, test = name.partition("::")
        source, function = (sources.get(file, ""), test) if file.endswith(".py") else (whole, file)
        if f"def {function}" not in source:
            missing.append(name)
    assert len(named) > 30
    assert missing == []


UNITS = {"s": 1, "x": 1, "": 1, "bytes": 1, "frames/s": 1, "KiB": 1024, "MiB": 1024 * 1024}
DEFAULTS = [cells for cells in rows(page("defaults.md"), 4) if "` `" in cells[3]]


@pytest.mark.parametrize("cells", DEFAULTS, ids=lambda cells: cells[3].replace("`", "").replace(" ", ":"))
def test_a_default_is_what_the_code_says(cells: list[str]) -> None:
    path, name = re.findall(r"`([^`]+)`", cells[3])
    source = (ROOT / path).read_text(encoding="utf-8")
    # NAME = value, NAME: type = value, an argument's NAME=value, or #define NAME value
    pattern = rf"(?:\b{name}(?:: [\w\[\], .|]+?)? ?= ?|#define {name} )(\((?:[^()]*)\)|\"[^\"]*\"|[^,)#\n]+)"
    values = [evaluate(text) for text in re.findall(pattern, source)]
    scale = 1_000_000_000 if name.endswith("_NS") or "SECOND" in "".join(re.findall(pattern, source)) else 1
    said = ast.literal_eval(cells[1])
    if isinstance(said, int | float) and not isinstance(said, bool):
        said = said * UNITS[cells[2]] * scale
        assert any(isinstance(v, int | float) and math.isclose(v, said) for v in values), (said, values)
    else:
        assert said in values


def evaluate(text: str) -> object:
    try:
        return eval(text.strip(), {"__builtins__": {}, "SECOND": 1_000_000_000})
    except (NameError, SyntaxError, TypeError):
        return None


def windows(limit: Limit) -> str:
    return "; ".join(
        f"{w.amount} in {w.seconds:g} s, planned as {w.amount} in {w.planned_seconds:g} s"
        for w in limit.windows
    )


def test_the_windows_are_those_the_venue_declares() -> None:
    declared = [
        [
            limit.group,
            ", ".join(c.value for c in Counted if c in limit.counts),
            limit.scope.value,
            windows(limit),
        ]
        for limit in venue("upbit").limits
    ]
    said = [cells for cells in rows(page("defaults.md"), 4) if " planned as " in cells[3]]
    assert said == declared


def test_links_between_pages_lead_somewhere() -> None:
    for path in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (path.parent / target).exists(), f"{path.name} -> {target}"
