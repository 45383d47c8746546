"""The planted bugs still fit the source, and what must find them exists."""

from __future__ import annotations

import sys

import pytest

from conftest import ROOT

sys.path.insert(0, str(ROOT / "scripts" / "mutants"))
from mutant import Mutant
from planted import MUTANTS


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_patch_fits(mutant: Mutant) -> None:
    folder = ROOT / ("src" if mutant.file.endswith(".pyx") else "python") / "subcore"
    assert (folder / mutant.file).read_text().count(mutant.old) == 1
    assert mutant.old != mutant.new
    assert mutant.by == "soak" or all((ROOT / name).is_file() for name in mutant.by.split())


def test_names_are_their_own() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
