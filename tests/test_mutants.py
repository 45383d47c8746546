"""The planted bugs still fit the source, what must find them exists, and none of the files and promises is left out."""

from __future__ import annotations

import sys

import pytest

from conftest import ROOT

sys.path.insert(0, str(ROOT / "scripts" / "mutants"))
from elsewhere import SEEN_ELSEWHERE
from mutant import PROPERTIES, Mutant
from planted import MUTANTS

NO_LOGIC = {
    "__init__.py": "a docstring",
    "ports.py": "protocols: nothing of it runs",
}


def exists(by: str) -> bool:
    """Whether a test, or a file of tests, is there."""
    file, _, test = by.partition("::")
    path = ROOT / file
    return path.is_file() and f"def {test}(" in path.read_text() if test else path.is_file()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_patch_fits(mutant: Mutant) -> None:
    folder = ROOT / ("src" if mutant.file.endswith(".pyx") else "python") / "subcore"
    assert (folder / mutant.file).read_text().count(mutant.old) == 1
    assert mutant.old != mutant.new
    assert mutant.by == "soak" or all(exists(by) for by in mutant.by.split())


def test_names_are_their_own() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_each_file_of_the_engine_has_one() -> None:
    files = {path.name for path in (ROOT / "python" / "subcore" / "engine").glob("*.py")}
    planted = {mutant.file.removeprefix("engine/") for mutant in MUTANTS if mutant.file.startswith("engine/")}
    assert files - planted == set(NO_LOGIC)


def test_each_property_has_one() -> None:
    assert set(PROPERTIES) == set(range(1, 14))
    assert {mutant.breaks for mutant in MUTANTS} - {None} == set(PROPERTIES)


def test_what_other_libraries_have_is_planted() -> None:
    assert len(SEEN_ELSEWHERE) == 14
    named = {name for names in SEEN_ELSEWHERE.values() for name in names}
    assert all(SEEN_ELSEWHERE.values())
    assert named <= {mutant.name for mutant in MUTANTS}
